"""Loaders of single nodes: all ids of a level in one statement, put back in order, None for what is not visible."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast

from sqlalchemy import ColumnElement, Select, Uuid, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY

from api.context import Batch, Context
from api.node import Node, Source

T = TypeVar("T", bound=Node)

ID_SLACK: Final = timedelta(hours=24)
_V7: Final = 7


async def by_id(context: Context, source: Source[T], database_id: str | None) -> T | None:
    """The node of this id, batched; None when it is absent, not visible, or the role may not read its table."""
    return await by_key(context, source, source.id_column, database_id)


async def shared_by_id(context: Context, source: Source[T], database_id: str) -> T:
    """`by_id` for what everybody who sees the referring row may see: a null there would be a broken policy."""
    found = await by_id(context, source, database_id)
    if found is None:
        raise LookupError(f"a row refers to a {source.name} that its reader may not see")
    return found


async def by_key(context: Context, source: Source[T], column: ColumnElement[Any], value: str | None) -> T | None:
    """The node whose uuid `column` has this value, batched; the one with the greatest id where several have it.

    The months to look in follow from the value's own time, so in a partitioned table the column must hold an id of
    about the row's age.
    """
    if value is None or not source.is_readable(context.actor.role):
        return None
    loader = context.loader(("by_key", source, column.key), lambda: _by_key(context, source, column))
    return cast("T | None", await loader.load(value))


def _by_key(context: Context, source: Source[T], column: ColumnElement[Any]) -> Batch:
    async def load(keys: list[str]) -> list[T | None]:
        bounds = created_bounds(keys) if source.is_partitioned else None
        values: dict[str, Any] = {"keys": keys}
        if bounds:
            values |= {"created_from": bounds[0], "created_to": bounds[1]}

        def build() -> Select[Any]:
            wanted = column == any_(bindparam("keys", type_=ARRAY(Uuid(as_uuid=False))))
            statement = source.select(context.actor.role, column.label("wanted_key")).where(wanted)
            if bounds:
                statement = statement.where(*created_within(source.table.c.created_at))
            return statement if column is source.id_column else statement.order_by(source.id_column)

        rows = await context.session.fetch(("by_key", source, column.key, bounds is not None), build, **values)
        found = {row["wanted_key"]: row for row in rows}  # no attribute has this name, CacheEntry has `key`
        return [source.build(found[key]) if key in found else None for key in keys]

    return load


def created_within(column: ColumnElement[Any]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The bounds that let PostgreSQL skip the months in which the ids cannot be."""
    return (
        column >= bindparam("created_from", type_=column.type),
        column < bindparam("created_to", type_=column.type),
    )


def created_bounds(ids: Sequence[str]) -> tuple[datetime, datetime] | None:
    """The span of `created_at` that these ids allow (a CHECK keeps it); None unless all are of version 7."""
    times = [_time_of(database_id) for database_id in ids]
    known = [time for time in times if time is not None]
    if not known or len(known) < len(times):
        return None
    return min(known) - ID_SLACK, max(known) + ID_SLACK


def _time_of(database_id: str) -> datetime | None:
    value = uuid.UUID(database_id)
    if value.version != _V7:
        return None
    try:
        return datetime.fromtimestamp((value.int >> 80) / 1_000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
