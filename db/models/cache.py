"""Cached answers, keyed inside their organization (a key without it leaks), and each day's hits and misses."""

from datetime import date, datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, length, not_negative
from db.types import Count, Int, Json, KeyUid, MicroUsdTotal, RowId, Stamp


class CacheEntry(Base):
    __tablename__ = "ai_cache"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    scope: Mapped[str] = mapped_column(server_default=text("''"))
    cache_key: Mapped[str]
    response: Mapped[Json]
    response_bytes: Mapped[Int]
    cost_micro_usd: Mapped[MicroUsdTotal]
    hit_count: Mapped[Count]
    expires_at: Mapped[datetime]
    created_at: Mapped[Stamp]
    last_accessed_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("organization_id", "scope", "cache_key"),
        length("scope", 255),
        length("cache_key", 255, 1),
        not_negative("response_bytes", "cost_micro_usd", "hit_count"),
        # A look-up counts itself: HOT, as long as the page has room.
        {"postgresql_with": {"fillfactor": 80}},
    )


class CacheStats(Base):
    __tablename__ = "ai_cache_stats"

    organization_id: Mapped[KeyUid]
    day: Mapped[date] = mapped_column(primary_key=True)
    hits: Mapped[Count]
    misses: Mapped[Count]
    saved_micro_usd: Mapped[MicroUsdTotal]

    __table_args__ = (
        not_negative("hits", "misses", "saved_micro_usd"),
        {"postgresql_with": {"fillfactor": 50}},
    )


Index(None, CacheEntry.organization_id, CacheEntry.created_at.desc(), CacheEntry.id.desc())
Index(None, CacheEntry.organization_id, CacheEntry.expires_at)
Index("ix_ai_cache_cache_key_c", CacheEntry.organization_id, CacheEntry.cache_key.collate("C"))
