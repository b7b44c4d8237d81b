"""What was read from the store and stays true until it is changed here."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """The values of the `size` keys that were asked for last; `load` gives what is not among them."""

    def __init__(self, load: Callable[[K], Awaitable[V]], *, size: int) -> None:
        self._load = load
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._changes = 0

    async def get(self, key: K) -> V:
        """The value; it waits for nothing where it is known. Raises what `load` raises.

        What is read while something changes is as it was before or after that, and is not remembered.
        """
        value = self._values.get(key)
        if value is None:
            changes = self._changes
            value = await self._load(key)
            if changes != self._changes:
                return value
        self._keep(key, value)
        return value

    def forget(self, matches: Callable[[K, V], bool]) -> None:
        """Drop what matches, and what is being read just now."""
        self._changes += 1
        for key in [key for key, value in self._values.items() if matches(key, value)]:
            del self._values[key]

    def forget_one(self, key: K) -> None:
        """The same for one key, at once."""
        self._changes += 1
        self._values.pop(key, None)

    def _keep(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
