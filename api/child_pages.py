"""Keyset pages under many parents at once: one statement a level.

The parents' page is a LATERAL join on their ids, so n parents cost one statement that stops after `first` rows each.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import strawberry
from asyncpg import Record
from graphql import is_non_null_type
from sqlalchemy import ColumnElement, Select, Uuid, bindparam, column, func, select, true

from api.connection import After, Before, C, Connection, Count, First, Last, Listing, Order, Page, count_of
from api.context import Info
from api.errors import ForbiddenError
from api.execution import batched
from api.filters import Where
from api.loader import Loader
from api.loaders import created_bounds, uuids
from api.node import Node
from api.paging import JSON, NODES, PLACE, Pager
from api.selection import selects

F = TypeVar("F", bound=Callable[..., Any])


class Below(NamedTuple):
    """A list under a node: the rows whose column `by` has the node's id, which page of them, and which of them alone."""

    listing: Listing[Any]
    by: ColumnElement[Any]
    page: Page
    where: Where


def lists(below: Callable[..., Below]) -> Callable[[F], F]:
    """Say which list a batched resolver gives, from its arguments: as a plain connection, in the list's own order."""

    def declare(resolver: F) -> F:
        resolver.below = below  # type: ignore[attr-defined]
        return resolver

    return declare


async def child_pages(
    info: Info,
    kind: type[C],
    listing: Listing[Any],
    by: ColumnElement[Any],
    parents: Sequence[Node],
    page: Page,
    where: Where | None = None,
    order: Order | None = None,
    *,
    nodes: tuple[str, ...] = NODES,
) -> list[Any]:
    """The connection under each of the parents, in one statement; None when the role may not read the list at all.

    Raises ForbiddenError where the field must not be null. `nodes` is where the answer has the nodes.
    """
    context = info.context
    if not listing.source.is_readable(context.actor.role):
        if is_non_null_type(info._raw_info.return_type):
            raise ForbiddenError
        return [None] * len(parents)
    pager = Pager(info, listing, order or listing.order, page, where or Where(), nodes)
    is_paged = nodes is not NODES or selects(info, "edges", "pageInfo")
    loader = context.loader(("children", by.key, is_paged, *pager.key), lambda: _children(pager, kind, by, is_paged))
    return await loader.load_all([parent.database_id for parent in parents])


def to_many(listing: Callable[[], Listing[Any]], by: str, *, description: str) -> Any:
    """The field of a list under each parent: the rows whose column `by` has the parent's id."""

    @lists(lambda **given: Below(listing(), listing().source.table.c[by], Page.of(**given), Where()))
    @batched
    async def resolve(
        parents: list[Any],
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> list[Any]:
        page, found = Page.of(first, after, last, before), listing()
        return await child_pages(info, Connection, found, found.source.table.c[by], parents, page)

    return strawberry.field(resolver=resolve, description=description)


def _children(
    pager: Pager[Any],
    kind: type[C],
    by: ColumnElement[Any],
    is_paged: bool,  # noqa: FBT001 - private
) -> Callable[[list[str]], Awaitable[list[C]]]:
    counts = counts_of(pager, by)

    async def load(parents: list[str]) -> list[C]:
        groups: dict[int, list[Any]] = defaultdict(list)
        paged = pager
        if is_paged:
            rows = await _rows(pager, by, parents)
            read = pager.read(rows)
            if read is None:
                paged = pager.plain()
                rows = await _rows(paged, by, parents)
                read = paged.read(rows)
            for row, each in zip(rows, read or (), strict=True):
                groups[row[0]].append(each)
        return [
            paged.connection(groups[at], kind, lambda parent=parent: counts.load(parent))  # type: ignore[misc]
            for at, parent in enumerate(parents, start=1)
        ]

    return load


def counts_of(pager: Pager[Any], by: ColumnElement[Any]) -> Loader:
    """The loader of whole lists' counts, by parent."""
    return pager.context.loader(("counts", by.key, *pager.count_shape, pager.where.key), lambda: _counts(pager, by))


async def _rows(pager: Pager[Any], by: ColumnElement[Any], parents: list[str]) -> list[Record]:
    # What hangs on a row is not older than the row: its id says which months need not be looked into.
    bounds = created_bounds(parents) if pager.listing.source.is_partitioned else None
    values = pager.values | ({"parents_from": bounds[0]} if bounds else {})
    return await pager.context.session.fetch(
        ("children", bounds is None, by.key, *pager.shape),
        lambda: _lateral(pager, by, is_bounded=bool(bounds)),
        **values,
        parents=parents,
    )


def _parents() -> Any:
    keys = func.unnest(uuids("parents"))
    return keys.table_valued(column("id", Uuid(as_uuid=False)), with_ordinality="at").render_derived(name="parent")


def within(pager: Pager[Any], test: ColumnElement[bool], *, is_bounded: bool) -> list[ColumnElement[bool]]:
    """What rows under a parent are: those of the test, and none that is older than `parents_from`."""
    created_at = pager.listing.source.table.c.created_at
    return [test, created_at >= bindparam("parents_from", type_=created_at.type)] if is_bounded else [test]


def _lateral(pager: Pager[Any], by: ColumnElement[Any], *, is_bounded: bool) -> Select[Any]:
    parent = _parents()
    page = pager.select(*within(pager, by == parent.c.id, is_bounded=is_bounded), with_keys=True).lateral("page")
    is_descending = pager.order.is_descending != pager.page.is_backward
    keys = [page.c[pager.order.attribute], page.c["database_id"]]
    order = (key.desc() if is_descending else key for key in keys)
    columns = page.c if pager.writing is None else [page.c[name] for name in (JSON, PLACE) if name in page.c]
    return (
        select(parent.c["at"].label("parent_at"), *columns)
        .select_from(parent.join(page, true()))
        .order_by(parent.c["at"], *order)
    )


def _counts(pager: Pager[Any], by: ColumnElement[Any]) -> Callable[[list[str]], Awaitable[list[Count]]]:
    def build() -> Select[Any]:
        parent = _parents()
        counted = pager.counted(by == parent.c.id).correlate(parent).subquery()
        total = select(func.count().label("value")).select_from(counted).lateral("total")
        return select(parent.c["at"], total.c.value).select_from(parent.join(total, true())).order_by(parent.c["at"])

    async def load(parents: list[str]) -> list[Count]:
        rows = await pager.context.session.fetch(
            ("counts", by.key, *pager.count_shape), build, **pager.where.values, parents=parents
        )
        return [count_of(row[1]) for row in rows]

    return load
