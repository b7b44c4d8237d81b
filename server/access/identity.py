"""Who somebody is to this server."""

from typing import NamedTuple

from auth.principals import Principal
from server.rooms.runs import Author, Run


class Identity(NamedTuple):
    """`user_id` stands for the principal's issuer and subject in every table; `run`: of an agent."""

    user_id: int
    principal: Principal
    run: Run | None = None

    @property
    def author(self) -> Author:
        """As what it writes is marked."""
        return Author(self.user_id, self.run)
