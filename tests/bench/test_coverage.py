from bench.load.coverage import cursor_key, cursor_runs, ends, read_chunk, text_runs
from bench.load.dialects import HOCUSPOCUS, Y_WEBSOCKET, awareness_message, update_message
from bench.load.documents import FIRST_AUTHOR, apply_all, base_document, cursor, typed
from server.protocol.varint import buf
from server.protocol.websocket_frames import PING, frame_of, server_frame

ALICE, BOB = FIRST_AUTHOR, FIRST_AUTHOR + 1


def test_each_character_of_a_merged_update_is_covered() -> None:
    base = base_document(2)
    updates = (*typed(ALICE, base, 0, 5), *typed(BOB, base, 1, 3))
    merged = apply_all((*base.updates, *updates)).get_update(base.state_vector)

    assert sorted(text_runs(merged)) == [(ALICE, 0, 5), (BOB, 0, 3)]
    assert [run for update in updates for run in text_runs(update)] == [
        *((ALICE, clock, clock + 1) for clock in range(5)),
        *((BOB, clock, clock + 1) for clock in range(3)),
    ]


def test_a_cursor_state_covers_the_ones_before_it_but_not_the_introduction() -> None:
    def runs(clock: int) -> list[tuple[int, int, int]]:
        entries = awareness_message(ALICE, clock, b"{}")[2:]
        return cursor_runs(entries)

    assert runs(1) == []
    assert runs(2) == [(cursor_key(ALICE), 0, 1)]
    assert runs(9) == [(cursor_key(ALICE), 0, 8)]


def test_who_is_gone_covers_nothing() -> None:
    assert cursor_runs(awareness_message(ALICE, 5, b"null")[2:]) == []


def test_a_chunk_says_all_that_is_in_it() -> None:
    (update,) = typed(ALICE, base_document(1), 0, 1)
    frames = [
        server_frame(b"\x00\x00\x01\x00"),
        server_frame(b"\x00\x01" + buf(update)),
        server_frame(cursor(BOB, 2)),
        frame_of(PING, b"?"),
    ]

    chunk = read_chunk(b"".join(frames) + b"\x82\x05", Y_WEBSOCKET)

    assert chunk.messages == 3
    assert chunk.runs == ((ALICE, 0, 1), (cursor_key(BOB), 0, 1))
    assert (chunk.updates, chunk.pings, chunk.rest) == ((update,), (b"?",), b"\x82\x05")
    assert (chunk.asks, chunk.answers, chunk.closes, chunk.is_plain) == (True, True, False, False)


def test_hocuspocus_messages_name_their_room() -> None:
    (update,) = typed(ALICE, base_document(1), 0, 1)

    chunk = read_chunk(server_frame(buf(b"room") + update_message(update)), HOCUSPOCUS)

    assert chunk.runs == ((ALICE, 0, 1),)
    assert chunk.is_plain


def test_the_end_of_an_author_is_the_last_of_its_runs() -> None:
    assert ends([(1, 0, 3), (2, 0, 1), (1, 3, 9)]) == {1: 9, 2: 1}
