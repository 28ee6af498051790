"""What Query answers besides lists of nodes: sums, facets, search, the viewer; each with what the oracle makes of it."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from api.node import global_id
from db.types import Role
from tests.client import Client
from tests.security import oracle
from tests.security.looking import Dump, Row
from tests.security.people import Principal
from tests.security.routes import RANGE, view_of
from tests.security.views import View

FORBIDDEN: Final = "FORBIDDEN"


def _search(view: View) -> Any:
    rows = view.visible("document_embeddings")
    return (
        FORBIDDEN
        if rows is None
        else {"edges": _sorted({"node": {"id": global_id("DocumentChunk", row["id"])}} for row in rows)}
    )


def _cache_stats(view: View) -> Any:
    entries, stats = view.shown("CacheEntry"), view.visible("ai_cache_stats")
    if entries is None or stats is None:
        return FORBIDDEN
    size = sum(row["response_bytes"] for row in entries.values())
    return {"entries": str(len(entries)), "hits": str(sum(row["hits"] for row in stats)), "bytes": str(size)}


def _tool_usage(view: View) -> Any:
    calls = view.visible("tool_calls")
    if calls is None:
        return FORBIDDEN
    errors = sum(row["status"] == "ERROR" for row in view.visible("tool_call_outcomes") or ())
    return [{"toolName": "add_task", "count": str(len(calls)), "errors": str(errors)}] if calls else []


def _by_user(table: str) -> Callable[[View], Any]:
    def expected(view: View) -> Any:
        rows = view.visible(table)
        if rows is None:
            return FORBIDDEN
        counts = Counter(row["user_id"] and global_id("User", row["user_id"]) for row in rows)
        return {"rows": _sorted({"count": str(count), "keys": [{"value": value}]} for value, count in counts.items())}

    return expected


def _activity(view: View) -> Any:
    if view.who.role not in {Role.ADMIN, Role.AUDITOR, Role.SERVICE}:
        return FORBIDDEN
    counts = [
        Counter(row["user_id"] for row in view.dump[table] if oracle.org(view.who, row))
        for table in ("ai_conversations", "ai_messages", "ai_usage_logs")
    ]
    names = ("conversations", "messages", "requests")
    people = {user for count in counts for user in count if user}
    return _sorted(
        {
            "user": {"id": global_id("User", user)},
            **{name: str(count[user]) for name, count in zip(names, counts, strict=True)},
        }
        for user in people
    )


def _chain(view: View) -> Any:
    events, checkpoints = view.visible("audit_events"), view.visible("audit_checkpoints")
    if events is None or checkpoints is None:
        return FORBIDDEN
    return {"verdict": "OK", "checked": str(len(events)), "checkpoint": checkpoints[0]["note"]}


def _insight_facets(view: View) -> Any:
    counts = Counter(row["severity"] for row in view.visible("ai_insights") or ())
    return {"facets": {"bySeverity": _sorted({"severity": each, "count": count} for each, count in counts.items())}}


def _tiers(view: View) -> Any:
    shown = view.shown("AiSettings")
    if shown is None:
        return FORBIDDEN
    return {"facets": {"byTier": [{"tier": "FREE", "count": len(shown)}]}}


def _viewer(view: View) -> Any:
    who = view.who
    mine = [row for row in view.dump["identities"] if oracle.own(who, row)]
    same = {
        row["organization_id"] for row in view.dump["identities"] for own in mine if row["subject"] == own["subject"]
    }
    subjects = {who.organization_id} | (set() if who.role is Role.OBSERVER else {who.user_id})
    budgets = [row for row in view.visible("usage_budgets") or () if row["subject_id"] in subjects]
    node, role = view.node("User", who.user_id), who.role.value
    settings = view.node("AiSettings", who.user_id)
    return {
        "role": role,
        "user": node and {"id": node},
        "organization": {"id": view.node("Organization", who.organization_id)},
        "organizations": _sorted({"slug": row["slug"]} for row in view.dump["organizations"] if row["id"] in same or row["id"] == who.organization_id),
        "aiSettings": settings and {"id": settings},
        "usage": {"budgets": _sorted({"id": global_id("UsageBudget", row["id"])} for row in budgets)},
    }  # fmt: skip


ROOTS: Final[dict[str, tuple[str, Callable[[View], Any]]]] = {
    "viewer": (
        "viewer{role user{id} organization{id} organizations{slug} aiSettings{id} usage{budgets{id}}}",
        _viewer,
    ),
    "searchDocuments": (
        'searchDocuments(first: 50, input: {text: "lumber", mode: FULL_TEXT}){edges{node{id}}}',
        _search,
    ),
    "cacheStats": ("cacheStats{entries hits bytes}", _cache_stats),
    "toolUsage": (f"toolUsage({RANGE}){{toolName count errors}}", _tool_usage),
    "aiMetrics": (f"aiMetrics({RANGE}, groupBy: [USER]){{rows{{count keys{{value}}}}}}", _by_user("ai_interactions")),
    "usageMetrics": (
        f"usageMetrics({RANGE}, groupBy: [USER]){{rows{{count keys{{value}}}}}}",
        _by_user("ai_usage_logs"),
    ),
    "usageActivity": ("usageActivity{user{id} conversations messages requests}", _activity),
    "verifyAuditChain": ("verifyAuditChain{verdict checked checkpoint}", _chain),
    "insights": (
        "insights(filter: {dismissed: null, includeExpired: true}){facets{bySeverity{severity count}}}",
        _insight_facets,
    ),
    "aiSettings": ("aiSettings{facets{byTier{tier count}}}", _tiers),
}


async def root_differences(client: Client, dump: Dump, who: Principal) -> list[str]:
    """What each of these fields answers, as far as it is not what the oracle says."""
    view, found = view_of(dump, who), []
    for text, expected in ROOTS.values():
        answer = await client.ask(f"{{it: {text}}}", who.who, organization=who.slug)
        refused = answer.codes == [FORBIDDEN] and answer.body["data"] == {"it": None}
        seen, due = (
            FORBIDDEN if refused else _in_order(answer.body.get("errors") or answer.body["data"]["it"]),
            expected(view),
        )
        if seen != due:
            found.append(f"{who} asks {text}: {seen} instead of {due}")
    return found


async def leaf_differences(client: Client, dump: Dump, who: Principal) -> list[str]:
    """What hangs on a message without being a node: votes, references of the AI backend, the transcript."""
    view, found = view_of(dump, who), []
    shown = list((view.shown("Message") or {}).values())
    text = "query($ids: [ID!]!) {nodes(ids: $ids) {... on Message {feedbackSummary{up down} sources{node{id}} conversation{transcript}}}}"
    ids = [global_id("Message", row["id"]) for row in shown]
    nodes = (await client.ask(text, who.who, organization=who.slug, ids=ids)).data["nodes"]
    for row, node in zip(shown, nodes, strict=True):
        for name, due in (("feedbackSummary", _votes(view, row)), ("sources", _references(view, row))):
            if node[name] != due:
                found.append(f"{who} reads {name} of Message:{row['id']}: {node[name]} instead of {due}")
        said = sum(each["conversation_id"] == row["conversation_id"] for each in shown)
        if len(node["conversation"]["transcript"]) != said:
            found.append(f"{who} reads a transcript of {node['conversation']['transcript']} instead of {said}")
    return found


def _votes(view: View, message: Row) -> dict[str, int]:
    ratings = [row["rating"] for row in view.visible("ai_feedback") or () if row["message_id"] == message["id"]]
    return {"up": ratings.count(5), "down": ratings.count(1)}


def _references(view: View, message: Row) -> list[dict[str, Any]]:
    found = [view.node(ref["kind"].capitalize(), ref["id"]) for ref in json.loads(message["sources"])]
    return [{"node": node and {"id": node}} for node in found]


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=str)


def _in_order(value: Any) -> Any:
    """The same with every list sorted: order is not what is compared here."""
    if isinstance(value, dict):
        return {key: _in_order(each) for key, each in value.items()}
    return _sorted(map(_in_order, value)) if isinstance(value, list) else value
