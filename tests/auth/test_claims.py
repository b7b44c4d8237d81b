"""What a token may say of somebody, and how it is cleaned before others see it."""

import json
from typing import Any

import pytest

from auth.claims import read_claims
from auth.grants import Role
from auth.principals import Agent, Budget, Principal
from auth.refusals import InvalidToken
from tests.auth.signing import claims


def principal(**changes: object) -> Principal:
    """As from a token: what JSON can spell."""
    return read_claims(json.loads(json.dumps(claims(**changes)))).principal("costudio")


@pytest.mark.parametrize(
    ("claim", "value", "attribute", "expected"),
    [
        ("sub", "ålice 文 😀", "subject", "ålice 文 😀"),
        ("sub", 42, "subject", "42"),
        ("sub", "al", "name", "al"),
        ("name", "A\u030angström", "name", "Ångström"),
        ("name", " An\nn\x07\x9f ", "name", "Ann"),
        ("name", "\u202eevil\u2066\u2069\u2028", "name", "evil"),
        ("name", "👩\u200d💻", "name", "👩\u200d💻"),
        ("name", "", "name", "alice"),
        ("name", "\u202e \x00".replace("\x00", "\x01"), "name", "alice"),
        ("name", "x" * 128, "name", "x" * 128),
        ("color", "#0aF", "color", "#0aF"),
        ("color", "#00aaff", "color", "#00aaff"),
        ("avatar", "https://pictures.example/a.png?s=64", "avatar", "https://pictures.example/a.png?s=64"),
        ("grants", {"*": "viewer", "chat:1": "ADMIN"}, "grants", {"*": Role.VIEWER, "chat:1": Role.ADMIN}),
        ("grants", {}, "grants", {}),
        ("jti", "x" * 128, "token_id", "x" * 128),
        ("agent", {"name": "fixer", "run": "7"}, "agent", Agent("fixer", "7")),
        ("agent", {"name": "f\u202ex", "run": "7", "on_behalf_of": 42}, "agent", Agent("fx", "7", "42")),
        ("agent", {"name": "x", "run": "7", "budget": {"bytes": 0, "edits": 2**53}}, "agent",
         Agent("x", "7", budget=Budget(0, 2**53))),
    ],
)  # fmt: skip
def test_a_claim_becomes_part_of_the_principal(
    claim: str, value: object, attribute: str, expected: object
) -> None:
    assert getattr(principal(**{claim: value}), attribute) == expected


def test_claims_that_are_not_there_or_are_null_say_nothing() -> None:
    bare = read_claims({"sub": "alice", "exp": 1, "name": None, "grants": None, "agent": None})
    assert bare.principal("costudio") == Principal("costudio", "alice", "alice", 1.0, None)


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("sub", ["", "a\0b", "half \ud83d a pair", "x" * 129, "a\nb", "\u202ea", True, 1.5, ["alice"]]),
        ("name", ["a\0b", "half \ud83d a pair", "x" * 129, 7, ["Alice"]]),
        ("exp", ["1", True, float("inf"), float("nan"), [1], 10**400, 253402300800, 1e300, -1e300]),
        ("nbf", ["1", True, float("inf"), 1e300]),
        ("iat", ["1", False, float("-inf"), 1e300]),
        ("jti", ["", "x" * 129, 7, "a\0", "a\nb"]),
        ("color", ["red", "#12", "#1234567", "#ggg", "#fff\n", "url(x)", 7, ""]),
        ("grants", [[], "editor", {"*": "god"}, {"*": 3}, {"": "viewer"}, {"x" * 601: "viewer"}, {"a\0": "viewer"},
                    {"\ud800": "viewer"}, dict.fromkeys(map(str, range(257)), "viewer")]),
        ("agent", ["fixer", 7]),
        ("agent.name", [{"agent": {"run": "7"}}, {"agent": {"run": "7", "name": ""}},
                        {"agent": {"run": "7", "name": "\u202e"}}, {"agent": {"run": "7", "name": 7}}]),
        ("agent.run", [{"agent": {"name": "x"}}, {"agent": {"name": "x", "run": ""}},
                       {"agent": {"name": "x", "run": 7}}, {"agent": {"name": "x", "run": "x" * 129}}]),
        ("agent.on_behalf_of", [{"agent": {"name": "x", "run": "7", "on_behalf_of": "\0"}}]),
        ("agent.more", [{"agent": {"name": "x", "run": "7", "more": 1}}]),
        ("agent.budget.bytes", [{"agent": {"name": "x", "run": "7", "budget": {"bytes": value}}}
                                for value in (-1, "1", 1.5, True, 2**53 + 1)]),
        ("agent.budget." + "x" * 16, [{"agent": {"name": "x", "run": "7", "budget": {"x\n" * 100: 1}}}]),
        ("agent.budget", [{"agent": {"name": "x", "run": "7", "budget": [1]}}]),
        ("avatar", ["http://a.example", "javascript:alert(1)", "data:image/png,", "//a.example", "/a.png", "", 7,
                    "https://user@a.example", "https://user:password@a.example", "https://a.example/" + "x" * 1024,
                    "https://a.example/\"><script>", "https://a.example/\n", "https:\\\\a.example", "https://\ud800"]),
    ],
)  # fmt: skip
def test_a_claim_that_is_malformed_is_named_and_not_quoted(claim: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidToken, match=rf"^token refused: {claim}: ") as caught:
            principal(**(value if isinstance(value, dict) and "agent" in value else {claim: value}))
        assert len(str(caught.value)) < 160
        assert not (isinstance(value, str) and len(value) > 8 and value in str(caught.value))
