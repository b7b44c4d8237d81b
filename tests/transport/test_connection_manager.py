"""Who is kept alive, asked for a sign of life, and given up; counted in sweeps, so no test waits."""

from dataclasses import dataclass, field
from typing import Any

from auth.principals import Principal
from server.access.identity import Identity
from server.protocol.closing import CloseCode
from server.protocol.websocket_frames import Frame
from server.protocol.yjs_messages import KEEPALIVE
from server.transport.connection_manager import SWEEP_SECONDS, ConnectionManager

IDENTITY = Identity(1, Principal("here", "alice", "alice", expires_at_seconds=1e9, grants=None))


@dataclass(eq=False)
class Client:
    """What the manager sees of a connection."""

    lagging_sweeps: int = 0
    quiet_sweeps: int = 0
    silent_sweeps: int = 0
    throttled_sweeps: int = 0
    was_throttled: bool = False
    is_throttled: bool = False
    user_id: int = 1
    identity: Identity = IDENTITY
    is_lagging: bool = False
    is_paused: bool = False
    awaits_status: bool = False
    is_stale: bool = False
    done: list[object] = field(default_factory=list)

    def deliver(self, frame: Frame) -> bool:
        self.quiet_sweeps = 0
        self.done.append(frame.message)
        return True

    def ping(self) -> None:
        self.done.append("ping")

    def abort(self) -> None:
        self.done.append("abort")

    def end_if_stale(self) -> None:
        if self.is_stale:
            self.done.append("end")

    def close(self, code: CloseCode, reason: str) -> None:
        self.done.append(code)

    def warn(self, reason: str) -> None:
        self.done.append("warn")


def sweep(client: Client, seconds: float) -> list[object]:
    """What happens to the client within that time."""
    manager = ConnectionManager(
        keepalive_seconds=20,
        silence_close_seconds=25,
        lagging_close_seconds=60,
        throttled_close_seconds=60,
        leeway_seconds=0,
        now_seconds=lambda: 0.0,
    )
    connection: Any = client
    manager.add(connection)
    for _ in range(int(seconds / SWEEP_SECONDS)):
        manager.sweep()
    return client.done


def test_a_quiet_client_is_sent_something_every_twenty_seconds() -> None:
    client = Client()
    assert sweep(client, 20).count(KEEPALIVE) == 1
    client.silent_sweeps = 0
    assert sweep(client, 20).count(KEEPALIVE) == 2


def test_a_client_that_awaits_a_status_is_sent_something_at_every_sweep() -> None:
    assert sweep(Client(awaits_status=True), 10).count(KEEPALIVE) == 5


def test_a_silent_client_that_owes_its_old_copy_is_sent_away_after_ten_seconds() -> None:
    assert "end" not in sweep(Client(is_stale=True), 9)
    assert "end" in sweep(Client(is_stale=True), 10)


def test_a_silent_client_is_pinged_then_cut_off() -> None:
    done = sweep(Client(), 26)
    assert "ping" in done
    assert done[-1] == "abort"
    assert "abort" not in sweep(Client(), 24)


def test_silence_of_a_client_that_is_not_read_says_nothing() -> None:
    assert set(sweep(Client(is_paused=True), 100)) == {KEEPALIVE}


def test_who_stays_behind_is_closed_in_a_way_that_lets_it_return() -> None:
    assert sweep(Client(is_lagging=True), 58) == []
    assert sweep(Client(is_lagging=True), 60) == [CloseCode.TRY_AGAIN_LATER]


def test_who_is_slowed_down_at_every_sweep_is_told_and_then_closed() -> None:
    flooder = Client(was_throttled=True, is_throttled=True, is_paused=True)
    assert sweep(flooder, 28).count("warn") == 0
    assert sweep(flooder, 2).count("warn") == 1
    assert sweep(flooder, 30)[-1] == CloseCode.TRY_AGAIN_LATER


def test_who_is_slowed_down_now_and_then_is_not_told() -> None:
    client = Client(was_throttled=True)
    assert "warn" not in sweep(client, 20)
    assert client.throttled_sweeps == 0
