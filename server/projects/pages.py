"""Lists that are given a page at a time."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

MAX_PAGE_ITEMS = 200
T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """`next_after` is the `after` to ask the next page with; null on the last one."""

    items: list[T]
    next_after: int | None


class PageRequest(BaseModel):
    """At most `limit` items, in the order of their ids, from above `after`."""

    limit: int
    after: int

    @property
    def read_limit(self) -> int:
        """One more than asked for: whether there is another page."""
        return self.limit + 1

    def split(self, found: Sequence[T], id_of: Callable[[T], int]) -> tuple[Sequence[T], int | None]:
        """The items of the page, and its `next_after`."""
        items = found[: self.limit]
        return items, id_of(items[-1]) if len(found) > self.limit else None


def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ITEMS)] = 50, after: Annotated[int, Query(ge=0)] = 0
) -> PageRequest:
    return PageRequest(limit=limit, after=after)


Paging = Annotated[PageRequest, Depends(_page_request)]
