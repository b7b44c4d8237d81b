"""What is stored of a ticket comes back whole, or not at all."""

import json

import pytest

from auth.grants import Role
from auth.principals import Agent, Budget, Principal
from server.access.identity import Identity
from server.access.ticket_claims import BadTicketClaims, read_claims, write_claims
from tests.access.doors import room

PLAIN = Principal("issuer", "alice", "Alice", 12.5, None)
FULL = Principal(
    "issuer",
    "alice",
    "Алиса 🦊",
    12.5,
    {"*": Role.VIEWER, "chat:1": Role.ADMIN},
    issued_at_seconds=1.25,
    token_id="one",
    color="#ffaa00",
    avatar="https://example.test/a.png",
    agent=Agent("helper", run="7", on_behalf_of="bob", budget=Budget(edits=5)),
)


@pytest.mark.parametrize("principal", [PLAIN, FULL, Principal("i", "s", "n", 1.0, {})])
def test_an_identity_comes_back_as_it_was(principal: Principal) -> None:
    identity = Identity(7, principal)
    assert read_claims(write_claims(identity, room("workspace:1/é.md"))) == (identity, "workspace:1/é.md")


def changed(path: str, value: object) -> str:
    claims = json.loads(write_claims(Identity(7, FULL), room("chat:1")))
    *parents, last = path.split(".")
    place = claims
    for parent in parents:
        place = place[parent]
    place[last] = value
    return json.dumps(claims)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        changed("user_id", "7"),
        changed("user_id", 7.5),
        changed("user_id", True),
        changed("room", None),
        changed("more", 1),
        changed("principal.more", 1),
        changed("principal.agent.more", 1),
        changed("principal.agent.budget.more", 1),
        changed("principal.name", 5),
        changed("principal.expires_at_seconds", float("inf")),
        changed("principal.expires_at_seconds", float("nan")),
        changed("principal.grants", {"*": 5}),
        changed("principal.grants", {"*": "admin"}),
        changed("principal.grants", []),
    ],
)
def test_anything_odd_is_refused(text: str) -> None:
    with pytest.raises(BadTicketClaims):
        read_claims(text)
