"""The `costudio` command, as tools use it."""

import json
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner, Result

from auth.grants import Role
from auth.keys import Key, KeySet, secret_key
from auth.principals import Agent, Budget, Principal
from auth.verifying import TokenVerifier
from server.cli import app
from server.settings import Settings
from tests.server_process import COSTUDIO

SECRET = "a secret for tests, long enough to sign with"


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


def token(*options: str, cwd: Path, **environment: str) -> Result:
    """`costudio token`, without the second that a process takes to start."""
    arguments = ["token", *options, "--data-dir", str(cwd)]
    return CliRunner().invoke(app, arguments, env={"COSTUDIO_JWT_SECRET": SECRET, **environment})


def principal(printed: str, key: Key) -> Principal:
    """Whom the token names, for a server that has that key."""
    verifier = TokenVerifier(KeySet([key]), "costudio", "costudio", leeway_seconds=0)
    return anyio.run(partial(verifier.verify, printed.removesuffix("\n"), now_seconds=time.time()))


def test_a_token_is_printed_and_nothing_else(tmp_path: Path) -> None:
    done = costudio("token", "alice", "--data-dir", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    alice = principal(done.stdout, secret_key((tmp_path / "jwt-secret").read_text()))
    assert (alice.subject, alice.name, alice.grants) == ("alice", "alice", {"*": Role.EDITOR})


def test_everything_that_a_token_can_say_is_an_option(tmp_path: Path) -> None:
    said = ["--name", "Bob", "--color", "#abc", "--avatar", "https://a.example/b.png", "--ttl", "60"]
    agent = ["--agent", "fixer", "--run", "7", "--on-behalf-of", "alice", "--budget-edits", "9"]
    bob = principal(token("bob", *said, *agent, cwd=tmp_path).stdout, secret_key(SECRET))
    assert (bob.name, bob.color, bob.avatar) == ("Bob", "#abc", "https://a.example/b.png")
    assert bob.agent == Agent("fixer", "7", "alice", Budget(edits=9))
    assert bob.expires_at_seconds - bob.issued_at_seconds == pytest.approx(60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "grants"),
    [
        (["--role", "viewer", "--room", "notes/*"], {"notes/*": Role.VIEWER}),
        (["--room", "chat:1"], {"chat:1": Role.EDITOR}),
        (["--grant", "chat:1=admin", "--grant", "a=b.md=viewer"], {"chat:1": Role.ADMIN, "a=b.md": Role.VIEWER}),
        (["--role", "viewer", "--grant", "chat:1=editor"], {"*": Role.VIEWER, "chat:1": Role.EDITOR}),
        (["--no-grants"], None),
    ],
)  # fmt: skip
def test_grants_are_given_one_by_one_or_left_out(
    tmp_path: Path, options: list[str], grants: dict[str, Role] | None
) -> None:
    assert principal(token("bob", *options, cwd=tmp_path).stdout, secret_key(SECRET)).grants == grants


@pytest.mark.parametrize(("options", "kid"), [([], "new"), (["--kid", "old"], "old")])
def test_the_first_secret_signs_or_the_one_that_is_named(
    tmp_path: Path, options: list[str], kid: str
) -> None:
    secrets = {"new": SECRET, "old": SECRET[::-1]}
    done = token("bob", *options, cwd=tmp_path, COSTUDIO_JWT_SECRETS=json.dumps(secrets))
    assert principal(done.stdout, secret_key(secrets[kid], kid)).subject == "bob"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["x", "--role", "god"], "no role 'god'"),
        (["x", "--grant", "chat:1"], "ROOM=ROLE"),
        (["x", "--grant", "chat:1=god"], "no role 'god'"),
        (["x", "--no-grants", "--role", "viewer"], "--no-grants"),
        (["x", "--run", "7"], "--agent"),
        (["x", "--agent", "fixer"], "--run"),
        (["x", "--agent", "fixer", "--run", "7", "--budget-bytes", "-1"], "agent.budget.bytes"),
        (["x", "--color", "red"], "color"),
        (["x", "--avatar", "http://a.example"], "avatar"),
        (["x" * 129], "sub"),
        (["x", "--kid", "none"], "COSTUDIO_JWT_SECRETS"),
    ],
)
def test_a_token_that_no_server_would_take_is_not_printed(
    tmp_path: Path, options: list[str], named: str
) -> None:
    done = token(*options, cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1


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
    assert (done.returncode, done.stdout) == (2, "")
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


@pytest.mark.parametrize(("hard", "warnings"), [(300, 1), (5000, 0)])
def test_a_server_may_open_as_many_files_as_the_system_allows_and_says_where_these_are_few(
    hard: int, warnings: int
) -> None:
    code = (
        "import resource; from server.interpreter import prepare_to_serve;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}));"
        "prepare_to_serve(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < hard:
        pytest.skip(f"no process here may have {hard} files open")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) == hard
    assert done.stderr.count("ulimit") == warnings
