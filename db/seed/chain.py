"""What the audit chain of the demo says: who did what and when, in the order in which it happened."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from db.seed.build import Built
from db.seed.clock import stream, v7

BATCH = 800


class Event(NamedTuple):
    """One entry for `app.audit_append`; `digest` is the hex digest of the row that it commits to."""

    occurred_at: datetime
    action: str
    target_type: str
    target_id: str
    actor_id: str | None
    actor_role: str
    details: Mapping[str, object] | None = None
    digest: str | None = None


def events(built: Built, calls: Mapping[str, str], outcomes: Mapping[str, str]) -> list[Event]:
    """All of one organization's, oldest first. `calls` and `outcomes` give each tool call's digests."""
    roles = {person.id: person.role for person in built.organization.people}
    found = [*_foundation(built), *_conversations(built, roles), *_feedback(built, roles), *_insights(built, roles)]
    found += _service(built)
    found += _tool_calls(built, calls, outcomes)
    return sorted(found, key=lambda event: event.occurred_at)


def batches(found: Sequence[Event], organization: str, seed: int) -> Iterator[tuple[int, str]]:
    """JSON arrays for the function, each with the number of its events."""
    rng = stream(seed, organization, "chain")
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]
        yield len(some), orjson.dumps([_json(event, v7(event.occurred_at, rng)) for event in some]).decode()


def _json(event: Event, event_id: str) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": event_id, "action": event.action, "target_type": event.target_type, "target_id": event.target_id,
        "actor_role": event.actor_role, "occurred_at": event.occurred_at.isoformat(),
    }  # fmt: skip
    optional = {"actor_id": event.actor_id, "details": event.details, "target_digest": event.digest}
    return entry | {name: value for name, value in optional.items() if value is not None}


def _rows(built: Built, table: str) -> Sequence[Any]:
    return built.tables.get(table, ())


def _foundation(built: Built) -> Iterator[Event]:
    home = built.home
    yield Event(home.created_at, "organization.created", "Organization", home.id, None, "OPERATOR", {"kind": home.kind})
    for user in _rows(built, "users"):
        yield Event(user.created_at, "user.created", "User", user.id, None, "OPERATOR", {"role": user.role})
    for table, kind in (("projects", "Project"), ("budget_categories", "Category"), ("ai_tools", "Tool")):
        for row in _rows(built, table):
            yield Event(row.created_at, f"{kind.lower()}.created", kind, row.id, None, "OPERATOR")
    for key in _rows(built, "user_provider_keys"):
        yield Event(key.set_at, "provider_key.set", "AiSettings", key.user_id, key.user_id, "MEMBER", {"id": key.id})


def _conversations(built: Built, roles: Mapping[str, str]) -> Iterator[Event]:
    counts: dict[str, int] = {}
    for message in _rows(built, "ai_messages"):
        counts[message.conversation_id] = counts.get(message.conversation_id, 0) + 1
    for row in _rows(built, "ai_conversations"):
        who = (row.user_id, roles[row.user_id])
        yield Event(row.created_at, "conversation.created", "Conversation", row.id, *who)
        yield Event(
            row.updated_at, "messages.appended", "Conversation", row.id, None, "SERVICE", {"count": counts[row.id]}
        )
        if row.deleted_at:
            yield Event(row.deleted_at, "conversation.deleted", "Conversation", row.id, *who)


def _feedback(built: Built, roles: Mapping[str, str]) -> Iterator[Event]:
    for row in _rows(built, "ai_feedback"):
        yield Event(
            row.created_at,
            "feedback.submitted",
            "Feedback",
            row.id,
            row.user_id,
            roles[row.user_id],
            {"message_id": row.message_id},
        )


def _insights(built: Built, roles: Mapping[str, str]) -> Iterator[Event]:
    for row in _rows(built, "ai_insights"):
        yield Event(
            row.created_at,
            "insight.created",
            "Insight",
            row.id,
            None,
            "SERVICE",
            {"type": row.insight_type, "severity": row.severity},
        )
        if row.dismissed_at:
            yield Event(
                row.dismissed_at,
                "insight.dismissed",
                "Insight",
                row.id,
                row.dismissed_by,
                roles[row.dismissed_by],
                {"is_dismissed": [False, True]},
            )


def _service(built: Built) -> Iterator[Event]:
    for row in _rows(built, "documents"):
        yield Event(
            row.created_at, "document.created", "Document", row.id, None, "SERVICE", {"content_type": row.content_type}
        )
    for row in _rows(built, "ai_interactions"):
        yield Event(
            row.completed_at or row.created_at,
            "interaction.recorded",
            "AiInteraction",
            row.id,
            None,
            "SERVICE",
            {"status": row.status},
        )


def _tool_calls(built: Built, calls: Mapping[str, str], outcomes: Mapping[str, str]) -> Iterator[Event]:
    for row in _rows(built, "tool_calls"):
        yield Event(
            row.created_at,
            "tool_call.recorded",
            "ToolCall",
            row.id,
            None,
            "SERVICE",
            {"tool": row.tool_name},
            calls[row.id],
        )
    for row in _rows(built, "tool_call_outcomes"):
        yield Event(
            row.completed_at,
            "tool_call.completed",
            "ToolCall",
            row.tool_call_id,
            None,
            "SERVICE",
            {"status": row.status},
            outcomes[row.tool_call_id],
        )
