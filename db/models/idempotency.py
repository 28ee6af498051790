"""Keys by which a change that is sent twice happens once; the first answer is kept until the key expires."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import Base, length
from db.types import Json, KeyUid, RowId, Stamp, Uid


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    actor_id: Mapped[Uid]
    key: Mapped[str]
    request_hash: Mapped[bytes]
    result: Mapped[Json | None]
    created_at: Mapped[Stamp]
    expires_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("organization_id", "actor_id", "key"),
        length("key", 255, 1),
        CheckConstraint("octet_length(request_hash) BETWEEN 16 AND 64", name="request_hash"),
    )


Index(None, IdempotencyKey.organization_id, IdempotencyKey.expires_at)
