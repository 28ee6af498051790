"""Small declarative models, as a user of Strawberry and SQLAlchemy writes them: the columns that the benchmark asks for."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Float, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_ID = Uuid(as_uuid=False)


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True), int: BigInteger, str: Text, dict[str, Any]: JSONB}  # noqa: RUF012 - SQLAlchemy's own name


class Row(Base):
    """What every row has."""

    __abstract__ = True
    organization_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    id: Mapped[str] = mapped_column(_ID, primary_key=True)


class Conversation(Row):
    __tablename__ = "ai_conversations"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    user_id: Mapped[str] = mapped_column(_ID)
    title: Mapped[str | None]
    message_count: Mapped[int]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Message(Row):
    __tablename__ = "ai_messages"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    user_id: Mapped[str] = mapped_column(_ID)
    conversation_id: Mapped[str] = mapped_column(_ID)
    role: Mapped[str]
    content: Mapped[str]
    sources: Mapped[Any] = mapped_column(JSONB)
    created_at: Mapped[datetime]


class Feedback(Row):
    __tablename__ = "ai_feedback"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    message_id: Mapped[str] = mapped_column(_ID)
    user_id: Mapped[str] = mapped_column(_ID)
    rating: Mapped[int]
    feedback_text: Mapped[str | None]


class Project(Row):
    __tablename__ = "projects"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    name: Mapped[str]


class Insight(Row):
    __tablename__ = "ai_insights"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    project_id: Mapped[str | None] = mapped_column(_ID)
    insight_type: Mapped[str]
    title: Mapped[str]
    severity: Mapped[str]
    is_dismissed: Mapped[bool]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class User(Row):
    __tablename__ = "users"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    display_name: Mapped[str | None]
    role: Mapped[str]


class Organization(Base):
    __tablename__ = "organizations"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str]
    timezone: Mapped[str]


class Settings(Base):
    __tablename__ = "user_ai_settings"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    organization_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    tier: Mapped[str]
    preferred_provider: Mapped[str]


class Budget(Row):
    __tablename__ = "usage_budgets"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    subject_id: Mapped[str] = mapped_column(_ID)
    subject_type: Mapped[str]
    metric: Mapped[str]
    budget_window: Mapped[str]
    window_start: Mapped[datetime]
    limit_value: Mapped[int | None]
    used: Mapped[int]
    reserved: Mapped[int]


class ToolCall(Row):
    __tablename__ = "tool_calls"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    user_id: Mapped[str] = mapped_column(_ID)
    tool_name: Mapped[str]
    ai_confidence: Mapped[float | None] = mapped_column(Float)
    timestamp: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(primary_key=True)


class Outcome(Base):
    __tablename__ = "tool_call_outcomes"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    organization_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    tool_call_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)
    status: Mapped[str]
    completed_at: Mapped[datetime | None]


class Interaction(Row):
    __tablename__ = "ai_interactions"
    __table_args__ = {"schema": "app"}  # noqa: RUF012
    model_name: Mapped[str | None]
    status: Mapped[str]
    tokens_used: Mapped[int | None]
    cost_micro_usd: Mapped[int]
    latency_ms: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(primary_key=True)
