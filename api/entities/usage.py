"""Usage: the log of what each request cost, its sums, and who is most active. For admins and auditors."""

from enum import Enum
from typing import Annotated, Any

import strawberry

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import interaction, metrics
from api.entities import user as users
from api.entities.references import AiInteraction, User
from api.enums import described
from api.errors import ForbiddenError
from api.filters import LIST_RANGE, METRICS_RANGE, TimeRange, Where, checked_range, limited, present
from api.loaders import to_one
from api.node import Node, Source
from api.paging import root_page
from api.permissions import reads
from api.scalars import BigInt, DateTime, Money
from db import mirror, models
from db.types import Provider, Tier

T = models.table(models.UsageLog)
ACTIVITY = "usage_activity"


@described(
    "What usage can be grouped by.",
    TIER="The person's plan at the time.",
    PROVIDER="Who ran the model.",
    MODEL="The model's name.",
    USER="The person; the value is a global id.",
)
class UsageDimension(Enum):
    TIER = "TIER"
    PROVIDER = "PROVIDER"
    MODEL = "MODEL"
    USER = "USER"


@strawberry.type(description="What one request cost.")
class UsageLog(Node):
    tier: Tier = strawberry.field(description="The person's plan at that time.")
    provider: Provider = strawberry.field(description="Who ran the model.")
    model: str | None = strawberry.field(description="The model.")
    tokens_used: BigInt | None = strawberry.field(description="Tokens, in and out.")
    cost: Money | None = strawberry.field(description="The cost, in US dollars.")
    created_at: DateTime = strawberry.field(description="When it was logged.")
    database_id: strawberry.Private[str]
    user_id: strawberry.Private[str | None]
    interaction_id: strawberry.Private[str | None]

    user: User | None = to_one(lambda: users.SOURCE, "user_id", description="Whose request it was.")

    interaction: AiInteraction | None = to_one(
        lambda: interaction.SOURCE, "interaction_id", description="The call to the model."
    )


@strawberry.input(description="Narrows usage logs. Every part that is given must hold.")
class UsageLogFilter:
    range: TimeRange = strawberry.field(description="When it was logged; at most 92 days.")
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of this person.")
    tier: list[Tier] | None = strawberry.field(default=strawberry.UNSET, description="Under one of these plans.")
    provider: list[Provider] | None = strawberry.field(
        default=strawberry.UNSET, description="Run by one of these providers."
    )

    def where(self) -> Where:
        """The clauses of this filter. Raises BadUserInputError for a range that is inverted or too wide."""
        where = Where()
        start, end = checked_range(self.range, LIST_RANGE)
        where.since(T.c.created_at, "range", start)
        where.before(T.c.created_at, "range", end)
        where.identified(T.c.user_id, "userId", present(self.user_id), "User")
        where.one_of(T.c.tier, "tier", present(self.tier))
        where.one_of(T.c.provider, "provider", present(self.provider))
        return where


@strawberry.type(description="How much a person did.")
class UsageActivity:
    conversations: BigInt = strawberry.field(description="Conversations begun, deleted ones included.")
    messages: BigInt = strawberry.field(description="Messages in them.")
    requests: BigInt = strawberry.field(description="Requests to models.")
    tokens: BigInt = strawberry.field(description="Tokens of these requests.")
    cost: Money = strawberry.field(description="Cost of these requests, in US dollars.")
    user_id: strawberry.Private[str]

    user: User = to_one(lambda: users.SOURCE, "user_id", description="The person.")


@strawberry.type
class UsageQuery:
    @strawberry.field(description="What each request cost, latest first.")
    async def usage_logs(
        self,
        info: Info,
        filter: Annotated[UsageLogFilter, strawberry.argument(description="Which logs.")],
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> Connection[UsageLog] | None:
        page = Page.of(first, after, last, before)
        return await root_page(info, Connection, LISTING, page, filter.where())

    @strawberry.field(description="Sums of the usage log, by time and by group.", metadata=reads(lambda: (T,)))
    async def usage_metrics(
        self,
        info: Info,
        range: metrics.RangeArgument,
        group_by: Annotated[
            list[UsageDimension] | None, strawberry.argument(description="Up to three different dimensions.")
        ] = strawberry.UNSET,
        granularity: metrics.GranularityArgument = strawberry.UNSET,
        limit: metrics.LimitArgument = strawberry.UNSET,
    ) -> metrics.MetricResult | None:
        return await metrics.measure(info.context, LOG, range, present(group_by), granularity, limit)

    @strawberry.field(
        description="Who was most active: by conversations, then by id.", metadata=reads(lambda: (ACTIVITY,))
    )
    async def usage_activity(
        self,
        info: Info,
        range: Annotated[
            TimeRange | None, strawberry.argument(description="When; all time if not given.")
        ] = strawberry.UNSET,
        limit: Annotated[
            int | None, strawberry.argument(description="How many people, 1 to 1,000; 100 if not given.")
        ] = strawberry.UNSET,
    ) -> list[UsageActivity] | None:
        if not mirror.may_call(info.context.actor.role, ACTIVITY):
            raise ForbiddenError
        start, end = checked_range(range, METRICS_RANGE) if range else (None, None)
        await info.context.session.plan_for_values()
        rows = await info.context.session.fetch_text(
            "SELECT user_id, conversations, messages, requests, tokens, cost_micro_usd FROM app.usage_activity($1, $2, $3)",
            start,
            end,
            limited(limit, default=100, most=1_000),
        )
        return [_activity(row) for row in rows]


def _activity(row: Any) -> UsageActivity:
    return UsageActivity(
        user_id=row["user_id"],
        conversations=row["conversations"],
        messages=row["messages"],
        requests=row["requests"],
        tokens=row["tokens"],
        cost=row["cost_micro_usd"],
    )


SOURCE = Source(
    UsageLog,
    T,
    {
        "tier": T.c.tier,
        "provider": T.c.provider,
        "model": T.c.model,
        "tokens_used": T.c.tokens_used,
        "cost": T.c.cost_micro_usd,
        "created_at": T.c.created_at,
        "database_id": T.c.id,
        "user_id": T.c.user_id,
        "interaction_id": T.c.interaction_id,
    },
    is_partitioned=True,
)
LOG = metrics.Log(T, {"TIER": T.c.tier, "PROVIDER": T.c.provider, "MODEL": T.c.model, "USER": T.c.user_id})
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
