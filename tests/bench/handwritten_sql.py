"""The hand-written endpoint's second way: one statement whose JSON PostgreSQL makes; the bytes are passed through.

A write has no such way: O7 is missing here.
"""

from datetime import datetime
from typing import Any, Final

import orjson

from db.actor import Actor
from db.session import PLAN_FOR_VALUES
from tests.bench.handwritten_rows import METRICS, PAGE_OF_CALLS, page_of_calls

_TIME: Final = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


def _id(type_name: str, column: str) -> str:
    return f"translate(encode(convert_to('{type_name}:' || {column}, 'UTF8'), 'base64'), E'\\n', '')"


def _cursor(at: str, column: str) -> str:
    return f"translate(encode(convert_to({at}::text || '|' || {column}, 'UTF8'), 'base64'), E'\\n', '')"


def _page(source: str, node: str, at: str, *, size: int, order: str = "DESC", backward: bool = False) -> str:
    """A connection of rows `r` of `source`, which holds one row more than the page."""
    place = _cursor(f"r.{at}", "r.id")
    more, less = ("false", f"count(*) > {size}") if backward else (f"count(*) > {size}", "false")
    direction = f"r.{at} {order}, r.id {order}"
    edges = f"json_agg(json_build_object('cursor', {place}, 'node', {node}) ORDER BY {direction}) FILTER (WHERE r.place <= {size})"
    ends = f"(array_agg({place} ORDER BY {direction}) FILTER (WHERE r.place <= {size}))"
    return f"""(SELECT json_build_object('edges', coalesce({edges}, '[]'), 'pageInfo', json_build_object(
      'hasNextPage', {more}, 'hasPreviousPage', {less}, 'startCursor', {ends}[1], 'endCursor', {ends}[least(count(*), {size})]))
    FROM ({source}) AS r)"""


_CONVERSATION: Final = f"""'id', {_id("Conversation", "r.id")}, 'title', r.title, 'updatedAt', {_TIME.format("r.updated_at")},
  'messageCount', r.message_count"""
_MINE: Final = """SELECT c.id, c.title, c.updated_at, c.message_count, row_number() OVER (ORDER BY c.updated_at DESC, c.id DESC) AS place
  FROM app.ai_conversations AS c WHERE c.organization_id = $1 AND c.user_id = $2 AND c.deleted_at IS NULL"""
_O1: Final = f"""SELECT json_build_object('conversations', {
    _page(
        f"{_MINE} ORDER BY c.updated_at DESC, c.id DESC LIMIT 21",
        f"json_build_object({_CONVERSATION})",
        "updated_at",
        size=20,
    )
})::text"""
_MESSAGE: Final = f"""'id', {_id("Message", "m.id")}, 'role', m.role, 'content', m.content, 'createdAt', {_TIME.format("m.created_at")}"""
_O2: Final = f"""SELECT json_build_object('conversations', json_build_object('edges', json_agg(json_build_object('node',
  json_build_object({_CONVERSATION}, 'messages', json_build_object('edges', (
    SELECT coalesce(json_agg(json_build_object('node', json_build_object({_MESSAGE}, 'myFeedback',
      (SELECT json_build_object('rating', f.rating) FROM app.ai_feedback AS f
       WHERE f.organization_id = $1 AND f.user_id = $2 AND f.message_id = m.id))) ORDER BY m.created_at, m.id), '[]')
    FROM (SELECT m.* FROM app.ai_messages AS m WHERE m.organization_id = $1 AND m.user_id = $2 AND m.conversation_id = r.id
          ORDER BY m.created_at, m.id LIMIT 20) AS m)))) ORDER BY r.updated_at DESC, r.id DESC)))::text
  FROM ({_MINE} ORDER BY c.updated_at DESC, c.id DESC LIMIT 20) AS r"""
_SAID: Final = f"""json_build_object('id', {_id("Message", "r.id")}, 'role', r.role, 'content', r.content,
  'createdAt', {_TIME.format("r.created_at")},
  'sources', coalesce((SELECT json_agg(json_build_object('kind', s ->> 'kind', 'title', s ->> 'title')) FROM jsonb_array_elements(r.sources) AS s), '[]'),
  'myFeedback', (SELECT json_build_object('rating', f.rating, 'text', f.feedback_text) FROM app.ai_feedback AS f
     WHERE f.organization_id = $1 AND f.user_id = $2 AND f.message_id = r.id))"""
_LAST: Final = """SELECT m.*, row_number() OVER (ORDER BY m.created_at DESC, m.id DESC) AS place FROM app.ai_messages AS m
  WHERE m.organization_id = $1 AND m.user_id = $2 AND m.conversation_id = $3 ORDER BY m.created_at DESC, m.id DESC LIMIT 51"""
_O3: Final = f"""SELECT json_build_object('node', json_build_object({_CONVERSATION}, 'messages', {
    _page(_LAST, _SAID, "created_at", size=50, order="ASC", backward=True)
}))::text FROM app.ai_conversations AS r
WHERE r.organization_id = $1 AND r.user_id = $2 AND r.deleted_at IS NULL AND r.id = $3"""
_OPEN: Final = "i.organization_id = $1 AND NOT i.is_dismissed AND (i.expires_at IS NULL OR i.expires_at > now())"
_INSIGHT: Final = f"""json_build_object('id', {_id("Insight", "r.id")}, 'severity', r.severity, 'type', r.insight_type, 'title', r.title,
  'createdAt', {_TIME.format("r.created_at")},
  'project', (SELECT json_build_object('name', p.name) FROM app.projects AS p WHERE p.organization_id = $1 AND p.id = r.project_id))"""
_INSIGHTS: Final = f"""SELECT i.*, row_number() OVER (ORDER BY i.created_at DESC, i.id DESC) AS place FROM app.ai_insights AS i
  WHERE {_OPEN} AND i.severity = ANY ($2::text[]) ORDER BY i.created_at DESC, i.id DESC LIMIT 21"""
_O4: Final = f"""WITH types AS (SELECT i.insight_type, count(*) AS n FROM app.ai_insights AS i WHERE {_OPEN} AND i.severity = ANY ($2::text[]) GROUP BY 1),
  severities AS (SELECT i.severity, count(*) AS n FROM app.ai_insights AS i WHERE {_OPEN} GROUP BY 1)
SELECT json_build_object('insights', (json_build_object(
  'totalCount', json_build_object('value', (SELECT coalesce(sum(n), 0) FROM types)),
  'facets', json_build_object(
    'bySeverity', (SELECT json_agg(json_build_object('severity', severity, 'count', n)) FROM severities),
    'byType', (SELECT json_agg(json_build_object('type', insight_type, 'count', n)) FROM types)))::jsonb
  || {_page(_INSIGHTS, _INSIGHT, "created_at", size=20)}::jsonb))::text"""
_CALL: Final = f"""json_build_object('id', {_id("ToolCall", "r.id")}, 'toolName', r.tool_name, 'timestamp', {_TIME.format("r.timestamp")},
  'status', coalesce(r.status, 'PENDING'), 'completedAt', {_TIME.format("r.completed_at")}, 'aiConfidence', r.ai_confidence,
  'user', json_build_object('id', {_id("User", "r.user_id")}, 'displayName', r.display_name))"""
_CALLS: Final = f"""SELECT c.*, u.display_name, row_number() OVER (ORDER BY c.timestamp DESC, c.id DESC) AS place
  FROM ({PAGE_OF_CALLS}) AS c JOIN app.users AS u ON u.organization_id = $1 AND u.id = c.user_id"""
_O5: Final = f"""SELECT json_build_object('toolCalls', {_page(_CALLS, _CALL, "timestamp", size=100)})::text"""
_PAST: Final = "b.window_start < app.window_start(b.budget_window, now(), o.timezone)"
_O6: Final = f"""SELECT json_build_object('viewer', json_build_object(
  'user', json_build_object('id', {_id("User", "u.id")}, 'displayName', u.display_name), 'role', u.role,
  'organization', json_build_object('id', {_id("Organization", "o.id")}, 'name', o.name, 'timezone', o.timezone),
  'aiSettings', json_build_object('tier', coalesce(s.tier, 'FREE'), 'preferredProvider', coalesce(s.preferred_provider, 'OPENAI')),
  'usage', json_build_object('budgets', (SELECT json_agg(json_build_object('metric', b.metric, 'window', b.budget_window,
      'limit', b.limit_value::text, 'used', CASE WHEN {_PAST} THEN '0' ELSE b.used::text END,
      'reserved', CASE WHEN {_PAST} THEN '0' ELSE b.reserved::text END) ORDER BY b.subject_type DESC, b.metric DESC, b.budget_window)
    FROM app.usage_budgets AS b WHERE b.organization_id = $1 AND b.subject_id IN ($1, $2)))))::text
FROM app.users AS u JOIN app.organizations AS o ON o.id = $1
LEFT JOIN app.user_ai_settings AS s ON s.organization_id = $1 AND s.user_id = u.id
WHERE u.organization_id = $1 AND u.id = $2"""
_O8: Final = f"""SELECT json_build_object('aiMetrics', json_build_object('rows', json_agg(json_build_object('bucket', {_TIME.format("r.bucket")},
  'keys', json_build_array(json_build_object('value', r.model_name)), 'count', r.count::text, 'errors', r.errors::text, 'tokens', r.tokens::text,
  'cost', (r.cost / 1000000.0)::numeric(20, 6)::text,
  'latencyP50Ms', r.latency[1], 'latencyP95Ms', r.latency[2], 'latencyP99Ms', r.latency[3]) ORDER BY r.bucket, r.count DESC, r.model_name)))::text
FROM ({METRICS}) AS r"""

Answer = dict[str, Any]


async def _asked(connection: Any, actor: Actor, sql: str, *values: Any) -> orjson.Fragment:
    return orjson.Fragment(await connection.fetchval(f"/* {actor.db_role} */ {sql}", *values))


def _mine(sql: str) -> Any:
    async def run(connection: Any, actor: Actor, _given: Answer) -> orjson.Fragment:
        return await _asked(connection, actor, sql, actor.organization_id, actor.user_id)

    return run


async def _transcript(connection: Any, actor: Actor, given: Answer) -> orjson.Fragment:
    return await _asked(connection, actor, _O3, actor.organization_id, actor.user_id, given["id"])


async def _badge(connection: Any, actor: Actor, given: Answer) -> orjson.Fragment:
    return await _asked(connection, actor, _O4, actor.organization_id, given["severities"])


async def _calls(connection: Any, actor: Actor, _given: Answer) -> orjson.Fragment:
    return await _asked(connection, actor, _O5, actor.organization_id, *page_of_calls())


async def _metrics(connection: Any, actor: Actor, given: Answer) -> orjson.Fragment:
    times = (datetime.fromisoformat(given[name]) for name in ("since", "until"))
    await connection.execute(PLAN_FOR_VALUES)
    return await _asked(connection, actor, _O8, actor.organization_id, *times)


ANSWERS: Final = {
    "O1": _mine(_O1),
    "O2": _mine(_O2),
    "O3": _transcript,
    "O4": _badge,
    "O5": _calls,
    "O6": _mine(_O6),
    "O8": _metrics,
}
