"""Small worlds: two organizations that look alike, rows of every table for every owner, and who may ask about them.

Titles and times are the same on both sides, so that only the organization tells the rows apart. Wanda belongs to both,
under one user id, and rows without a foreign key point across the wall: what forgets the organization shows it.
"""

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import asyncpg as compiler

from api.auth import OWN_ISSUER
from db.engine import Urls
from tests.databases import superuser
from tests.db.valid_rows import ROWS, TABLES
from tests.security.looking import Database, Row
from tests.security.people import (
    AT,
    LONG_AGO,
    NORTH,
    PRINCIPALS,
    ROLES,
    SLUGS,
    SOUTH,
    TOMORROW,
    Principal,
    person_of,
    timed,
    uid,
    user_id,
)

Rows: TypeAlias = Iterator[tuple[str, Row]]


def _shared(slug: str) -> Rows:
    """What belongs to the organization as a whole."""
    other = SOUTH if slug == NORTH else NORTH
    for name in ("kitchen", "roof"):
        yield "projects", {"id": uid(slug, "project", name), "name": name, "created_at": AT}
    for name in ("lumber", "labor"):
        yield "budget_categories", {"id": uid(slug, "category", name), "name": name, "created_at": AT}
    for name, project, kind in (
        ("plan", "kitchen", "DOCUMENT"),
        ("rules", None, "DOCUMENT"),
        ("exam", "roof", "EXERCISE"),
    ):
        yield "documents", {
            "id": uid(slug, "document", name), "title": name, "content_type": kind, "created_at": AT,
            "project_id": project and uid(slug, "project", project), "content_id": uid("both", "content", name),
        }  # fmt: skip
        for index in range(2):
            yield "document_embeddings", {
                "id": uid(slug, "chunk", name, index), "document_id": uid(slug, "document", name), "chunk_index": index,
                "chunk_text": f"Boards, nails and lumber prices of the {name}, part {index}", "created_at": AT,
            }  # fmt: skip
    yield from _insights(slug)
    for kind, category in (("CATEGORY_COST_BASELINE", "lumber"), ("PHASE_DURATION_BASELINE", None)):
        yield "ai_patterns", {
            "id": uid(slug, "pattern", kind), "pattern_type": kind, "last_calculated_at": AT,
            "category_id": category and uid(slug, "category", category),
        }  # fmt: skip
    for name in ("add_task", "find_task"):
        yield "ai_tools", {"id": uid(slug, "tool", name), "name": name}
    for name, expires_at in (("fresh", TOMORROW), ("stale", LONG_AGO)):
        yield "ai_cache", {
            "id": uid(slug, "cache", name), "cache_key": name, "expires_at": expires_at, "created_at": AT,
            "response_bytes": 2 if slug == NORTH else 3,
        }  # fmt: skip
    yield "ai_cache_stats", {"day": AT.date(), "hits": 1 if slug == NORTH else 100}
    yield "audit_checkpoints", {"id": uid(slug, "checkpoint"), "note": f"minutebook/{slug}\n1\n"}
    for who in (None, "ana"):
        yield from _logs(slug, who, f"foreign-{who}", interaction=timed(AT, other, "interaction", "ana"))


def _insights(slug: str) -> Rows:
    dismissed = {"is_dismissed": True, "dismissed_by": user_id(slug, "ana"), "dismissed_at": AT}
    kinds: dict[str, Row] = {
        "open": {},
        "general": {"project_id": None},
        "expired": {"expires_at": LONG_AGO},
        "dismissed": dismissed,
        "both": {**dismissed, "expires_at": LONG_AGO, "project_id": None},
        "fading": {"expires_at": TOMORROW},
    }
    for name, changes in kinds.items():
        project = {"project_id": uid(slug, "project", "kitchen")}
        yield "ai_insights", {**project, "id": uid(slug, "insight", name), "title": name, "created_at": AT, **changes}


def _logs(slug: str, person: str | None, key: str, **links: str | None) -> Rows:
    """A usage log, an interaction with its payload; for nobody in particular when `person` is None."""
    owner = None if person is None else user_id(slug, person)
    at = LONG_AGO if person in {"ben", "wanda"} else AT
    interaction = timed(at, slug, "interaction", key)
    yield "ai_interactions", {
        "id": interaction, "user_id": owner, "created_at": at, "prompt_hash": "same",
        "conversation_id": links.get("conversation"), "message_id": links.get("message"),
        **({"status": "PENDING", "completed_at": None} if person == "carol" else {"completed_at": at}),
    }  # fmt: skip
    yield "ai_interaction_payloads", {"interaction_id": interaction, "user_id": owner, "created_at": at}
    yield "ai_usage_logs", {
        "id": timed(at, slug, "usage", key), "user_id": owner, "created_at": at,
        "interaction_id": links.get("interaction", interaction),
    }  # fmt: skip


def _owned(slug: str, person: str) -> Rows:
    """What belongs to one person."""
    owner = {"user_id": user_id(slug, person)}
    other = SOUTH if slug == NORTH else NORTH
    for state in ("live", "deleted"):
        conversation, question, answer = (
            uid(slug, kind, person, state) for kind in ("conversation", "question", "answer")
        )
        yield "ai_conversations", {
            **owner, "id": conversation, "title": state, "created_at": AT, "updated_at": AT,
            "project_id": uid(slug, "project", "kitchen") if state == "live" else None,
            "deleted_at": None if state == "live" else AT,
        }  # fmt: skip
        said = {**owner, "conversation_id": conversation, "created_at": AT}
        yield "ai_messages", {**said, "id": question, "role": "USER", "content": "Why is lumber over?", "sources": "[]"}
        yield "ai_messages", {**said, "id": answer, "role": "ASSISTANT", "sources": _sources(slug, other, person)}
        yield (
            "ai_feedback",
            {**owner, "id": uid(slug, "feedback", person, state), "message_id": answer, "created_at": AT},
        )
        if state == "live":
            yield from _logs(slug, person, person, conversation=conversation, message=answer)
    yield "user_ai_settings", {**owner, "tier": "FREE"}
    yield "user_provider_keys", {**owner, "id": uid(slug, "key", person)}
    for state in ("open", "chosen"):
        yield "ai_content_searches", {
            **owner, "id": timed(AT, slug, "search", person, state), "created_at": AT, "query": state,
            "selected_content_id": None if state == "open" else uid("both", "content", "plan"),
        }  # fmt: skip
    for status in ("SUCCESS", "ERROR", None):
        yield from _tool_call(slug, other, person, status)


def _sources(slug: str, other: str, person: str) -> str:
    """References as the AI backend wrote them: to what is ours, and across the wall."""
    kinds = (("document", "plan"), ("insight", "open"), ("project", "kitchen"))
    refs = [
        {"kind": kind, "id": uid(home, kind, name), "title": name} for home in (slug, other) for kind, name in kinds
    ]
    refs += [
        {"kind": "conversation", "id": uid(home, "conversation", whose, "live")}
        for home, whose in ((slug, "ben"), (other, person))
    ]
    return json.dumps(refs)


def _tool_call(slug: str, other: str, person: str, status: str | None) -> Rows:
    at = LONG_AGO if status is None else AT
    call = timed(at, slug, "call", person, status)
    same = {"user_id": user_id(slug, person), "created_at": at}
    yield "tool_calls", {
        **same, "id": call, "timestamp": at, "session_id": uid("both", "session"),
        "conversation_id": None if status is None else uid(slug, "conversation", person, "live" if status == "ERROR" else "deleted"),
        "interaction_id": timed(AT, other if status is None else slug, "interaction", "ana"),
    }  # fmt: skip
    beside = {**same, "tool_call_id": call}
    salt, params = b"s" * 32, b'{"params": {"task": 1}}'
    yield "tool_call_payloads", {**beside, "part": "CALL", "salt": salt, "payload": params}
    if status:
        yield "tool_call_outcomes", {**beside, "status": status, "timestamp": at, "completed_at": at}
        outcome = b'{"result": {"ok": 1}, "errorDetails": {"no": 1}}'
        yield "tool_call_payloads", {**beside, "part": "OUTCOME", "salt": salt, "payload": outcome}


def _spent(budgets: list[Row]) -> Rows:
    """Movements on the budgets that triggers have made."""
    for budget in budgets:
        key = {"budget_id": budget["id"], "window_start": budget["window_start"]}
        if budget["metric"] == "TOKENS":
            yield "usage_ledger", {**key, "id": str(uuid.uuid4())}
            person = budget["subject_id"] if budget["subject_type"] == "USER" else None
            yield "usage_reservations", {**key, "id": str(uuid.uuid4()), "user_id": person}


async def put(connection: Database, table: str, row: Row) -> None:
    """Insert the table's valid row with some changes."""
    compiled = insert(TABLES[table]).values(ROWS[table] | row).compile(dialect=compiler.dialect())  # type: ignore[no-untyped-call]
    await connection.execute(str(compiled), *(compiled.params[bind] for bind in compiled.positiontup or ()))


async def build(urls: Urls) -> None:
    """Fill an empty migrated database."""
    async with superuser(urls) as connection, connection.transaction():
        await connection.execute("SELECT app.ensure_partitions(4, $1)", (AT - timedelta(days=40)).date())
        for slug, people in ROLES.items():
            row = {"id": uid(slug), "slug": slug, "name": "Builders", "created_at": AT}
            await put(connection, "organizations", row)
            for person, role in people.items():
                at, found = {"created_at": AT, "organization_id": uid(slug)}, person_of(slug, person, role)
                await put(connection, "users", {**at, "id": found.user_id, "role": role, "display_name": person})
                await put(
                    connection,
                    "identities",
                    {**at, "issuer": OWN_ISSUER, "subject": found.who, "user_id": found.user_id},
                )
        for slug in SLUGS:
            # The triggers' definer functions are bounded by the context, whoever inserts.
            await connection.execute(f"SET LOCAL app.organization_id = '{uid(slug)}'")
            budgets = await connection.fetch("SELECT * FROM app.usage_budgets WHERE organization_id = $1", uid(slug))
            rows = (*_shared(slug), *(row for person in ROLES[slug] for row in _owned(slug, person)), *_spent(budgets))
            for table, row in sorted(rows, key=lambda pair: list(TABLES).index(pair[0])):
                await put(connection, table, {"organization_id": uid(slug), **row})
    for each in PRINCIPALS:
        await _leave_traces(urls, each)


async def _leave_traces(urls: Urls, actor: Principal) -> None:
    """An idempotency key, and events about a call of its own, of Ana and of the other organization."""
    other = SOUTH if actor.slug == NORTH else NORTH
    person = "ana" if actor.user_id is None else actor.name
    targets = [
        ("ToolCall", timed(AT, actor.slug, "call", person, "ERROR")),
        ("Project", uid(other, "project", "kitchen")),
    ]
    targets += [("Conversation", uid(actor.slug, "conversation", whose, "live")) for whose in {"ana", person}]
    events = [
        {"action": "tool_call.recorded", "target_type": kind, "target_id": id_, "details": {"id": id_}}
        for kind, id_ in targets
    ]
    async with superuser(urls) as connection, connection.transaction():
        key = {"organization_id": actor.organization_id, "actor_id": actor.actor_id, "expires_at": TOMORROW}
        await put(connection, "idempotency_keys", key)
        await connection.execute(actor.begin)
        await connection.execute("SELECT count(*) FROM app.audit_append($1::jsonb)", json.dumps(events))
