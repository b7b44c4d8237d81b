"""`costudio export` and `costudio import`."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import anyio
import typer

from crdt_store.effects import Connection
from crdt_store.long_transactions import read_at_length
from crdt_store.migrations import require_current
from crdt_store.transcripts import each_message, names_of_senders
from crdt_store.users import UserDirectory
from server.command_settings import DataDir, fail, read_settings
from server.engine.document import EngineFailure
from server.operator.access import (
    REFUSALS,
    be_quiet,
    condensing,
    database_url,
    now_ms,
    opened,
    refuse_if_served,
    sole_process,
)
from server.operator.documents import document_room
from server.operator.errors import Refused
from server.operator.importing import import_text, import_update
from server.operator.loading import Loaded, load
from server.operator.remote import send_text, send_update
from server.operator.transcripts import as_json, as_markdown, as_text
from server.operator.upkeep_commands import FOUND_SOMETHING
from server.rooms.names import RoomKind, RoomName
from server.settings import Settings


class Format(StrEnum):
    """Of what is exported."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    UPDATE = "update"


class ImportFormat(StrEnum):
    """Of what is imported."""

    TEXT = "text"
    UPDATE = "update"


Room = Annotated[str, typer.Argument(metavar="ROOM", help="Such as workspace:1/notes.md or chat:7.")]


def export(
    room: Room,
    format_: Annotated[Format, typer.Option("--format", help="What it is written as.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; else it goes to stdout.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write a file, as it is saved, or all that was said in a chat. Servers go on.

    What is damaged is left out, and said; then the exit code is 1.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    missing: tuple[str, ...] = ()
    try:
        name = document_room(room, settings)
        if name.kind is RoomKind.CHAT and format_ is not Format.UPDATE:
            url = database_url(settings)
            read_at_length(url, require_current)
            with _output(output) as sink:
                _export_chat(url, name, format_, sink)
        else:
            loaded = anyio.run(_load, settings, name)
            missing, content = loaded.missing, _written(loaded, name, format_)
            with _output(output) as sink:
                sink.write(content)
    except (*REFUSALS, EngineFailure) as error:
        fail(str(error))
    for line in missing:
        typer.echo(f"costudio: left out of {name}: {line}", err=True)
    if missing:
        raise typer.Exit(FOUND_SOMETHING)


def import_(
    room: Room,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.", dir_okay=False)],
    format_: Annotated[
        ImportFormat, typer.Option("--format", help="text: the file is to say this; update: merge it.")
    ] = ImportFormat.TEXT,
    author: Annotated[
        str | None, typer.Option("--as", help="The `sub` of a user who counts as its author.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Of a server that is to do it, as it runs.")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="COSTUDIO_TOKEN", help="Who it is written as there.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write to a file's document what FILE has, by an edit that merges with others.

    Without --url no server may run on the database.
    """
    be_quiet()
    settings = read_settings(data_dir=data_dir)
    try:
        name, data = document_room(room, settings), file.read_bytes()
        if url is None:
            with sole_process(settings):
                is_new = anyio.run(_import, settings, name, data, format_, author)
        elif token is None or author is not None:
            raise Refused("--url needs --token, which says whose edit it is, and goes without --as")
        elif format_ is ImportFormat.TEXT:
            is_new = send_text(url, token, name, _decoded(data))
        else:
            send_update(url, token, name, data)
            is_new = True
    except (*REFUSALS, EngineFailure) as error:
        fail(str(error))
    typer.echo(f"{name}: {'written' if is_new else 'has all of it already'}")


async def _load(settings: Settings, name: RoomName) -> Loaded:
    async with opened(settings) as database, condensing(settings) as condenser:
        loaded = await load(database, condenser.condense, name.canonical)
    if loaded is None:
        raise Refused(f"no room {name}")
    return loaded


def _written(loaded: Loaded, name: RoomName, format_: Format) -> bytes:
    """Raises EngineFailure, Refused."""
    if format_ is Format.UPDATE:
        return loaded.update()
    if name.kind is RoomKind.SEGMENT:
        raise Refused(f"{name} is a part of chat:{name.id}: export that, or this as an update")
    if format_ is Format.JSON:
        fields = {
            "room": name.canonical,
            "epoch": loaded.epoch,
            "seq": loaded.last_seq,
            "text": loaded.text(),
        }
        return json.dumps(fields, ensure_ascii=False, indent=2).encode() + b"\n"
    return loaded.text().encode()


def _export_chat(url: str, name: RoomName, format_: Format, sink: BinaryIO) -> None:
    def write(connection: Connection) -> None:
        names = names_of_senders(connection, name.id)
        if not names:
            raise Refused(f"nothing was said in {name}")
        messages = each_message(connection, name.id)
        parts: Iterable[str] = {
            Format.TEXT: partial(as_text, messages, names),
            Format.MARKDOWN: partial(as_markdown, messages, names, name.canonical),
            Format.JSON: partial(as_json, messages, names, name.canonical),
        }[format_]()
        sink.writelines(part.encode() for part in parts)

    read_at_length(url, write)


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """Raises OSError, also for a file that is there."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


async def _import(
    settings: Settings, name: RoomName, data: bytes, format_: ImportFormat, author: str | None
) -> bool:
    """Whether there was anything new in it. Raises Refused and what the parts raise."""
    if name.kind in (RoomKind.CHAT, RoomKind.SEGMENT):
        raise Refused(f"{name} is what its messages are: send them to a server")
    async with opened(settings) as database, condensing(settings) as condenser:
        await refuse_if_served(settings, database)
        author_id = None
        if author is not None:
            author_id = await UserDirectory(database).find_id(settings.jwt_issuer, author)
            if author_id is None:
                raise Refused(f"no user {author!r} of {settings.jwt_issuer!r} has been here")
        where = (database, condenser.condense, name.canonical)
        if format_ is ImportFormat.UPDATE:
            return await import_update(*where, data, author_id, now_ms())
        if name.kind is not RoomKind.FILE:
            raise Refused(f"{name} is no file")
        return await import_text(*where, _decoded(data), author_id, now_ms())


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"it is not UTF-8: {error.reason} at byte {error.start}") from error
