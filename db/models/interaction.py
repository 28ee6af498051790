"""Calls to models, and apart from them what was sent and answered.

Payloads are large, private and erasable, so the hot row never carries them; the heads spare a preview the whole text.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import MONTHLY, Base, key_to, length, made_then, not_negative, one_of
from db.types import (
    Int,
    InteractionStatus,
    IpAddress,
    Json,
    KeyUid,
    MicroUsdTotal,
    PartitionStamp,
    Provider,
    RowId,
    Tier,
    Uid,
)


class AiInteraction(Base):
    __tablename__ = "ai_interactions"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid | None]
    conversation_id: Mapped[Uid | None]
    message_id: Mapped[Uid | None]
    type: Mapped[str] = mapped_column(server_default=text("'chat'"))
    model_name: Mapped[str | None]
    provider: Mapped[str | None]
    tier: Mapped[str | None]
    tokens_used: Mapped[int | None]
    request_bytes: Mapped[Int]
    response_bytes: Mapped[Int | None]
    latency_ms: Mapped[Int | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    status: Mapped[str]
    cost_micro_usd: Mapped[MicroUsdTotal]
    prompt_hash: Mapped[str | None]
    file_metadata: Mapped[Json | None]
    ip_address: Mapped[IpAddress | None]
    created_at: Mapped[PartitionStamp]
    completed_at: Mapped[datetime | None]
    redacted_at: Mapped[datetime | None]

    __table_args__ = (
        key_to("users", "user_id"),
        key_to("ai_conversations", "conversation_id"),
        key_to("ai_messages", "message_id"),
        one_of("provider", Provider),
        one_of("tier", Tier),
        one_of("status", InteractionStatus),
        length("type", 50, 1),
        length("model_name", 200),
        length("error_code", 100),
        length("error_message", 65_536),
        length("prompt_hash", 255),
        not_negative("tokens_used", "request_bytes", "response_bytes", "latency_ms", "cost_micro_usd"),
        CheckConstraint("completed_at >= created_at", name="completed_at"),
        made_then(),
        MONTHLY,
    )


class AiInteractionPayload(Base):
    __tablename__ = "ai_interaction_payloads"

    organization_id: Mapped[KeyUid]
    interaction_id: Mapped[KeyUid]
    user_id: Mapped[Uid | None]
    request: Mapped[Json | None]
    response: Mapped[Json | None]
    request_head: Mapped[str | None] = mapped_column(Text, Computed('"left"(request::text, 2000)', persisted=True))
    response_head: Mapped[str | None] = mapped_column(Text, Computed('"left"(response::text, 2000)', persisted=True))
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("ai_interactions", "interaction_id", "created_at", to=("id", "created_at")),
        MONTHLY,
    )


A = AiInteraction
_latest = (A.created_at.desc(), A.id.desc())

Index(None, A.organization_id, *_latest)
Index(None, A.organization_id, A.user_id, *_latest)
Index(None, A.organization_id, A.type, *_latest)
# Story 14 reads the few that did not succeed.
Index(None, A.organization_id, A.status, *_latest, postgresql_where=A.status != text("'SUCCEEDED'"))
Index(None, A.organization_id, A.error_code, *_latest, postgresql_where=A.error_code.is_not(None))
Index(None, A.organization_id, A.prompt_hash, *_latest, postgresql_where=A.prompt_hash.is_not(None))
Index(None, A.organization_id, A.conversation_id, *_latest, postgresql_where=A.conversation_id.is_not(None))
Index(None, A.organization_id, A.message_id, postgresql_where=A.message_id.is_not(None))
Index("ix_ai_interactions_type_c", A.organization_id, A.type.collate("C"))
Index("ix_ai_interactions_model_name_c", A.organization_id, A.model_name.collate("C"))
Index(
    "ix_ai_interactions_error_code_c",
    A.organization_id,
    A.error_code.collate("C"),
    postgresql_where=A.error_code.is_not(None),
)
