"""Metrics: count, errors, tokens, cost and latency of a log, by time and by up to three dimensions, in one statement.

`measure` is generic over the log; buckets begin in the organization's time zone, sums are exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, Integer, Select, bindparam, func, literal_column, select

from api.context import Context
from api.enums import described
from api.errors import BadUserInputError, ForbiddenError
from api.filters import METRICS_RANGE, Column, TimeRange, Where, checked_range, present
from api.node import global_id
from api.scalars import BigInt, DateTime, Money
from db import mirror, models
from db.types import Role

MAX_DIMENSIONS: Final = 3
DEFAULT_ROWS: Final = 1_000
MAX_ROWS: Final = 10_000
PERCENTILES: Final = "ARRAY[0.5, 0.95, 0.99]::double precision[]"

O = models.table(models.Organization)  # noqa: E741 - tables are one letter here


@described(
    "How long the buckets of a measurement are, in the organization's time zone.",
    AUTO="Chosen by the range: hours up to 3 days, days up to 92, weeks up to half a year, then months.",
    HOUR="An hour.",
    DAY="From midnight to midnight.",
    WEEK="From Monday to Monday.",
    MONTH="From the first of a month to the next.",
)
class Granularity(Enum):
    AUTO = "AUTO"
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


_WIDEST: Final = (
    (timedelta(days=3), Granularity.HOUR),
    (timedelta(days=92), Granularity.DAY),
    (timedelta(days=183), Granularity.WEEK),
)


@described(
    "What calls to models can be grouped by.",
    MODEL="The model's name.",
    PROVIDER="Who runs the model.",
    TYPE="The kind of call.",
    STATUS="How the call went.",
    TIER="The person's plan at the time.",
    ERROR_CODE="The code of a failure.",
    USER="The person; the value is a global id.",
)
class MetricDimension(Enum):
    MODEL = "MODEL"
    PROVIDER = "PROVIDER"
    TYPE = "TYPE"
    STATUS = "STATUS"
    TIER = "TIER"
    ERROR_CODE = "ERROR_CODE"
    USER = "USER"


@strawberry.type(description="What a row is about, in one dimension.")
class MetricKey:
    dimension: str = strawberry.field(description="The dimension, as `groupBy` named it.")
    value: str | None = strawberry.field(description="Its value in this row; null where the log has none.")


@strawberry.type(description="The measures of one bucket and group.")
class MetricRow:
    bucket: DateTime | None = strawberry.field(description="When the bucket begins; null without a granularity.")
    keys: list[MetricKey] = strawberry.field(description="The group, in the order of `groupBy`.")
    count: BigInt = strawberry.field(description="How many entries there are.")
    errors: BigInt = strawberry.field(description="How many of them failed.")
    tokens: BigInt = strawberry.field(description="Their tokens.")
    cost: Money = strawberry.field(description="Their cost in US dollars, exact.")
    latency_p50_ms: float | None = strawberry.field(description="The median latency in milliseconds.")
    latency_p95_ms: float | None = strawberry.field(description="The 95th percentile of latency in milliseconds.")
    latency_p99_ms: float | None = strawberry.field(description="The 99th percentile of latency in milliseconds.")


@strawberry.type(description="A measurement: rows by bucket, the greatest groups first. Empty groups have no row.")
class MetricResult:
    rows: list[MetricRow] = strawberry.field(description="The rows.")
    truncated: bool = strawberry.field(description="Whether there are more rows than `limit`.")


RangeArgument = Annotated[TimeRange, strawberry.argument(description="Which entries, by creation: at most 400 days.")]
GranularityArgument = Annotated[
    Granularity | None, strawberry.argument(description="How long buckets are; one bucket for all if not given.")
]
LimitArgument = Annotated[
    int | None, strawberry.argument(description="At most so many rows, 1 to 10,000; 1,000 if not given.")
]


@dataclass(frozen=True, eq=False)
class Log:
    """A table to measure, with `created_at`, `tokens_used` and `cost_micro_usd`.

    `dimensions` has the column behind each name of its GroupBy enum; the values of USER are users' ids.
    """

    table: FromClause
    dimensions: Mapping[str, Column]
    is_error: ColumnElement[bool] | None = None
    latency_ms: Column | None = None


async def measure(
    context: Context,
    log: Log,
    given: TimeRange,
    group_by: Sequence[Enum] | None,
    granularity: Granularity | None,
    limit: int | None,
    where: Where | None = None,
) -> MetricResult:
    """The measures of a log in one statement. Raises ForbiddenError for who may not read it, and BadUserInputError."""
    if not mirror.allows(context.actor.role, mirror.name_of(log.table)):
        raise ForbiddenError
    start, end = checked_range(given, METRICS_RANGE)
    names = _dimensions(group_by)
    size = _limit(limit)
    unit = _unit(granularity, end - start)
    where = where or Where()
    where.since(log.table.c.created_at, "range", start)
    where.before(log.table.c.created_at, "range", end)
    await context.session.plan_for_values()
    rows = await context.session.fetch(
        ("metrics", log, names, unit, where.shape),
        lambda: _statement(log, names, unit, where, context.actor.role),
        **where.values,
        size=size + 1,
    )
    return MetricResult(rows=[_row(row, names) for row in rows[:size]], truncated=len(rows) > size)


def _dimensions(group_by: Sequence[Enum] | None) -> tuple[str, ...]:
    names = tuple(str(dimension.value) for dimension in group_by or ())
    if len(names) > MAX_DIMENSIONS or len(set(names)) < len(names):
        raise BadUserInputError(f"`groupBy` takes at most {MAX_DIMENSIONS} different dimensions.", argument="groupBy")
    return names


def _limit(limit: int | None) -> int:
    size = DEFAULT_ROWS if present(limit) is None else limit
    if size is None or not 1 <= size <= MAX_ROWS:
        raise BadUserInputError(f"`limit` must be between 1 and {MAX_ROWS}.", argument="limit")
    return size


def _unit(granularity: Granularity | None, width: timedelta) -> str | None:
    chosen = present(granularity)
    if chosen is Granularity.AUTO:
        chosen = next((each for widest, each in _WIDEST if width <= widest), Granularity.MONTH)
    return str(chosen.value).lower() if chosen else None


def _statement(log: Log, names: tuple[str, ...], unit: str | None, where: Where, role: Role) -> Select[Any]:
    """Entries with nothing but what is measured, then their groups: all of them are sorted, and a third of a row's width
    is a third of that. OFFSET keeps PostgreSQL from making one of the two.
    """
    table = log.table
    tests = (mirror.where(role, table), *(clause() for clause in where.clauses))
    measured = select(*_groups(log, names, unit, role), *_measured(log)).select_from(table).where(*tests)
    entry = measured.offset(literal_column("0")).subquery("entry")
    groups = [entry.c["bucket"]] if unit else []
    keys = [entry.c[f"key_{at}"] for at in range(len(names))]
    count = func.count().label("count")
    statement = select(*groups, *keys, count, *_measures(log, entry))
    return (
        statement.group_by(*groups, *keys)
        .order_by(*groups, count.desc(), *keys)
        .limit(bindparam("size", type_=Integer))
    )


def _groups(log: Log, names: tuple[str, ...], unit: str | None, role: Role) -> list[ColumnElement[Any]]:
    groups: list[ColumnElement[Any]] = []
    if unit:
        zone = select(O.c.timezone).where(mirror.where(role, O)).scalar_subquery()
        groups.append(func.date_trunc(literal_column(f"'{unit}'"), log.table.c.created_at, zone).label("bucket"))
    return groups + [log.dimensions[name].label(f"key_{at}") for at, name in enumerate(names)]


def _measured(log: Log) -> list[ColumnElement[Any]]:
    """What is added up of an entry."""
    found: list[ColumnElement[Any]] = [
        log.table.c.tokens_used.label("tokens"),
        log.table.c.cost_micro_usd.label("cost"),
    ]
    found += [log.is_error.label("is_error")] if log.is_error is not None else []
    found += [log.latency_ms.label("latency")] if log.latency_ms is not None else []
    return found


def _measures(log: Log, entry: FromClause) -> tuple[ColumnElement[Any], ...]:
    failed = literal_column("0") if log.is_error is None else func.count().filter(entry.c.is_error)
    latency: ColumnElement[Any] = literal_column("NULL::double precision[]")
    if log.latency_ms is not None:
        latency = func.percentile_cont(literal_column(PERCENTILES)).within_group(entry.c.latency)
    return (
        failed.label("errors"),
        func.coalesce(func.sum(entry.c.tokens), 0).label("tokens"),
        func.coalesce(func.sum(entry.c.cost), 0).label("cost"),
        latency.label("latency"),
    )


def _row(row: Mapping[str, Any], names: tuple[str, ...]) -> MetricRow:
    keys = [MetricKey(dimension=name, value=_value(name, row[f"key_{at}"])) for at, name in enumerate(names)]
    p50, p95, p99 = row["latency"] or (None, None, None)
    return MetricRow(
        bucket=row.get("bucket"),
        keys=keys,
        count=row["count"],
        errors=row["errors"],
        # sum(bigint) is numeric: exact beyond 64 bits, a Decimal here.
        tokens=BigInt(int(row["tokens"])),
        cost=Money(int(row["cost"])),
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        latency_p99_ms=p99,
    )


def _value(dimension: str, value: str | None) -> str | None:
    return global_id("User", value) if dimension == "USER" and value is not None else value
