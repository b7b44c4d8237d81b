"""Who hears of an edit when: members that write down what they are sent, and a clock that is moved by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from pycrdt import Doc, Text

from server.engine.document import write_state_vector
from server.protocol.structs import read_structs
from server.protocol.update_shape import check_update
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import Update, read_frame
from server.rooms.broadcast import Broadcast
from server.rooms.roster import Roster
from tests.rooms.opened_rooms import Visitor
from tests.wire.client import Writer, says

MAX_WINDOW_SECONDS = 0.016


@dataclass(eq=False)
class Listener(Visitor):
    """A member that keeps the updates it is sent, each as one that came alone in its frame."""

    heard: list[bytes] = field(default_factory=list)
    is_behind: bool = False

    def deliver(self, frame: Frame) -> bool:
        if self.is_behind:
            return False
        (message,) = read_frame(frame.message)
        assert isinstance(message, Update)
        assert not message.is_reply
        self.heard.append(message.data)
        return True

    def text(self) -> str:
        doc: Doc[Text] = Doc()
        for update in self.heard:
            doc.apply_update(update)
        return str(doc.get("content", type=Text))


class Clock:
    """A time, and an event loop that knows no other."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._due: list[tuple[float, asyncio.Handle]] = []
        self._loop = asyncio.new_event_loop()

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[..., None]) -> asyncio.Handle:
        handle = asyncio.Handle(callback, (), self._loop)
        self._due.append((self.now + seconds, handle))
        return handle

    def call_soon(self, callback: Callable[..., None]) -> asyncio.Handle:
        return self.call_later(0.0, callback)

    def turn(self) -> None:
        """Do what is due, and not what that makes due."""
        due = [entry for entry in self._due if entry[0] <= self.now]
        self._due = [entry for entry in self._due if entry[0] > self.now]
        for _, handle in due:
            if not handle.cancelled():
                handle._run()

    def sleep(self, seconds: float) -> None:
        """Turn after turn, at each time at which something is due."""
        end = self.now + seconds
        self.turn()
        while times := [at for at, handle in self._due if at <= end and not handle.cancelled()]:
            self.now = max(self.now, min(times))
            self.turn()
        self.now = end

    def close(self) -> None:
        self._loop.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = Clock()
    monkeypatch.setattr("server.rooms.broadcast.time", clock)
    loops = SimpleNamespace(get_running_loop=lambda: clock, Handle=asyncio.Handle)
    monkeypatch.setattr("server.rooms.departure.asyncio", loops)
    yield clock
    clock.close()


class Told:
    """A broadcast, its members, the document's clocks, and a disk that is told when to be done.

    `state`, and what of it is `saved`: client id -> next clock.
    """

    def __init__(self, members: int = 0, *, max_window_seconds: float = MAX_WINDOW_SECONDS) -> None:
        self.state: dict[int, int] = {}
        self.saved: dict[int, int] = {}
        self.roster = Roster(lambda: self.state)
        self.uncommitted: list[Callable[[], None]] = []
        self.broadcast = Broadcast(
            self.roster, self.uncommitted.append, max_window_seconds=max_window_seconds
        )
        self.listeners = [self.join() for _ in range(members)]

    def join(self) -> Listener:
        listener = Listener()
        self.roster.add(listener)
        return listener

    def edit(self, author: Listener, update: bytes) -> bytes:
        """As a room does: the author shows the ids that it writes under."""
        shape = check_update(update)
        for client, (_, end) in shape.structs.items():
            self.roster.is_first_showing(author, client)
            self.state[client] = end
        self.broadcast.add(author, update, shape)
        return update

    def commit(self) -> None:
        self.saved = dict(self.state)
        done, self.uncommitted[:] = self.uncommitted[:], []
        for action in done:
            action()


def test_the_first_edit_after_a_pause_leaves_at_the_end_of_the_turn(clock: Clock) -> None:
    room = Told(50)
    author, other, *rest = room.listeners
    for _ in range(3):
        update = room.edit(author, Writer(int(clock.now)).type("a"))
        assert other.heard == []
        clock.turn()
        assert [listener.heard for listener in (other, *rest)] == [[update]] * 49
        assert author.heard == []
        other.heard.clear()
        for listener in rest:
            listener.heard.clear()
        clock.sleep(5)


def test_edits_of_one_turn_leave_as_one_update(clock: Clock) -> None:
    room = Told(4)
    reader, *authors = room.listeners
    writers = [Writer(client_id) for client_id in (7, 300, 2**40)]
    sent: list[bytes] = []
    for _ in range(20):
        for author, writer in zip(authors, writers, strict=True):
            sent.append(room.edit(author, writer.type("xyz")))
            sent.append(room.edit(author, writer.erase(0, 1)))
    clock.turn()
    (update,) = reader.heard
    assert all(says([update], said) for said in sent)
    whole: Doc[Text] = Doc()
    for said in sent:
        whole.apply_update(said)
    assert reader.text() == str(whole.get("content", type=Text))


def test_an_author_hears_the_others_at_once_and_itself_when_it_is_saved(clock: Clock) -> None:
    room = Told(3)
    alice, bob, carol = room.listeners
    hers, his = room.edit(alice, Writer(7).type("hers")), room.edit(bob, Writer(8).type("his"))
    clock.turn()
    assert (alice.heard, bob.heard, len(carol.heard)) == ([his], [hers], 1)
    assert says(carol.heard, hers)
    assert says(carol.heard, his)
    clock.sleep(60)
    assert (alice.heard, bob.heard, len(carol.heard)) == ([his], [hers], 1)
    room.commit()
    clock.turn()
    assert (alice.heard, bob.heard, len(carol.heard)) == ([his, hers], [hers, his], 1)


def test_who_only_deletes_hears_of_it_when_it_is_saved(clock: Clock) -> None:
    room = Told(2)
    alice, bob = room.listeners
    writer = Writer(7)
    room.edit(alice, writer.type("abc"))
    clock.turn()
    erased = room.edit(bob, writer.erase(0, 1))
    clock.turn()
    assert alice.heard == [erased], "it says nothing of what she wrote herself"
    assert bob.text() == "abc"
    room.commit()
    clock.turn()
    assert bob.heard[-1] == erased
    assert alice.text() == bob.text() == "bc"


def test_an_author_that_is_alone_hears_nothing_before_it_is_saved(clock: Clock) -> None:
    room = Told(1)
    (alone,) = room.listeners
    update = room.edit(alone, Writer(7).type("a"))
    clock.sleep(60)
    assert alone.heard == []
    room.commit()
    clock.turn()
    assert alone.heard == [update]


def test_where_little_is_said_what_is_saved_is_told_at_once(clock: Clock) -> None:
    room = Told(100)
    alice, bob, *_ = room.listeners
    writer = Writer(7)
    for text in "12":
        update = room.edit(alice, writer.type(text))
        clock.turn()
        room.commit()
        assert alice.heard[-1] == update
    clock.sleep(60)
    assert alice.heard == bob.heard


def test_what_is_saved_leaves_with_what_is_about_to(clock: Clock) -> None:
    room = Told(3)
    alice, bob, carol = room.listeners
    writer = Writer(7)
    first = room.edit(alice, writer.type("1"))
    clock.turn()
    second = room.edit(alice, writer.type("2"))
    clock.turn()
    assert len(room.uncommitted) == 2
    his = room.edit(bob, Writer(8).type("his"))
    room.commit()
    assert alice.heard == []
    clock.turn()
    (together,) = alice.heard
    assert says([together], first)
    assert says([together], second)
    assert says([together], his)
    assert carol.heard == [first, second, his], "others have heard of hers before"
    assert bob.heard == [first, second]


def test_what_has_been_told_is_not_told_again(clock: Clock) -> None:
    room = Told(2)
    alice, bob = room.listeners
    room.edit(alice, Writer(7).type("1"))
    clock.turn()
    for _ in range(3):
        room.commit()
        clock.sleep(60)
    assert len(alice.heard) == len(bob.heard) == 1


def test_who_shares_the_authors_client_id_takes_its_edit_for_saved(clock: Clock) -> None:
    room = Told(3)
    tab, same, other = room.listeners
    assert room.roster.is_first_showing(same, 7)
    update = room.edit(tab, Writer(7).type("a"))
    his = room.edit(other, Writer(8).type("b"))
    clock.turn()
    assert same.heard == [his]
    assert says(other.heard, update)
    room.commit()
    clock.turn()
    assert same.heard == [his, update]
    assert tab.heard == [his, update]


def test_a_member_that_is_behind_is_remembered_with_what_it_has(clock: Clock) -> None:
    room = Told(3)
    alice, slow, other = room.listeners
    writer, second = Writer(7), Writer(8)
    room.edit(alice, writer.type("123"))
    clock.turn()
    slow.is_behind = True
    room.edit(alice, writer.type("45"))
    room.edit(other, second.type("x"))
    clock.turn()
    room.edit(alice, writer.type("6"))
    clock.sleep(1)
    assert slow.text() == "123"
    slow.is_behind = False
    assert room.roster.take_missed(slow) == {7: 3, 8: 0}
    assert room.roster.take_missed(slow) is None
    assert room.roster.take_missed(other) is None


def test_an_author_that_is_behind_when_it_is_saved_lacks_its_own(clock: Clock) -> None:
    room = Told(2)
    alice, bob = room.listeners
    writer = Writer(7)
    room.edit(alice, writer.type("12"))
    clock.turn()
    room.commit()
    clock.turn()
    room.edit(alice, writer.type("34"))
    clock.turn()
    alice.is_behind = True
    room.commit()
    room.edit(bob, Writer(8).type("x"))
    clock.sleep(1)
    alice.is_behind = False
    assert room.roster.take_missed(alice) == {7: 2, 8: 0}
    assert room.roster.take_missed(bob) is None


def test_deletions_alone_are_missed_too(clock: Clock) -> None:
    """An answer holds all deletions, whatever clocks it is asked for."""
    room = Told(2)
    alice, slow = room.listeners
    writer = Writer(7)
    room.edit(alice, writer.type("123"))
    clock.turn()
    slow.is_behind = True
    room.edit(alice, writer.erase(0, 2))
    clock.sleep(1)
    assert room.roster.take_missed(slow) == {7: 3}


def test_who_has_left_hears_nothing(clock: Clock) -> None:
    room = Told(3)
    alice, bob, carol = room.listeners
    room.edit(alice, Writer(7).type("a"))
    room.edit(bob, Writer(8).type("b"))
    room.roster.remove(bob)
    clock.turn()
    assert (bob.heard, len(alice.heard), len(carol.heard)) == ([], 1, 1)
    room.roster.remove(alice)
    room.commit()
    clock.sleep(60)
    assert (bob.heard, len(alice.heard), len(carol.heard)) == ([], 1, 1)
    assert carol.text() in ("ab", "ba"), "what they wrote stays"


def test_who_comes_while_something_is_gathered_hears_it(clock: Clock) -> None:
    room = Told(1)
    update = room.edit(room.listeners[0], Writer(7).type("a"))
    newcomer = room.join()
    clock.turn()
    assert newcomer.heard == [update]


# Windows


def type_for(clock: Clock, room: Told, seconds: float, *, per_second: float) -> list[Writer]:
    """Twenty members type, one after another; an edit every so often. The disk is quick."""
    authors = room.listeners[:20]
    writers = [Writer(client_id) for client_id in range(1, len(authors) + 1)]
    for index in range(round(seconds * per_second)):
        room.edit(authors[index % len(authors)], writers[index % len(authors)].type("x"))
        clock.sleep(1 / per_second)
        room.commit()
    return writers


def test_in_a_busy_room_frames_are_fewer_than_edits_and_nothing_is_lost(clock: Clock) -> None:
    room = Told(100)
    type_for(clock, room, 4, per_second=500)
    clock.sleep(1)
    room.commit()
    clock.sleep(1)
    reader = room.listeners[-1]
    assert len(reader.heard) <= 1.1 * 4 / MAX_WINDOW_SECONDS
    for listener in room.listeners:
        assert len(listener.text()) == 2000
    written = sum(len(read_structs(update)[0]) for update in reader.heard)
    assert written == 2000, "nothing twice"


def test_nobody_waits_longer_than_the_window(clock: Clock) -> None:
    room = Told(100)
    reader, author, writer = room.listeners[-1], room.listeners[0], Writer(7)
    type_for(clock, room, 1, per_second=500)
    waited: list[float] = []
    for _ in range(300):
        update = room.edit(author, writer.type("x"))
        said_at, count = clock.now, len(reader.heard)
        while len(reader.heard) == count:
            clock.sleep(0.0005)
            assert clock.now <= said_at + MAX_WINDOW_SECONDS + 0.001
        waited.append(clock.now - said_at)
        assert says(reader.heard[count:], update)
        clock.sleep(0.002)
    assert max(waited) > 0.002, "no window was open"


@pytest.mark.parametrize(("members", "window_seconds"), [(2, 1.0), (3, 1.0), (100, 0.0), (100, 0.0005)])
def test_where_windows_gain_nothing_every_turn_is_told_at_once(
    clock: Clock, members: int, window_seconds: float
) -> None:
    room = Told(members, max_window_seconds=window_seconds)
    author, *_, reader = room.listeners
    writer = Writer(7)
    for index in range(1, 500):
        room.edit(author, writer.type("x"))
        clock.turn()
        assert len(reader.heard) == index
        clock.sleep(0.001)


def test_much_at_once_does_not_wait_for_the_window(clock: Clock) -> None:
    room = Told(100)
    author, *_, reader = room.listeners
    type_for(clock, room, 1, per_second=500)
    count, writer = len(reader.heard), Writer(7)
    first = room.edit(author, writer.type("x"))
    clock.turn()
    assert len(reader.heard) == count, "a window is open"
    large = room.edit(author, writer.type("y" * 70_000))
    clock.turn()
    assert len(reader.heard) == count + 1
    assert says(reader.heard[count:], first)
    assert says(reader.heard[count:], large)


def test_who_types_after_a_pause_waits_for_nobody_again(clock: Clock) -> None:
    room = Told(100)
    author, *_, reader = room.listeners
    type_for(clock, room, 1, per_second=500)
    clock.sleep(1)
    count = len(reader.heard)
    room.edit(author, Writer(7).type("x"))
    clock.turn()
    assert len(reader.heard) == count + 1


@pytest.mark.parametrize("is_busy", [True, False])
def test_a_room_that_is_over_says_no_more(clock: Clock, is_busy: bool) -> None:
    room = Told(100)
    author, *_, reader = room.listeners
    if is_busy:
        type_for(clock, room, 1, per_second=500)
    count = len(reader.heard)
    room.edit(author, Writer(7).type("x"))
    room.broadcast.cancel()
    clock.sleep(60)
    assert len(reader.heard) == count


def test_in_a_busy_room_what_is_saved_waits_for_the_window_too(clock: Clock) -> None:
    room = Told(100)
    author, *_, reader = room.listeners
    type_for(clock, room, 1, per_second=500)
    update, told = room.edit(author, Writer(700).type("x")), len(reader.heard)
    while len(reader.heard) == told:
        clock.sleep(0.001)
    assert says(reader.heard[told:], update)
    count = len(author.heard)
    room.commit()
    assert len(author.heard) == count
    his = room.edit(reader, Writer(800).type("y"))
    clock.sleep(MAX_WINDOW_SECONDS)
    assert len(author.heard) == count + 1
    assert says(author.heard[-1:], update)
    assert says(author.heard[-1:], his)


# All of it


def own_end(update: bytes, client_id: int) -> int:
    """The clock after the last struct of this client; 0 without one."""
    return max((s.clock + s.length for s in read_structs(update)[0] if s.client == client_id), default=0)


@pytest.mark.parametrize("members", [3, 40])
@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_everybody_has_everything_in_the_end(clock: Clock, seed: int, members: int) -> None:
    """Members write, fall behind and catch up; what they write is saved now and then, and told them only then."""
    random = Random(seed)
    room = Told(members)
    whole: Doc[Text] = Doc()
    writers = [Writer(client_id) for client_id in range(members)]
    checked = [0] * members

    def catch_up(listener: Listener) -> None:
        room.commit()
        listener.is_behind = False
        known = room.roster.take_missed(listener)
        if known is not None:
            listener.heard.append(whole.get_update(write_state_vector(known)))

    for _ in range(200):
        index, action = random.randrange(members), random.random()
        listener, writer = room.listeners[index], writers[index]
        if action < 0.6:
            erases = random.random() < 0.2 and len(str(writer.content)) > 2
            whole.apply_update(room.edit(listener, writer.erase(0, 1) if erases else writer.type("x")))
        elif action < 0.8:
            clock.sleep(random.choice([0, 0.001, 0.01]))
        elif action < 0.9:
            room.commit()
        elif listener.is_behind:
            catch_up(listener)
        else:
            listener.is_behind = True
        for client_id, member in enumerate(room.listeners):
            for update in member.heard[checked[client_id] :]:
                assert own_end(update, client_id) <= room.saved.get(client_id, 0)
            checked[client_id] = len(member.heard)
    for _ in range(3):
        clock.sleep(1)
        room.commit()
    for client_id, listener in enumerate(room.listeners):
        catch_up(listener)
        assert listener.text() == str(whole.get("content", type=Text))
        ends = [own_end(update, client_id) for update in listener.heard]
        assert max(ends, default=0) == room.state.get(client_id, 0), "it was never told that all is saved"
