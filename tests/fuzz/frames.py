"""What a hostile client sends: a seeded stream of frames, valid and spoilt at every layer."""

from collections.abc import Iterator
from itertools import count

from server.protocol.awareness_codec import AwarenessEntry, write_entries
from server.protocol.varint import buf, var_uint
from server.protocol.yjs_messages import awareness_message, sync_step_1, sync_step_2, update_message
from tests.fuzz.documents import ASCII_WORDS, Editor, Session
from tests.fuzz.mutations import BYTE_EDITS, NUMBERS, mutate

STATES = [b"{}", b"null", b'{"user":{"name":"root"}}', b'{"cursor":{"anchor":1}}', b'"x"', b"{", b"\xff", b""]


def frames(seed: object) -> Iterator[bytes]:
    """Without end. Every few edits the authors are new ones, so that there is always something to continue."""
    for number in count():
        rng = Editor(f"{seed}/{number}")
        rng.words = rng.choice([ASCII_WORDS, Editor.words])
        ids = [rng.randrange(2**53) for _ in range(3)]
        session = Session.start(rng, client_ids=ids)
        sent: list[bytes] = []
        for _ in range(rng.randrange(5, 40)):
            update = session.edit()
            session.exchange()
            if update is not None:
                sent.append(update)
            if sent:
                yield frame(rng, session, ids, sent)


def frame(rng: Editor, session: Session, ids: list[int], sent: list[bytes]) -> bytes:
    """One message or several, now and then spoilt as a whole."""
    parts = [message(rng, session, ids, sent) for _ in range(rng.choice([1, 1, 1, 2, 4]))]
    whole = b"".join(parts)
    return rng.choice(BYTE_EDITS)(rng, whole, parts[0]) if rng.random() < 0.15 else whole


def message(rng: Editor, session: Session, ids: list[int], sent: list[bytes]) -> bytes:
    kind = rng.random()
    if kind < 0.3:
        return update_message(sent[-1])
    if kind < 0.6:
        spoilt = mutate(rng, rng.choice(sent), rng.choice(sent))
        return rng.choice([update_message, sync_step_2])(spoilt)
    if kind < 0.7:
        return sync_step_2(rng.choice(session.exports()))
    if kind < 0.8:
        state = rng.choice(session.replicas).doc.get_state()
        return sync_step_1(rng.choice([state, rng.choice(BYTE_EDITS)(rng, state, state)]))
    if kind < 0.93:
        return awareness(rng, ids)
    return rng.choice([b"\x03", b"\x66" + buf(b"\x01"), b"\x00\x00", var_uint(rng.choice(NUMBERS))])


def awareness(rng: Editor, ids: list[int]) -> bytes:
    entries = [
        AwarenessEntry(rng.choice([*ids, *NUMBERS]), rng.choice(NUMBERS), rng.choice(STATES))
        for _ in range(rng.randrange(3))
    ]
    data = write_entries(entries)
    return awareness_message(rng.choice(BYTE_EDITS)(rng, data, data) if rng.random() < 0.2 else data)


def masked(rng: Editor, payload: bytes) -> bytes:
    """A frame of the layer below (RFC 6455), its first two bytes at random."""
    size = bytes((0x80 | min(len(payload), 125),))
    head = bytes((rng.choice([0x82, 0x02, 0x80, 0x81, 0x89, 0x8A, 0x88, 0xF2, 0x83, 0x00]),)) + size
    spoilt = rng.choice(BYTE_EDITS)(rng, head, payload) if rng.random() < 0.3 else head
    return spoilt + bytes(4) + payload[:125]
