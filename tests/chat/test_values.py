"""Values as lib0 and yrs write them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map

from server.chat.fields import ReactionKey, read_reaction_key
from server.protocol.any_shape import walk_any
from server.protocol.structs import ANY, STRING
from server.replica.values import BigInt, read_any, split_content, write_any
from tests.chat.yjs import Yjs

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def whole(value: Any) -> Any:
    """Numbers as JavaScript sees them, which has one kind."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [whole(held) for held in value]
    return {key: whole(held) for key, held in value.items()} if isinstance(value, dict) else value


@given(PLAIN)
def test_a_value_is_read_as_it_was_written(value: object) -> None:
    written = write_any(value)
    assert read_any(written, 0) == (whole(value), len(written))
    assert walk_any(written, 0)[0] == len(written)


def test_what_yjs_and_pycrdt_write_is_read(yjs: Yjs) -> None:
    values = [
        0,
        1,
        -1,
        63,
        64,
        -64,
        2**31 - 1,
        -(2**31),
        2**31,
        2**52,
        0.5,
        1e300,
        "é😀",
        [[], [1, None]],
        True,
    ]
    writer = yjs.replica("writer", 5)
    doc: Doc[Any] = Doc(client_id=6)
    held = doc.get("thread", type=Map)
    for number, value in enumerate(values):
        key = f"key {number}"
        text = json.dumps(value)
        (update,) = writer.run(f"thread.set('{key}', {text})")
        before = doc.get_state()
        held[key] = value
        for written in (update, doc.get_update(before)):
            begins = key.encode() + b"\1"
            assert read_any(written, written.index(begins) + len(begins))[0] == value


def test_a_bigint_stays_one_and_undefined_is_nothing(yjs: Yjs) -> None:
    (update,) = yjs.replica("writer", 5).run("thread.set('k', 7n)")
    value, _ = read_any(update, update.index(b"\1k\1") + 3)
    assert isinstance(value, BigInt)
    assert read_any(b"\x7f", 0) == (None, 1)
    assert read_any(b"\x74\3abc", 0) == (b"abc", 5)
    assert math.isnan(read_any(b"\x7b\x7f\xf8\0\0\0\0\0\0", 0)[0])  # type: ignore[arg-type]


def test_what_is_no_value_is_not_written() -> None:
    with pytest.raises(TypeError):
        write_any(object())
    with pytest.raises(ValueError, match="53 bits"):
        write_any(2**53)


def test_content_is_split_at_clocks() -> None:
    assert split_content(ANY, b"\3\x77\1a\x7d\2\x78", 1) == (b"\1\x77\1a", b"\2\x7d\2\x78")
    assert split_content(STRING, b"\5a\xf0\x9f\x98\x80", 1) == (b"\1a", b"\4\xf0\x9f\x98\x80")
    halved = split_content(STRING, b"\5a\xf0\x9f\x98\x80", 2)
    assert halved == (b"\4a\xef\xbf\xbd", b"\3\xef\xbf\xbd")
    with pytest.raises(ValueError, match="no length"):
        split_content(5, b"\0", 1)


ID = "aaaaaaaa-0000-4000-8000-00000000000A"


@pytest.mark.parametrize("emoji", ["👍", ":+1:", "x" * 32, "👩‍👩‍👧‍👦"])
def test_a_reactions_key_says_what_it_is_made_of(emoji: str) -> None:
    reaction = ReactionKey(ID, 7, emoji)
    assert read_reaction_key(str(reaction)) == reaction


@pytest.mark.parametrize(
    "key",
    ["", "x:7:y", f"{ID}:7:", f"{ID}:07:x", f"{ID}:-7:x", f"{ID}:seven:x", f"{ID}:7:a b", f"{ID}:7:\0",
     f"{ID}:7:{'x' * 33}", f" {ID}:7:x", f"{ID}:7:x\n", f"{ID}:٧:x", f"{ID}:0:x"],
)  # fmt: skip
def test_other_keys_say_nothing(key: str) -> None:
    assert read_reaction_key(key) is None
