"""Messages of a conversation. They change with their conversation alone, and go with it."""

from sqlalchemy import CheckConstraint, Computed, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, key_to, length, not_negative, one_of
from db.types import Json, KeyUid, MessageRole, MicroUsd, QueryType, RowId, Stamp, Uid


class Message(Base):
    __tablename__ = "ai_messages"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid]
    conversation_id: Mapped[Uid]
    role: Mapped[str]
    content: Mapped[str]
    content_length: Mapped[int] = mapped_column(Integer, Computed("char_length(content)", persisted=True))
    query_type: Mapped[str | None]
    query_params: Mapped[Json | None]
    sources: Mapped[Json | None]
    model: Mapped[str | None]
    tokens_used: Mapped[int | None]
    cost_micro_usd: Mapped[MicroUsd | None]
    created_at: Mapped[Stamp]

    __table_args__ = (
        key_to("ai_conversations", "conversation_id", "user_id", to=("id", "user_id"), is_cascading=True),
        UniqueConstraint("organization_id", "id", "user_id"),
        one_of("role", MessageRole),
        one_of("query_type", QueryType),
        length("content", 1_000_000),
        length("model", 200),
        CheckConstraint("jsonb_typeof(sources) = 'array'", name="sources"),
        not_negative("tokens_used", "cost_micro_usd"),
    )


Index(None, Message.organization_id, Message.conversation_id, Message.created_at, Message.id)
