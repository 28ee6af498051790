"""Tools that the assistant may call, and its calls: a row when one is made, another when it ends, neither ever changed.

Parameters and results are erasable bytes in a table of their own; the rows commit to them by a salted hash.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import MONTHLY, Base, erasable, key_to, length, made_then, of_organization, one_of, sha256
from db.types import KeyUid, OutcomeStatus, PartitionStamp, PayloadPart, RowId, Stamp, Uid, Yes

CALL_KEY = ("id", "user_id", "created_at")


class Tool(Base):
    __tablename__ = "ai_tools"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    name: Mapped[str]
    description: Mapped[str | None]
    is_enabled: Mapped[Yes]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        UniqueConstraint("organization_id", "name"),
        length("name", 100, 1),
        length("description", 2_000),
    )


class ToolCall(Base):
    __tablename__ = "tool_calls"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid]
    session_id: Mapped[Uid]
    conversation_id: Mapped[Uid | None]
    interaction_id: Mapped[Uid | None]
    tool_name: Mapped[str]
    ai_confidence: Mapped[float | None]
    timestamp: Mapped[datetime]
    payload_hash: Mapped[bytes]
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("users", "user_id"),
        key_to("ai_conversations", "conversation_id", "user_id", to=("id", "user_id")),
        key_to("ai_tools", "tool_name", to=("name",)),
        # What outcomes and payloads refer to, so that their owner cannot drift from the call's.
        UniqueConstraint("organization_id", *CALL_KEY),
        CheckConstraint("ai_confidence BETWEEN 0 AND 1", name="ai_confidence"),
        CheckConstraint(
            "\"timestamp\" BETWEEN created_at - interval '24 hours' AND created_at + interval '5 seconds'",
            name="timestamp",
        ),
        sha256("payload_hash"),
        made_then(),
        MONTHLY,
    )


class ToolCallOutcome(Base):
    __tablename__ = "tool_call_outcomes"

    organization_id: Mapped[KeyUid]
    tool_call_id: Mapped[KeyUid]
    user_id: Mapped[Uid]
    status: Mapped[str]
    timestamp: Mapped[datetime]
    completed_at: Mapped[datetime]
    payload_hash: Mapped[bytes]
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("tool_calls", "tool_call_id", "user_id", "created_at", to=CALL_KEY),
        one_of("status", OutcomeStatus),
        # The call's time may be the caller's and five seconds early.
        CheckConstraint("completed_at >= \"timestamp\" - interval '5 seconds'", name="completed_at"),
        CheckConstraint(
            "\"timestamp\" BETWEEN created_at - interval '24 hours' AND created_at + interval '5 seconds'",
            name="timestamp",
        ),
        sha256("payload_hash"),
        MONTHLY,
    )


class ToolCallPayload(Base):
    __tablename__ = "tool_call_payloads"

    organization_id: Mapped[KeyUid]
    tool_call_id: Mapped[KeyUid]
    part: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[Uid]
    salt: Mapped[bytes | None]
    payload: Mapped[bytes | None]
    redacted_at: Mapped[datetime | None]
    created_at: Mapped[PartitionStamp]

    __table_args__ = (
        key_to("tool_calls", "tool_call_id", "user_id", "created_at", to=CALL_KEY),
        one_of("part", PayloadPart),
        erasable(),
        MONTHLY,
    )


C, O = ToolCall, ToolCallOutcome  # noqa: E741 - the tables' initials, for eight lines
_latest = (C.timestamp.desc(), C.id.desc())
_latest_outcome = (O.timestamp.desc(), O.tool_call_id.desc())

Index(None, C.organization_id, *_latest)
Index(None, C.organization_id, C.user_id, *_latest)
Index(None, C.organization_id, C.tool_name, *_latest)
Index(None, C.organization_id, C.session_id, *_latest)
Index(None, C.organization_id, C.conversation_id, *_latest, postgresql_where=C.conversation_id.is_not(None))
Index(None, C.organization_id, C.interaction_id, *_latest, postgresql_where=C.interaction_id.is_not(None))
Index(None, O.organization_id, O.status, *_latest_outcome)
Index(None, O.organization_id, O.user_id, O.status, *_latest_outcome)
