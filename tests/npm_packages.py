"""What tests need from npm, so that `pytest` alone is enough; where `make` was first, there is nothing to do."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def install_packages(folder: Path) -> None:
    """`npm ci` where the packages are missing or older than the lock file."""
    installed = folder / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (folder / "package-lock.json").stat().st_mtime:
        _npm("ci", "--no-audit", "--no-fund", folder=folder)


def build_page() -> None:
    """Build `web/dist` where it is missing."""
    web = ROOT / "web"
    if not (web / "dist" / "index.html").exists():
        install_packages(web)
        _npm("run", "build", folder=web)


def _npm(*arguments: str, folder: Path) -> None:
    subprocess.run(["npm", *arguments], cwd=folder, check=True)
