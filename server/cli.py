"""The `costudio` command."""

import logging
import socket
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvicorn
from pydantic import ValidationError

from auth.grants import Role
from crdt_store.migrations import UnknownSchema
from crdt_store.update_log import LogUnavailable
from server.app import create_app, token_issuer
from server.interpreter import prepare_to_serve
from server.pages import DEVELOPMENT_USERS, development_token
from server.settings import Settings, SettingsError
from server.web_server import uvicorn_config

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_DEFAULT_TTL_SECONDS = 30 * 24 * 3600


def _settings_help() -> str:
    """Every setting with its variable, default and meaning."""
    lines = ["Settings, from the environment or a `.env` file (options win):", ""]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else field.default
        lines.append(f"- `{_variable(name)}` ({default}): {field.description}")
    return "\n".join(lines)


def _variable(name: str) -> str:
    """The environment variable of a setting, which may be given by its own name or by the variable's."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name
    return str(field.validation_alias or f"COSTUDIO_{name.upper()}")


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The real-time collaboration server of an AI studio for Unreal Engine teams.",
)

DataDir = Annotated[Path | None, typer.Option(help="Where the embedded database and the secret live.")]


@app.command(epilog=_settings_help())
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    data_dir: DataDir = None,
    dev: Annotated[
        bool | None,
        typer.Option(
            "--dev/--no-dev",
            help="Development mode: plain room names, tokens for the asking. Loopback only.",
        ),
    ] = None,
) -> None:
    """Run the server. The database is migrated first."""
    settings = _read_settings(host=host, port=port, data_dir=data_dir, dev=dev)
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it has a line for every plug-in
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # it would log what people write
    try:
        listener = _listen(settings)
        server = _Server(settings)
    except (SettingsError, UnknownSchema, LogUnavailable) as error:
        _fail(str(error))
    prepare_to_serve()
    server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(3)


@app.command()
def token(
    user: Annotated[str, typer.Argument(help="The `sub` of the token: who it is for.")],
    role: Annotated[str, typer.Option(help="viewer, commenter, editor or admin.")] = "editor",
    room: Annotated[str, typer.Option(help="Room name; * stands for anything.")] = "*",
    ttl: Annotated[int, typer.Option(help="Seconds until it expires.")] = _DEFAULT_TTL_SECONDS,
    data_dir: DataDir = None,
) -> None:
    """Print a token, signed with COSTUDIO_JWT_SECRET or the development secret in the data directory."""
    settings = _read_settings(data_dir=data_dir, dev=True)
    try:
        grants = {room: Role.parse(role)}
        issuer = token_issuer(settings)
    except (SettingsError, ValueError) as error:
        _fail(str(error))
    typer.echo(issuer.mint(user, grants=grants, now_seconds=time.time(), ttl_seconds=ttl))


def _listen(settings: Settings) -> socket.socket:
    """Take the address first of all: that it is in use should be said before anything is made."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn, with our protocol classes, and a word on where to go once it listens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__(uvicorn_config(create_app(settings), settings))

    def _log_started_message(self, listeners: Any) -> None:
        sockets: list[socket.socket] = list(listeners)
        port = sockets[0].getsockname()[1] if sockets else self._settings.port
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        print(f"Costudio serves http://{host}:{port}")
        if self._settings.dev:
            tokens = token_issuer(self._settings)
            for user in DEVELOPMENT_USERS:
                print(f"open http://{host}:{port}/?user={user}")
            for user in DEVELOPMENT_USERS:
                print(f"token of {user}: {development_token(tokens, user, now_seconds=time.time())}")
        sys.stdout.flush()


def _read_settings(**options: object) -> Settings:
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        _fail("; ".join(f"{_variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors()))


def _fail(message: str) -> NoReturn:
    typer.echo(f"costudio: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the `costudio` command."""
    app()
