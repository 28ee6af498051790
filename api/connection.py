"""Connections as types: pages, edges, counts and cursors, the arguments that ask for them, orders and listings.

`api/paging.py` reads them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import strawberry
from sqlalchemy import (
    ColumnElement,
)

from api import cursor
from api.context import Context
from api.errors import BadUserInputError
from api.filters import present
from api.node import Node, Source

DEFAULT_PAGE: Final = 20
MAX_PAGE: Final = 100
COUNT_LIMIT: Final = 10_000

First = Annotated[
    int | None, strawberry.argument(description="How many items from the start, 1 to 100; 20 if neither is given.")
]
After = Annotated[str | None, strawberry.argument(description="Only items after this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="How many items from the end, 1 to 100; not with `first`.")
]
Before = Annotated[str | None, strawberry.argument(description="Only items before this cursor.")]

T = TypeVar("T", bound=Node)


@strawberry.type(description="An item of a list and its place there.")
class Edge(Generic[T]):
    may_come_written: ClassVar[bool] = True
    node: T = strawberry.field(description="The item.")
    cursor: str = strawberry.field(description="The item's place, for `after` and `before`.")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether items precede this page.")
    cursor_at: strawberry.Private[Callable[[int], str | None]]

    @strawberry.field(description="The cursor of the page's first item.")
    def start_cursor(self) -> str | None:
        return self.cursor_at(0)

    @strawberry.field(description="The cursor of the page's last item.")
    def end_cursor(self) -> str | None:
        return self.cursor_at(-1)


@strawberry.type(description="How many items a list has. Exact up to 10,000.")
class Count:
    value: int = strawberry.field(description="The number of items, at most 10,000.")
    is_estimate: bool = strawberry.field(description="Whether there are more items than were counted.")


def count_of(value: int) -> Count:
    """The Count of a number that was cut at COUNT_LIMIT + 1."""
    return Count(value=min(value, COUNT_LIMIT), is_estimate=value > COUNT_LIMIT)


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    may_have_resolved: ClassVar[bool] = True
    edges: list[Edge[T]] = strawberry.field(description="The page's items in order.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")
    counter: strawberry.Private[Callable[[], Awaitable[Count]]]
    resolved: strawberry.Private[dict[str, Any]] = field(default_factory=dict)
    alongside: strawberry.Private[Any] = None

    @strawberry.field(description="How many items the whole list has. Counted only when selected.")
    async def total_count(self) -> Count | None:
        return await self.counter()


C = TypeVar("C", bound=Connection[Any])
_DATABASE_ID: Final = attrgetter("database_id")


@dataclass(frozen=True)
class Order:
    """A total order: one column and the id. `attribute` is the node's attribute that holds the column's value."""

    attribute: str
    column: ColumnElement[Any]
    is_descending: bool = True
    kind: type[cursor.SortValue] = datetime

    @cached_property
    def tag(self) -> str:
        return f"{self.attribute}{'-' if self.is_descending else '+'}"

    def turned(self, *, is_descending: bool) -> "Order":
        """The same column in the given direction."""
        return Order(self.attribute, self.column, is_descending, self.kind)


class Page(NamedTuple):
    """The checked arguments of a connection."""

    size: int
    is_backward: bool
    after: str | None
    before: str | None

    @classmethod
    def of(
        cls, first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
    ) -> "Page":
        """Raises BadUserInputError that names the argument."""
        first, last = present(first), present(last)
        if first is not None and last is not None:
            raise BadUserInputError("Give `first` or `last`, not both.", argument="first")
        size = last if first is None else first
        if size is not None and not 1 <= size <= MAX_PAGE:
            name = "last" if first is None else "first"
            raise BadUserInputError(f"`{name}` must be between 1 and {MAX_PAGE}.", argument=name)
        return cls(DEFAULT_PAGE if size is None else size, last is not None, present(after), present(before))


@dataclass(frozen=True, eq=False)
class Listing(Generic[T]):
    """A list of one source in its default order. `bounds` adds what follows for a partition key from a sort value."""

    source: Source[T]
    order: Order
    bounds: Callable[[Order, str, bool], tuple[ColumnElement[bool], ...]] | None = None

    def tag(self, order: Order) -> str:
        return f"{self.source.name}.{order.tag}"

    def places(self, context: Context, order: Order | None = None) -> "Places":
        """What makes the cursors of this list, in its own order or in the given one."""
        order = order or self.order
        return Places(order.attribute, cursor.sealer(self.tag(order), order.kind, context.actor.organization_id))


class Places(NamedTuple):
    """Where nodes lie in one list of one organization: what their cursors are made of, where they are asked for."""

    attribute: str
    seal: cursor.Seal

    def cursors(self, nodes: Sequence[T]) -> list[str]:
        """The cursors of nodes."""
        values = map(attrgetter(self.attribute), nodes)
        return self.seal(list(map(cursor.body, values, map(_DATABASE_ID, nodes))))

    def edges(self, nodes: Sequence[T], cursors: Sequence[str] | None) -> list[Edge[T]]:
        """Nodes as items, with their cursors where somebody selected them. Bypasses the generated __init__, as `Source.build` does."""
        edges: list[Edge[T]] = []
        for node in nodes:
            edge: Edge[T] = object.__new__(Edge)
            edge.node = node
            edges.append(edge)
        if cursors is not None:
            for edge, place in zip(edges, cursors, strict=True):
                edge.cursor = place
        return edges
