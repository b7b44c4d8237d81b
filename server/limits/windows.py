"""Where the library `limits` counts: a bounded number of windows, on a clock that nobody sets back.

Its own memory storage has no bound, and looks through all keys in a thread as often as every 10 ms: with 200,000 of
them whoever asked waited for up to 70 ms.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from limits.storage import Storage

MAX_KEYS = 100_000
"""About 30 MB; over that the oldest windows are forgotten."""


@dataclass(slots=True)
class _Window:
    ends_at_seconds: float
    count: int = 0


class BoundedMemory(Storage):
    """Counts by key. All windows must be equally long: so they end in the order in which they began."""

    def __init__(self, now_seconds: Callable[[], float], max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self._now_seconds = now_seconds
        self._max_keys = max_keys
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count; a window begins with a key's first event and lasts `expiry` seconds."""
        window = self._open(key) or self._begin(key, expiry)
        window.count += amount
        return window.count

    def get(self, key: str) -> int:
        """What the key's window holds by now."""
        window = self._open(key)
        return window.count if window else 0

    def get_expiry(self, key: str) -> float:
        """When the key's window ends, on this storage's clock; now if it has none."""
        window = self._open(key)
        return window.ends_at_seconds if window else self._now_seconds()

    def clear(self, key: str) -> None:
        """Forget the key."""
        self._windows.pop(key, None)

    def reset(self) -> int | None:
        """Forget all; how many there were."""
        number = len(self)
        self._windows.clear()
        return number

    def check(self) -> bool:
        """Memory is always there."""
        return True

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Nothing here fails."""
        return ()

    def _open(self, key: str) -> _Window | None:
        window = self._windows.get(key)
        return window if window and window.ends_at_seconds > self._now_seconds() else None

    def _begin(self, key: str, expiry: int) -> _Window:
        """Each new window makes room for more than itself, so what has ended does not stay."""
        now = self._now_seconds()
        self._windows.pop(key, None)
        for oldest, window in list(islice(self._windows.items(), 2)):
            if window.ends_at_seconds <= now or len(self) >= self._max_keys:
                del self._windows[oldest]
        window = self._windows[key] = _Window(now + expiry)
        return window
