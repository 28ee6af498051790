"""Keyset pages: the statement of one page, and the lists at the root; `child_pages` has those under parents."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Generic

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
)

from api import cursor
from api.connection import (
    COUNT_LIMIT,
    C,
    Count,
    Listing,
    Order,
    Page,
    PageInfo,
    T,
    count_of,
)
from api.context import Context, Info
from api.errors import ForbiddenError
from api.filters import Where
from api.node import Along, Source
from api.selection import selected, selects

NODES: Final = ("edges", "node")


class Pager(Generic[T]):
    """One page's statement: the listing, its order, the page and the filter, for one caller.

    `nodes` is where the answer has the nodes: what it asks for of them, and nothing else, is read.
    """

    def __init__(
        self, info: Info, listing: Listing[T], order: Order, page: Page, where: Where, nodes: tuple[str, ...] = NODES
    ) -> None:
        context = self.context = info.context
        self.listing = listing
        self.order = order
        self.page = page
        self.where = where
        self.has_cursors = "cursor" in selected(info, *nodes[:-1])
        self.places = listing.places(context, order)
        self.columns = listing.source.columns_for(selected(info, *nodes), order.attribute)
        self.along = _along(info, listing.source, nodes) if listing.source.joined else ()
        self.values: dict[str, Any] = {**where.values, "size": page.size + 1}
        for name in ("after", "before"):
            given = getattr(page, name)
            if given is not None:
                value, database_id = cursor.decode(
                    given, listing.tag(order), order.kind, context.actor.organization_id, name
                )
                self.values |= {f"{name}_value": value, f"{name}_id": database_id}
        self.shape = (
            listing, order.tag, page.is_backward, page.after is not None, page.before is not None, where.shape, self.columns, self.along,
        )  # fmt: skip

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pages that one statement can serve, and that are built alike."""
        return (*self.shape, self.page, self.where.key, self.has_cursors)

    def select(self, *tests: ColumnElement[bool]) -> Select[Any]:
        """The rows of the page and one more, in the direction of reading."""
        source, order = self.listing.source, self.order
        statement = source.select(self.context.actor.role, columns=self.columns, along=self.along).where(
            *tests, *(clause() for clause in self.where.clauses)
        )
        for name in ("after", "before"):
            if getattr(self.page, name) is not None:
                statement = statement.where(*self._beyond(name))
        is_descending = order.is_descending != self.page.is_backward
        keys = [order.column, source.id_column]
        return statement.order_by(*(key.desc() if is_descending else key for key in keys)).limit(
            bindparam("size", type_=Integer)
        )

    def _beyond(self, name: str) -> tuple[ColumnElement[bool], ...]:
        order, id_column = self.order, self.listing.source.id_column
        # A cursor's whole number may be larger than a small column can hold: no error then, but no such row.
        value = bindparam(f"{name}_value", type_=BigInteger() if order.kind is int else order.column.type)
        here = tuple_(order.column, id_column)
        there = tuple_(value, bindparam(f"{name}_id", type_=id_column.type))
        is_less = order.is_descending == (name == "after")
        # The plain comparison beside the row comparison is what prunes partitions.
        prune = order.column <= value if is_less else order.column >= value
        bounds = self.listing.bounds(order, f"{name}_value", is_less) if self.listing.bounds else ()
        return (prune, here < there if is_less else here > there, *bounds)

    def connection(self, nodes: list[T], kind: type[C], counter: Callable[[], Awaitable[Count]]) -> C:
        """The page made of the nodes of the statement's rows."""
        page = self.page
        has_more = len(nodes) > page.size
        if has_more:
            nodes.pop()
        if page.is_backward:
            nodes.reverse()
        places = self.places
        info = PageInfo(
            has_next_page=page.before is not None if page.is_backward else has_more,
            has_previous_page=has_more if page.is_backward else page.after is not None,
            cursor_at=partial(places.cursor_at, nodes),
        )
        return kind(edges=places.edges(nodes, with_cursors=self.has_cursors), page_info=info, counter=counter)

    def counted(self, *tests: ColumnElement[bool]) -> Select[Any]:
        """SELECT of at most COUNT_LIMIT + 1 rows of the whole list."""
        statement = self.listing.source.narrow(select(literal_column("1")), self.context.actor.role)
        clauses = (clause() for clause in self.where.clauses)
        return statement.where(*tests, *clauses).limit(literal_column(str(COUNT_LIMIT + 1)))


def _along(info: Info, source: Source[Any], nodes: tuple[str, ...]) -> Along:
    """What the answer asks for of nodes that can be read in the same statement, where the role may read them."""
    fields, role = selected(info, *nodes), info.context.actor.role
    others = ((attribute, each.field, each.source()) for attribute, each in source.joined.items())
    return tuple(
        (attribute, other.columns_for(selected(info, *nodes, name)))
        for attribute, name, other in others
        if name in fields and other.is_readable(role)
    )


def readable(context: Context, source: Source[Any]) -> None:
    """Raises ForbiddenError for a root field over a table that the role may not read at all."""
    if not source.is_readable(context.actor.role):
        raise ForbiddenError


async def root_page(
    info: Info, kind: type[C], listing: Listing[Any], page: Page, where: Where, order: Order | None = None
) -> C:
    """The connection of a root field: one statement, and one more for a count that is selected."""
    context = info.context
    readable(context, listing.source)
    pager = Pager(info, listing, order or listing.order, page, where)

    async def count() -> Count:
        rows = await context.session.fetch(
            ("count", *pager.shape),
            lambda: select(func.count()).select_from(pager.counted().subquery()),
            **where.values,
        )
        return count_of(rows[0][0])

    rows: Sequence[Any] = ()
    if selects(info, "edges", "pageInfo"):
        rows = await context.session.fetch(("page", *pager.shape), pager.select, **pager.values)
    return pager.connection(listing.source.build_all(rows), kind, count)
