"""The answer cache, as those see it who run it: what is in it and what it saved. Entries that expired are not there."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import ColumnElement, Select, bindparam, func, select

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.errors import ForbiddenError
from api.filters import StringFilter, Where, present
from api.node import Node, Source
from api.paging import readable, root_page
from api.permissions import reads
from api.scalars import BigInt, DateTime, Money
from db import mirror, models
from db.types import Role

T = models.table(models.CacheEntry)
S = models.table(models.CacheStats)


@strawberry.type(description="A cached answer of a model.")
class CacheEntry(Node):
    key: str = strawberry.field(description="The key that the AI backend looks it up by.")
    response_bytes: int = strawberry.field(description="The size of the answer.")
    cost: Money = strawberry.field(description="What the answer cost once, in US dollars: what a hit saves.")
    hit_count: BigInt = strawberry.field(description="How often it was used.")
    expires_at: DateTime = strawberry.field(description="When it stops being used.")
    created_at: DateTime = strawberry.field(description="When it was stored.")
    last_accessed_at: DateTime = strawberry.field(description="When it was last used.")
    database_id: strawberry.Private[str]


@strawberry.type(description="What the cache holds at present, and what it did since it was first used.")
class CacheStats:
    entries: BigInt = strawberry.field(description="Answers that are held.")
    hits: BigInt = strawberry.field(description="Look-ups that found one.")
    misses: BigInt = strawberry.field(description="Look-ups that found none.")
    saved_cost: Money = strawberry.field(description="What the hits would have cost, in US dollars.")
    bytes: BigInt = strawberry.field(description="The size of all answers that are held.")


KeyPrefix = Annotated[
    str | None, strawberry.argument(description="Only entries whose key begins like this, case-sensitive.")
]


@strawberry.type
class CacheQuery:
    @strawberry.field(description="Cached answers, latest first.")
    async def cache_entries(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        key_prefix: KeyPrefix = strawberry.UNSET,
    ) -> Connection[CacheEntry] | None:
        where = Where()
        if prefix := present(key_prefix):
            where.text(T.c.cache_key, "keyPrefix", StringFilter(starts_with=prefix))
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)

    @strawberry.field(description="What the cache holds and saved.", metadata=reads(lambda: (SOURCE, S)))
    async def cache_stats(self, info: Info) -> CacheStats | None:
        context = info.context
        readable(context, SOURCE)
        if not mirror.allows(context.actor.role, S.name):
            raise ForbiddenError
        rows = await context.session.fetch("cache_stats", lambda: _stats(context.actor.role))
        # sum(bigint) is numeric, a Decimal here: exact beyond 64 bits.
        sums: dict[str, Any] = {name: int(value) for name, value in rows[0].items()}
        return CacheStats(**sums)


def _stats(role: Role) -> Select[Any]:
    held = SOURCE.narrow(select(func.count().label("entries"), _sum(T.c.response_bytes, "bytes")), role)
    sums = (_sum(S.c.hits, "hits"), _sum(S.c.misses, "misses"), _sum(S.c.saved_micro_usd, "saved_cost"))
    done = select(*sums).where(mirror.where(role, S))
    return select(*held.subquery("held").c, *done.subquery("done").c)


def _sum(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0).label(name)


SOURCE: Source[CacheEntry] = Source(
    CacheEntry,
    T,
    {
        "database_id": T.c.id,
        "key": T.c.cache_key,
        "response_bytes": T.c.response_bytes,
        "cost": T.c.cost_micro_usd,
        "hit_count": T.c.hit_count,
        "expires_at": T.c.expires_at,
        "created_at": T.c.created_at,
        "last_accessed_at": T.c.last_accessed_at,
    },
    extra=(lambda _role: T.c.expires_at > bindparam("now", type_=T.c.expires_at.type),),
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
