"""Where things stand in a thread's model, compared with Yjs and with pycrdt on random documents."""

from collections.abc import Iterator
from random import Random

import pytest
from pycrdt import Doc

from server.chat.thread import Thread
from server.protocol.id_set import IdSet, read_id_set
from server.protocol.merge_updates import merge_updates
from server.protocol.split_update import split_ready
from server.protocol.varint import buf, var_uint
from server.replica.nodes import Chain
from server.replica.replica import Replica
from tests.interop.yjs_oracle.oracle import Oracle

SETS = (("map",), ("array",), ("map", "array"), ("text", "map", "array", "xml", "subdocuments"))


@pytest.fixture(scope="module")
def oracle(yjs_process: object) -> Iterator[Oracle]:
    with Oracle() as oracle:
        yield oracle


def client_ids(random: Random, count: int) -> list[int]:
    return random.sample([*range(1, 300), *(random.randrange(2**53) for _ in range(300))], count)


def random_history(oracle: Oracle, random: Random, seed: int) -> list[bytes]:
    """What four authors sent who heard of each other late, in any order."""
    oracle.open(seed, client_ids(random, 4), "safe", random.choice(SETS))
    sent: list[bytes] = []
    inboxes: list[list[bytes]] = [[], [], [], []]
    for _ in range(25):
        author, reader = random.randrange(4), random.randrange(4)
        new = oracle.edit(author, random.randrange(1, 4))
        count = random.randrange(len(inboxes[reader]) + 1)
        own = oracle.apply(reader, inboxes[reader][:count])
        del inboxes[reader][:count]
        for writer, updates in ((author, new), (reader, own)):
            sent += updates
            for other in {0, 1, 2, 3} - {writer}:
                inboxes[other] += updates
    random.shuffle(sent)
    return sent


def feed(replica: Replica, sent: list[bytes]) -> list[bytes]:
    """Take in updates as far as they are ready; returns what was taken in."""
    applied: list[bytes] = []
    waiting: list[bytes] = []
    for start in range(0, len(sent), 5):
        ready, rest = split_ready(merge_updates([*waiting, *sent[start : start + 5]]), replica.state)
        waiting = [] if rest is None else [rest]
        if ready is not None:
            replica.take_in(ready)
            applied.append(ready)
    assert waiting == []
    return applied


def deleted_in(doc: Doc) -> IdSet:  # type: ignore[type-arg]
    return read_id_set(doc.get_update(doc.get_state()), 1)[0]


def ids_of(chain: Chain) -> list[tuple[int, int]]:
    return [
        (node.client, node.clock + offset)
        for node in chain
        if node.content is not None
        for offset in range(node.length)
    ]


@pytest.mark.parametrize("seed", range(40))
def test_it_deletes_and_overwrites_what_yjs_and_pycrdt_do(oracle: Oracle, seed: int) -> None:
    """What a key holds is what is not deleted of all that was set there: this is the winner of every key, too."""
    thread = Thread()
    applied = feed(thread, random_history(oracle, Random(seed), seed))
    held = oracle.read(applied)["ids"]
    assert sorted(thread.state.items()) == [tuple(entry) for entry in held["state"]]
    assert thread.deleted == IdSet(
        (client, clock, length) for client, ranges in held["deletes"] for clock, length in ranges
    )
    doc = Doc()  # type: ignore[var-annotated]
    for update in applied:
        doc.apply_update(update)
    assert thread.deleted == deleted_in(doc)

    for encoding in (doc.get_update(), merge_updates(applied)):
        loaded = Thread()
        loaded.take_in(encoding)
        assert loaded.deleted == thread.deleted
        assert loaded.roots.keys() == thread.roots.keys()
        for name, root in thread.roots.items():
            assert ids_of(loaded.roots[name].children) == ids_of(root.children)


def entry(origin: tuple[int, int] | None, right: tuple[int, int] | None, value: str) -> bytes:
    """A struct of the key `k` of the root `map` between these neighbours."""
    info = 8 | 0x20 | (0x80 if origin else 0) | (0x40 if right else 0)
    links = b"".join(var_uint(client) + var_uint(clock) for client, clock in filter(None, (origin, right)))
    place = links or b"\1" + buf(b"map") + buf(b"k")
    return bytes((info,)) + place + b"\1\x77" + buf(value.encode())


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("has_right_origins", [False, True], ids=["as Yjs writes", "with right neighbours"])
def test_the_winner_of_a_key_is_yjs_and_pycrdts_winner(
    oracle: Oracle, seed: int, has_right_origins: bool
) -> None:
    """Entries set one behind another or all at once, by the same clients or others, in any order of arrival."""
    random = Random(seed)
    replica, doc = Replica([]), Doc()  # type: ignore[var-annotated]
    clients = client_ids(random, random.randrange(1, 7))
    updates: list[bytes] = []
    chain: list[tuple[int, int]] = []
    for number in range(random.randrange(1, 25)):
        client = random.choice(clients)
        clock = replica.state.get(client, 0)
        at = random.randrange(-1, len(chain))
        origin = chain[at] if at >= 0 else None
        after = random.randrange(at + 1, len(chain) + 1)
        right = chain[after] if has_right_origins and after < len(chain) else None
        head = b"\1\1" + var_uint(client) + var_uint(clock)
        updates.append(head + entry(origin, right, str(number)) + b"\0")
        replica.take_in(updates[-1])
        doc.apply_update(updates[-1])
        chain = [node.id for node in replica.roots["map"].entries["k"]]
    winner = replica.roots["map"].winner("k")
    assert winner is not None
    assert winner.content is not None
    assert oracle.read(updates)["contents"]["map"] == {"k": winner.content[3:].decode()}
    assert replica.deleted == deleted_in(doc)
