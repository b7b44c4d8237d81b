"""The number of a user, where some issuers' subjects are numbers already."""

import re
from collections.abc import Collection

from crdt_store.users import UserDirectory

_NUMBER = re.compile("[1-9][0-9]*")


class UserIds:
    """Ids of users; `integer_subject_issuers` number their users themselves."""

    def __init__(self, users: UserDirectory, integer_subject_issuers: Collection[str]) -> None:
        self._users = users
        self._integer_subject_issuers = frozenset(integer_subject_issuers)

    async def of(self, issuer: str, subject: str, name: str) -> int:
        """The id, made on first use. Raises IdTaken, LogUnavailable."""
        is_id = issuer in self._integer_subject_issuers and _NUMBER.fullmatch(subject)
        return await self._users.id_of(issuer, subject, name, fixed_id=int(subject) if is_id else None)

    async def of_invited(self, issuer: str, subject: str, name: str) -> int:
        """The id of somebody who may never have been here: who has a name already keeps it. Raises as `of`."""
        user_id = await self._users.find_id(issuer, subject)
        return await self.of(issuer, subject, name) if user_id is None else user_id
