"""The shapes of the rows that the seed writes: one class per table, its fields the columns in insert order."""

from datetime import date, datetime
from typing import Final, NamedTuple

# One name means one type all over the schema, so a column's name is enough to cast its array.
_BY_NAME: Final = {
    "metadata": "jsonb", "query_params": "jsonb", "sources": "jsonb", "data": "jsonb", "pattern_data": "jsonb", "request": "jsonb", "response": "jsonb", "file_metadata": "jsonb", "filters": "jsonb",
    "tokens_used": "bigint", "cost_micro_usd": "bigint", "used": "bigint", "amount": "bigint", "hits": "bigint", "misses": "bigint", "saved_micro_usd": "bigint", "hit_count": "bigint", "limit_value": "bigint",
    "rating": "smallint", "chunk_index": "int", "dimensions": "int", "request_bytes": "int", "response_bytes": "int", "latency_ms": "int", "results_count": "int", "key_version": "int",
    "is_dismissed": "boolean", "needs_reentry": "boolean", "confidence": "float8", "ai_confidence": "float8", "ip_address": "inet", "timestamp": "timestamptz", "window_start": "timestamptz", "day": "date",
    "ciphertext": "bytea", "wrapped_key": "bytea", "fingerprint": "bytea", "payload_hash": "bytea", "salt": "bytea", "payload": "bytea", "dismissed_by": "uuid", "id": "uuid", "embedding": "ext.vector",
}  # fmt: skip
_TEXT_IDS: Final = {"key_id"}


def sql_type(column: str) -> str:
    """The PostgreSQL type of a column of that name."""
    if column in _BY_NAME:
        return _BY_NAME[column]
    if column.endswith("_at"):
        return "timestamptz"
    return "uuid" if column.endswith("_id") and column not in _TEXT_IDS else "text"


class OrganizationRow(NamedTuple):
    id: str
    slug: str
    name: str
    kind: str
    timezone: str
    embedding_model: str
    created_at: datetime


class UserRow(NamedTuple):
    organization_id: str
    id: str
    display_name: str
    role: str
    created_at: datetime


class IdentityRow(NamedTuple):
    organization_id: str
    id: str
    issuer: str
    subject: str
    user_id: str
    created_at: datetime


class NameRow(NamedTuple):
    """A project or a budget category."""

    organization_id: str
    id: str
    name: str
    created_at: datetime


class ToolRow(NamedTuple):
    organization_id: str
    id: str
    name: str
    description: str
    created_at: datetime


class DocumentRow(NamedTuple):
    organization_id: str
    id: str
    project_id: str | None
    title: str
    content_type: str
    content_id: str | None
    metadata: str | None
    created_at: datetime


class ChunkRow(NamedTuple):
    organization_id: str
    id: str
    document_id: str
    chunk_index: int
    chunk_text: str
    model: str | None
    dimensions: int | None
    embedding: str | None
    created_at: datetime


class ConversationRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str
    project_id: str | None
    title: str | None
    model_used: str
    metadata: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class MessageRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str
    conversation_id: str
    role: str
    content: str
    query_type: str | None
    query_params: str | None
    sources: str | None
    model: str | None
    tokens_used: int | None
    cost_micro_usd: int | None
    created_at: datetime


class FeedbackRow(NamedTuple):
    organization_id: str
    id: str
    message_id: str
    user_id: str
    rating: int
    feedback_text: str | None
    created_at: datetime


class InsightRow(NamedTuple):
    organization_id: str
    id: str
    project_id: str | None
    insight_type: str
    title: str
    description: str
    data: str
    severity: str
    is_dismissed: bool
    dismissed_by: str | None
    dismissed_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class PatternRow(NamedTuple):
    organization_id: str
    id: str
    pattern_type: str
    category_id: str | None
    pattern_data: str
    confidence: float
    last_calculated_at: datetime
    created_at: datetime


class UsageLogRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str | None
    tier: str
    provider: str
    model: str
    tokens_used: int
    cost_micro_usd: int
    interaction_id: str | None
    created_at: datetime


class InteractionRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str | None
    conversation_id: str | None
    message_id: str | None
    type: str
    model_name: str
    provider: str
    tier: str | None
    tokens_used: int | None
    request_bytes: int
    response_bytes: int | None
    latency_ms: int | None
    error_code: str | None
    error_message: str | None
    status: str
    cost_micro_usd: int
    prompt_hash: str
    file_metadata: str | None
    ip_address: str | None
    created_at: datetime
    completed_at: datetime | None


class InteractionPayloadRow(NamedTuple):
    organization_id: str
    interaction_id: str
    user_id: str | None
    request: str
    response: str | None
    created_at: datetime


class CacheRow(NamedTuple):
    organization_id: str
    id: str
    scope: str
    cache_key: str
    response: str
    response_bytes: int
    cost_micro_usd: int
    hit_count: int
    expires_at: datetime
    created_at: datetime
    last_accessed_at: datetime


class CacheStatsRow(NamedTuple):
    organization_id: str
    day: date
    hits: int
    misses: int
    saved_micro_usd: int


class ToolCallRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str
    session_id: str
    conversation_id: str | None
    interaction_id: str | None
    tool_name: str
    ai_confidence: float
    timestamp: datetime
    payload_hash: bytes
    created_at: datetime


class OutcomeRow(NamedTuple):
    organization_id: str
    tool_call_id: str
    user_id: str
    status: str
    timestamp: datetime
    completed_at: datetime
    payload_hash: bytes
    created_at: datetime


class ToolPayloadRow(NamedTuple):
    organization_id: str
    tool_call_id: str
    part: str
    user_id: str
    salt: bytes
    payload: bytes
    created_at: datetime


class SearchRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str
    query: str
    content_type: str
    filters: str | None
    results_count: int
    selected_content_id: str | None
    created_at: datetime
