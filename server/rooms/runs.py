"""A run of an agent, as rooms see it: its edits are marked, and counted against what its token lets it write."""

from dataclasses import dataclass, field
from typing import NamedTuple

from auth.principals import Agent


class BudgetExceeded(Exception):
    """The run may write no more, or not this much; nothing was written. `details` say which limit."""

    def __init__(self, run: str, limit: str, allowed: int) -> None:
        super().__init__(f"budget_exceeded: run {run} may write {_ALLOWED[limit].format(allowed)}")
        self.details = {"limit": limit, "allowed": allowed}


_ALLOWED = {"bytes": "{} bytes", "edits": "{} edits", "documents": "in {} documents"}


@dataclass(slots=True, weakref_slot=True)
class RunUse:
    """What a run has written so far, over all of its connections."""

    run_id: int
    edits: int = 0
    size_bytes: int = 0
    documents: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Run:
    """`agent`: who it is, with its budget; None for edits that were checked and counted when they came."""

    use: RunUse
    agent: Agent | None = None

    @classmethod
    def earlier(cls, run_id: int | None) -> "Run | None":
        """Of an edit that was kept aside, if it is a run's."""
        return None if run_id is None else cls(RunUse(run_id))

    @property
    def id(self) -> int:
        """What stands for it in every table."""
        return self.use.run_id

    @property
    def shown(self) -> dict[str, str] | None:
        """What others see of it."""
        return None if self.agent is None else {"name": self.agent.name, "run": self.agent.run}

    def refusal(self, document: str, size_bytes: int) -> str | None:
        """Why it may not write so much there, if so."""
        try:
            self.check(document, size_bytes)
        except BudgetExceeded as exceeded:
            return str(exceeded)
        return None

    def check(self, document: str, size_bytes: int) -> None:
        """Whether it may write so much there. Raises BudgetExceeded."""
        if self.agent is None or self.agent.budget is None:
            return
        budget, use = self.agent.budget, self.use
        is_new = document not in use.documents
        for limit, allowed, wanted in (
            ("bytes", budget.bytes, use.size_bytes + size_bytes),
            ("edits", budget.edits, use.edits + 1),
            ("documents", budget.documents, len(use.documents) + is_new),
        ):
            if allowed is not None and wanted > allowed:
                raise BudgetExceeded(self.agent.run, limit, allowed)

    def count(self, document: str, size_bytes: int) -> None:
        """It has written so much there."""
        self.use.edits += 1
        self.use.size_bytes += size_bytes
        self.use.documents.add(document)


class Author(NamedTuple):
    """Who writes: a user, or a run of the user's agent."""

    user_id: int
    run: Run | None = None
