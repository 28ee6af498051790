# mypy: disallow-untyped-decorators=False, disable-error-code="untyped-decorator"
"""Stock Strawberry's queries over SQLAlchemy's AsyncSession: what one gets without an engine of one's own."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import strawberry
from sqlalchemy import case, func, literal_column, or_, select, text

from db.actor import Actor
from db.session import PLAN_FOR_VALUES
from tests.bench import stock_tables as tables
from tests.bench import stock_types as types
from tests.bench.stock_types import BigInt, Connection, Conversation, Info, Insight, Money, Severity, ToolCall, edges_of


@strawberry.input
class InsightFilter:
    severity: list[Severity]


@strawberry.input
class TimeRange:
    from_: datetime = strawberry.field(name="from")
    to: datetime


@strawberry.type
class Count:
    value: int


@strawberry.type
class SeverityCount:
    severity: Severity
    count: int


@strawberry.type
class TypeCount:
    type: str
    count: int


@strawberry.type
class Facets:
    by_severity: list[SeverityCount]
    by_type: list[TypeCount]


@strawberry.type
class InsightConnection(Connection[Insight]):
    severities: strawberry.Private[list[str]]

    def _open(self, info: Info) -> tuple[Any, ...]:
        return _open(info.context.actor)

    @strawberry.field
    async def total_count(self, info: Info) -> Count:
        tests = (*self._open(info), tables.Insight.severity.in_(self.severities))
        return Count(value=(await info.context.all(select(func.count()).select_from(tables.Insight).where(*tests)))[0])

    @strawberry.field
    async def facets(self, info: Info) -> Facets:
        row, tests = tables.Insight, self._open(info)
        by_severity = await info.context.all(select(row.severity, func.count()).where(*tests).group_by(row.severity))
        tests = (*tests, row.severity.in_(self.severities))
        by_type = await info.context.all(
            select(row.insight_type, func.count()).where(*tests).group_by(row.insight_type)
        )
        return Facets(
            by_severity=[SeverityCount(severity=Severity(name), count=count) for name, count in by_severity],
            by_type=[TypeCount(type=name, count=count) for name, count in by_type],
        )


def _open(actor: Actor) -> tuple[Any, ...]:
    row = tables.Insight
    is_live = or_(row.expires_at.is_(None), row.expires_at > func.now())
    return row.organization_id == actor.organization_id, row.is_dismissed.is_(False), is_live


@strawberry.type
class Budget:
    metric: str
    window: str
    limit: BigInt | None
    used: BigInt
    reserved: BigInt


@strawberry.type
class Usage:
    budgets: list[Budget]


@strawberry.type
class Organization:
    id: strawberry.ID
    name: str
    timezone: str


@strawberry.type
class AiSettings:
    tier: str
    preferred_provider: str


@strawberry.type
class Viewer:
    @strawberry.field
    async def user(self, info: Info) -> types.User:
        found = await info.context.users.load(info.context.actor.user_id)
        return types.User(id=types.global_id("User", found.id), display_name=found.display_name)

    @strawberry.field
    def role(self, info: Info) -> str:
        return info.context.actor.role.value

    @strawberry.field
    async def organization(self, info: Info) -> Organization:
        row = tables.Organization
        [found] = await info.context.all(select(row).where(row.id == info.context.actor.organization_id))
        return Organization(id=types.global_id("Organization", found.id), name=found.name, timezone=found.timezone)

    @strawberry.field
    async def ai_settings(self, info: Info) -> AiSettings:
        row, actor = tables.Settings, info.context.actor
        found = await info.context.all(
            select(row).where(row.organization_id == actor.organization_id, row.user_id == actor.user_id)
        )
        if not found:
            return AiSettings(tier="FREE", preferred_provider="OPENAI")
        return AiSettings(tier=found[0].tier, preferred_provider=found[0].preferred_provider)

    @strawberry.field
    async def usage(self, info: Info) -> Usage:
        row, actor, organization = tables.Budget, info.context.actor, tables.Organization
        zero: Any = literal_column("0")
        is_past = row.window_start < func.app.window_start(row.budget_window, func.now(), organization.timezone)
        columns = (case((is_past, zero), else_=row.used), case((is_past, zero), else_=row.reserved))
        mine = (
            row.organization_id == actor.organization_id,
            row.subject_id.in_([actor.organization_id, actor.user_id]),
        )
        order = (row.subject_type.desc(), row.metric.desc(), row.budget_window)
        found = await info.context.all(
            select(row.metric, row.budget_window, row.limit_value, *columns)
            .join(organization, organization.id == row.organization_id).where(*mine).order_by(*order)
        )  # fmt: skip
        return Usage(budgets=[Budget(metric=a, window=b, limit=c, used=d, reserved=e) for a, b, c, d, e in found])


class MetricDimension(Enum):
    MODEL = "MODEL"


class Granularity(Enum):
    DAY = "day"


strawberry.enum(MetricDimension)
strawberry.enum(Granularity)


@strawberry.type
class MetricKey:
    value: str | None


@strawberry.type
class MetricRow:
    bucket: datetime
    keys: list[MetricKey]
    count: BigInt
    errors: BigInt
    tokens: BigInt
    cost: Money
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None


def _metric_row(
    at: datetime, model: str | None, count: int, errors: int, tokens: Any, cost: Any, latency: Any
) -> MetricRow:
    p50, p95, p99 = latency or (None, None, None)
    return MetricRow(
        bucket=at, keys=[MetricKey(value=model)], count=BigInt(count), errors=BigInt(errors), tokens=BigInt(int(tokens)),
        cost=Money(int(cost)), latency_p50_ms=p50, latency_p95_ms=p95, latency_p99_ms=p99,
    )  # fmt: skip


@strawberry.type
class MetricResult:
    rows: list[MetricRow]


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self) -> Viewer:
        return Viewer()

    @strawberry.field
    async def conversations(self, info: Info, first: int = 20) -> Connection[Conversation]:
        row, actor = tables.Conversation, info.context.actor
        mine = (row.organization_id == actor.organization_id, row.user_id == actor.user_id, row.deleted_at.is_(None))
        order = (row.updated_at.desc(), row.id.desc())
        rows = await info.context.all(select(row).where(*mine).order_by(*order).limit(first + 1))
        return Connection(**edges_of(list(rows), Conversation.of, "updated_at", first))

    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> Conversation | None:
        found = await info.context.by_id(tables.Conversation).load(types.database_id(id))
        return Conversation.of(found) if found else None

    @strawberry.field
    async def insights(self, info: Info, filter: InsightFilter, first: int = 20) -> InsightConnection:
        row, severities = tables.Insight, [each.value for each in filter.severity]
        tests = (*_open(info.context.actor), row.severity.in_(severities))
        order = (row.created_at.desc(), row.id.desc())
        rows = await info.context.all(select(row).where(*tests).order_by(*order).limit(first + 1))
        return InsightConnection(**edges_of(list(rows), Insight.of, "created_at", first), severities=severities)

    @strawberry.field
    async def tool_calls(self, info: Info, first: int = 20) -> Connection[ToolCall]:
        row, since = tables.ToolCall, datetime.now(UTC) - timedelta(days=92)
        tests = (row.timestamp >= since, row.created_at >= since - timedelta(days=1))
        order = (row.timestamp.desc(), row.id.desc())
        statement = select(row).where(row.organization_id == info.context.actor.organization_id, *tests)
        rows = await info.context.all(statement.order_by(*order).limit(first + 1))
        return Connection(**edges_of(list(rows), ToolCall.of, "timestamp", first))

    @strawberry.field
    async def ai_metrics(
        self,
        info: Info,
        range: TimeRange,
        group_by: list[MetricDimension],  # noqa: ARG002 - by model alone
        granularity: Granularity,  # noqa: ARG002 - by day alone
        limit: int,
    ) -> MetricResult:
        row, organization = tables.Interaction, tables.Organization
        actor = info.context.actor
        zone = select(organization.timezone).where(organization.id == actor.organization_id).scalar_subquery()
        bucket = func.date_trunc(literal_column("'day'"), row.created_at, zone).label("bucket")
        latency = func.percentile_cont(literal_column("ARRAY[0.5, 0.95, 0.99]::float8[]")).within_group(row.latency_ms)
        count = func.count().label("count")
        sums = (func.coalesce(func.sum(column), 0) for column in (row.tokens_used, row.cost_micro_usd))
        statement = (
            select(bucket, row.model_name, count, func.count().filter(row.status == "FAILED"), *sums, latency)
            .where(
                row.organization_id == actor.organization_id, row.created_at >= range.from_, row.created_at < range.to
            )
            .group_by(literal_column("1"), literal_column("2"))
            .order_by(literal_column("1"), count.desc(), literal_column("2"))
            .limit(limit)
        )
        async with info.context.lock:
            await info.context.session.execute(text(PLAN_FOR_VALUES))
        return MetricResult(rows=[_metric_row(*each) for each in await info.context.all(statement)])
