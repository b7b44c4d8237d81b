"""`file_update` of JSON clients: a change of a version of a file, by their workspace's room."""

from collections.abc import Awaitable

from auth.grants import Action, Grant
from server.access.doorkeeper import Doorkeeper
from server.documents.service import Locked
from server.events.errors import EventError, EventErrorCode
from server.events.handlers import Answer, Speaker
from server.events.models import FileUpdate
from server.files.edits import BadEdits, Edit, edits_of
from server.files.models import WrittenModel
from server.files.offsets import BadOffset, Unit
from server.files.parts import Files
from server.files.text_diff import diff
from server.files.version import BadVersion, Version
from server.files.versions import UnknownVersion
from server.files.writing import EditsOf, FileFull
from server.rooms.names import BadRoomName, RoomKind, RoomName, parse_room_name
from server.rooms.runs import Author, BudgetExceeded

_CODES: dict[type[Exception], EventErrorCode] = {
    UnknownVersion: EventErrorCode.CONFLICT,
    Locked: EventErrorCode.CONFLICT,
    FileFull: EventErrorCode.TOO_LARGE,
    BadOffset: EventErrorCode.INVALID_PAYLOAD,
    BadEdits: EventErrorCode.INVALID_PAYLOAD,
    BudgetExceeded: EventErrorCode.BUDGET_EXCEEDED,
}


class FileSpeaking:
    """The handler of `file_update`: answered once the change is saved, as `PUT …/content` answers.

    `files` is set once that is there.
    """

    files: Files

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def file_update(
        self, speaker: Speaker, name: RoomName, event: FileUpdate
    ) -> Answer | Awaitable[Answer]:
        """Raises EventError, NoSuchRoom, RoomUnavailable, RoomBusy, LogUnavailable; the answer too."""
        if name.kind is not RoomKind.WORKSPACE:
            raise EventError(EventErrorCode.NOT_ALLOWED, "files are changed in the room of their workspace")
        try:
            file = parse_room_name(f"{name}/{event.path}", plain_names_workspace_id=None)
            version = Version.parse(event.version)
        except BadRoomName as error:
            raise EventError(EventErrorCode.INVALID_PAYLOAD, f"path: {error}") from error
        except BadVersion as error:
            raise EventError(EventErrorCode.INVALID_PAYLOAD, f"version: {error}") from error
        role = await self._doorkeeper.role_in(speaker.identity, file)
        if not Grant(role).allows(Action.WRITE):
            raise EventError(EventErrorCode.NOT_ALLOWED, "your role may not write this file")
        return self._write(speaker.identity.author, file, version, _edits_of(event))

    async def _write(self, author: Author, file: RoomName, version: Version, edits_of: EditsOf) -> Answer:
        try:
            outcome = await self.files.writer.write(file, author, version, edits_of)
            conflict_ids = await self.files.desk.keep(outcome)
        except tuple(_CODES) as error:
            raise EventError(_CODES[type(error)], str(error)) from error
        return {"room": file.canonical} | WrittenModel.of(outcome, conflict_ids).model_dump()


def _edits_of(event: FileUpdate) -> EditsOf:
    text, asked, unit = event.text, event.edits, Unit(event.unit)
    if text is not None:
        return lambda base: diff(base, text)
    edits = [Edit(each.start, each.end, each.text) for each in asked or ()]
    return lambda base: edits_of(base, edits, unit)
