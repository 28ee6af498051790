"""Patterns: baselines that the assistant learned, one per type and category."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import Base, key_to, of_organization, one_of
from db.types import Json, KeyUid, PatternType, RowId, Stamp, Uid


class Pattern(Base):
    __tablename__ = "ai_patterns"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    pattern_type: Mapped[str]
    category_id: Mapped[Uid | None]
    pattern_data: Mapped[Json]
    confidence: Mapped[float | None]
    last_calculated_at: Mapped[datetime]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        key_to("budget_categories", "category_id"),
        UniqueConstraint("organization_id", "pattern_type", "category_id", postgresql_nulls_not_distinct=True),
        one_of("pattern_type", PatternType),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
    )


P = Pattern

Index(None, P.organization_id, P.last_calculated_at.desc(), P.id.desc())
Index(
    None,
    P.organization_id,
    P.category_id,
    P.last_calculated_at.desc(),
    P.id.desc(),
    postgresql_where=P.category_id.is_not(None),
)
