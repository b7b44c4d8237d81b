"""What a token says, once its signature is known to be good: checked for shape, and turned into a Principal."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    HttpUrl,
    UrlConstraints,
    ValidationError,
)

from auth.grants import Role
from auth.principals import Agent, Budget, Principal
from auth.refusals import InvalidToken

MAX_NAME_CHARACTERS = 128
MAX_PATTERNS = 256
MAX_PATTERN_CHARACTERS = 600
MAX_AVATAR_CHARACTERS = 1024
_MAX_PART_CHARACTERS = 32
LAST_SECOND = 253_402_300_799
"""The end of the year 9999: what can be written as a date, and stored in milliseconds."""
# PostgreSQL takes no NUL in a text, and no database half a surrogate pair, which JSON can spell.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Control characters, separators of lines, and what turns the direction of writing around for what follows.
_INVISIBLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _storable(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("has a NUL or half a surrogate pair")
    return text


def _visible(text: str) -> str:
    if _INVISIBLE.search(_storable(text)):
        raise ValueError("has control characters")
    return text


def shown_name(text: str) -> str:
    """A name as people see it: composed (NFC), without control characters; may be left empty. Raises ValueError."""
    name = unicodedata.normalize("NFC", _INVISIBLE.sub("", _storable(text))).strip()
    if len(name) > MAX_NAME_CHARACTERS:
        raise ValueError(f"is longer than {MAX_NAME_CHARACTERS} characters")
    return name


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value  # user ids are numbers in many an application


def _role(name: object) -> Role:
    if not isinstance(name, str):
        raise ValueError("a role is text")
    try:
        return Role.parse(name)
    except ValueError as error:
        raise ValueError("no such role") from error


def _without_credentials(url: HttpUrl) -> HttpUrl:
    if url.username is not None or url.password is not None:
        raise ValueError("has a user or a password in it")
    return url


_Id = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS), AfterValidator(_visible)]
_Subject = Annotated[_Id, BeforeValidator(_number_as_text)]
_ShownName = Annotated[str, AfterValidator(shown_name)]
_Color = Annotated[str, Field(pattern="^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]
_HttpsUrl = Annotated[HttpUrl, UrlConstraints(allowed_schemes=["https"], max_length=MAX_AVATAR_CHARACTERS)]
_Avatar = Annotated[_HttpsUrl, AfterValidator(_without_credentials)]
_Pattern = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARACTERS), AfterValidator(_storable)]
_Moment = Annotated[FiniteFloat, Field(ge=-LAST_SECOND, le=LAST_SECOND)]
_Grants = Annotated[dict[_Pattern, Annotated[Role, BeforeValidator(_role)]], Field(max_length=MAX_PATTERNS)]


_Allowed = Annotated[int, Field(ge=0, le=2**53)]


# A limit that is spelled wrong must not be no limit: what is unknown here is refused.
class _BudgetClaim(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    bytes: _Allowed | None = None
    edits: _Allowed | None = None
    documents: _Allowed | None = None


class _AgentClaim(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: Annotated[_ShownName, Field(min_length=1)]
    run: _Id
    on_behalf_of: _Subject | None = None
    budget: _BudgetClaim | None = None

    def agent(self) -> Agent:
        """The same, for the rest of the program."""
        budget = None if self.budget is None else Budget(**self.budget.model_dump())
        return Agent(self.name, self.run, self.on_behalf_of, budget)


class Claims(BaseModel):
    """The claims that are looked at here; a token may have others."""

    model_config = ConfigDict(strict=True)

    sub: _Subject
    exp: _Moment
    nbf: _Moment | None = None
    iat: _Moment | None = None
    jti: _Id | None = None
    name: _ShownName | None = None
    color: _Color | None = None
    avatar: _Avatar | None = None
    grants: _Grants | None = None
    agent: _AgentClaim | None = None

    @property
    def valid_from_seconds(self) -> float:
        """No clock should be earlier than this."""
        return max(self.nbf or 0.0, self.iat or 0.0)

    def principal(self, issuer: str) -> Principal:
        """Who that is, for the issuer that said so."""
        return Principal(
            issuer=issuer,
            subject=self.sub,
            name=self.name or shown_name(self.sub) or self.sub,
            expires_at_seconds=self.exp,
            grants=self.grants,
            issued_at_seconds=self.iat or 0.0,
            token_id=self.jti,
            color=self.color,
            avatar=None if self.avatar is None else str(self.avatar),
            agent=None if self.agent is None else self.agent.agent(),
        )


def read_claims(claims: Mapping[str, Any]) -> Claims:
    """Raises InvalidToken, naming the first claim that is not as it should be."""
    try:
        return Claims.model_validate(claims)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        reason = fault["msg"].removeprefix("Value error, ")
        raise InvalidToken(f"token refused: {_named(fault['loc'])}: {reason}") from None


def _named(place: Sequence[str | int]) -> str:
    """The claim, and of an agent's the part of it: what is unknown there has the token's own words."""
    parts = [str(part)[:_MAX_PART_CHARACTERS] for part in (place if place[0] == "agent" else place[:1])]
    return _UNSTORABLE.sub("", _INVISIBLE.sub("", ".".join(parts)))
