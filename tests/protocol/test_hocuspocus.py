"""Frames of Hocuspocus clients: as their releases send them, and as nobody should."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.protocol.hocuspocus import (
    MAX_ADDRESS_BYTES,
    Auth,
    ClientMessage,
    CloseDocument,
    MalformedFrame,
    Stateless,
    document_of,
    read_address,
    read_message,
)
from server.protocol.varint import buf
from server.protocol.yjs_messages import Awareness, QueryAwareness, SyncStep1, Update


def read(frame: bytes) -> tuple[str, ClientMessage]:
    address, position = read_address(frame)
    return address, read_message(frame, position)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("03646f63 02 00 0154 05342e352e30", Auth("T", "4.5.0")),
        ("03646f63 02 00 0154", Auth("T", None)),
        ("03646f63 00 00 0100", SyncStep1(b"\0")),
        ("03646f63 00 01 020000", Update(b"\0\0", is_reply=True)),
        ("03646f63 00 02 020000", Update(b"\0\0", is_reply=False)),
        ("03646f63 01 0100", Awareness(b"\0")),
        ("03646f63 03", QueryAwareness()),
        ("03646f63 05 026869", Stateless(b"hi")),
        ("03646f63 07", CloseDocument()),
    ],
)
def test_what_providers_send_is_read(frame: str, message: ClientMessage) -> None:
    assert read(bytes.fromhex(frame)) == ("doc", message)


def test_a_session_is_no_part_of_the_documents_name() -> None:
    assert document_of("doc\0session") == document_of("doc") == "doc"


@pytest.mark.parametrize("kind", [4, 6, 8, 9, 10, 11, 99])
def test_what_only_servers_say_is_refused(kind: int) -> None:
    with pytest.raises(MalformedFrame, match="not for clients"):
        read(b"\x03doc" + bytes((kind,)) + b"\x01a")


def test_an_address_has_a_size() -> None:
    with pytest.raises(MalformedFrame, match="address over"):
        read(buf(b"x" * (MAX_ADDRESS_BYTES + 1)) + b"\x03")


@given(st.binary(max_size=40), st.sampled_from([b"", b"\x01x", b"\x03doc"]), st.binary(max_size=2))
def test_any_bytes_are_a_message_or_malformed(body: bytes, address: bytes, kind: bytes) -> None:
    with suppress(MalformedFrame):
        read(address + kind + body)
