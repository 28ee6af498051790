"""Keyset pages: the statement of one page, and the lists at the root; `child_pages` has those under parents."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple

from asyncpg import Record
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
from api.execution.written import is_wanted
from api.filters import Where
from api.node import Along, Source
from api.selection import selected, selects
from api.written import writing_of

NODES: Final = ("edges", "node")
# Of a row that is written: the text, and where somebody wants to know it, the place.
JSON: Final = "json"
PLACE: Final = "place"
_PLACE_OF: Final = itemgetter(-1)
# Of the whole list: how many it has.
COUNT: Final = "count"


class Alongside(NamedTuple):
    """A value of the whole list that comes in each row of its written page, worked out once for all of them.

    It follows from its name and the page's filter, and has no binds but the filter's.
    """

    name: str
    value: Callable[[], ColumnElement[Any]]


class Pager(Generic[T]):
    """One page's statement: the listing, its order, the page and the filter, for one caller.

    `nodes` is where the answer has the nodes: what it asks for of them, and nothing else, is read; as one text of JSON
    where PostgreSQL can write that, unless told otherwise.
    """

    def __init__(
        self,
        info: Info,
        listing: Listing[T],
        order: Order,
        page: Page,
        where: Where,
        nodes: tuple[str, ...] = NODES,
        *,
        may_be_written: bool = True,
    ) -> None:
        context = self.context = info.context
        self._given = (info, listing, order, page, where, nodes)
        self.alongside: Alongside | None = None
        self.listing = listing
        self.order = order
        self.page = page
        self.where = where
        self.has_cursors = "cursor" in selected(info, *nodes[:-1])
        self.places = listing.places(context, order)
        self.along = _along(info, listing.source, nodes) if listing.source.joined else ()
        self.writing = writing_of(info, listing.source, self.along) if may_be_written and nodes is NODES else None
        self.columns: tuple[str, ...]
        if self.writing:
            self.has_places = self.has_cursors or selects(info, "pageInfo")
            self.columns = ("database_id", order.attribute)
            self._text_of = itemgetter(-2 if self.has_places else -1)
        else:
            self.has_places = True
            self.columns = listing.source.columns_for(selected(info, *nodes), order.attribute)
            self.along = tuple(each for each in self.along if not listing.source.joined[each[0]].is_shared)
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
            self.writing and (self.writing.shape, self.has_places),
        )  # fmt: skip
        self.count_shape = (listing, where.shape)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pages that one statement can serve, and that are built alike."""
        writing = self.writing
        edges = writing and (writing.frame, writing.is_cursor_first)
        return (*self.shape, self.page, self.where.key, self.has_cursors, edges)

    def select(self, *tests: ColumnElement[bool], with_keys: bool = False) -> Select[Any]:
        """The rows of the page and one more, in the direction of reading.

        `with_keys` for a statement that orders them once more.
        """
        source, order, role = self.listing.source, self.order, self.context.actor.role
        if self.writing is None:
            statement = source.select(role, columns=self.columns, along=self.along)
        else:
            written: list[ColumnElement[Any]] = [self.writing.text.label(JSON)]
            if self.alongside:
                written.insert(0, self.alongside.value().label(self.alongside.name))
            if self.has_places:
                written.append(cursor.place(order.kind, order.column, source.id_column).label(PLACE))
            joins = tuple((attribute, ()) for attribute, _ in self.along)
            statement = source.select(role, *written, columns=self.columns if with_keys else (), along=joins)
        statement = statement.where(*tests, *(clause() for clause in self.where.clauses))
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

    def plain(self) -> "Pager[T]":
        """The same page, read column by column."""
        return Pager(*self._given, may_be_written=False)

    def read(self, rows: Sequence[Record]) -> Sequence[Any] | None:
        """The nodes of the statement's rows, or the rows themselves where they are written.

        None where a row has a value that PostgreSQL cannot write: the page is then `plain`.
        """
        if self.writing is None:
            return self.listing.source.build_all(rows)
        return None if None in map(self._text_of, rows) else rows

    def connection(self, read: list[Any], kind: type[C], counter: Callable[[], Awaitable[Count]]) -> C:
        """The page made of what was read."""
        page = self.page
        has_more = len(read) > page.size
        if has_more:
            read.pop()
        if page.is_backward:
            read.reverse()
        cursors = self._cursors(read) if self.has_cursors else None
        if self.writing is None:
            edges: Any = self.places.edges(read, cursors)
        else:
            edges = self.writing.edges(list(map(self._text_of, read)), cursors or ())
        info = PageInfo(
            has_next_page=page.before is not None if page.is_backward else has_more,
            has_previous_page=has_more if page.is_backward else page.after is not None,
            cursor_at=partial(self._cursor_at, read, cursors),
        )
        return kind(edges=edges, page_info=info, counter=counter)

    def _cursors(self, read: Sequence[Any]) -> list[str]:
        return self.places.cursors(read) if self.writing is None else self.places.seal(list(map(_PLACE_OF, read)))

    def _cursor_at(self, read: Sequence[Any], cursors: list[str] | None, at: int) -> str | None:
        if not read:
            return None
        return cursors[at] if cursors else self._cursors([read[at]])[0]

    def total(self) -> Select[Any]:
        """SELECT of how many rows the whole list has, at most COUNT_LIMIT + 1."""
        return select(func.count()).select_from(self.counted().subquery())

    def counted(self, *tests: ColumnElement[bool]) -> Select[Any]:
        """SELECT of these rows."""
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
    info: Info,
    kind: type[C],
    listing: Listing[Any],
    page: Page,
    where: Where,
    order: Order | None = None,
    *,
    alongside: Alongside | None = None,
) -> C:
    """The connection of a root field: one statement, and one more for a count that is selected and did not come along.

    What comes `alongside` a written page, and gives the count as well, is kept in the connection's `alongside`.
    """
    context = info.context
    readable(context, listing.source)
    pager = Pager(info, listing, order or listing.order, page, where)
    found: Sequence[Any] | None = ()
    came: Any = None
    if selects(info, "edges", "pageInfo"):
        if pager.writing:
            is_counted = alongside is None and is_wanted(info, "totalCount")
            total = Alongside(COUNT, lambda: pager.total().scalar_subquery())
            pager.alongside = total if is_counted else alongside
        rows = await _fetched(pager)
        found = pager.read(rows)
        if found is None:
            pager = pager.plain()
            found = pager.read(await _fetched(pager))
        elif pager.alongside and rows:
            came = rows[0][0]

    async def count() -> Count:
        rows = await context.session.fetch(("count", *pager.count_shape), pager.total, **where.values)
        return count_of(rows[0][0])

    made = pager.connection(list(found or ()), kind, count)
    if alongside:
        made.alongside = came
    elif came is not None:
        made.resolved["total_count"] = count_of(came)
    return made


async def _fetched(pager: Pager[Any]) -> list[Record]:
    alongside = pager.alongside and pager.alongside.name
    return await pager.context.session.fetch(("page", alongside, *pager.shape), pager.select, **pager.values)
