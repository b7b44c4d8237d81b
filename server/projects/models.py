"""Projects, workspaces and chats as the API shows them."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel

from auth.grants import Role
from crdt_store.projects import Chat, Project, Workspace
from server.access.texts import Body, DisplayName, RoleName, role_name


class NameRequest(Body):
    """What it is to be called."""

    name: DisplayName


class ProjectModel(BaseModel):
    """`role` is the caller's: none for who only has one in something of the project."""

    id: int
    name: str
    created_at: datetime
    role: RoleName

    @classmethod
    def of(cls, project: Project, role: Role) -> Self:
        return cls(id=project.id, name=project.name, created_at=project.created_at, role=role_name(role))


class PartModel(BaseModel):
    """A workspace or chat; `role` is the caller's in it."""

    id: int
    project_id: int
    name: str
    created_at: datetime
    role: RoleName

    @classmethod
    def of(cls, part: Workspace | Chat, role: Role) -> Self:
        return cls(
            id=part.id,
            project_id=part.project_id,
            name=part.title if isinstance(part, Chat) else part.name,
            created_at=part.created_at,
            role=role_name(role),
        )
