"""The audit chain: each organization's head, its events, their erasable payloads, and signed checkpoints.

Only definer functions write here, an event by one of them alone. The head is a row that is locked for one round trip, at
the end of a change. PostgreSQL reads a table's CHECKs anew from their text in each statement, a quarter of an append, so
that function says itself what an event may hold; whoever verifies the chain computes the digests again.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import Base, not_negative, of_organization, sha256
from db.types import Count, KeyUid, RowId, Stamp, Uid


class AuditHead(Base):
    __tablename__ = "audit_heads"

    organization_id: Mapped[KeyUid]
    seq: Mapped[Count]
    hash: Mapped[bytes]
    pruned_seq: Mapped[Count]
    pruned_hash: Mapped[bytes | None]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        {"postgresql_with": {"fillfactor": 50}},
    )


class AuditEvent(Base):
    __tablename__ = "audit_events"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    seq: Mapped[int]
    action: Mapped[str]
    actor_id: Mapped[Uid | None]
    actor_role: Mapped[str]
    target_type: Mapped[str | None]
    target_id: Mapped[Uid | None]
    target_digest: Mapped[bytes | None]
    request_id: Mapped[str | None]
    occurred_at: Mapped[datetime]
    payload_digest: Mapped[bytes | None]
    leaf: Mapped[bytes]
    prev_hash: Mapped[bytes]
    hash: Mapped[bytes]

    __table_args__ = (
        UniqueConstraint("organization_id", "seq"),
        # A chain that forked would have two events after one.
        UniqueConstraint("organization_id", "prev_hash"),
    )


class AuditPayload(Base):
    __tablename__ = "audit_payloads"

    organization_id: Mapped[KeyUid]
    event_id: Mapped[KeyUid]
    salt: Mapped[bytes | None]
    payload: Mapped[bytes | None]
    redacted_at: Mapped[datetime | None]

    # No foreign key to the event: the one function that may insert writes both in one go, nothing deletes an event, and
    # the key's own look-up was an eighth of the time for which the head is locked.


class AuditCheckpoint(Base):
    __tablename__ = "audit_checkpoints"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    tree_size: Mapped[int]
    root_hash: Mapped[bytes]
    # The roots of the 256-event subtrees completed since the checkpoint before: a proof then reads few events.
    subtrees: Mapped[bytes]
    note: Mapped[str]
    key_id: Mapped[str]
    created_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("organization_id", "tree_size"),
        sha256("root_hash"),
        CheckConstraint("mod(octet_length(subtrees), 32) = 0", name="subtrees"),
        not_negative("tree_size"),
    )


V = AuditEvent

Index(None, V.organization_id, V.target_id, V.seq.desc(), postgresql_where=V.target_id.is_not(None))
Index(None, V.organization_id, V.occurred_at.desc(), V.id.desc())
Index(None, V.organization_id, V.actor_id, V.seq.desc())
Index(None, V.organization_id, V.action, V.seq.desc())
