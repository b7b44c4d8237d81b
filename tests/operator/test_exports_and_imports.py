"""`costudio export` and `costudio import`: what is exported is what is saved, what is imported is an edit."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pycrdt import Doc, Text

from auth.grants import Role
from tests.operator.commands import costudio, costudio_beside
from tests.operator.studio import DELETED, FILES, furnish
from tests.wire.client import Writer
from tests.wire.conftest import ROOM, RunningServer, run_server

ONE, PLAN, THREE = FILES


@pytest.fixture
def data_dir(studio_file: Path, tmp_path: Path) -> Path:
    """With an SQLite database in which there is something."""
    shutil.copy(studio_file, tmp_path / "costudio.db")
    return tmp_path


class File:
    """One to import."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, content: str | bytes) -> None:
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)

    def __str__(self) -> str:
        return str(self.path)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "file")


def export(data_dir: Path, room: str, *options: object, **environment: str) -> str:
    done = costudio("export", room, *options, data_dir=data_dir, **environment)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def replica(update: bytes) -> Doc[Text]:
    doc: Doc[Text] = Doc()
    doc.apply_update(update)
    return doc


def refused(data_dir: Path, *arguments: object, **environment: str) -> str:
    done = costudio(*arguments, data_dir=data_dir, **environment)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    return done.stderr


def test_a_file_is_exported_as_text_as_json_and_as_an_update(data_dir: Path, tmp_path: Path) -> None:
    assert export(data_dir, THREE) == "one 🎈\ntwo 🎈\nthree 🎈\n"
    assert export(data_dir, PLAN, "--format", "markdown") == "after the snapshotone 🎈\ntwo 🎈\n"
    said = json.loads(export(data_dir, ONE, "--format", "json"))
    assert said == {"room": ONE, "epoch": 1, "seq": 1, "text": "one 🎈\n"}
    export(data_dir, "plan.md", "--format", "update", "-o", tmp_path / "plan.yjs")
    content = replica((tmp_path / "plan.yjs").read_bytes()).get("content", type=Text)
    assert str(content) == "after the snapshotone 🎈\ntwo 🎈\n"
    assert "File exists" in refused(data_dir, "export", ONE, "-o", tmp_path / "plan.yjs")
    assert "no room" in refused(data_dir, "export", DELETED)


def test_what_is_damaged_is_left_out_of_an_export_and_said(data_dir: Path) -> None:
    with closing(sqlite3.connect(data_dir / "costudio.db", isolation_level=None)) as connection:
        connection.execute("UPDATE snapshots SET summary = x'00'")
        connection.execute("UPDATE updates SET payload = x'00' WHERE seq = 3")
    done = costudio("export", PLAN, data_dir=data_dir)
    assert (done.exit_code, done.stdout) == (1, "one 🎈\ntwo 🎈\n")
    assert [line.split(": ")[2:] for line in done.stderr.splitlines()] == [
        [each, "the checksum does not match"] for each in ("row 3", "snapshot 2")
    ]


async def test_a_chat_is_exported_as_a_transcript_from_either_database(
    database_url: str, tmp_path: Path
) -> None:
    await furnish(database_url)

    async def exported(format_: str) -> str:
        done = await costudio_beside(
            "export", "chat:7", "--format", format_, data_dir=tmp_path, DATABASE_URL=database_url
        )
        assert done.exit_code == 0, done.stderr
        return done.stdout

    assert (await exported("text")).splitlines()[:2] == [
        "2027-01-15T08:00:00Z Ada: hello déjà 0",
        "2027-01-15T08:00:00Z Ada: hello déjà 1",
    ]
    markdown = await exported("markdown")
    assert markdown.startswith("# chat:7\n\n**Ada** 2027-01-15T08:00:00Z\n\nhello déjà 0\n\n**Ada**")
    said = json.loads(await exported("json"))
    assert [message["seq"] for message in said["messages"]] == [1, 2, 3, 4, 5]
    assert said["messages"][0]["sender_name"] == "Ada"


def test_a_text_is_imported_as_an_edit_of_what_differs(data_dir: Path, file: File) -> None:
    export(data_dir, THREE, "--format", "update", "-o", data_dir / "before.yjs")
    before = replica((data_dir / "before.yjs").read_bytes())
    file.holds("one 🎈\nzwei 🎈\nthree 🎈\n")
    assert costudio("import", THREE, file, data_dir=data_dir).stdout == f"{THREE}: written\n"
    assert export(data_dir, THREE) == file.path.read_text()
    assert costudio("import", THREE, file, data_dir=data_dir).stdout == f"{THREE}: has all of it already\n"
    content = before.get("content", type=Text)
    content += "written offline"  # by somebody who has not heard of it
    (data_dir / "theirs.yjs").write_bytes(before.get_update())
    assert (
        costudio("import", THREE, data_dir / "theirs.yjs", "--format", "update", data_dir=data_dir).exit_code
        == 0
    )
    assert export(data_dir, THREE) == f"{file.path.read_text()}written offline"


def test_an_import_makes_what_is_not_there_also_after_a_deletion(data_dir: Path, file: File) -> None:
    file.holds(b"")
    for room in ("workspace:2/new.md", DELETED):
        assert costudio("import", room, file, data_dir=data_dir).exit_code == 0
        assert export(data_dir, room) == ""
    assert json.loads(export(data_dir, DELETED, "--format", "json"))["epoch"] == 2
    assert costudio("verify", "--all", data_dir=data_dir).exit_code == 0


def test_a_copy_from_before_a_restore_is_merged_under_new_ids(data_dir: Path, file: File) -> None:
    export(data_dir, THREE, "--format", "update", "-o", data_dir / "copy.yjs")
    costudio("backup", data_dir / "backup", data_dir=data_dir)
    done = costudio("restore", data_dir / "backup", "--force", data_dir=data_dir)
    assert done.exit_code == 0, done.stderr
    done = costudio("import", THREE, data_dir / "copy.yjs", "--format", "update", data_dir=data_dir)
    assert done.stdout == f"{THREE}: has all of it already\n"
    copy = replica((data_dir / "copy.yjs").read_bytes())
    content = copy.get("content", type=Text)
    content += "four"
    file.holds(copy.get_update())
    assert costudio("import", THREE, file, "--format", "update", data_dir=data_dir).exit_code == 0
    assert export(data_dir, THREE) == "one 🎈\ntwo 🎈\nthree 🎈\nfour"


def test_what_cannot_be_imported_is_refused_and_changes_nothing(data_dir: Path, file: File) -> None:
    writer = Writer(9)
    writer.type("never sent")
    file.holds(b"\xff" + writer.type("builds on it"))
    assert "not UTF-8" in refused(data_dir, "import", ONE, file)
    assert "no Yjs update" in refused(data_dir, "import", ONE, file, "--format", "update")
    file.holds(file.path.read_bytes()[1:])
    for room in (ONE, "workspace:1/new.md"):
        assert "builds on something" in refused(data_dir, "import", room, file, "--format", "update")
    file.holds(Writer(100).type("another thing under the same id"))
    assert "different things" in refused(data_dir, "import", ONE, file, "--format", "update")
    assert "messages" in refused(data_dir, "import", "chat:7", file)
    assert "no file" in refused(data_dir, "import", "workspace:1", file)
    assert "no user" in refused(data_dir, "import", ONE, file, "--as", "nobody")
    assert "--token" in refused(
        data_dir, "import", ONE, file, "--url", "http://127.0.0.1:1", COSTUDIO_TOKEN=""
    )
    assert "No such file" in refused(data_dir, "import", ONE, data_dir / "none")
    assert export(data_dir, ONE) == "one 🎈\n"


async def test_whoever_is_said_to_be_the_author_is(tmp_path: Path, file: File) -> None:
    async with run_server(tmp_path) as server:
        await (await server.client("bob")).edit(Writer(1).type("here"))
    file.holds("here we are")
    done = await costudio_beside("import", ROOM, file, "--as", "bob", data_dir=tmp_path)
    assert done.exit_code == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "costudio.db")) as connection:
        query = "SELECT author_id FROM updates JOIN documents ON documents.id = document_id WHERE name = ?"
        authors = connection.execute(f"{query} ORDER BY updates.id", (ROOM,)).fetchall()
    assert authors == [authors[0]] * 2 != [(None,)] * 2


async def test_nothing_is_imported_beside_a_server_that_is_running(
    kind: str, database_url: str, tmp_path: Path, file: File
) -> None:
    file.holds("x")
    async with run_server(tmp_path, database_url=database_url):
        done = await costudio_beside("import", ROOM, file, data_dir=tmp_path, DATABASE_URL=database_url)
        assert (done.exit_code, "server uses the data" in done.stderr) == (
            2,
            True,
        )  # another one, with SQLite
        if kind == "postgres":
            backup = tmp_path / "backup"
            await costudio_beside("backup", backup, data_dir=tmp_path, DATABASE_URL=database_url)
            done = await costudio_beside(
                "restore", backup, "--force", data_dir=tmp_path, DATABASE_URL=database_url
            )
            assert (done.exit_code, "server uses the data" in done.stderr) == (2, True)
    done = await costudio_beside("import", ROOM, file, data_dir=tmp_path, DATABASE_URL=database_url)
    assert done.exit_code == 0, done.stderr


async def test_a_running_server_imports_like_any_client(
    server: RunningServer, tmp_path: Path, file: File
) -> None:
    async def imports(*options: object, role: Role = Role.EDITOR, room: str = ROOM) -> tuple[int, str]:
        url, token = server.url.replace("ws:", "http:"), server.token("bob", role)
        done = await costudio_beside(
            "import", room, file, "--url", url, *options, data_dir=tmp_path, COSTUDIO_TOKEN=token
        )
        return done.exit_code, done.stdout + done.stderr

    file.holds("one\n")
    assert await imports() == (0, f"{ROOM}: written\n")
    alice, writer = await server.client("alice"), Writer(7)
    writer.doc.apply_update(await alice.sync())
    file.holds("zero\none\n")
    assert await imports() == (0, f"{ROOM}: written\n")
    await alice.until(lambda: any(b"zero" in update for update in alice.updates()))
    assert await imports() == (0, f"{ROOM}: has all of it already\n")

    writer.type("by alice, offline\n")
    file.holds(writer.doc.get_update())
    assert await imports("--format", "update") == (0, f"{ROOM}: written\n")
    assert await (await server.client("carol")).text() == "zero\none\nby alice, offline\n"

    file.holds("by a viewer")
    code, said = await imports(role=Role.VIEWER)
    assert (code, "403" in said) == (2, True), said
    writer.type("more")
    file.holds(writer.doc.get_update())
    code, said = await imports("--format", "update", role=Role.VIEWER)
    assert (code, len(said.splitlines())) == (2, 1), said
    stranger = Writer(5)
    stranger.type("never sent")
    file.holds(stranger.type("builds on it"))
    code, said = await imports("--format", "update")
    assert (code, "builds on" in said) == (2, True), said
