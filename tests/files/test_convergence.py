"""Yjs clients type, and programs without Yjs write over HTTP, into one file at once: nobody's words are lost."""

import random
import re
from pathlib import Path

import anyio
import pytest
from pycrdt import Doc, Text

from server.files.offsets import to_utf8
from tests.files.file_client import file_client
from tests.wire.client import WireClient
from tests.wire.conftest import RunningServer, run_server

ROUNDS = 12
START = "".join(f"line {number} 📊 日本語 cafe\u0301\r\n" for number in range(30))
_MARKS = re.compile("⟨[^⟨⟩]*⟩")


def places_between_marks(text: str) -> list[int]:
    """Where something may come in without taking a mark apart, or a \\r from its \\n."""
    inside = {place for match in _MARKS.finditer(text) for place in range(match.start() + 1, match.end())}
    return [place for place in range(len(text) + 1) if place not in inside]


async def type_(client: WireClient, name: str, dice: random.Random) -> None:
    """A Yjs client that takes in what it hears before each word."""
    doc: Doc[Text] = Doc(client_id=dice.getrandbits(32))
    content = doc.get("content", type=Text)
    doc.apply_update(await client.sync())
    heard = 0
    for number in range(ROUNDS):
        for update in client.updates()[heard:]:
            doc.apply_update(update)
        heard = len(client.updates())
        text = str(content)
        place = dice.choice(places_between_marks(text))
        before = doc.get_state()
        content.insert(to_utf8(text, [place])[0], f"⟨{name} {number} 👩‍🚀⟩")
        update = doc.get_update(before)
        await client.edit(update)


async def write(server: RunningServer, name: str, dice: random.Random) -> None:
    """A program that often changes a version that is not the newest any more."""
    async with file_client(server.url, server.token(name)) as file:
        text, etag = await file.read()
        for number in range(ROUNDS):
            if dice.random() < 0.6:
                text, etag = await file.read()
            place = dice.choice(places_between_marks(text))
            mark = f"⟨{name} {number} 日⟩"
            if dice.random() < 0.5:
                await file.replace(etag, text[:place] + mark + text[place:])
            else:
                await file.edit(etag, (place, place, mark), unit="codepoint")


@pytest.mark.parametrize("seed", range(1))
async def test_every_text_is_the_same_and_has_what_everybody_wrote(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    names = [f"{kind} {number}" for kind in ("typist", "program") for number in range(3)]
    async with run_server(tmp_path) as server, file_client(server.url, server.token("reader")) as reader:
        await reader.create(START)
        async with anyio.create_task_group() as tasks:
            for name in names[:3]:
                typist = await server.client(name)
                tasks.start_soon(type_, typist, name, random.Random(dice.random()))
            for name in names[3:]:
                tasks.start_soon(write, server, name, random.Random(dice.random()))
        text, _ = await reader.read()
        assert await (await server.client("newcomer")).text() == text
        assert await typist.text() == text
        signs = {name: "👩‍🚀" if "typist" in name else "日" for name in names}
        wanted = [f"⟨{name} {number} {signs[name]}⟩" for name in names for number in range(ROUNDS)]
        assert sorted(_MARKS.findall(text)) == sorted(wanted)
        assert _MARKS.sub("", text) == START
    async with run_server(tmp_path) as server, file_client(server.url, server.token("reader")) as reader:
        assert (await reader.read())[0] == text
