"""The hand-written endpoint's first way: plain rows, put together here, written by orjson."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from db.actor import Actor
from db.session import PLAN_FOR_VALUES

_CONVERSATIONS: Final = """/* {role} */
SELECT id, title, updated_at, message_count FROM app.ai_conversations
WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL ORDER BY updated_at DESC, id DESC LIMIT 21"""
_MESSAGES: Final = """/* {role} */
SELECT p.at, m.id, m.role, m.content, m.created_at, f.rating
FROM unnest($3::uuid[]) WITH ORDINALITY AS p (id, at)
JOIN LATERAL (
  SELECT m.id, m.role, m.content, m.created_at FROM app.ai_messages AS m
  WHERE m.organization_id = $1 AND m.user_id = $2 AND m.conversation_id = p.id ORDER BY m.created_at, m.id LIMIT 20
) AS m ON true
LEFT JOIN app.ai_feedback AS f ON f.organization_id = $1 AND f.user_id = $2 AND f.message_id = m.id
ORDER BY p.at, m.created_at, m.id"""
_CONVERSATION: Final = """/* {role} */
SELECT id, title, updated_at, message_count FROM app.ai_conversations
WHERE organization_id = $1 AND user_id = $2 AND deleted_at IS NULL AND id = $3"""
_TRANSCRIPT: Final = """/* {role} */
SELECT m.id, m.role, m.content, m.created_at, m.sources, f.rating, f.feedback_text FROM app.ai_messages AS m
LEFT JOIN app.ai_feedback AS f ON f.organization_id = $1 AND f.user_id = $2 AND f.message_id = m.id
WHERE m.organization_id = $1 AND m.user_id = $2 AND m.conversation_id = $3 ORDER BY m.created_at DESC, m.id DESC LIMIT 51"""
_OPEN: Final = "i.organization_id = $1 AND NOT i.is_dismissed AND (i.expires_at IS NULL OR i.expires_at > now())"
_INSIGHTS: Final = f"""/* {{role}} */
SELECT i.id, i.severity, i.insight_type, i.title, i.created_at, i.project_id, p.name AS project FROM app.ai_insights AS i
LEFT JOIN app.projects AS p ON p.organization_id = $1 AND p.id = i.project_id
WHERE {_OPEN} AND i.severity = ANY ($2::text[]) ORDER BY i.created_at DESC, i.id DESC LIMIT 21"""
_FACETS: Final = f"""/* {{role}} */
SELECT 'severity' AS dimension, i.severity AS value, count(*) AS count FROM app.ai_insights AS i WHERE {_OPEN} GROUP BY 2
UNION ALL SELECT 'type', i.insight_type, count(*) FROM app.ai_insights AS i WHERE {_OPEN} AND i.severity = ANY ($2::text[]) GROUP BY 2"""
# LIMIT as a value, and people joined to the page alone: with the number known PostgreSQL sorts all calls of four months.
PAGE_OF_CALLS: Final = """SELECT c.id, c.tool_name, c.timestamp, c.ai_confidence, c.user_id, o.status, o.completed_at
  FROM app.tool_calls AS c
  LEFT JOIN app.tool_call_outcomes AS o
    ON o.organization_id = $1 AND o.tool_call_id = c.id AND o.created_at = c.created_at AND o.created_at >= $3
  WHERE c.organization_id = $1 AND c.timestamp >= $2 AND c.created_at >= $3 ORDER BY c.timestamp DESC, c.id DESC LIMIT $4"""
_CALLS: Final = f"""/* {{role}} */
SELECT c.*, u.display_name FROM ({PAGE_OF_CALLS}) AS c
JOIN app.users AS u ON u.organization_id = $1 AND u.id = c.user_id ORDER BY c.timestamp DESC, c.id DESC"""
_VIEWER: Final = """/* {role} */
SELECT u.id, u.display_name, u.role, o.id AS organization_id, o.name, o.timezone,
       coalesce(s.tier, 'FREE') AS tier, coalesce(s.preferred_provider, 'OPENAI') AS provider
FROM app.users AS u JOIN app.organizations AS o ON o.id = $1
LEFT JOIN app.user_ai_settings AS s ON s.organization_id = $1 AND s.user_id = u.id
WHERE u.organization_id = $1 AND u.id = $2"""
_BUDGETS: Final = """/* {role} */
SELECT b.metric, b.budget_window AS window, b.limit_value, b.used, b.reserved,
       b.window_start < app.window_start(b.budget_window, now(), o.timezone) AS is_past
FROM app.usage_budgets AS b JOIN app.organizations AS o ON o.id = $1
WHERE b.organization_id = $1 AND b.subject_id IN ($1, $2) ORDER BY b.subject_type DESC, b.metric DESC, b.budget_window"""
_REACH: Final = """/* {role} */
SELECT m.role FROM app.ai_messages AS m
JOIN app.ai_conversations AS c ON c.organization_id = $1 AND c.id = m.conversation_id AND c.user_id = $2 AND c.deleted_at IS NULL
WHERE m.organization_id = $1 AND m.user_id = $2 AND m.id = $3 FOR NO KEY UPDATE OF c"""
_PUT: Final = """/* {role} */
INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating, feedback_text) VALUES ($1, $3, $2, $4, $5)
ON CONFLICT (organization_id, message_id, user_id) DO UPDATE SET rating = excluded.rating, feedback_text = excluded.feedback_text
RETURNING id, rating, feedback_text"""
METRICS: Final = """SELECT date_trunc('day', i.created_at, (SELECT o.timezone FROM app.organizations AS o WHERE o.id = $1)) AS bucket,
       i.model_name, count(*) AS count, count(*) FILTER (WHERE i.status = 'FAILED') AS errors,
       coalesce(sum(i.tokens_used), 0)::bigint AS tokens, coalesce(sum(i.cost_micro_usd), 0)::bigint AS cost,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]::float8[]) WITHIN GROUP (ORDER BY i.latency_ms) AS latency
FROM app.ai_interactions AS i WHERE i.organization_id = $1 AND i.created_at >= $2 AND i.created_at < $3
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""

Answer = dict[str, Any]


def _sql(text: str, actor: Actor) -> str:
    return text.replace("{role}", actor.db_role)


def _id(type_name: str, database_id: str) -> str:
    return base64.b64encode(f"{type_name}:{database_id}".encode()).decode()


def _cursor(at: datetime, database_id: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([at, database_id])).decode()


def _info(edges: list[Answer], *, next_: bool, previous: bool) -> Answer:
    start, end = (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
    return {"hasNextPage": next_, "hasPreviousPage": previous, "startCursor": start, "endCursor": end}


def _conversation(row: Any) -> Answer:
    return {
        "id": _id("Conversation", row["id"]),
        "title": row["title"],
        "updatedAt": row["updated_at"],
        "messageCount": row["message_count"],
    }


async def _page(connection: Any, actor: Actor, _given: Answer) -> Answer:
    rows = await connection.fetch(_sql(_CONVERSATIONS, actor), actor.organization_id, actor.user_id)
    edges = [{"cursor": _cursor(row["updated_at"], row["id"]), "node": _conversation(row)} for row in rows[:20]]
    return {"conversations": {"edges": edges, "pageInfo": _info(edges, next_=len(rows) > 20, previous=False)}}


async def _nested(connection: Any, actor: Actor, _given: Answer) -> Answer:
    who = actor.organization_id, actor.user_id
    rows = (await connection.fetch(_sql(_CONVERSATIONS, actor), *who))[:20]
    nodes = [_conversation(row) for row in rows]
    lists: list[list[Answer]] = [[] for _ in nodes]
    for row in await connection.fetch(_sql(_MESSAGES, actor), *who, [row["id"] for row in rows]):
        node = {
            "id": _id("Message", row["id"]),
            "role": row["role"],
            "content": row["content"],
            "createdAt": row["created_at"],
        }
        node["myFeedback"] = None if row["rating"] is None else {"rating": row["rating"]}
        lists[row["at"] - 1].append({"node": node})
    for node, edges in zip(nodes, lists, strict=True):
        node["messages"] = {"edges": edges}
    return {"conversations": {"edges": [{"node": node} for node in nodes]}}


async def _transcript(connection: Any, actor: Actor, given: Answer) -> Answer:
    values = actor.organization_id, actor.user_id, given["id"]
    conversation = await connection.fetchrow(_sql(_CONVERSATION, actor), *values)
    rows = await connection.fetch(_sql(_TRANSCRIPT, actor), *values)
    edges: list[Answer] = []
    for row in reversed(rows[:50]):
        sources = orjson.loads(row["sources"] or "[]")
        node = {
            "id": _id("Message", row["id"]),
            "role": row["role"],
            "content": row["content"],
            "createdAt": row["created_at"],
        }
        node["sources"] = [{"kind": each["kind"], "title": each.get("title")} for each in sources]
        node["myFeedback"] = None if row["rating"] is None else {"rating": row["rating"], "text": row["feedback_text"]}
        edges.append({"cursor": _cursor(row["created_at"], row["id"]), "node": node})
    messages = {"edges": edges, "pageInfo": _info(edges, next_=False, previous=len(rows) > 50)}
    return {"node": {**_conversation(conversation), "messages": messages}}


async def _badge(connection: Any, actor: Actor, given: Answer) -> Answer:
    values = actor.organization_id, given["severities"]
    rows = await connection.fetch(_sql(_INSIGHTS, actor), *values)
    counts = await connection.fetch(_sql(_FACETS, actor), *values)
    edges = []
    for row in rows[:20]:
        node = {
            "id": _id("Insight", row["id"]),
            "severity": row["severity"],
            "type": row["insight_type"],
            "title": row["title"],
        }
        node |= {"createdAt": row["created_at"], "project": {"name": row["project"]} if row["project_id"] else None}
        edges.append({"cursor": _cursor(row["created_at"], row["id"]), "node": node})
    severities = [{"severity": row["value"], "count": row["count"]} for row in counts if row["dimension"] == "severity"]
    types = [{"type": row["value"], "count": row["count"]} for row in counts if row["dimension"] == "type"]
    return {
        "insights": {
            "totalCount": {"value": sum(each["count"] for each in types)},
            "facets": {"bySeverity": severities, "byType": types},
            "edges": edges,
            "pageInfo": _info(edges, next_=len(rows) > 20, previous=False),
        }
    }


def page_of_calls() -> tuple[datetime, datetime, int]:
    """The last of PAGE_OF_CALLS' values: from when calls are listed, by their own time and by their row's, and how many."""
    since = datetime.now(UTC) - timedelta(days=92)
    return since, since - timedelta(days=1), 101


async def _calls(connection: Any, actor: Actor, _given: Answer) -> Answer:
    rows = await connection.fetch(_sql(_CALLS, actor), actor.organization_id, *page_of_calls())
    edges = []
    for row in rows[:100]:
        node = {"id": _id("ToolCall", row["id"]), "toolName": row["tool_name"], "timestamp": row["timestamp"]}
        node |= {
            "status": row["status"] or "PENDING",
            "completedAt": row["completed_at"],
            "aiConfidence": row["ai_confidence"],
        }
        node["user"] = {"id": _id("User", row["user_id"]), "displayName": row["display_name"]}
        edges.append({"cursor": _cursor(row["timestamp"], row["id"]), "node": node})
    return {"toolCalls": {"edges": edges, "pageInfo": _info(edges, next_=len(rows) > 100, previous=False)}}


async def _viewer(connection: Any, actor: Actor, _given: Answer) -> Answer:
    who = actor.organization_id, actor.user_id
    row = await connection.fetchrow(_sql(_VIEWER, actor), *who)
    budgets = [
        {"metric": each["metric"], "window": each["window"], "limit": each["limit_value"] and str(each["limit_value"])}
        | {name: "0" if each["is_past"] else str(each[name]) for name in ("used", "reserved")}
        for each in await connection.fetch(_sql(_BUDGETS, actor), *who)
    ]
    organization = {"id": _id("Organization", row["organization_id"]), "name": row["name"], "timezone": row["timezone"]}
    return {
        "viewer": {
            "user": {"id": _id("User", row["id"]), "displayName": row["display_name"]},
            "role": row["role"],
            "organization": organization,
            "aiSettings": {"tier": row["tier"], "preferredProvider": row["provider"]},
            "usage": {"budgets": budgets},
        }
    }


async def put_feedback(connection: Any, actor: Actor, given: Answer) -> Any:
    """The write itself, checked and on record as ours is: the row. Raises LookupError."""
    values = actor.organization_id, actor.user_id, given["message"]
    if await connection.fetchval(_sql(_REACH, actor), *values) != "ASSISTANT":
        raise LookupError(given["message"])
    row = await connection.fetchrow(_sql(_PUT, actor), *values, given["rating"], given["text"])
    event = {"action": "feedback.submitted", "target_type": "Feedback", "target_id": row["id"]}
    event["details"] = {"message": given["message"], "rating": given["rating"], "changed": ["feedback_text", "rating"]}
    await connection.fetch("SELECT seq FROM app.audit_append($1::jsonb)", orjson.dumps([event]).decode())
    return row


async def _feedback(connection: Any, actor: Actor, given: Answer) -> Answer:
    row = await put_feedback(connection, actor, given)
    feedback = {"id": _id("Feedback", row["id"]), "rating": row["rating"], "text": row["feedback_text"]}
    return {"submitFeedback": {"feedback": feedback, "userErrors": []}}


async def _metrics(connection: Any, actor: Actor, given: Answer) -> Answer:
    since, until = (datetime.fromisoformat(given[name]) for name in ("since", "until"))
    rows = []
    await connection.execute(PLAN_FOR_VALUES)
    for row in await connection.fetch(_sql(f"/* {{role}} */ {METRICS}", actor), actor.organization_id, since, until):
        p50, p95, p99 = row["latency"] or (None, None, None)
        cost = f"{row['cost'] // 1_000_000}.{row['cost'] % 1_000_000:06}"
        line = {"bucket": row["bucket"], "keys": [{"value": row["model_name"]}], "cost": cost}
        line |= {name: str(row[name]) for name in ("count", "errors", "tokens")}
        rows.append(line | {"latencyP50Ms": p50, "latencyP95Ms": p95, "latencyP99Ms": p99})
    return {"aiMetrics": {"rows": rows}}


ANSWERS: Final = {
    "O1": _page,
    "O2": _nested,
    "O3": _transcript,
    "O4": _badge,
    "O5": _calls,
    "O6": _viewer,
    "O7": _feedback,
    "O8": _metrics,
}
