"""Conversations: a person's, with rollups that the appending of a message keeps. Deletion is soft."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, key_to, length, not_negative
from db.types import Count, Json, KeyUid, MicroUsdTotal, RowId, Stamp, Uid


class Conversation(Base):
    __tablename__ = "ai_conversations"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid]
    project_id: Mapped[Uid | None]
    title: Mapped[str | None]
    model_used: Mapped[str | None]
    metadata_: Mapped[Json | None] = mapped_column("metadata")
    message_count: Mapped[Count]
    tokens_used: Mapped[Count]
    cost_micro_usd: Mapped[MicroUsdTotal]
    last_message_at: Mapped[datetime | None]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        key_to("users", "user_id"),
        key_to("projects", "project_id"),
        # What messages refer to, so that their owner cannot drift from the conversation's.
        UniqueConstraint("organization_id", "id", "user_id"),
        length("title", 255),
        length("model_used", 200),
        not_negative("message_count", "tokens_used", "cost_micro_usd"),
    )


C = Conversation
_active, _deleted = C.deleted_at.is_(None), C.deleted_at.is_not(None)
_by_change = (C.updated_at.desc(), C.id.desc())
_by_age = (C.created_at.desc(), C.id.desc())

# A person's lists; the one by age holds every state and serves the foreign key too.
Index("ix_ai_conversations_user_active", C.organization_id, C.user_id, *_by_change, postgresql_where=_active)
Index("ix_ai_conversations_user_deleted", C.organization_id, C.user_id, *_by_change, postgresql_where=_deleted)
Index(None, C.organization_id, C.user_id, *_by_age)
# A project's, in every state.
Index(None, C.organization_id, C.project_id, *_by_change, postgresql_where=C.project_id.is_not(None))
# The organization's, for its service.
Index("ix_ai_conversations_active", C.organization_id, *_by_change, postgresql_where=_active)
Index("ix_ai_conversations_deleted", C.organization_id, *_by_change, postgresql_where=_deleted)
Index(None, C.organization_id, *_by_age)
Index("ix_ai_conversations_title_c", C.organization_id, C.title.collate("C"))
