"""What is stored of a one-use ticket: who may use it, and where."""

from pydantic import BaseModel, ConfigDict, ValidationError

from auth.principals import Principal
from server.access.identity import Identity
from server.rooms.names import RoomName


class BadTicketClaims(ValueError):
    """A text that `write_claims` did not write."""


class _Claims(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    user_id: int
    room: str
    principal: Principal


def write_claims(identity: Identity, room: RoomName) -> str:
    """As JSON."""
    return _Claims(
        user_id=identity.user_id, room=room.canonical, principal=identity.principal
    ).model_dump_json()


def read_claims(text: str) -> tuple[Identity, str]:
    """The identity, and the room's canonical name. Raises BadTicketClaims."""
    try:
        claims = _Claims.model_validate_json(text)
    except ValidationError as error:
        raise BadTicketClaims(f"{error.error_count()} errors") from error
    return Identity(claims.user_id, claims.principal), claims.room
