"""Two servers on one database, in virtual time: what users and crashes may do, and what must hold after each step."""

from collections.abc import Awaitable, Callable
from random import Random

from crdt_store.database import Database
from crdt_store.lock_rows import Lock, LockTaken, NoSuchLock, NotHolder
from crdt_store.locks import Locks
from server.locks.book import LockBook
from server.locks.rules import LockKind, LockPolicy
from server.locks.service import LockService

WORKSPACE = 7
PATHS = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]
POLICY = LockPolicy(
    session_ttl_ms=300, grace_ms=50, lease_ttl_ms=200, max_lease_ttl_ms=1000, standing_ttl_ms=500
)
_LONGEST_MS = {LockKind.SESSION: 300, LockKind.LEASE: 200, LockKind.STANDING: 500}
_STEPS = (
    ["acquire"] * 6 + ["renew", "release", "transfer", "force", "crash", "come", "go"] + ["sweep", "wait"] * 4
)

Act = Callable[[LockService, Lock, int], Awaitable[Lock]]


class Node:
    """A server: what a crash leaves of it is in the database."""

    def __init__(self, database: Database, name: str, now_ms: Callable[[], int]) -> None:
        self.connected: set[int] = set()
        self.book = LockBook(now_ms)
        self.service = LockService(
            Locks(database, max_per_user=1000),
            self.book,
            POLICY,
            node_id=name,
            connected=lambda: self.connected,
            now_ms=now_ms,
        )


class World:
    """`granted`: by fence, each lock that anybody ever had. `extended_ms`: when it was good for its time last."""

    def __init__(self, database: Database, users: list[int], seed: int) -> None:
        self.now_ms = 1_000_000
        self.random = Random(seed)
        self.users = users
        self.database = database
        self.nodes = {name: self.start(name) for name in ("one", "two")}
        self.granted: dict[int, Lock] = {}
        self.extended_ms: dict[int, int] = {}
        self.ended: set[int] = set()  # fences of what was given back, given on or taken
        self.survivals = 0

    def start(self, name: str) -> Node:
        return Node(self.database, name, lambda: self.now_ms)

    async def step(self) -> None:
        """Something happens, and all that must hold does."""
        await getattr(self, self.random.choice(_STEPS))(self.random.choice(list(self.nodes)))
        await self.check()

    async def check(self) -> None:
        live = await self.live()
        for lock in live:
            assert lock.fence not in self.ended
            assert self.now_ms < self.extended_ms[lock.fence] + _LONGEST_MS[LockKind(lock.kind)]
            for other in self.granted.values():  # of whom some may think that they hold it still
                if other.overlaps(lock.path) and other.holder_id != lock.holder_id:
                    assert other.fence < lock.fence
        for first in live:
            for second in live:
                assert first.holder_id == second.holder_id or not first.overlaps(second.path)

    async def stored(self) -> list[Lock]:
        return await Locks(self.database, max_per_user=0).all()

    async def live(self) -> list[Lock]:
        return [lock for lock in await self.stored() if lock.is_live(self.now_ms)]

    # What happens

    async def acquire(self, name: str) -> None:
        user_id, path = self.random.choice(self.users), self.random.choice(PATHS)
        near = [lock for lock in await self.live() if lock.overlaps(path)]
        in_the_way = [lock for lock in near if lock.holder_id != user_id or lock.path == path]
        kind, wait = self.random.choice(list(LockKind)), self.random.random() < 0.5
        try:
            lock = await self.nodes[name].service.acquire(WORKSPACE, path, user_id, kind, wait=wait)
        except LockTaken as refusal:
            taken = refusal.lock
        else:
            assert not in_the_way
            self.grant(lock)
            return
        assert taken in in_the_way

    def grant(self, lock: Lock) -> None:
        assert lock.fence > max(self.granted, default=0)
        self.granted[lock.fence] = lock
        self.extended_ms[lock.fence] = self.now_ms

    async def renew(self, name: str) -> None:
        renewed = await self.by_somebody(name, lambda service, lock, user_id: service.renew(lock, user_id))
        if renewed is not None:
            self.extended_ms[renewed.fence] = self.now_ms

    async def release(self, name: str) -> None:
        gone = await self.by_somebody(name, lambda service, lock, user_id: service.release(lock, user_id))
        if gone is not None:
            self.ended.add(gone.fence)

    async def force(self, name: str) -> None:
        gone = await self.by_somebody(
            name, lambda service, lock, user_id: service.force(lock, user_id, "because"), is_admin=True
        )
        if gone is not None:
            self.ended.add(gone.fence)

    async def transfer(self, name: str) -> None:
        to_user_id = self.random.choice(self.users)
        before = {lock.id: lock.fence for lock in await self.live()}
        given = await self.by_somebody(
            name,
            lambda service, lock, user_id: service.transfer(lock, to_user_id, user_id, is_admin=False),
        )
        if given is not None:
            self.ended.add(before[given.id])
            self.grant(given)

    async def by_somebody(self, name: str, act: Act, *, is_admin: bool = False) -> Lock | None:
        """With a lock that somebody once heard of, whatever has become of it; as it is then, if that is allowed."""
        if not self.granted:
            return None
        lock = self.granted[self.random.choice(list(self.granted)[-6:])]
        user_id = self.random.choice(self.users)
        live = await self.live()
        now = {each.id: each for each in live}.get(lock.id)
        taken: Lock | None = None
        try:
            done = await act(self.nodes[name].service, lock, user_id)
        except NoSuchLock:
            assert now is None
        except NotHolder:
            assert now is not None
            assert now.holder_id != user_id
        except LockTaken as refusal:
            taken = refusal.lock
        else:
            assert now is not None
            assert is_admin or now.holder_id == user_id
            return done
        assert taken is None or taken in live
        return None

    async def crash(self, name: str) -> None:
        """The server is gone; after a while it starts anew, and knows only what is stored."""
        self.now_ms += self.random.randrange(100)
        self.nodes[name] = self.start(name)
        await self.nodes[name].service.begin()
        for lock in await self.live():
            self.survivals += 1
            if lock.node_id == name:
                self.extended_ms[lock.fence] = self.now_ms

    async def come(self, name: str) -> None:
        self.nodes[name].connected.add(self.random.choice(self.users))

    async def go(self, name: str) -> None:
        self.nodes[name].connected.discard(self.random.choice(self.users))

    async def sweep(self, name: str) -> None:
        node = self.nodes[name]
        for lock in await self.live():
            if lock.kind == LockKind.SESSION and lock.holder_id in node.connected:
                self.extended_ms[lock.fence] = self.now_ms
        await node.service.sweep()
        assert sorted(map(repr, node.book)) == sorted(map(repr, await self.stored()))

    async def wait(self, name: str) -> None:
        self.now_ms += self.random.randrange(60)
