"""The `costudio` command."""

import logging
import socket
import sys
import time
from functools import partial
from typing import Annotated, Any

import anyio
import typer
import uvicorn

from auth.grants import Role
from auth.principals import Agent, Budget
from auth.verifying import InvalidToken
from crdt_store.migrations import UnknownSchema
from crdt_store.update_log import LogUnavailable
from server.app import create_app
from server.chat_command import chat
from server.command_settings import DataDir, fail, read_settings, variable
from server.interpreter import prepare_to_serve
from server.operator.backup_commands import backup, restore
from server.operator.document_commands import export, import_
from server.operator.upkeep_commands import compact_documents, gc, verify
from server.pages import DEVELOPMENT_USERS, development_token
from server.settings import Settings, SettingsError
from server.token_settings import token_minter, token_verifier
from server.web_server import uvicorn_config

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_DEFAULT_TTL_SECONDS = 30 * 24 * 3600
_DEFAULT_ROLE, _DEFAULT_ROOM = "editor", "*"


def _settings_help() -> str:
    """Every setting with its variable, default and meaning."""
    lines = ["Settings, from the environment or a `.env` file (options win):", ""]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else field.default
        lines.append(f"- `{variable(name)}` ({default}): {field.description}")
    return "\n".join(lines)


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The real-time collaboration server of an AI studio for Unreal Engine teams.",
)


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
    settings = read_settings(host=host, port=port, data_dir=data_dir, dev=dev)
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it has a line for every plug-in
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # it would log what people write
    try:
        listener = _listen(settings)
        server = _Server(settings)
    except (SettingsError, UnknownSchema, LogUnavailable) as error:
        fail(str(error))
    prepare_to_serve()
    server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(3)


@app.command()
def token(
    user: Annotated[str, typer.Argument(help="The `sub` of the token: who it is for.")],
    role: Annotated[
        str | None, typer.Option(help="viewer, commenter, editor or admin.", show_default=_DEFAULT_ROLE)
    ] = None,
    room: Annotated[
        str | None, typer.Option(help="Room name; * stands for anything.", show_default=_DEFAULT_ROOM)
    ] = None,
    grant: Annotated[
        list[str] | None,
        typer.Option(metavar="ROOM=ROLE", help="A room and the role there; may be given several times."),
    ] = None,
    no_grants: Annotated[
        bool, typer.Option("--no-grants", help="Say nothing of rooms: memberships alone decide.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The name that people see; else the `sub`.")] = None,
    color: Annotated[str | None, typer.Option(help="#rgb or #rrggbb.")] = None,
    avatar: Annotated[str | None, typer.Option(help="https address of a picture.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="The token is for this program, which acts alone.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Which run of the agent.")] = None,
    on_behalf_of: Annotated[str | None, typer.Option(help="The `sub` for whom the agent runs.")] = None,
    budget_bytes: Annotated[int | None, typer.Option(help="How much the run may write.")] = None,
    budget_edits: Annotated[int | None, typer.Option(help="How many edits it may make.")] = None,
    budget_documents: Annotated[int | None, typer.Option(help="In how many documents.")] = None,
    ttl: Annotated[int, typer.Option(help="Seconds until it expires.", min=1)] = _DEFAULT_TTL_SECONDS,
    kid: Annotated[
        str | None, typer.Option(help="Which of COSTUDIO_JWT_SECRETS signs; else the first.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print a token, signed with the secret that is set or the development secret in the data directory."""
    settings = read_settings(data_dir=data_dir, dev=True)
    try:
        minted = token_minter(settings, kid).mint(
            user,
            grants=_grants(role, room, grant or [], no_grants=no_grants),
            now_seconds=(now_seconds := time.time()),
            ttl_seconds=ttl,
            name=name,
            color=color,
            avatar=avatar,
            agent=_agent(agent, run, on_behalf_of, Budget(budget_bytes, budget_edits, budget_documents)),
        )
        # What no server would let in is not handed out.
        anyio.run(partial(token_verifier(settings).verify, minted, now_seconds=now_seconds))
    except (SettingsError, ValueError, InvalidToken) as error:
        fail(str(error))
    typer.echo(minted)


def _grants(
    role: str | None, room: str | None, more: list[str], *, no_grants: bool
) -> dict[str, Role] | None:
    """What the options say together; --room and --role are one grant. Raises ValueError."""
    if no_grants:
        if role or room or more:
            raise ValueError("--no-grants goes with none of --role, --room and --grant")
        return None
    grants = {}
    if role or room or not more:
        grants[room or _DEFAULT_ROOM] = Role.parse(role or _DEFAULT_ROLE)
    for grant in more:
        pattern, equals, name = grant.rpartition("=")
        if not equals:
            raise ValueError(f"--grant {grant}: it must be ROOM=ROLE")
        grants[pattern] = Role.parse(name)
    return grants


def _agent(name: str | None, run: str | None, on_behalf_of: str | None, budget: Budget) -> Agent | None:
    """Raises ValueError."""
    has_budget = budget != Budget()
    if name is None:
        if run or on_behalf_of or has_budget:
            raise ValueError("--run, --on-behalf-of and --budget-… need --agent")
        return None
    if run is None:
        raise ValueError("--agent needs --run: which run of it")
    return Agent(name, run, on_behalf_of, budget if has_budget else None)


app.command()(chat)
app.command()(backup)
app.command()(restore)
app.command()(export)
app.command("import")(import_)
app.command()(verify)
app.command("compact")(compact_documents)
app.command()(gc)


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
            minter = token_minter(self._settings)
            for user in DEVELOPMENT_USERS:
                print(f"open http://{host}:{port}/?user={user}")
            for user in DEVELOPMENT_USERS:
                print(f"token of {user}: {development_token(minter, user, now_seconds=time.time())}")
        sys.stdout.flush()


def main() -> None:
    """Entry point of the `costudio` command."""
    app()
