"""Who gets in, and with which words others are turned away."""

import time
from pathlib import Path

import jwt
import pytest
from websockets.asyncio.client import connect

from auth.grants import Role
from server.protocol.closing import CloseCode
from server.protocol.yjs_messages import update_message
from tests.wire.client import Writer, open_client
from tests.wire.conftest import ROOM, SECRET, RunningServer, run_server


def forged(**changes: object) -> str:
    """A token that is right but for these claims."""
    claims = {"iss": "costudio", "aud": "costudio", "sub": "x", "exp": time.time() + 3600} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, SECRET)


BAD_TOKENS = {
    "missing": "",
    "not a token": "x.y.z",
    "expired": forged(exp=time.time() - 60),
    "not yet valid": forged(nbf=time.time() + 3000, exp=time.time() + 3600),
    "no expiry": forged(exp=None),
    "no subject": forged(sub=None),
    "wrong audience": forged(aud="others"),
    "wrong issuer": forged(iss="others"),
    "other secret": jwt.encode(
        {"sub": "x", "exp": time.time() + 60}, "another secret, as long as the right one"
    ),
    "unsigned": jwt.encode(
        {"iss": "costudio", "aud": "costudio", "sub": "x", "exp": time.time() + 60}, "", algorithm="none"
    ),
    "other algorithm": jwt.encode(
        {"iss": "costudio", "aud": "costudio", "sub": "x", "exp": time.time() + 60},
        SECRET * 2,
        algorithm="HS512",
    ),
    "expiry of another type": forged(exp="soon"),
    "grants of another type": forged(grants=["*"]),
    "unknown role": forged(grants={"*": "god"}),
    "huge": forged(name="x" * 9000),
}


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS.keys())
async def test_a_token_that_proves_nothing_is_refused_in_words_and_by_code(
    server: RunningServer, token: str
) -> None:
    client = await server.client(token=token)
    assert await client.close_code() == CloseCode.UNAUTHORIZED
    assert len(client.denials()) == 1
    assert client.received == [b"\x02\x00" + client.received[0][2:]]


async def test_a_good_token_in_a_header_is_as_good(server: RunningServer) -> None:
    headers = {"Authorization": f"Bearer {server.token()}"}
    async with connect(f"{server.url}/ws/{ROOM}", additional_headers=headers) as connection:
        assert await connection.recv() == b"\x00\x00\x01\x00"


@pytest.mark.parametrize(
    "room",
    [
        "chat:x",
        "chat:0",
        "project:7/file",
        "workspace:",
        "workspace:1/",
        "workspace:1/a/../b",
        "notes.md",
        "global:",
    ],
)
async def test_a_name_that_is_no_rooms_is_not_found(server: RunningServer, room: str) -> None:
    client = await server.client(room=room)
    assert await client.close_code() == CloseCode.NOT_FOUND
    assert len(client.denials()) == 1


@pytest.mark.parametrize("room", ["chat:7", "workspace:7", "workspace:1/день 1.md", "global", "project:7"])
async def test_every_kind_of_room_opens(server: RunningServer, room: str) -> None:
    assert await (await server.client(room=room)).sync() == b"\x00\x00"


@pytest.mark.parametrize("room", ["global", "project:7"])
async def test_rooms_without_a_document_refuse_updates_and_stay_open(
    server: RunningServer, room: str
) -> None:
    client = await server.client(room=room)
    await client.send(update_message(Writer(7).type("x")))
    await client.until(lambda: len(client.denials()) == 1)
    assert await client.sync() == b"\x00\x00"


async def test_a_token_for_another_room_is_forbidden(server: RunningServer) -> None:
    client = await server.client(token=server.token(room="workspace:2/*"))
    assert await client.close_code() == CloseCode.FORBIDDEN


async def test_a_viewer_reads_and_is_seen_but_writes_nothing(server: RunningServer) -> None:
    editor = await server.client("alice")
    await editor.edit(Writer(7).type("look"))
    viewer = await server.client("bob", role=Role.VIEWER)
    assert await viewer.text() == "look"
    await viewer.send(b"\x00\x01\x02\x00\x00")
    await viewer.send(update_message(Writer(8).type("but do not touch")))
    await viewer.until(lambda: len(viewer.denials()) == 1)
    await viewer.show(8, 1, b"{}")
    await editor.until(lambda: len(editor.awareness()) == 1)
    assert await editor.text() == "look"


async def test_a_file_is_created_by_who_may_write_there_alone(server: RunningServer) -> None:
    viewer = await server.client("bob", role=Role.VIEWER)
    assert await viewer.close_code() == CloseCode.NOT_FOUND
    await server.client("alice")
    assert await (await server.client("bob", role=Role.VIEWER)).sync() == b"\x00\x00"


async def test_files_are_not_created_where_the_setting_says_so(tmp_path: Path) -> None:
    async with run_server(tmp_path, create_files=False) as server:
        assert await (await server.client()).close_code() == CloseCode.NOT_FOUND


async def test_a_plain_name_is_a_file_of_the_default_workspace_where_that_is_on(tmp_path: Path) -> None:
    async with run_server(tmp_path, plain_room_names=True) as server:
        plain = await server.client(room="notes/день 1")
        await plain.edit(Writer(7).type("same"))
        assert await (await server.client(room="workspace:1/notes/день 1")).text() == "same"
        token = server.token("bob", room="notes/*")
        async with open_client(server.url, "workspace:1/notes/день 1", token) as by_pattern:
            assert await by_pattern.text() == "same"
