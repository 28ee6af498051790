"""A person's rating of an answer: 5 is a thumb up, 1 a thumb down. One row per person and message."""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import Base, key_to, length
from db.types import KeyUid, RowId, Small, Stamp, Uid


class Feedback(Base):
    __tablename__ = "ai_feedback"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    message_id: Mapped[Uid]
    user_id: Mapped[Uid]
    rating: Mapped[Small]
    feedback_text: Mapped[str | None]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("organization_id", "message_id", "user_id"),
        key_to("ai_messages", "message_id", "user_id", to=("id", "user_id"), is_cascading=True),
        CheckConstraint("rating IN (1, 5)", name="rating"),
        length("feedback_text", 10_000),
    )


Index(None, Feedback.organization_id, Feedback.created_at.desc(), Feedback.id.desc())
Index(None, Feedback.organization_id, Feedback.user_id, Feedback.created_at.desc(), Feedback.id.desc())
