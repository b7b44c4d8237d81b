"""What the routes of trees take and answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from crdt_store.files import FileRow
from server.access.texts import Body
from server.rooms.names import BadRoomName, file_name, normalized_file_id
from server.tree.entries import Entry, Folder
from server.tree.languages import MAX_LANGUAGE_CHARACTERS
from server.tree.paths import MAX_PATH_CHARACTERS, normal_path


def _whole(text: str) -> str:
    """JSON can spell half a surrogate pair. Raises ValueError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("must have no half of a surrogate pair") from error
    return text


def _file_id(text: str) -> str:
    try:
        return normalized_file_id(text)
    except BadRoomName as error:
        raise ValueError(str(error)) from error


PathText = Annotated[
    str, Field(min_length=1, max_length=4 * MAX_PATH_CHARACTERS), AfterValidator(normal_path)
]
FileId = Annotated[str, Field(min_length=1, max_length=4 * MAX_PATH_CHARACTERS), AfterValidator(_file_id)]
Language = Annotated[str, Field(min_length=1, max_length=MAX_LANGUAGE_CHARACTERS), AfterValidator(_whole)]


class FileModel(BaseModel):
    """`room`: where its content is edited. `created_by`: null if nobody knows."""

    file_id: str
    path: str
    language: str
    created_by: int | None
    created_at: str
    room: str

    @classmethod
    def of(cls, workspace_id: int, file_id: str, entry: Entry | FileRow) -> Self:
        return cls(
            file_id=file_id,
            path=entry.path,
            language=entry.language,
            created_by=entry.created_by,
            created_at=entry.created_at,
            room=file_name(workspace_id, file_id).canonical,
        )


class FolderModel(BaseModel):
    """One that was made; others are where files are."""

    path: str
    created_by: int | None
    created_at: str

    @classmethod
    def of(cls, path: str, folder: Folder) -> Self:
        return cls(path=path, **folder._asdict())


class TreeModel(BaseModel):
    """All of it that the caller may read, by path."""

    files: list[FileModel]
    folders: list[FolderModel]


class FilePage(BaseModel):
    """`next_after` is the `after` to ask the next page with; null on the last one."""

    items: list[FileModel]
    next_after: str | None


class TrashedModel(FileModel):
    """`batch`: the same for all that went to the trash together."""

    deleted_by: int | None
    deleted_at: datetime
    batch: str

    @classmethod
    def of_row(cls, row: FileRow) -> Self:
        return cls(
            **FileModel.of(row.workspace_id, row.file_id, row).model_dump(),
            deleted_by=row.deleted_by,
            deleted_at=datetime.fromtimestamp((row.deleted_at_ms or 0) / 1000, UTC),
            batch=row.batch or "",
        )


class TrashPage(BaseModel):
    """`next_after` is the `after` to ask the next page with; null on the last one."""

    items: list[TrashedModel]
    next_after: str | None


class NewFileRequest(Body):
    """`file_id`: default: a new one. `rename`: give it a number if the path is taken."""

    path: PathText
    language: Language | None = None
    file_id: FileId | None = None
    text: Annotated[str, AfterValidator(_whole)] | None = None
    rename: bool = False


class ChangeFileRequest(Body):
    """What is not given stays."""

    path: PathText | None = None
    language: Language | None = None
    rename: bool = False


class CopyRequest(Body):
    """Where the copy is to be."""

    path: PathText
    file_id: FileId | None = None
    rename: bool = False


class FolderRequest(Body):
    """Where it is to be."""

    path: PathText


class RestoreRequest(Body):
    """`together`: all that went to the trash with it, too."""

    together: bool = False


class RestoredModel(BaseModel):
    """Where they are now."""

    files: list[FileModel]

    @classmethod
    def of(cls, workspace_id: int, restored: Mapping[str, Entry]) -> Self:
        return cls(files=[FileModel.of(workspace_id, *each) for each in restored.items()])
