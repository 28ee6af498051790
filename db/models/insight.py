"""Insights: what the assistant noticed. Shared by the organization; anybody who may dismisses one for all."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, key_to, length, of_organization, one_of
from db.types import InsightType, Json, KeyUid, No, RowId, Severity, Stamp, Uid

_RANKS = " ".join(f"WHEN '{severity.value}' THEN {rank}" for rank, severity in enumerate(Severity, start=1))


class Insight(Base):
    __tablename__ = "ai_insights"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    project_id: Mapped[Uid | None]
    insight_type: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    data: Mapped[Json | None]
    severity: Mapped[str] = mapped_column(server_default=text("'INFO'"))
    severity_rank: Mapped[int] = mapped_column(
        SmallInteger, Computed(f"(CASE severity {_RANKS} END)::smallint", persisted=True)
    )
    is_dismissed: Mapped[No]
    dismissed_by: Mapped[Uid | None]
    dismissed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        key_to("projects", "project_id"),
        key_to("users", "dismissed_by"),
        one_of("insight_type", InsightType),
        one_of("severity", Severity),
        length("title", 255, 1),
        length("description", 10_000),
        CheckConstraint("is_dismissed = (dismissed_at IS NOT NULL)", name="dismissal"),
        CheckConstraint("is_dismissed OR dismissed_by IS NULL", name="dismissed_by"),
    )


I = Insight  # noqa: E741 - the table's initial, for these lines
_of_a_project = I.project_id.is_not(None)

Index(None, I.organization_id, I.created_at.desc(), I.id.desc())
Index(None, I.organization_id, I.severity_rank.desc(), I.id.desc())
Index(None, I.organization_id, I.project_id, I.created_at.desc(), I.id.desc(), postgresql_where=_of_a_project)
Index(None, I.organization_id, I.project_id, I.severity_rank.desc(), I.id.desc(), postgresql_where=_of_a_project)
Index(None, I.organization_id, I.dismissed_by, postgresql_where=I.dismissed_by.is_not(None))
# Counts of what is open, by severity and type, without a look at the rows.
Index(
    None,
    I.organization_id,
    I.severity,
    I.insight_type,
    postgresql_include=["expires_at", "project_id"],
    postgresql_where=~I.is_dismissed,
)
