"""One valid row of each table, and how to put it in: Core compiled, run on asyncpg, as the API does it."""

import hashlib
from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import asyncpg as compiler

from db import models

Database: TypeAlias = "asyncpg.Connection[Any]"

NOW = datetime.now(UTC)
HASH = hashlib.sha256(b"payload").digest()
OURS, THEIRS, ANA, THING = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(1, 5))
TABLES = {table.name: table for table in models.metadata.sorted_tables}

USER = {"organization_id": OURS, "user_id": ANA}
CALL = {"tool_call_id": THING, "created_at": NOW}
# By table; user and organization of all of them are the same.
ROWS: dict[str, dict[str, Any]] = {
    "organizations": {"id": OURS, "slug": "ours", "name": "Ours", "kind": "TEAM", "timezone": "Europe/Stockholm"},
    "users": {"id": ANA, "role": "MEMBER", "display_name": "Ana"},
    "identities": {**USER, "issuer": "https://login.example", "subject": "ana"},
    "projects": {"id": THING, "name": "Kitchen"},
    "budget_categories": {"id": THING, "name": "Lumber"},
    "documents": {"id": THING, "project_id": THING, "title": "Plan", "content_type": "DOCUMENT", "metadata": "{}"},
    "document_embeddings": {
        "document_id": THING,
        "chunk_index": 0,
        "chunk_text": "Boards and nails",
        "model": "all-MiniLM-L6-v2",
        "dimensions": 384,
        "embedding": f"[{','.join(['0.1'] * 384)}]",
    },
    "ai_conversations": {**USER, "id": THING, "project_id": THING, "title": "Lumber", "metadata": '{"a": 1}'},
    "ai_messages": {
        **USER,
        "id": THING,
        "conversation_id": THING,
        "role": "ASSISTANT",
        "content": "Grüße",
        "query_type": "SPENDING",
        "query_params": "{}",
        "sources": '[{"kind": "document"}]',
        "model": "m",
        "tokens_used": 3_000_000_000,
        "cost_micro_usd": 300,
    },
    "ai_feedback": {**USER, "message_id": THING, "rating": 5, "feedback_text": "Good"},
    "ai_insights": {
        "id": THING,
        "project_id": THING,
        "insight_type": "ANOMALY",
        "title": "Odd",
        "description": "Twice the price",
        "severity": "CRITICAL",
        "data": "{}",
    },
    "ai_patterns": {
        "pattern_type": "CATEGORY_COST_BASELINE",
        "category_id": THING,
        "pattern_data": "{}",
        "confidence": 0.5,
        "last_calculated_at": NOW,
    },
    "user_ai_settings": {**USER, "tier": "BYOK"},
    "user_provider_keys": {
        **USER,
        "provider": "ANTHROPIC",
        "ciphertext": b"c",
        "wrapped_key": b"w",
        "key_id": "k1",
        "hint": "abcd",
        "fingerprint": b"f",
    },
    "usage_budgets": {
        "id": THING,
        "subject_id": ANA,
        "subject_type": "USER",
        "metric": "TOKENS",
        "budget_window": "MONTH",
        "window_start": NOW,
        "limit_value": 100_000,
    },
    "usage_ledger": {"budget_id": THING, "request_key": "r", "kind": "SETTLE", "amount": 7, "window_start": NOW},
    "usage_reservations": {
        **USER,
        "budget_id": THING,
        "request_key": "r",
        "window_start": NOW,
        "amount": 7,
        "state": "HELD",
        "expires_at": NOW,
    },
    "ai_usage_logs": {**USER, "tier": "FREE", "provider": "OPENAI", "tokens_used": 7, "interaction_id": THING},
    "ai_interactions": {
        **USER,
        "id": THING,
        "conversation_id": THING,
        "message_id": THING,
        "model_name": "m",
        "provider": "OPENAI",
        "tier": "FREE",
        "request_bytes": 10,
        "status": "SUCCEEDED",
        "file_metadata": "{}",
        "ip_address": "192.0.2.1",
        "created_at": NOW,
        "completed_at": NOW,
    },
    "ai_interaction_payloads": {**USER, "interaction_id": THING, "request": '{"q": 1}', "created_at": NOW},
    "ai_cache": {"cache_key": "k", "response": "{}", "response_bytes": 2, "expires_at": NOW},
    "ai_cache_stats": {"day": NOW.date(), "hits": 1},
    "ai_tools": {"id": THING, "name": "add_task"},
    "tool_calls": {
        **USER,
        "id": THING,
        "session_id": THING,
        "conversation_id": THING,
        "interaction_id": THING,
        "tool_name": "add_task",
        "ai_confidence": 1.0,
        "timestamp": NOW,
        "payload_hash": HASH,
        "created_at": NOW,
    },
    "tool_call_outcomes": {
        **USER,
        **CALL,
        "status": "ERROR",
        "timestamp": NOW,
        "completed_at": NOW,
        "payload_hash": HASH,
    },
    "tool_call_payloads": {**USER, **CALL, "part": "CALL", "salt": b"s" * 32, "payload": b"{}"},
    "ai_content_searches": {**USER, "query": "parking", "content_type": "EXERCISE", "filters": "{}"},
    "audit_heads": {"seq": 1, "hash": HASH},
    "audit_events": {
        "id": THING,
        "seq": 1,
        "action": "tool_call.recorded",
        "actor_id": ANA,
        "actor_role": "MEMBER",
        "target_type": "ToolCall",
        "target_id": THING,
        "target_digest": HASH,
        "occurred_at": NOW,
        "leaf": HASH,
        "prev_hash": bytes(32),
        "hash": HASH,
    },
    "audit_payloads": {"event_id": THING, "salt": b"s" * 32, "payload": b"{}"},
    "audit_checkpoints": {
        "tree_size": 1,
        "root_hash": HASH,
        "subtrees": b"",
        "note": "minutebook\n1\n",
        "key_id": "k1",
    },
    "idempotency_keys": {"actor_id": ANA, "key": "k", "request_hash": HASH, "expires_at": NOW},
}


async def put(connection: Database, name: str, **changes: object) -> asyncpg.Record:
    """Insert the table's valid row with some changes, and return it."""
    table = TABLES[name]
    values = {} if name == "organizations" else {"organization_id": OURS}
    values = values | ROWS[name] | changes
    statement = insert(table).values(values).returning(*table.c)
    compiled = statement.compile(dialect=compiler.dialect())  # type: ignore[no-untyped-call]
    row = await connection.fetchrow(str(compiled), *(compiled.params[bind] for bind in compiled.positiontup or ()))
    assert row is not None
    return row
