"""What notifies people, on one database: the jobs, who does them, and what the routes reach."""

from collections.abc import Callable
from secrets import token_hex

from crdt_store.engine import Database
from crdt_store.jobs import Jobs
from crdt_store.notifications import Notifications
from server.jobs.worker import JobPolicy, Worker
from server.news.hub import Hub
from server.notifications.fan_out import FanOut
from server.notifications.routes import Desk

_CHATS = "chat:"


class NotificationParts:
    """`by_membership`: as for `FanOut`. `worker.run` has to run while the server serves."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        policy: JobPolicy,
        *,
        by_membership: bool,
        now_ms: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self.jobs = Jobs(database)
        fan_out = FanOut(hub, now_ms, by_membership=by_membership)
        self.worker = Worker(
            self.jobs, fan_out.handlers(), policy, name=token_hex(8), now_ms=now_ms, random=random
        )
        self.desk = Desk(Notifications(database), hub, now_ms, self.worker.wake, lambda: token_hex(8))

    def after(self, stored: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
        """For `GroupCommit.on_stored`: `stored`, and then see whether what was said in a chat concerns anybody."""

        def also(document: str, updates: int, data_bytes: int) -> None:
            stored(document, updates, data_bytes)
            if document.startswith(_CHATS):
                self.worker.wake()

        return also
