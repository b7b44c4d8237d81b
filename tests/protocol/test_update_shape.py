"""server/protocol/update_shape.py: what is refused, and that nothing which pycrdt makes ever is."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text, merge_updates

from server.protocol.any_shape import MAX_DEPTH
from server.protocol.update_shape import MalformedUpdate, UpdateShape, check_state_vector, check_update, fits
from server.protocol.varint import MalformedBytes, buf, var_uint
from tests.fuzz.documents import Editor, Session

EMPTY = b"\x00\x00"
ROOT_T = b"\x01\x01t"  # parent: the root named "t"


def update(*structs: bytes, client: int = 5, clock: int = 0, deletes: bytes = b"\x00") -> bytes:
    """One section of one client."""
    return b"\x01" + var_uint(len(structs)) + var_uint(client) + var_uint(clock) + b"".join(structs) + deletes


def item(kind: int, content: bytes, links: bytes = ROOT_T, flags: int = 0) -> bytes:
    return bytes([kind | flags]) + links + content


def values(*encoded: bytes) -> bytes:
    return update(item(8, var_uint(len(encoded)) + b"".join(encoded)))


def refusal(data: bytes) -> str:
    with pytest.raises(MalformedUpdate) as caught:
        check_update(data)
    assert 0 <= caught.value.offset <= len(data)
    return caught.value.reason


A = item(4, buf(b"a"))


class TestShape:
    def test_of_a_golden_insert(self) -> None:
        golden = bytes.fromhex("0101d5a3ebdf01000401017402686900")  # y-websocket 3.0: "hi" in "t"
        shape = check_update(golden)
        assert list(shape.structs.values()) == [(0, 2)]
        assert not shape.is_empty
        assert (shape.depends, shape.deletes, shape.has_skips, shape.lossy) == ({}, (), False, False)

    def test_of_nothing(self) -> None:
        assert check_update(EMPTY) == UpdateShape({}, False, {}, (), False, False, False, False, ())
        assert check_update(EMPTY).is_empty

    def test_counts_utf16_units(self) -> None:
        shape = check_update(update(item(4, buf("a😀é".encode()))))
        assert shape.structs == {5: (0, 4)}
        assert shape.has_astral
        assert shape.has_non_ascii
        assert not check_update(update(item(4, buf("漢".encode())))).has_astral

    def test_names_what_has_to_be_known_before(self) -> None:
        links = var_uint(2**53 - 1) + var_uint(300) + b"\x05\x06"
        shape = check_update(update(item(4, buf(b"a"), links, 0xC0), clock=7))
        assert shape.depends == {2**53 - 1: 301, 5: 7}
        assert check_update(update(item(4, buf(b"a"), b"\x00\x07\x03"))).depends == {7: 4}

    def test_leaves_skips_at_the_ends_out_of_the_range(self) -> None:
        skip = b"\x0a\x03"
        assert check_update(update(skip, A, skip, A, skip)).structs == {5: (3, 8)}
        only = check_update(update(skip))
        assert only.has_skips
        assert only.is_empty

    def test_lists_deletions_in_file_order(self) -> None:
        deletes = b"\x02\x09\x02\x00\x01\x05\x02\x03\x01\x04\x01"
        assert check_update(b"\x00" + deletes).deletes == ((9, 0, 1), (9, 5, 2), (3, 4, 1))

    @pytest.mark.parametrize(
        ("data", "lossy"),
        [
            (update(item(5, buf(b'{"a":1}'))), False),
            (update(item(5, buf(b'{"a":1,"b":2}'))), True),
            (update(item(5, buf(b"1.5"))), True),
            (update(item(6, buf(b"bold") + buf(b"true"))), False),
            (values(b"\x76\x01\x01k\x7e"), False),
            (values(b"\x76\x02\x01k\x7e\x01l\x7e"), True),
            (values(b"\x75\x01\x76\x02\x01k\x7e\x01l\x7e"), True),
            (values(b"\x7d\x40"), True),  # -0
            (values(b"\x7d\x41"), False),
            (update(item(9, buf(b"guid") + b"\x76\x00")), True),
        ],
    )
    def test_knows_what_yrs_would_change(self, data: bytes, lossy: bool) -> None:
        assert check_update(data).lossy is lossy


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "bytes end"),
            (b"\x00", "bytes end"),
            (EMPTY + b"\x00", "bytes after"),
            (update(A)[:-2], "bytes end"),
            (update(item(4, b"\x09abc")), "reaches past the end"),
            (b"\xff" * 9, "integer over 53 bits"),
            (var_uint(2**32) + b"\x00", "clients do not fit"),
            (b"\x01" + var_uint(2**32) + b"\x05\x00" + A + b"\x00", "structs do not fit"),
            (b"\x01\x00\x05\x00\x00\x00", "without structs"),
            (b"\x02" + update(A)[1:-1] * 2 + b"\x00", "client 5 twice"),
            (update(item(4, buf(b"he\xfflo"))), "invalid UTF-8"),
            (update(item(4, buf(b"\xed\xa0\x80"))), "invalid UTF-8"),
            (update(item(4, buf(b"a"), b"\x01\x01\xff")), "invalid UTF-8"),
            (update(item(4, b"\x00")), "struct of length 0"),
            (update(item(8, b"\x00")), "struct of length 0"),
            (update(b"\x00\x00"), "struct of length 0"),
            (update(b"\x0a\x00"), "struct of length 0"),
            (update(b"\x00" + var_uint(2**31)), "struct of length 2147483648"),
            (update(A, clock=2**31 - 1), "at clock 2147483647"),
            (update(A, clock=2**32 - 1), "at clock 4294967295"),
            (update(b"\x80\x05\x00\x01", clock=1), "flags on a GC"),
            (update(b"\x20" + ROOT_T + b"\x01"), "flags on a GC"),
            (update(item(4, buf(b"a"), b"\x02\x01t")), "parent kind 2"),
            (update(item(2, b"\x01" + buf(b"1"))), "unknown content kind 2"),
            (update(item(11, b"\x00\x05\x00")), "unknown content kind 11"),
            (update(item(0x14, buf(b"a"))), "unknown content kind 20"),
            (update(item(7, b"\x05" + buf(b"hook"))), "type 5"),
            (update(item(7, b"\x07")), "type 7"),
            (update(item(7, b"\x0f")), "type 15"),
            (update(item(4, buf(b"a"), b"\x05\x00", 0x80)), "hangs on itself"),
            (update(item(4, buf(b"a"), b"\x05\x07", 0x40), clock=3), "hangs on itself"),
            (update(item(4, buf(b"a"), b"\x00\x05\x00")), "hangs on itself"),
            (update(item(4, buf(b"a"), b"\x06" + var_uint(2**31), 0x80)), "clock over 31 bits"),
            (update(item(6, buf(b"b") + buf(b"1"), ROOT_T + buf(b"key"), 0x20)), "format as the value"),
            (update(item(5, buf(b"{{"))), "JSON"),
            (update(item(5, buf(b"NaN"))), "JSON"),
            (update(item(5, buf(b"1e400"))), "JSON"),
            (update(item(5, buf(b"10000000000000000000"))), "JSON"),
            (update(item(5, buf(rb'"\ud800"'))), "JSON"),
            (values(b"\x1f"), "unknown value type 31"),
            (values(b"\x7b\x00"), "bytes end inside a number"),
            (values(b"\x7d\xff" + b"\xff" * 7 + b"\x01"), "integer over 53 bits"),
            (values(b"\x75" + var_uint(2**32)), "values do not fit"),
            (values(b"\x74" + var_uint(2**40)), "reaches past the end"),
            (b"\x00" + var_uint(2**33), "clients of deletions do not fit"),
            (b"\x00\x01\x05" + var_uint(2**33), "deletions do not fit"),
            (b"\x00\x01\x05\x01\x00\x00", "deletion of length 0"),
            (b"\x00\x01\x05\x01\x01" + var_uint(2**31 - 1), "deletion of length 2147483647 at clock 1"),
            (b"\x00\x02\x05\x01\x00\x01\x05\x01\x04\x01", "deletions of client 5 twice"),
            (b"\x00\x01\x05\x02\x00\x03\x02\x03", "overlap"),
            (b"\x00\x01\x05\x02\x04\x01\x00\x01", "overlap or are out of order"),
        ],
    )
    def test_says_why(self, data: bytes, reason: str) -> None:
        assert reason in refusal(data)

    @pytest.mark.parametrize("depth", [10**2, 10**3, 10**4, 30_000, 10**5, 10**6])
    def test_bounds_nesting_of_every_kind(self, depth: int) -> None:
        assert "nested deeper" in refusal(values(b"\x75\x01" * depth + b"\x7e"))
        assert "nested deeper" in refusal(values(b"\x76\x01\x00" * depth + b"\x7e"))
        assert "nested deeper" in refusal(update(item(5, buf(b"[" * depth + b"]" * depth))))
        assert "nested deeper" in refusal(
            update(item(6, buf(b"k") + buf(b'{"":' * depth + b"1" + b"}" * depth)))
        )
        assert "nested deeper" in refusal(update(item(9, buf(b"g") + b"\x75\x01" * depth + b"\x7e")))

    def test_accepts_nesting_up_to_the_limit(self) -> None:
        check_update(values(b"\x75\x01" * MAX_DEPTH + b"\x7e"))
        check_update(update(item(5, buf(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH))))

    @given(st.binary(max_size=300))
    def test_arbitrary_bytes_raise_nothing_else(self, data: bytes) -> None:
        for check in (check_update, check_state_vector):
            try:
                check(data)
            except MalformedUpdate:
                assert issubclass(MalformedUpdate, MalformedBytes)

    def test_every_prefix_is_refused(self) -> None:
        whole = Session.start(Editor(3))
        for _ in range(40):
            whole.edit()
        for data in whole.exports():
            for end in range(len(data)):
                assert check_refused(data[:end])


def check_refused(data: bytes) -> bool:
    try:
        check_update(data)
    except MalformedUpdate:
        return True
    return False


class TestStateVector:
    def test_is_read(self) -> None:
        doc: Doc[Any] = Doc(client_id=2**53 - 1)
        text = doc.get("t", type=Text)
        text += "abc"
        assert check_state_vector(doc.get_state()) == {2**53 - 1: 3}
        assert check_state_vector(b"\x00") == {}
        assert check_state_vector(b"\x01\x05\x00") == {5: 0}

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x01",
            b"\x01\x05",
            b"\x00\x00",
            b"\xff\xff\xff\xff\x0f\x00",  # asked an older yrs for 146 GB
            b"\x02\x05\x01\x05\x02",
            b"\x01\x05" + var_uint(2**31),
            b"\x01" + b"\xff" * 8 + b"\x00",
        ],
    )
    def test_refuses(self, data: bytes) -> None:
        with pytest.raises(MalformedUpdate):
            check_state_vector(data)


class TestFits:
    def test_takes_what_continues_the_state(self) -> None:
        assert fits(check_update(update(A)), {})
        assert fits(check_update(update(A, clock=4)), {5: 4})
        assert fits(check_update(update(item(4, buf(b"a"), b"\x07\x02", 0x80))), {7: 3})
        assert fits(check_update(EMPTY), {})

    def test_refuses_gaps_overlaps_and_unknown_links(self) -> None:
        assert not fits(check_update(update(A, clock=4)), {5: 3})
        assert not fits(check_update(update(A)), {5: 9})  # known already
        assert not fits(check_update(update(item(4, buf(b"abc")))), {5: 1})
        assert not fits(check_update(update(item(4, buf(b"a"), b"\x07\x02", 0x80))), {7: 2})
        assert not fits(check_update(update(A, b"\x0a\x02", A)), {})


class TestWhatPycrdtMakes:
    """False refusals are data loss. A run over 10^5 updates and more is `make fuzz`'s."""

    @pytest.mark.parametrize("seed", range(12))
    def test_is_accepted_and_fully_counted(self, seed: int) -> None:
        session = Session.start(Editor(seed))
        for _ in range(60):
            made = session.edit()
            if made is not None:
                assert not check_update(made).is_empty
            session.exchange()
        for made in session.exports():
            check_update(made)
        for replica in session.replicas:
            state = check_state_vector(replica.doc.get_state())
            ends = {
                client: end for client, (_, end) in check_update(replica.doc.get_update()).structs.items()
            }
            assert all(ends[client] >= clock for client, clock in state.items() if clock)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**32), st.integers(1, 30))
    def test_random_sessions(self, seed: int, edits: int) -> None:
        session = Session.start(Editor(seed))
        for _ in range(edits):
            made = session.edit()
            if made is not None:
                check_update(made)
        for made in session.exports():
            check_update(made)

    def test_merged_updates_with_gaps_have_skips(self) -> None:
        doc: Doc[Any] = Doc(client_id=1)
        made: list[bytes] = []
        doc.observe(lambda event: made.append(event.update))
        text = doc.get("t", type=Text)
        for letter in "abc":
            text += letter
        shape = check_update(merge_updates(made[0], made[2]))
        assert shape.has_skips
        assert shape.structs == {1: (0, 3)}


class CountingBytes(bytes):
    """Counts reads, to bound the cost without a clock."""

    reads = 0

    def __getitem__(self, key: Any) -> Any:
        CountingBytes.reads += 1
        return super().__getitem__(key)


def test_cost_grows_with_structs_not_with_content() -> None:
    def reads(data: bytes) -> int:
        CountingBytes.reads = 0
        check_update(CountingBytes(data))
        return CountingBytes.reads

    assert reads(update(A)) < 30
    assert reads(update(item(4, buf(b"a" * 10**6)))) < 60
    some, more = update(*[A] * 100), update(*[A] * 1000)
    assert reads(more) < 11 * reads(some)


def test_json_is_judged_as_serde_does() -> None:
    rng = Random(1)
    for _ in range(200):
        value: list[Any] = [
            rng.choice(["x", "é", 1, -5, 1.5, None, True, {"a": []}]) for _ in range(rng.randrange(5))
        ]
        data = update(item(5, buf(json.dumps(value).encode())))
        check_update(data)
        Doc[Any]().apply_update(data)
