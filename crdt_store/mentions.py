"""Whom a message mentions: ids that its sender's program gives, and `@name` in its text.

Only people of the chat: who has a role in it or in its project, or has written or received something there, but for
those who are shut out. Names are compared composed (NFC) and without case; who has the same name is meant too.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice

from sqlalchemy import BigInteger, Connection, Select, String, bindparam, case, exists, func, select, union

from crdt_store.places import in_chunks
from crdt_store.projects import project_scope
from crdt_store.tables import chats, memberships, messages, possible_id, receipts, users

MAX_MENTIONS = 100
_MAX_EXPLICIT = 1000  # ids that are looked at
_MAX_SIGNS = 500  # of a text: what may begin a mention
_MAX_PEOPLE = 5000  # in a chat of more, the others are mentioned by their ids alone
_MAX_NAME_CHARACTERS = 200

_SPACES = re.compile(r"[^\S\n]+")
_QUOTED = re.compile(rf'"([^"\n]{{1,{_MAX_NAME_CHARACTERS}}})"')

_CHAT = bindparam("chat", type_=BigInteger())
_ROOM, _PROJECT = bindparam("room", type_=String()), bindparam("project", type_=String())
_ROLE = select(memberships.c.role).where(memberships.c.user_id == users.c.id)
_TOOK_PART = exists().where(receipts.c.chat_id == _CHAT, receipts.c.user_id == users.c.id) | exists().where(
    messages.c.chat_id == _CHAT, messages.c.sender_id == users.c.id
)
# The nearest role decides, as everywhere: 0 shuts out.
_IS_OF_CHAT = (
    func.coalesce(
        _ROLE.where(memberships.c.scope == _ROOM).scalar_subquery(),
        _ROLE.where(memberships.c.scope == _PROJECT).scalar_subquery(),
        case((_TOOK_PART, 1), else_=0),
    )
    > 0
)
_AMONG = select(users.c.id).where(users.c.id.in_(bindparam("ids", expanding=True)), _IS_OF_CHAT)


def _authors() -> Select[tuple[int]]:
    """A step for each author, not for each message: from one to the next in the index."""
    first = select(func.min(messages.c.sender_id).label("id")).where(messages.c.chat_id == _CHAT)
    author = first.cte("authors", recursive=True)
    following = select(func.min(messages.c.sender_id)).where(
        messages.c.chat_id == _CHAT, messages.c.sender_id > author.c.id
    )
    others = select(following.scalar_subquery()).select_from(author).where(author.c.id.is_not(None))
    author = author.union_all(others)
    return select(author.c.id).where(author.c.id.is_not(None))


_CANDIDATES = union(
    *(
        select(part.limit(_MAX_PEOPLE).subquery())
        for part in (
            select(memberships.c.user_id).where(memberships.c.scope == _ROOM),
            select(memberships.c.user_id).where(memberships.c.scope == _PROJECT),
            select(receipts.c.user_id).where(receipts.c.chat_id == _CHAT),
            _authors(),
        )
    )
)
_PEOPLE = (
    select(users.c.id, users.c.name)
    .where(users.c.id.in_(_CANDIDATES), _IS_OF_CHAT)
    .order_by(users.c.id)
    .limit(_MAX_PEOPLE)
)


class People:
    """Those of a chat, within one transaction; what is asked for again is remembered."""

    def __init__(self, connection: Connection, chat_id: int) -> None:
        self._connection = connection
        self._chat_id = chat_id

    def mentioned(self, body: str, explicit: Sequence[int]) -> tuple[int, ...]:
        """As the function `mentioned`."""
        has_names = "@" in body
        if not explicit and not has_names:
            return ()
        found = dict.fromkeys(self.among(list(dict.fromkeys(explicit))[:_MAX_EXPLICIT]))
        if has_names and len(found) < MAX_MENTIONS:
            for name in _names_in(folded(body), self._ids_of):
                found.update(dict.fromkeys(self._ids_of[name]))
        return tuple(islice(found, MAX_MENTIONS))

    def among(self, user_ids: Sequence[int]) -> Iterator[int]:
        """Those of these who are people of the chat, in their order."""
        return _among(self._connection, self._scopes, user_ids)

    @cached_property
    def _scopes(self) -> Mapping[str, object]:
        return _scopes(self._connection, self._chat_id)

    @cached_property
    def _ids_of(self) -> Mapping[str, Sequence[int]]:
        return _people(self._connection, self._scopes)


def mentioned(connection: Connection, chat_id: int, body: str, explicit: Sequence[int]) -> tuple[int, ...]:
    """Ids of users, each once: those of `explicit` first, then those whom the body names, in its order.

    At most MAX_MENTIONS. What is not of this chat, or is nobody's name, is left out.
    """
    return People(connection, chat_id).mentioned(body, explicit)


def folded(text: str) -> str:
    """What is compared: composed, without case, each space but line ends as one blank."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _SPACES.sub(" ", text)


def _scopes(connection: Connection, chat_id: int) -> Mapping[str, object]:
    """The parameters of all queries here."""
    project_id = connection.scalar(select(chats.c.project_id).where(chats.c.id == possible_id(chat_id)))
    project = "" if project_id is None else project_scope(project_id)
    return {"chat": chat_id, "room": f"chat:{chat_id}", "project": project}


def _among(connection: Connection, scopes: Mapping[str, object], user_ids: Sequence[int]) -> Iterator[int]:
    """Those of these who are people of the chat, in their order."""
    for chunk in in_chunks([user_id for user_id in user_ids if possible_id(user_id)]):
        people = set(connection.scalars(_AMONG, {**scopes, "ids": chunk}))
        yield from (user_id for user_id in chunk if user_id in people)


def _people(connection: Connection, scopes: Mapping[str, object]) -> dict[str, list[int]]:
    """The ids of the people of each folded name."""
    ids_of: dict[str, list[int]] = {}
    for user_id, name in connection.execute(_PEOPLE, scopes):
        key = folded(name).strip()
        if 0 < len(key) <= _MAX_NAME_CHARACTERS:
            ids_of.setdefault(key, []).append(user_id)
    return ids_of


def _names_in(text: str, known: Mapping[str, object]) -> Iterator[str]:
    """Which of the known names follow an `@` that begins a word; of several, the longest."""
    lengths = sorted(set(map(len, known)), reverse=True)
    end = 0
    for sign in islice(re.finditer("@", text), _MAX_SIGNS):
        start = sign.end()
        if sign.start() < end or (sign.start() > 0 and _is_in_word(text[sign.start() - 1])):
            continue  # within a name, or an address of mail
        quoted = _QUOTED.match(text, start)
        if quoted is not None and quoted[1].strip() in known:
            end = quoted.end()
            yield quoted[1].strip()
            continue
        for length in lengths:
            name = text[start : start + length]
            if name in known and not _cuts_word(text, start + len(name)):
                end = start + len(name)
                yield name
                break


def _cuts_word(text: str, position: int) -> bool:
    return position < len(text) and _is_in_word(text[position - 1]) and _is_in_word(text[position])


def _is_in_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"
