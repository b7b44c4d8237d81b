"""The `costudio` command, as tools use it."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from auth.grants import Role
from auth.tokens import TokenIssuer
from server.settings import Settings
from tests.server_process import COSTUDIO


def costudio(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COSTUDIO, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verify(token: str, secret: str) -> dict[str, Role]:
    issuer = TokenIssuer(secret, "costudio", "costudio", leeway_seconds=0, default_role=Role.NONE)
    return dict(issuer.verify(token, now_seconds=0).grants)


def test_a_token_is_printed_and_nothing_else(tmp_path: Path) -> None:
    done = costudio("token", "alice", "--data-dir", str(tmp_path), cwd=tmp_path)
    token, end = done.stdout.split("\n")
    assert (done.returncode, end, done.stderr) == (0, "", "")
    assert verify(token, (tmp_path / "jwt-secret").read_text()) == {"*": Role.EDITOR}


def test_a_token_is_signed_with_the_secret_that_is_set(tmp_path: Path) -> None:
    arguments = [
        "token",
        "bob",
        "--role",
        "viewer",
        "--room",
        "notes/*",
        "--ttl",
        "60",
        "--data-dir",
        str(tmp_path),
    ]
    done = costudio(*arguments, cwd=tmp_path, COSTUDIO_JWT_SECRET="s" * 32)
    assert verify(done.stdout.strip(), "s" * 32) == {"notes/*": Role.VIEWER}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["token", "x", "--role", "god"], "no role 'god'"),
        (["serve"], "COSTUDIO_JWT_SECRET"),
        (["serve", "--dev", "--host", "0.0.0.0"], "loopback"),
        (["serve", "--port", "99999"], "COSTUDIO_PORT"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, arguments: list[str], named: str) -> None:
    done = costudio(*arguments, "--data-dir", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = tmp_path / "costudio.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    done = costudio("serve", "--dev", "--port", "0", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "version 9999" in done.stderr


def test_help_documents_every_setting(tmp_path: Path) -> None:
    shown = costudio("serve", "--help", cwd=tmp_path, COLUMNS="200").stdout
    for name, field in Settings.model_fields.items():
        assert str(field.validation_alias or f"COSTUDIO_{name.upper()}") in shown
    for option in ("--host", "--port", "--data-dir", "--dev"):
        assert option in shown
