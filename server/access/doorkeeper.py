"""Who comes in, and with which role: what every way into the server asks."""

import base64
import logging
import math
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256

from auth.grants import Role
from auth.verifying import InvalidToken, TokenVerifier
from crdt_store.revocations import Revocation
from crdt_store.users import IdTaken
from server.access.identity import Identity
from server.access.revoked import RevokedTokens
from server.access.rights import Rights
from server.access.roles import Place, RolePolicy
from server.access.runs import KnownRuns
from server.access.stores import Stores
from server.access.ticket_claims import BadTicketClaims, read_claims, write_claims
from server.access.user_ids import UserIds
from server.rooms.names import RoomName
from server.settings import Settings

logger = logging.getLogger(__name__)
_TICKET_BYTES = 32
_MAX_TICKET_CHARACTERS = 64

OnChange = Callable[[frozenset[int] | None], None]


class Doorkeeper:
    """Proves identities and knows roles. `load` it before it is asked.

    Rights are read once and then kept in memory: whoever changes what `stores` holds of them calls `user_changed`,
    `room_changed` or `revoke`.
    """

    def __init__(
        self,
        settings: Settings,
        verifier: TokenVerifier,
        stores: Stores,
        *,
        now_seconds: Callable[[], float],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.stores = stores
        self.user_ids = UserIds(stores.users, settings.integer_subject_issuers)
        self.now_seconds = now_seconds
        self._verifier = verifier
        self._random_bytes = random_bytes
        self._leeway_seconds = settings.jwt_leeway_seconds
        self._ticket_seconds = settings.ticket_seconds
        policy = RolePolicy(Role.parse(settings.default_role), settings.grants_are_authority)
        self._grants_are_authority = settings.grants_are_authority
        self._rights = Rights(stores.projects, stores.memberships, policy)
        self._revoked = RevokedTokens()
        self._runs = KnownRuns(stores.runs, now_seconds)
        self._on_change: list[OnChange] = []

    async def load(self) -> None:
        """Read what has been revoked. Raises LogUnavailable."""
        now_seconds = self.now_seconds()
        self._revoked.add(await self.stores.revocations.all(now_seconds), now_seconds=now_seconds)

    # Identities

    async def identify(self, token: str) -> Identity:
        """Who the token proves its bearer to be. Raises InvalidToken, LogUnavailable."""
        principal = await self._verifier.verify(token, now_seconds=self.now_seconds())
        try:
            user_id = await self.user_ids.of(principal.issuer, principal.subject, principal.name)
        except IdTaken as error:
            raise InvalidToken(f"token refused: {error}") from error
        identity = Identity(user_id, principal)
        if self.is_revoked(identity):
            raise InvalidToken("token refused: it has been revoked")
        return await self._with_run(identity)

    async def issue_ticket(self, identity: Identity, room: RoomName) -> tuple[str, float]:
        """A ticket that lets its bearer into `room` once, and for how many seconds it does. Raises LogUnavailable."""
        ticket = base64.urlsafe_b64encode(self._random_bytes(_TICKET_BYTES)).rstrip(b"=").decode()
        now_seconds = self.now_seconds()
        await self.stores.tickets.keep(
            _digest(ticket),
            write_claims(identity, room),
            expires_at_seconds=now_seconds + self._ticket_seconds,
            now_seconds=now_seconds,
        )
        return ticket, self._ticket_seconds

    async def redeem(self, ticket: str, room: RoomName) -> Identity:
        """Who the ticket was made for; it is spent. Raises InvalidToken, LogUnavailable."""
        if not 0 < len(ticket) <= _MAX_TICKET_CHARACTERS:
            raise InvalidToken("ticket refused: it is not one of ours")
        now_seconds = self.now_seconds()
        stored = await self.stores.tickets.take(_digest(ticket), now_seconds=now_seconds)
        if stored is None:
            raise InvalidToken("ticket refused: unknown, used or too old")
        try:
            identity, room_name = read_claims(stored)
        except BadTicketClaims as error:
            logger.error("a stored ticket cannot be read: %s", error)
            raise InvalidToken("ticket refused: it cannot be read") from error
        if room_name != room.canonical:
            raise InvalidToken("ticket refused: it is for another room")
        if now_seconds >= identity.principal.expires_at_seconds + self._leeway_seconds:
            raise InvalidToken("ticket refused: the token behind it has expired")
        if self.is_revoked(identity):
            raise InvalidToken("ticket refused: the token behind it has been revoked")
        return await self._with_run(identity)

    async def _with_run(self, identity: Identity) -> Identity:
        agent = identity.principal.agent
        return (
            identity if agent is None else identity._replace(run=await self._runs.of(identity.user_id, agent))
        )

    def is_revoked(self, identity: Identity) -> bool:
        """Whether the token behind it is refused by now, in memory."""
        return self._revoked.has(identity)

    # Roles

    async def role_in(self, identity: Identity, room: RoomName) -> Role:
        """The role; nothing is waited for where user and room are known. Raises LogUnavailable."""
        return await self._rights.role_in(identity, room)

    async def role_at(self, identity: Identity, room: RoomName, place: Place) -> Role:
        """The role in a room whose place the caller has just read. Raises LogUnavailable."""
        return await self._rights.role_at(identity, room, place)

    async def place_of(self, room: RoomName) -> Place:
        """Where the room stands. Raises LogUnavailable."""
        return await self._rights.place_of(room)

    async def memberships_of(self, user_id: int) -> Mapping[str, int]:
        """Scope -> role, wherever a user has one; they count for nothing where grants are the authority.

        Nothing is waited for where the user is known. Raises LogUnavailable.
        """
        return {} if self._grants_are_authority else await self._rights.memberships_of(user_id)

    # Changes

    def on_change(self, callback: OnChange) -> None:
        """Call it after each change of rights with the users concerned; None: any of them."""
        self._on_change.append(callback)

    def user_changed(self, user_id: int) -> None:
        """A user's memberships are others now, or may be."""
        self._rights.forget_user(user_id)
        self._tell(frozenset({user_id}))

    def room_changed(self, room: RoomName | None) -> None:
        """A project, workspace or chat has been made or deleted; None: nobody knows which, if any."""
        self._rights.forget_room(room)
        self._tell(None)

    async def revoke_token(self, token_id: str, *, expires_at_seconds: float | None, revoked_by: int) -> None:
        """Refuse the token with this `jti` from now on; None: nobody knows when it ends. Raises LogUnavailable."""
        end = None if expires_at_seconds is None else expires_at_seconds + self._leeway_seconds
        await self._revoke(Revocation(token_id, None, self._moment(), end, revoked_by))
        self._tell(None)

    async def revoke_user(self, user_id: int, *, revoked_by: int) -> None:
        """Refuse every token that the user got until now. Raises LogUnavailable."""
        await self._revoke(Revocation(None, user_id, self._moment(), None, revoked_by))
        self._tell(frozenset({user_id}))

    async def _revoke(self, revocation: Revocation) -> None:
        await self.stores.revocations.add(revocation)
        self._revoked.add([revocation], now_seconds=self.now_seconds())

    def _moment(self) -> float:
        """Now, in the whole milliseconds that are stored: after a restart the same tokens must be refused."""
        return math.ceil(self.now_seconds() * 1000) / 1000

    def _tell(self, user_ids: frozenset[int] | None) -> None:
        for callback in self._on_change:
            callback(user_ids)


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode(errors="replace")).digest()
