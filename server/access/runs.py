"""The runs of agents: found by what their tokens say, with what they have written so far."""

from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from auth.principals import Agent
from crdt_store.runs import NewRun, Runs
from server.rooms.runs import Run, RunUse

_REMEMBERED = 1000
"""Runs that nobody uses just now: what they wrote last may be on its way to the disk."""

_Key = tuple[int, str]


class KnownRuns:
    """All bearers of one run share what it has written: read when the first one comes, counted on in memory."""

    def __init__(self, store: Runs, now_seconds: Callable[[], float]) -> None:
        self._store = store
        self._now_seconds = now_seconds
        self._uses: WeakValueDictionary[_Key, RunUse] = WeakValueDictionary()
        self._remembered: OrderedDict[_Key, RunUse] = OrderedDict()

    async def of(self, user_id: int, agent: Agent) -> Run:
        """The run of this user's agent, made on first use. Raises LogUnavailable."""
        key = user_id, agent.run
        use = self._uses.get(key) or await self._load(user_id, agent)
        use = self._uses.setdefault(key, use)  # somebody else may have been first
        self._remembered[key] = use
        self._remembered.move_to_end(key)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return Run(use, agent)

    async def _load(self, user_id: int, agent: Agent) -> RunUse:
        new = NewRun(user_id, agent.run, agent.name, agent.on_behalf_of)
        run_id, use = await self._store.begin(new, int(self._now_seconds() * 1000))
        return RunUse(run_id, use.edits, use.size_bytes, set(use.documents))
