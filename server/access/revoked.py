"""Tokens that are refused before they end: one by its id, or all that a user has got until a moment. In memory."""

import math
from collections.abc import Iterable

from crdt_store.revocations import Revocation
from server.access.identity import Identity


class RevokedTokens:
    """What has been revoked, as far as it still matters."""

    def __init__(self) -> None:
        self._ends_of_tokens: dict[
            str, float
        ] = {}  # token id: when nobody would accept it any more, in seconds
        self._user_moments: dict[int, float] = {}  # user: what was issued until then is refused, in seconds

    def add(self, revocations: Iterable[Revocation], *, now_seconds: float) -> None:
        """Take these in, and leave those that have ended."""
        self._ends_of_tokens = {
            token_id: end for token_id, end in self._ends_of_tokens.items() if end > now_seconds
        }
        for revocation in revocations:
            if revocation.token_id is not None:
                end = math.inf if revocation.expires_at_seconds is None else revocation.expires_at_seconds
                self._ends_of_tokens[revocation.token_id] = end
            if revocation.user_id is not None:
                moment = max(revocation.before_seconds, self._user_moments.get(revocation.user_id, 0.0))
                self._user_moments[revocation.user_id] = moment

    def has(self, identity: Identity) -> bool:
        """Whether the token behind it is refused. One that does not say when it was issued counts as old."""
        principal = identity.principal
        if principal.token_id is not None and principal.token_id in self._ends_of_tokens:
            return True
        moment = self._user_moments.get(identity.user_id)
        return moment is not None and principal.issued_at_seconds <= moment
