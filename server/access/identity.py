"""Who somebody is to this server."""

from typing import NamedTuple

from auth.principals import Principal


class Identity(NamedTuple):
    """`user_id` stands for the principal's issuer and subject in every table."""

    user_id: int
    principal: Principal
