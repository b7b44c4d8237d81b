"""`python -m server` is the `costudio` command."""

from server.cli import main

main()
