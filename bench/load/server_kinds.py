"""The servers that are compared, and how each is started.

Ours keeps its documents on disk; the others do where a workload asks for it (`stored`), each in a store of its own.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.load.dialects import HOCUSPOCUS, Y_WEBSOCKET, Dialect

PEERS = Path(__file__).parent.parent / "peers"
_MODULES = PEERS / "node_modules"
_SECRET = "a secret of nobody, for benchmarks alone"
_NOT_INHERITED = ("COSTUDIO_", "DATABASE_URL", "REDIS_URL", "YPERSISTENCE", "STORE_", "NODE_")
OURS = "costudio"


@dataclass(frozen=True, slots=True)
class ServerKind:
    """`command`, `environment` and `target` may hold {port} and {data_dir}, the last one also {room} and {token}."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    store_environment: Mapping[str, str] = field(default_factory=dict)  # what makes it keep its documents
    target: str = "/{room}"
    dialect: Dialect = Y_WEBSOCKET
    token_command: tuple[str, ...] = ()
    needs: Path | None = None  # what must be installed

    def environment_for(self, port: int, data_dir: Path, *, stored: bool) -> dict[str, str]:
        """All variables of its process: this one's without what would configure a server, and its own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        given = {**self.environment, **(self.store_environment if stored else {})}
        return inherited | {name: self.fill(value, port, data_dir) for name, value in given.items()}

    def fill(self, text: str, port: int, data_dir: Path) -> str:
        """Put in the port and the folder."""
        return text.replace("{port}", str(port)).replace("{data_dir}", str(data_dir))


def costudio(name: str = OURS, command: Path | None = None) -> ServerKind:
    """Ours, or another version of it whose command is given."""
    program = str(command or Path(sys.executable).with_name("costudio"))
    folder = ("--data-dir", "{data_dir}")
    return ServerKind(
        name,
        (program, "serve", "--port", "{port}", *folder),
        environment={"COSTUDIO_JWT_SECRET": _SECRET},
        target="/ws/workspace:1/{room}?token={token}",
        token_command=(program, "token", "bench", *folder),
    )


_NODE_ENVIRONMENT = {"HOST": "127.0.0.1", "PORT": "{port}", "NODE_ENV": "production"}
_LEVEL_DB = {"YPERSISTENCE": "{data_dir}/leveldb"}

_HOCUSPOCUS = ServerKind(
    "hocuspocus",
    ("node", str(PEERS / "hocuspocus.mjs")),
    _NODE_ENVIRONMENT,
    store_environment={"STORE_FOLDER": "{data_dir}"},
    dialect=HOCUSPOCUS,
    needs=_MODULES / "@hocuspocus",
)

KINDS = {
    kind.name: kind
    for kind in (
        costudio(),
        ServerKind(
            "y-websocket",
            ("node", str(_MODULES / "y-websocket" / "bin" / "server.cjs")),
            _NODE_ENVIRONMENT,
            store_environment=_LEVEL_DB,
            needs=_MODULES / "y-websocket",
        ),
        ServerKind(
            "@y/websocket-server",
            ("node", str(_MODULES / "@y" / "websocket-server" / "src" / "server.js")),
            _NODE_ENVIRONMENT,
            store_environment=_LEVEL_DB,
            needs=_MODULES / "@y",
        ),
        _HOCUSPOCUS,
        ServerKind(
            "pycrdt-websocket",
            (sys.executable, str(PEERS / "pycrdt_websocket.py")),
            {"PORT": "{port}"},
            store_environment={"STORE_FILE": "{data_dir}/updates.db"},
        ),
    )
}


def kind_of(text: str) -> ServerKind:
    """A name of the above, or NAME=PATH of another costudio command. Raises KeyError."""
    name, is_other, path = text.partition("=")
    return costudio(name, Path(path).absolute()) if is_other else replace(KINDS[name])
