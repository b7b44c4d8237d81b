import pytest

from bench.load.frames import BINARY, PING, FrameError, masked_frame, split_frames
from server.protocol.websocket_frames import frame_of, server_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_servers_frame_is_read_whatever_its_length(size: int) -> None:
    message = bytes(size)

    assert split_frames(server_frame(message) + b"\x82") == ([(BINARY, message)], b"\x82")


def test_frames_cut_anywhere_lose_nothing() -> None:
    stream = server_frame(b"first") + frame_of(PING, b"") + server_frame(bytes(200))
    whole = [(BINARY, b"first"), (PING, b""), (BINARY, bytes(200))]

    for cut in range(len(stream)):
        before, rest = split_frames(stream[:cut])
        behind, nothing = split_frames(rest + stream[cut:])
        assert before + behind == whole
        assert nothing == b""


@pytest.mark.parametrize("begin", [b"\x02\x01a", b"\xc2\x01a", b"\x82\x81aaaaa"])
def test_fragments_extensions_and_masks_are_refused(begin: bytes) -> None:
    with pytest.raises(FrameError):
        split_frames(begin)


@pytest.mark.parametrize("size", [5, 126, 65_536])
def test_a_clients_frame_is_a_servers_with_a_mask_of_zeros(size: int) -> None:
    message = b"\x07" * size
    unmasked = bytearray(server_frame(message))
    unmasked[1] |= 0x80
    header = len(unmasked) - size

    assert masked_frame(message) == bytes(unmasked[:header]) + bytes(4) + message
