"""`/api/revocations`: tokens that are refused before they end."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from auth.grants import Action
from crdt_store.revocations import Revocation
from server.access.callers import GLOBAL, Caller, Door, is_server_admin, require
from server.access.texts import Body, Key
from server.api_errors import ApiError, ErrorCode


class RevocationRequest(Body):
    """Either one token, by its `jti`, or every token that a user got until now."""

    token_id: Key | None = None
    user_id: Annotated[int, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.token_id is None) == (self.user_id is None):
            raise ValueError("give either token_id or user_id")
        return self


class RevocationModel(BaseModel):
    """`expires_at_seconds`, since 1970: when the token would have ended anyway, where that is known."""

    token_id: str | None
    user_id: int | None
    before_seconds: float
    expires_at_seconds: float | None
    revoked_by: int

    @classmethod
    def of(cls, revocation: Revocation) -> Self:
        return cls(
            token_id=revocation.token_id,
            user_id=revocation.user_id,
            before_seconds=revocation.before_seconds,
            expires_at_seconds=revocation.expires_at_seconds,
            revoked_by=revocation.revoked_by,
        )


class RevocationsModel(BaseModel):
    """Those that still matter."""

    items: list[RevocationModel]


def add_revocation_routes(router: APIRouter) -> None:
    """Add the routes."""

    @router.post("/revocations", status_code=204)
    async def revoke(body: RevocationRequest, caller: Caller, door: Door) -> None:
        """Refuse one's own token, or all of one's own; an administrator of the server, anybody's.

        A token with grants was given away: it ends itself, not those of its owner.
        """
        is_own_token = body.token_id is not None and body.token_id == caller.principal.token_id
        is_own = is_own_token or (body.user_id == caller.user_id and caller.principal.grants is None)
        if not is_own and not await is_server_admin(door, caller):
            whose = "this one" if caller.principal.grants is not None else "one's own tokens"
            raise ApiError(ErrorCode.FORBIDDEN, f"only {whose}, but for administrators of the server")
        if body.user_id is not None:
            await door.revoke_user(body.user_id, revoked_by=caller.user_id)
        elif body.token_id is not None:
            end = caller.principal.expires_at_seconds if is_own_token else None
            await door.revoke_token(body.token_id, expires_at_seconds=end, revoked_by=caller.user_id)

    @router.get("/revocations")
    async def revocations(caller: Caller, door: Door) -> RevocationsModel:
        """What is refused."""
        await require(door, caller, GLOBAL, Action.ADMINISTER)
        found = await door.stores.revocations.all(door.now_seconds())
        return RevocationsModel(items=[RevocationModel.of(revocation) for revocation in found])
