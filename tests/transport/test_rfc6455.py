"""RFC 6455 frame by frame, after the groups of the Autobahn test suite; each case has an echo to talk to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from server.transport.messages import MAX_FRAGMENTS
from tests.transport.serving import MAX_MESSAGE_BYTES, RawClient, Recorder, Served, client_frame, serve

FIN = 0x80
RSV = [0x40, 0x20, 0x10]
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ECHO_OF_CLOSE = (FIN | CLOSE, b"\x03\xe8")
NORMAL_CLOSE = client_frame(FIN | CLOSE, b"\x03\xe8")


def frame(opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return client_frame((FIN if fin else 0) | rsv | opcode, data)


def closed_with(code: int) -> tuple[int, int]:
    return CLOSE, code


@dataclass
class Case:
    """What a client sends in one go, and what it gets: (opcode, payload), the last one a close code."""

    name: str
    sent: bytes
    answers: list[tuple[int, bytes | int]]


def messages(*answers: tuple[int, bytes]) -> list[tuple[int, bytes | int]]:
    return [*answers, closed_with(1000)]


def failed(code: int, *answers: tuple[int, bytes]) -> list[tuple[int, bytes | int]]:
    return [*answers, closed_with(code)]


HELLO = "Hellö-µ@ßöäüàá-UTF-8!!"
INVALID_UTF8 = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",  # a surrogate
    b"\x80",
    b"\xc0\xaf",  # overlong
    b"\xf4\x90\x80\x80",  # above U+10FFFF
    b"\xf8\x88\x80\x80\x80",
    b"\xce",  # cut short
]

CASES = [
    # 1: framing
    *[
        Case(
            f"echo of {size} bytes",
            frame(BINARY, bytes(size)) + NORMAL_CLOSE,
            messages((BINARY, bytes(size))),
        )
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536, MAX_MESSAGE_BYTES)
    ],
    Case("echo of a text", frame(TEXT, HELLO) + NORMAL_CLOSE, messages((TEXT, HELLO.encode()))),
    # 2: pings and pongs
    Case("empty ping", frame(PING) + NORMAL_CLOSE, messages((PONG, b""))),
    Case("longest ping", frame(PING, bytes(125)) + NORMAL_CLOSE, messages((PONG, bytes(125)))),
    Case("ping with invalid UTF-8", frame(PING, b"\xfe\xff") + NORMAL_CLOSE, messages((PONG, b"\xfe\xff"))),
    Case("ping of 126 bytes", frame(PING, bytes(126)), failed(1002)),
    Case("unsolicited pong", frame(PONG, b"x") + frame(PING, b"y") + NORMAL_CLOSE, messages((PONG, b"y"))),
    Case(
        "ten pings",
        b"".join(frame(PING, b"%d" % number) for number in range(10)) + NORMAL_CLOSE,
        messages(*[(PONG, b"%d" % number) for number in range(10)]),
    ),
    # 3: reserved bits
    *[
        Case(
            f"rsv {rsv:#x} on opcode {opcode}",
            frame(BINARY, b"x") + frame(opcode, rsv=rsv),
            failed(1002, (BINARY, b"x")),
        )
        for rsv in RSV
        for opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
    ],
    # 4: opcodes
    *[
        Case(f"opcode {opcode}", frame(TEXT, "x") + frame(opcode) + frame(PING), failed(1002, (TEXT, b"x")))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ],
    # 5: fragments
    Case("fragmented ping", frame(PING, fin=False), failed(1002)),
    Case("fragmented close", frame(CLOSE, b"\x03\xe8", fin=False), failed(1002)),
    Case(
        "two fragments",
        frame(TEXT, "frag", fin=False) + frame(CONTINUATION, "ment") + NORMAL_CLOSE,
        messages((TEXT, b"fragment")),
    ),
    Case(
        "pings between fragments",
        frame(BINARY, b"a", fin=False)
        + frame(PING, b"1")
        + frame(CONTINUATION, b"b", fin=False)
        + frame(PONG)
        + frame(PING, b"2")
        + frame(CONTINUATION, b"c")
        + NORMAL_CLOSE,
        messages((PONG, b"1"), (PONG, b"2"), (BINARY, b"abc")),
    ),
    Case(
        "empty fragments",
        frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * 3 + frame(CONTINUATION) + NORMAL_CLOSE,
        messages((BINARY, b"")),
    ),
    Case("continuation of nothing", frame(CONTINUATION, b"x"), failed(1002)),
    Case("continuation of nothing, unfinished", frame(CONTINUATION, b"x", fin=False), failed(1002)),
    Case(
        "continuation after a message",
        frame(TEXT, "x") + frame(CONTINUATION, "y"),
        failed(1002, (TEXT, b"x")),
    ),
    Case("text inside a message", frame(BINARY, b"x", fin=False) + frame(TEXT, "y"), failed(1002)),
    Case(
        "binary inside a message", frame(TEXT, "x", fin=False) + frame(BINARY, b"y", fin=False), failed(1002)
    ),
    Case("close inside a message", frame(TEXT, "x", fin=False) + NORMAL_CLOSE, messages()),
    # 6: UTF-8
    Case(
        "a character split by fragments",
        frame(TEXT, b"\xce", fin=False) + frame(CONTINUATION, b"\xba") + NORMAL_CLOSE,
        messages((TEXT, "κ".encode())),
    ),
    *[Case(f"invalid text {bad!r}", frame(TEXT, bad), failed(1007)) for bad in INVALID_UTF8],
    *[
        Case(
            f"invalid text in fragments {bad!r}",
            frame(TEXT, bad[:1], fin=False) + frame(CONTINUATION, bad[1:]),
            failed(1007),
        )
        for bad in INVALID_UTF8
    ],
    # 7: closing
    Case("two closes", NORMAL_CLOSE * 2, messages()),
    Case("ping after close", NORMAL_CLOSE + frame(PING), messages()),
    Case("text after close", NORMAL_CLOSE + frame(TEXT, "x"), messages()),
    Case("garbage after close", NORMAL_CLOSE + b"\xff" * 100, messages()),
    Case("close without a code", frame(CLOSE), [(CLOSE, 1005)]),
    Case("close of one byte", frame(CLOSE, b"\x03"), failed(1002)),
    Case("close with the longest reason", frame(CLOSE, b"\x03\xe8" + b"x" * 123), messages()),
    Case("close that is too long", frame(CLOSE, b"\x03\xe8" + b"x" * 124), failed(1002)),
    Case(
        "close reason that is not UTF-8",
        frame(CLOSE, b"\x03\xe8" + b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80"),
        failed(1007),
    ),
    *[
        Case(f"valid close code {code}", frame(CLOSE, code.to_bytes(2, "big")), [closed_with(code)])
        for code in (
            1000,
            1001,
            1002,
            1003,
            1007,
            1008,
            1009,
            1010,
            1011,
            1012,
            1013,
            1014,
            3000,
            3999,
            4000,
            4999,
        )
    ],
    *[
        Case(f"invalid close code {code}", frame(CLOSE, code.to_bytes(2, "big")), failed(1002))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ],
    # 9: limits
    Case("a frame over the limit", frame(BINARY, bytes(MAX_MESSAGE_BYTES + 1)), failed(1009)),
    Case(
        "the header of a frame over the limit", frame(BINARY, bytes(MAX_MESSAGE_BYTES + 1))[:14], failed(1009)
    ),
    Case("the largest frame there is", b"\x82\xff\x7f" + b"\xff" * 7 + bytes(4), failed(1009)),
    Case("a length with its first bit set", b"\x82\xff" + b"\xff" * 8 + bytes(4), failed(1002)),
    Case("a length in more bytes than it needs", b"\x82\xfe\x00\x05" + bytes(4), failed(1002)),
    Case(
        "fragments over the limit",
        frame(BINARY, bytes(MAX_MESSAGE_BYTES), fin=False) + frame(CONTINUATION, b"x"),
        failed(1009),
    ),
    Case(
        "fragments at the limit",
        frame(BINARY, bytes(MAX_MESSAGE_BYTES - 1), fin=False) + frame(CONTINUATION, b"\x00") + NORMAL_CLOSE,
        messages((BINARY, bytes(MAX_MESSAGE_BYTES))),
    ),
    Case(
        "too many fragments",
        frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * MAX_FRAGMENTS,
        failed(1009),
    ),
    Case("an unmasked frame", frame(BINARY, b"x") + b"\x82\x01x", failed(1002, (BINARY, b"x"))),
    Case(
        "a thousand messages in one go",
        b"".join(frame(BINARY, b"%d" % number) for number in range(1000)) + NORMAL_CLOSE,
        messages(*[(BINARY, b"%d" % number) for number in range(1000)]),
    ),
]


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with serve() as served:
        yield served


async def open_echo(served: Served, more: bytes = b"") -> tuple[Recorder, RawClient]:
    socket, recorder, client = await served.open_raw(more=more)

    def echo(message: bytes | str) -> None:
        socket.send(message) if isinstance(message, bytes) else socket.send_text(message)

    recorder.react = echo
    socket.resume_reading()
    return recorder, client


async def answers_of(client: RawClient) -> list[tuple[int, bytes | int]]:
    """As a case states them: opcodes, and the code of the close frame."""
    answers: list[tuple[int, bytes | int]] = []
    for first_byte, payload in await client.read_frames():
        assert first_byte & 0xF0 == FIN
        if first_byte & 0x0F == CLOSE:
            answers.append((CLOSE, int.from_bytes(payload[:2], "big") if payload else 1005))
        else:
            answers.append((first_byte & 0x0F, payload))
    client.transport.close()
    return answers


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_answers_as_the_rfc_asks(served: Served, case: Case) -> None:
    recorder, client = await open_echo(served)
    client.write(case.sent)
    assert await answers_of(client) == case.answers
    await recorder.wait_until(lambda seen: bool(seen.closed))
    await served.wait_gone()
    assert len(recorder.closed) == 1


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if len(case.sent) < 500 and b"\xff" * 8 not in case.sent],
    ids=lambda case: case.name,
)
async def test_it_answers_the_same_one_byte_at_a_time(served: Served, case: Case) -> None:
    recorder, client = await open_echo(served)
    for index in range(len(case.sent)):
        heard = recorder.heard
        client.write(case.sent[index : index + 1])
        await recorder.wait_until(lambda seen: seen.heard > heard or bool(seen.closed))  # noqa: B023
        if recorder.closed:
            break
    assert await answers_of(client) == case.answers


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.sent) < 60_000], ids=lambda case: case.name
)
async def test_it_answers_the_same_right_behind_the_handshake(served: Served, case: Case) -> None:
    _, client = await open_echo(served, more=case.sent)
    assert await answers_of(client) == case.answers


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.answers) > 1], ids=lambda case: case.name
)
async def test_it_answers_the_same_when_reading_pauses_after_each_message(served: Served, case: Case) -> None:
    socket, recorder, client = await served.open_raw()

    def echo_and_pause(message: bytes | str) -> None:
        socket.pause_reading()
        socket.send(message) if isinstance(message, bytes) else socket.send_text(message)
        socket.resume_reading()

    recorder.react = echo_and_pause
    socket.resume_reading()
    client.write(case.sent)
    answers = await answers_of(client)
    pongs = [
        (PONG, payload) for opcode, payload in case.answers if opcode == PONG
    ]  # they need not wait their turn
    assert [answer for answer in answers if answer[0] == PONG] == pongs
    if case.answers[-1] == closed_with(1000):
        assert [answer for answer in answers if answer[0] != PONG] == [
            answer for answer in case.answers if answer[0] != PONG
        ]
    else:  # a violation behind a held message ends the connection before it
        assert answers[-1] == case.answers[-1]
