"""Files as plain text over HTTP: what is read, what a change of it does to the live document, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from auth.grants import Role
from server.files.edits import Edit
from server.files.version import Version
from server.files.writing import _client_id
from server.rooms.names import parse_room_name
from server.rooms.runs import Author
from tests.files.file_client import FileClient, file_client
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

MIXED = "eins 📊\r\nzwei 日本語\r\ncafe\u0301 👩‍🚀\r\n"
FILE = parse_room_name(ROOM, plain_names_workspace_id=None)


class Desk:
    """Who works on one file of a server."""

    def __init__(self, server: RunningServer, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    async def agent(
        self, user: str = "agent", role: Role = Role.EDITOR, path: str = "notes.md"
    ) -> FileClient:
        token = self.server.token(user, role)
        return await self._stack.enter_async_context(file_client(self.server.url, token, path))


@pytest.fixture
async def desk(server: RunningServer) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        yield Desk(server, stack)


@pytest.fixture
async def agent(desk: Desk) -> FileClient:
    return await desk.agent()


async def test_what_a_yjs_client_types_is_read_as_text_with_a_version(
    server: RunningServer, agent: FileClient
) -> None:
    typist, writer = await server.client(), Writer(1)
    await typist.edit(writer.type(MIXED))
    response = await agent.request("GET")
    assert response.content == MIXED.encode()
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    etag = response.headers["ETag"]
    for tags in (etag, f'"x", W/{etag}', "*"):
        assert (await agent.request("GET", headers={"If-None-Match": tags})).status_code == 304
    await typist.edit(writer.type("more"))
    assert (await agent.request("GET", headers={"If-None-Match": etag})).status_code == 200
    assert (await agent.read())[0] == MIXED + "more"


async def test_a_file_is_created_once(desk: Desk, agent: FileClient) -> None:
    assert (await agent.request("GET")).status_code == 404
    etag = await agent.create(MIXED)
    assert await agent.read() == (MIXED, etag)
    other = await (await desk.agent("other")).request("PUT", headers={"If-None-Match": "*"}, content=b"x")
    assert (other.status_code, other.json()["error"]["code"]) == (412, "version_unknown")
    assert await agent.create(MIXED) == etag, "who has lost the answer asks again"


async def test_an_empty_file_is_a_file(agent: FileClient) -> None:
    etag = await agent.create("")
    assert await agent.read() == ("", etag)
    assert (await agent.replace(etag, "first"))["merged"] is False
    assert (await agent.read())[0] == "first"


async def test_a_text_that_is_replaced_keeps_what_others_typed_meanwhile(
    server: RunningServer, agent: FileClient
) -> None:
    etag = await agent.create(MIXED)
    typist, writer = await server.client(), Writer(1)
    writer.doc.apply_update(await typist.sync())
    await typist.edit(writer.type("vier"))
    answer = await agent.replace(etag, MIXED.replace("zwei", "two").replace("📊", "📈"))
    merged = MIXED.replace("zwei", "two").replace("📊", "📈") + "vier"
    assert answer["merged"] is True
    assert answer["conflicts"] == []
    assert await agent.read() == (merged, answer["etag"])
    assert await typist.text() == merged
    assert len(typist.updates()) == 2, "a connected editor hears of it"


async def test_a_change_of_the_newest_version_is_not_merged_with_anything(agent: FileClient) -> None:
    answer = await agent.replace(await agent.create(MIXED), "all new")
    assert (answer["merged"], answer["conflicts"]) == (False, [])
    assert answer["etag"] == f'"{answer["version"]}"'
    assert await agent.read() == ("all new", answer["etag"])


async def test_both_texts_are_shown_where_two_changed_the_same_line(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("one\ntwo 📊\nthree\n")
    await alice.replace(etag, "one\nzwei 📊\nthree\nfour\n")
    answer = await bob.replace(etag, "one\ndeux 📊\nthree\n")
    (conflict,) = answer["conflicts"]
    assert conflict["base"] == "two 📊\n"
    assert (conflict["yours"], conflict["theirs"]) == ("deux 📊\n", "zwei 📊\n")
    text, _ = await bob.read()
    lines = conflict["lines"]
    assert "".join(text.splitlines(keepends=True)[lines["start"] : lines["end"]]) == conflict["merged"]
    assert "zwei" in conflict["merged"]
    assert "deux" in conflict["merged"]


async def test_a_conflict_is_listed_until_a_side_is_chosen(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("one\ntwo\nthree\n")
    await alice.replace(etag, "one\nzwei\nthree\n")
    (conflict,) = (await bob.replace(etag, "one\ndeux\nthree\n"))["conflicts"]
    (listed,) = await alice.conflicts()
    assert listed["id"] == conflict["id"]
    assert [listed[key] for key in ("path", "base", "yours", "theirs", "merged", "resolution")] == [
        "notes.md",
        "two\n",
        "deux\n",
        "zwei\n",
        conflict["merged"],
        None,
    ]
    text, etag = await alice.read()
    await alice.replace(etag, f"zero\n{text}")  # the place moves
    version = await alice.resolve(conflict["id"], "theirs")
    assert await alice.read() == ("zero\none\nzwei\nthree\n", f'"{version}"')
    assert await alice.conflicts() == []
    (listed,) = await alice.conflicts(all=True)
    assert listed["resolution"] == "theirs"
    again = await bob.request("POST", f"conflicts/{conflict['id']}", json={"choice": "yours"})
    assert again.status_code == 404


async def test_a_conflict_that_stays_merged_changes_nothing(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("two\n")
    await alice.replace(etag, "zwei\n")
    (conflict,) = (await bob.replace(etag, "deux\n"))["conflicts"]
    before = await bob.read()
    await bob.resolve(conflict["id"], "merged")
    assert await bob.read() == before
    assert await bob.conflicts() == []


async def test_changes_of_different_lines_are_no_conflict(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("one\ntwo\nthree\n")
    await alice.replace(etag, "one\nzwei\nthree\n")
    assert (await bob.replace(etag, "un\ntwo\ntrois\n"))["conflicts"] == []
    assert (await bob.read())[0] == "un\nzwei\ntrois\n"


async def test_a_change_that_is_sent_twice_is_made_once(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("one\ntwo\n")
    await alice.replace(etag, "one\nzwei\n")
    first = await bob.replace(etag, "one\ndeux\nthree\n")
    await alice.replace(first["etag"], "other\n")
    after = await bob.read()
    assert await bob.replace(etag, "one\ndeux\nthree\n") == first
    assert await bob.read() == after
    assert len(await bob.conflicts()) == 1


@pytest.mark.parametrize("unit", ["utf16", "codepoint"])
async def test_offsets_count_what_the_unit_says(agent: FileClient, unit: str) -> None:
    etag = await agent.create(MIXED)
    measure = (lambda text: len(text.encode("utf-16-le")) // 2) if unit == "utf16" else len
    word = measure(MIXED[: MIXED.index("日")])
    astronaut = measure(MIXED[: MIXED.index("👩")])
    end = measure(MIXED)
    await agent.edit(etag, (end, end, "fin"), (word, word + 2, "月"), (astronaut, astronaut, "🚀"), unit=unit)
    assert (await agent.read())[0] == MIXED.replace("日本", "月").replace("👩", "🚀👩") + "fin"


async def test_an_edit_inside_a_surrogate_pair_is_refused(agent: FileClient) -> None:
    etag = await agent.create("a📊b")
    refused = await agent.try_edit(etag, (2, 2, "x"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_parameter")
    assert "surrogate pair" in refused.json()["error"]["reason"]
    await agent.edit(etag, (3, 4, "x"))
    assert (await agent.read())[0] == "a📊x"


@pytest.mark.parametrize(
    "edits", [[(0, 5, "")], [(0, 2, "x"), (1, 3, "y")], [(2, 1, "")], [(0, 0, "\ud83d")]]
)
async def test_edits_that_the_text_does_not_have_are_refused(
    agent: FileClient, edits: list[tuple[int, int, str]]
) -> None:
    etag = await agent.create("abc")
    assert (await agent.try_edit(etag, *edits)).status_code == 422
    assert await agent.read() == ("abc", etag)


async def test_offsets_are_those_of_the_version_that_was_read(desk: Desk) -> None:
    alice, bob = await desk.agent("alice"), await desk.agent("bob")
    etag = await alice.create("one\ntwo\n")
    await alice.edit(etag, (0, 0, "zero 📊\n"))
    await bob.edit(etag, (4, 7, "zwei"))
    assert (await bob.read())[0] == "zero 📊\none\nzwei\n"


async def test_a_change_without_a_version_is_refused(agent: FileClient) -> None:
    await agent.create("abc")
    for method, body in (("PUT", {"content": b"x"}), ("PATCH", {"json": {"edits": []}})):
        for headers in ({}, {"If-Match": "*"}):
            refused = await agent.request(method, headers=headers, **body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (428, "version_missing")
    assert (await agent.read())[0] == "abc"


@pytest.mark.parametrize(
    "etag", ['"9.1-0123456789abcdef"', '"1.1-0123456789abcdef"', '"1.99"', '"x"', 'W/"1.1"']
)
async def test_a_version_that_never_was_is_refused(agent: FileClient, etag: str) -> None:
    await agent.create("abc")
    refused = await agent.request("PUT", headers={"If-Match": etag}, content=b"x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "version_unknown")
    assert (await agent.read())[0] == "abc"


async def test_a_version_of_a_document_that_was_replaced_is_refused(
    server: RunningServer, agent: FileClient, desk: Desk
) -> None:
    etag = await agent.create("abc")
    admin = await desk.agent("root", Role.ADMIN)
    url = f"/api/documents/{ROOM}"
    (await admin._http.delete(url)).raise_for_status()
    assert (await agent.request("GET")).status_code == 404
    assert (await agent.request("PUT", headers={"If-Match": etag}, content=b"x")).status_code == 404
    new = await agent.create("new")
    assert new != etag
    assert (await agent.request("PUT", headers={"If-Match": etag}, content=b"x")).status_code == 412


async def test_a_body_that_is_not_utf_8_is_refused(agent: FileClient) -> None:
    refused = await agent.request("PUT", headers={"If-None-Match": "*"}, content=b"\xff\xfe")
    assert refused.status_code == 422


async def test_versions_outlive_a_restart_and_a_compaction(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server, file_client(server.url, server.token("agent")) as agent:
        await agent.create("one\n")
        etags = []
        for number in range(5):  # rows of one author, which compaction packs into one
            text, etag = await agent.read()
            etags.append((text, etag))
            await agent.replace(etag, f"{text}line {number}\n")
        last = await agent.read()
        await server.app.state.documents._compactor.compact(ROOM)
    async with run_server(tmp_path) as server, file_client(server.url, server.token("agent")) as agent:
        assert await agent.read() == last
        text, etag = etags[2]
        assert text == "one\nline 0\nline 1\n"
        answer = await agent.replace(etag, f"zero\n{text}")
        assert answer["conflicts"] == []
        assert (await agent.read())[0] == f"zero\n{last[0]}"


async def test_a_viewer_reads_and_does_not_write(desk: Desk, agent: FileClient) -> None:
    etag = await agent.create("abc")
    viewer = await desk.agent("viewer", Role.VIEWER)
    assert await viewer.read() == ("abc", etag)
    refused = await viewer.request("PUT", headers={"If-Match": etag}, content=b"x")
    assert refused.status_code == 403


async def test_the_author_of_a_change_is_who_asked(server: RunningServer, agent: FileClient) -> None:
    await agent.create("abc")
    rows = [row async for row in server.app.state.documents._log.read(ROOM)]
    me = (await agent._http.get("/api/me")).json()
    assert [row.row.author_id for row in rows] == [me["user_id"]]
    async with server.app.state.rooms.visit(FILE, may_create=False) as room:
        assert set(room.authors.values()) == {me["user_id"]}
        assert room.authors.keys() == room.document.contents.state.keys()


async def test_a_change_is_made_though_somebody_has_taken_its_client_id_before(
    server: RunningServer, agent: FileClient
) -> None:
    etag = await agent.create("abc")
    user_id = (await agent._http.get("/api/me")).json()["user_id"]
    expected = _client_id(FILE, Author(user_id), Version.parse(etag.strip('"')), [Edit(3, 3, "def")], 0)
    forger = Writer(expected)
    client = await server.client("forger")
    forger.doc.apply_update(await client.sync())
    await client.edit(forger.type("!"))
    answer = await agent.replace(etag, "abcdef")
    assert sorted((await agent.read())[0]) == sorted("abcdef!")
    assert await agent.replace(etag, "abcdef") == answer, "asked again it is made once"
