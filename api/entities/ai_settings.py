"""AI settings: a person's plan, preferred provider and keys. They exist, with defaults, before a row does.

So they are read from the people outwards: every user that the viewer's scope covers has settings.
"""

from typing import Annotated, Any

import strawberry
from sqlalchemy import ColumnElement, FromClause, Select, and_, any_, bindparam, func, literal, select, true

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Context, Info
from api.entities import budget
from api.entities import user as users
from api.entities.references import User
from api.filters import Where, present
from api.loader import Batch
from api.loaders import by_id, to_one, uuids
from api.node import Node, Source
from api.paging import root_page
from api.permissions import reads
from api.scalars import BigInt, Date, DateTime
from db import mirror, models
from db.types import BudgetWindow, Provider, Role, Tier

T = models.table(models.AiSettings)
U = models.table(models.User)
K = models.table(models.ProviderKey)

TIER = func.coalesce(T.c.tier, literal(Tier.FREE.value))
PROVIDER = func.coalesce(T.c.preferred_provider, literal(Provider.OPENAI.value))


@strawberry.type(description="A key of the person's own at a provider. The key itself is never shown.")
class ProviderKey:
    provider: Provider = strawberry.field(description="Whose key it is.")
    hint: str = strawberry.field(description="Its last four characters.")
    set_at: DateTime = strawberry.field(description="When it was set.")
    key_version: int = strawberry.field(description="1 for the first, one more each time it is replaced.")
    needs_reentry: bool = strawberry.field(description="Whether it can no longer be used and must be set again.")


@strawberry.type(description="A person's AI settings. They have an id, and defaults, before anything was set.")
class AiSettings(Node):
    tier: Tier = strawberry.field(description="The plan.")
    preferred_provider: Provider = strawberry.field(description="The provider to ask first.")
    created_at: DateTime | None = strawberry.field(description="When something was first set.")
    updated_at: DateTime | None = strawberry.field(description="When something was last set.")
    database_id: strawberry.Private[str]

    user: User | None = to_one(lambda: users.SOURCE, "database_id", description="Whose settings they are.")

    @strawberry.field(
        description="The person's own keys; null where the viewer may not know of them.", metadata=reads(lambda: (K,))
    )
    async def keys(self, info: Info) -> list[ProviderKey] | None:
        context = info.context
        row = {"organization_id": context.actor.organization_id, "user_id": self.database_id}
        if not mirror.can(context.actor, K.name, "select", row):
            return None
        loader = context.loader("provider_keys", lambda: _keys(context))
        return await loader.load(self.database_id)  # type: ignore[no-any-return]

    @strawberry.field(description="Requests of the current day.")
    async def daily_usage(self, info: Info) -> BigInt:
        return (await budget.requests_of(info.context, self.database_id, BudgetWindow.DAY))[0]

    @strawberry.field(description="Requests of the current month.")
    async def monthly_usage(self, info: Info) -> BigInt:
        return (await budget.requests_of(info.context, self.database_id, BudgetWindow.MONTH))[0]

    @strawberry.field(description="The day that daily usage counts, in the organization's time zone.")
    async def last_reset_date(self, info: Info) -> Date:
        return (await budget.requests_of(info.context, self.database_id, BudgetWindow.DAY))[1]


def _keys(context: Context) -> Batch:
    columns = (K.c.provider, K.c.hint, K.c.set_at, K.c.key_version)

    def build() -> Select[Any]:
        wanted = K.c.user_id == any_(uuids("keys"))
        wrapping = (K.c.needs_reentry, K.c.key_id)
        return (
            select(K.c.user_id, *columns, *wrapping)
            .where(mirror.where(context.actor.role, K), wanted)
            .order_by(K.c.provider)
        )

    async def load(user_ids: list[str]) -> list[list[ProviderKey]]:
        found: dict[str, list[ProviderKey]] = {user_id: [] for user_id in user_ids}
        for row in await context.session.fetch("provider_keys", build, keys=user_ids):
            shown = {column.name: row[column.name] for column in columns}
            # Nothing opens what a key outside the keyring wraps: to the person it is the same.
            is_lost = row["needs_reentry"] or context.keyring is None or row["key_id"] not in context.keyring
            found[row["user_id"]].append(ProviderKey(**shown, needs_reentry=is_lost))
        return [found[user_id] for user_id in user_ids]

    return load


def _people(role: Role) -> FromClause:
    return U.outerjoin(T, and_(mirror.where(role, T), T.c.user_id == U.c.id))


def _in_scope(role: Role) -> ColumnElement[bool]:
    """The people whose settings the role may see: the settings' own scope, said of the people."""
    rule = mirror.rule(role, T.name)
    is_own = rule is not None and rule.scope.column is not None
    return U.c.id == bindparam("user_id", type_=U.c.id.type) if is_own else true()


async def of_user(context: Context, user_id: str | None) -> AiSettings | None:
    """The settings of one person, batched; None where the viewer may not see them."""
    return await by_id(context, SOURCE, user_id)


@strawberry.type(description="How many people have a plan.")
class TierCount:
    tier: Tier = strawberry.field(description="The plan.")
    count: int = strawberry.field(description="How many have it.")


@strawberry.type(description="Counts of the whole list, without the tier filter.")
class AiSettingsFacets:
    by_tier: list[TierCount] = strawberry.field(description="By plan, in the order of the enum.")


@strawberry.type(description="A page of AI settings.")
class AiSettingsConnection(Connection[AiSettings]):
    @strawberry.field(description="Counts of the whole list. Counted only when selected.")
    async def facets(self, info: Info) -> AiSettingsFacets | None:
        context = info.context

        def build() -> Select[Any]:
            return SOURCE.narrow(select(TIER.label("tier"), func.count()), context.actor.role).group_by(TIER)

        found = {row[0]: row[1] for row in await context.session.fetch("tiers", build)}
        counts = [TierCount(tier=tier, count=found[tier.value]) for tier in Tier if tier.value in found]
        return AiSettingsFacets(by_tier=counts)


@strawberry.type
class AiSettingsQuery:
    @strawberry.field(description="The settings of the people whom the viewer may see, in the order of joining.")
    async def ai_settings(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        tier: Annotated[
            list[Tier] | None, strawberry.argument(description="With one of these plans.")
        ] = strawberry.UNSET,
    ) -> AiSettingsConnection | None:
        where = Where()
        where.one_of(TIER, "tier", present(tier))
        page = Page.of(first, after, last, before)
        return await root_page(info, AiSettingsConnection, LISTING, page, where)


SOURCE: Source[AiSettings] = Source(
    AiSettings,
    U,
    {
        "tier": TIER,
        "preferred_provider": PROVIDER,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "database_id": U.c.id,
        "joined_at": U.c.created_at,
    },
    origin=_people,
    extra=(_in_scope,),
    also=(T,),
)
LISTING = Listing(SOURCE, Order("joined_at", U.c.created_at, is_descending=False))
