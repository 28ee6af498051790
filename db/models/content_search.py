"""Searches of content, with what was chosen from the results. Their person chooses once."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from db.base import MONTHLY, Base, key_to, length, made_then, not_negative, one_of
from db.types import ContentType, Int, Json, KeyUid, PartitionStamp, RowId, Uid


class ContentSearch(Base):
    __tablename__ = "ai_content_searches"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid]
    query: Mapped[str]
    content_type: Mapped[str]
    filters: Mapped[Json | None]
    results_count: Mapped[Int | None]
    selected_content_id: Mapped[Uid | None]
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("users", "user_id"),
        one_of("content_type", ContentType),
        length("query", 10_000),
        not_negative("results_count"),
        made_then(),
        MONTHLY,
    )


S = ContentSearch
_latest = (S.created_at.desc(), S.id.desc())

Index(None, S.organization_id, *_latest)
Index(None, S.organization_id, S.user_id, *_latest)
Index(None, S.organization_id, S.content_type, *_latest)
