"""Loaders of single nodes: all ids of a level in one statement, put back in order, None for what is not visible."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final, TypeVar

import strawberry
from sqlalchemy import ColumnElement, Select, Uuid, any_, bindparam, cast, select
from sqlalchemy.dialects.postgresql import ARRAY

from api.context import Context, Info
from api.execution import batched
from api.loader import Batch, Loader
from api.node import Node, Source
from api.selection import taking

T = TypeVar("T", bound=Node)

ID_SLACK: Final = timedelta(hours=24)
_V7: Final = "7"
_RFC_9562: Final = frozenset("89ab")


def to_one(
    source: Callable[[], Source[Any]],
    attribute: str,
    *,
    by: str | None = None,
    joined: str | None = None,
    description: str,
) -> Any:
    """The field of the node that a parent's `attribute` names: by its id, or by the uuid in its column `by`.

    A page that has read it along put it in the parents' attribute `joined`. Give it the type that it has to have: a null
    where that allows none would be a broken policy, and fails.
    """
    key = attrgetter(attribute)

    @batched
    async def resolve(parents: list[Any], info: Info) -> list[Any]:
        if joined and joined in vars(parents[0]):  # a page's nodes have it all, or none of them
            return [vars(each)[joined] for each in parents]
        found = source()
        column = found.table.c[by] if by else found.id_column
        return await by_keys(info.context, found, column, [key(each) for each in parents])

    return strawberry.field(resolver=taking(resolve, attribute), description=description)


async def by_id(context: Context, source: Source[T], database_id: str | None) -> T | None:
    """The node of this id, batched; None when it is absent, not visible, or the role may not read its table."""
    return (await by_ids(context, source, (database_id,)))[0]


async def by_ids(context: Context, source: Source[T], ids: Sequence[str | None]) -> list[T | None]:
    """`by_id` for many, in their order."""
    return await by_keys(context, source, source.id_column, ids)


async def by_keys(
    context: Context, source: Source[T], column: ColumnElement[Any], keys: Sequence[str | None]
) -> list[T | None]:
    """The nodes whose uuid `column` has these values; the one with the greatest id where several have it.

    The months to look in follow from the value's own time, so in a partitioned table the column must hold an id of
    about the row's age.
    """
    wanted = [key for key in keys if key is not None]
    if not wanted or not source.is_readable(context.actor.role):
        return [None] * len(keys)
    found = await _loader(context, source, column).load_all(wanted)
    if len(wanted) == len(keys):
        return found
    nodes = iter(found)
    return [None if key is None else next(nodes) for key in keys]


def put(context: Context, source: Source[T], node: T) -> None:
    """Keep a whole node that was read along with others, for whoever asks for it by its id."""
    _loader(context, source, source.id_column).put(node.database_id, node)


def uuids(name: str) -> ColumnElement[Any]:
    """A list of uuids that is bound under this name, and whose length PostgreSQL does not see when it plans.

    Seeing that it is short, it takes the plan for these values for so much cheaper that it plans anew each time.
    """
    kind = ARRAY(Uuid(as_uuid=False))
    return cast(select(bindparam(name, type_=kind)).scalar_subquery(), kind)


def _loader(context: Context, source: Source[Any], column: ColumnElement[Any]) -> Loader:
    return context.loader(("by_key", source, column.key), lambda: _by_key(context, source, column))


def _by_key(context: Context, source: Source[T], column: ColumnElement[Any]) -> Batch:
    async def load(keys: list[str]) -> list[Any]:
        bounds = created_bounds(keys) if source.is_partitioned else None
        is_one = len(keys) == 1
        values: dict[str, Any] = {"key": keys[0]} if is_one else {"keys": keys}
        if bounds:
            values |= {"created_from": bounds[0], "created_to": bounds[1]}

        def build() -> Select[Any]:
            # One key alone is nearly always what is asked for, and its plan is sure to look it up by it.
            wanted = column == (bindparam("key", type_=column.type) if is_one else any_(uuids("keys")))
            statement = source.select(context.actor.role, column.label("wanted_key")).where(wanted)
            if bounds:
                statement = statement.where(*created_within(source.table.c.created_at))
            return statement if column is source.id_column else statement.order_by(source.id_column)

        rows = await context.session.fetch(("by_key", source, column.key, bounds is not None, is_one), build, **values)
        # No attribute has the name of this column: CacheEntry has `key`.
        found = {row["wanted_key"]: node for row, node in zip(rows, source.build_all(rows), strict=True)}
        return [found.get(key) for key in keys]

    return load


def created_within(column: ColumnElement[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The bounds that let PostgreSQL skip the months in which the ids cannot be."""
    return (
        column >= bindparam("created_from", type_=column.type),
        column < bindparam("created_to", type_=column.type),
    )


def created_bounds(ids: Sequence[str]) -> tuple[datetime, datetime] | None:
    """The span of `created_at` that these ids allow (a CHECK keeps it); None unless all are of version 7."""
    if not ids or not all(each[14] == _V7 and each[19] in _RFC_9562 for each in ids):
        return None
    try:  # such ids begin with their time: the order of their texts is its order
        return _time_of(min(ids)) - ID_SLACK, _time_of(max(ids)) + ID_SLACK
    except (ValueError, OverflowError, OSError):
        return None


def _time_of(database_id: str) -> datetime:
    return datetime.fromtimestamp(int(database_id[:8] + database_id[9:13], 16) / 1_000, tz=UTC)
