"""Budgets with their ledger and reservations, and the log of usage.

A budget row is reserved, settled and rolled over by one conditional UPDATE; `used` is always the sum of its ledger.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import MONTHLY, Base, key_to, length, made_then, not_negative, of_organization, one_of
from db.types import (
    BudgetMetric,
    BudgetWindow,
    Count,
    KeyUid,
    LedgerKind,
    MicroUsd,
    PartitionStamp,
    Provider,
    ReservationState,
    RowId,
    Stamp,
    SubjectType,
    Tier,
    Uid,
)


class UsageBudget(Base):
    __tablename__ = "usage_budgets"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    subject_id: Mapped[Uid]
    subject_type: Mapped[str]
    metric: Mapped[str]
    budget_window: Mapped[str]
    window_start: Mapped[datetime]
    limit_value: Mapped[int | None]
    used: Mapped[Count]
    reserved: Mapped[Count]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        UniqueConstraint("organization_id", "subject_id", "metric", "budget_window"),
        one_of("subject_type", SubjectType),
        one_of("metric", BudgetMetric),
        one_of("budget_window", BudgetWindow),
        CheckConstraint("subject_type <> 'ORGANIZATION' OR subject_id = organization_id", name="subject"),
        not_negative("limit_value", "used", "reserved"),
        # No index holds what a spend changes: with room on the page every update is HOT.
        {"postgresql_with": {"fillfactor": 50}},
    )


class UsageLedger(Base):
    __tablename__ = "usage_ledger"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    budget_id: Mapped[Uid]
    request_key: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    window_start: Mapped[datetime]
    created_at: Mapped[Stamp]

    __table_args__ = (
        key_to("usage_budgets", "budget_id"),
        UniqueConstraint("organization_id", "budget_id", "request_key", "kind"),
        one_of("kind", LedgerKind),
        length("request_key", 255, 1),
        CheckConstraint("kind <> 'SETTLE' OR amount >= 0", name="amount"),
    )


class UsageReservation(Base):
    __tablename__ = "usage_reservations"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    budget_id: Mapped[Uid]
    user_id: Mapped[Uid | None]
    request_key: Mapped[str]
    window_start: Mapped[datetime]
    amount: Mapped[int]
    state: Mapped[str]
    expires_at: Mapped[datetime]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        key_to("usage_budgets", "budget_id"),
        key_to("users", "user_id"),
        UniqueConstraint("organization_id", "request_key", "budget_id"),
        one_of("state", ReservationState),
        length("request_key", 255, 1),
        not_negative("amount"),
    )


class UsageLog(Base):
    __tablename__ = "ai_usage_logs"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid | None]
    tier: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str | None]
    tokens_used: Mapped[int | None]
    cost_micro_usd: Mapped[MicroUsd | None]
    interaction_id: Mapped[Uid | None]
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("users", "user_id"),
        one_of("tier", Tier),
        one_of("provider", Provider),
        length("model", 200),
        not_negative("tokens_used", "cost_micro_usd"),
        made_then(),
        MONTHLY,
    )


# The expired are looked for when a reservation finds the budget full.
Index(
    None,
    UsageReservation.organization_id,
    UsageReservation.budget_id,
    UsageReservation.state,
    UsageReservation.expires_at,
)
Index(
    None,
    UsageReservation.organization_id,
    UsageReservation.user_id,
    postgresql_where=UsageReservation.user_id.is_not(None),
)
Index(None, UsageLog.organization_id, UsageLog.created_at.desc(), UsageLog.id.desc())
Index(None, UsageLog.organization_id, UsageLog.user_id, UsageLog.created_at.desc(), UsageLog.id.desc())
