"""What one user, one address and one connection may take of the server (docs/limits.md)."""
