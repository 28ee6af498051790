"""How the API reaches rows: for each GraphQL type its root lists, its edges to one and to many, and what each shows.

What is expected is said in terms of the oracle. A table that no type holds is a field of another type, or unreachable.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeAlias

from api.node import global_id
from db.types import Role
from tests.security import oracle
from tests.security.worlds import AT, LONG_AGO, TOMORROW, Dump, Principal, Row

Rows: TypeAlias = "Callable[[View], list[Row] | None]"
PEOPLE: Final = {"MEMBER", "OBSERVER", "ADMIN", "AUDITOR"}
RANGE: Final = f'range: {{from: "{(LONG_AGO - timedelta(days=1)).isoformat()}", to: "{TOMORROW.isoformat()}"}}'


class View:
    """What one principal is to be shown of a dump."""

    def __init__(self, dump: Dump, who: Principal) -> None:
        self.dump = dump
        self.who = who
        self._shown: dict[str, dict[str, Row] | None] = {}

    def visible(self, table: str) -> list[Row] | None:
        return oracle.visible(self.dump, table, self.who)

    def shown(self, type_name: str) -> dict[str, Row] | None:
        """The nodes of a type by id; None where the role may not read it."""
        if type_name not in self._shown:
            rows = TYPES[type_name].rows(self)
            self._shown[type_name] = None if rows is None else {row["id"]: row for row in rows}
        return self._shown[type_name]

    def node(self, type_name: str | None, database_id: str | None) -> str | None:
        """The global id, if there is such a node for this principal."""
        found = self.shown(type_name) if type_name in TYPES else None
        return global_id(type_name, database_id) if type_name and database_id and found and database_id in found else None

    @cached_property
    def feedback_by_message(self) -> dict[str, Row]:
        return {row["message_id"]: row for row in (self.shown("Feedback") or {}).values() if row["user_id"] == self.who.user_id}

    def beside(self, table: str, **key: object) -> Row | None:
        """The visible row of a side table that belongs to another row."""
        rows = self.visible(table) or ()
        return next((row for row in rows if all(row[name] == value for name, value in key.items())), None)


@dataclass(frozen=True)
class Listed:
    """A connection of Query; `%s` stands for the page's arguments. `rows` None: all that the type shows."""

    text: str
    rows: "Rows | None" = None


@dataclass(frozen=True)
class One:
    """An edge to one node: its text, and the global id that it gives."""

    text: str
    expected: Callable[[View, Row], str | None]


@dataclass(frozen=True)
class Many:
    """An edge to many: `type_name` and the test of a child; a connection, or a plain list at `path`."""

    text: str
    type_name: str
    belongs: Callable[[Row, Row], bool]
    rows: "Rows | None" = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One GraphQL type: its table, the rows that are its nodes, and its edges."""

    table: str
    rows: Rows
    lists: tuple[Listed, ...] = ()
    ones: tuple[One, ...] = ()
    manys: tuple[Many, ...] = ()


def link(field: str, type_name: str, column: str) -> One:
    return One(f"{field}{{id}}", lambda view, row: view.node(type_name, row[column]))


def by(column: str) -> Callable[[Row, Row], bool]:
    """The child points at the parent."""
    return lambda parent, child: bool(child[column] == parent["id"])


def of(table: str) -> Rows:
    return lambda view: view.visible(table)


def among(rows: Rows, test: Callable[[Row], bool]) -> Rows:
    def chosen(view: View) -> list[Row] | None:
        found = rows(view)
        return None if found is None else [row for row in found if test(row)]

    return chosen


def _is_fresh(row: Row) -> bool:
    return not row["is_dismissed"] and (row["expires_at"] is None or row["expires_at"] > datetime.now(UTC))


def _budgets(view: View) -> list[Row] | None:
    """`Organization.budgets`: a member sees its own elsewhere."""
    rows = view.visible("usage_budgets")
    if view.who.role in {Role.MEMBER, Role.OBSERVER}:
        return rows and [row for row in rows if row["subject_type"] == "ORGANIZATION"]
    return rows


def _event(action: str) -> Callable[[View, Row], str | None]:
    def expected(view: View, row: Row) -> str | None:
        events = (view.shown("AuditEvent") or {}).values()
        found = [each for each in events if (each["target_id"], each["action"]) == (row["id"], action)]
        return view.node("AuditEvent", min(found, key=lambda each: each["seq"])["id"]) if found else None

    return expected


def _interaction_of(view: View, row: Row) -> str | None:
    found = [each["id"] for each in (view.shown("AiInteraction") or {}).values() if each["message_id"] == row["id"]]
    return view.node("AiInteraction", max(found)) if found else None


def _settings_of(view: View, row: Row) -> str | None:
    return view.node("AiSettings", row["id"])


def _status(view: View, row: Row) -> str:
    outcome = view.beside("tool_call_outcomes", tool_call_id=row["id"], organization_id=row["organization_id"])
    return outcome["status"] if outcome else "PENDING"


def _calls(status: str) -> Rows:
    def rows(view: View) -> list[Row] | None:
        found = view.visible("tool_calls")
        return None if found is None else [row for row in found if _status(view, row) == status]

    return rows


ALL_INSIGHTS: Final = "filter: {dismissed: null, includeExpired: true}"
SUBJECT: Final = "subject{... on Organization{id} ... on User{id}}"
IN_ORGANIZATION: Final = by("organization_id")

TYPES: Final[dict[str, Route]] = {
    "Organization": Route(
        "organizations",
        of("organizations"),
        manys=(
            Many("users%s", "User", IN_ORGANIZATION),
            Many("projects%s", "Project", IN_ORGANIZATION),
            Many("categories%s", "Category", IN_ORGANIZATION),
            Many("tools{id}", "Tool", IN_ORGANIZATION, path=("tools",)),
            Many("budgets{id}", "UsageBudget", IN_ORGANIZATION, _budgets, path=("budgets",)),
        ),
    ),
    "User": Route(
        "users",
        of("users"),
        ones=(One("aiSettings{id}", _settings_of),),
        manys=(Many("toolCalls%s", "ToolCall", by("user_id")),),
    ),
    "Project": Route(
        "projects",
        of("projects"),
        manys=(
            Many(f"insights(first: 100, {ALL_INSIGHTS})", "Insight", by("project_id")),
            Many("conversations(first: 100, filter: {state: ALL})", "Conversation", by("project_id"), of("ai_conversations")),
            Many("documents%s", "Document", by("project_id")),
        ),
    ),
    "Category": Route("budget_categories", of("budget_categories"), manys=(Many("patterns%s", "Pattern", by("category_id")),)),
    "Tool": Route("ai_tools", of("ai_tools")),
    "Conversation": Route(
        "ai_conversations",
        lambda view: oracle.live_conversations(view.dump, view.who),
        lists=(
            Listed("conversations(%s)"),
            Listed("conversations(%s, filter: {state: ALL})", of("ai_conversations")),
            Listed("conversations(%s, filter: {state: ALL}, orderBy: {field: CREATED_AT, direction: ASC})", of("ai_conversations")),
            Listed("conversations(%s, filter: {state: DELETED})", among(of("ai_conversations"), lambda row: row["deleted_at"] is not None)),
            Listed("conversations(%s, filter: {search: \"LUMBER\"})"),
        ),
        ones=(link("user", "User", "user_id"), link("project", "Project", "project_id")),
        manys=(
            Many("messages%s", "Message", by("conversation_id")),
            Many("toolCalls%s", "ToolCall", by("conversation_id")),
            Many("interactions%s", "AiInteraction", by("conversation_id")),
            Many("sessionContext{messages{id}}", "Message", by("conversation_id"), path=("sessionContext", "messages")),
        ),
    ),
    "Message": Route(
        "ai_messages",
        lambda view: oracle.live_messages(view.dump, view.who),
        ones=(
            link("conversation", "Conversation", "conversation_id"),
            link("user", "User", "user_id"),
            One("myFeedback{id}", lambda view, row: view.node("Feedback", view.feedback_by_message.get(row["id"], {}).get("id"))),
            One("interaction{id}", _interaction_of),
        ),
    ),
    "Feedback": Route(
        "ai_feedback",
        of("ai_feedback"),
        lists=(Listed("feedback(%s)"),),
        ones=(link("message", "Message", "message_id"), link("user", "User", "user_id")),
    ),
    "Insight": Route(
        "ai_insights",
        of("ai_insights"),
        lists=(
            Listed("insights(%s)", among(of("ai_insights"), _is_fresh)),
            Listed(f"insights(%s, {ALL_INSIGHTS})"),
            Listed(f"insights(%s, {ALL_INSIGHTS}, orderBy: {{field: SEVERITY, direction: DESC}})"),
        ),
        ones=(link("project", "Project", "project_id"), link("dismissedBy", "User", "dismissed_by")),
    ),
    "Pattern": Route(
        "ai_patterns", of("ai_patterns"), lists=(Listed("patterns(%s)"),), ones=(link("category", "Category", "category_id"),)
    ),
    "AiSettings": Route(
        "user_ai_settings",
        lambda view: oracle.settings(view.dump, view.who),
        lists=(Listed("aiSettings(%s)"),),
        ones=(link("user", "User", "id"),),
    ),
    "UsageBudget": Route("usage_budgets", of("usage_budgets"), ones=(One(SUBJECT, lambda view, row: _subject(view, row)),)),
    "UsageLog": Route(
        "ai_usage_logs",
        of("ai_usage_logs"),
        lists=(Listed(f"usageLogs(%s, filter: {{{RANGE}}})"),),
        ones=(link("user", "User", "user_id"), link("interaction", "AiInteraction", "interaction_id")),
    ),
    "AiInteraction": Route(
        "ai_interactions",
        of("ai_interactions"),
        lists=(Listed(f"aiInteractions(%s, filter: {{{RANGE}}})"),),
        ones=(
            link("user", "User", "user_id"),
            link("conversation", "Conversation", "conversation_id"),
            link("message", "Message", "message_id"),
        ),
        manys=(Many("toolCalls%s", "ToolCall", by("interaction_id")),),
    ),
    "CacheEntry": Route(
        "ai_cache", lambda view: oracle.fresh_cache(view.dump, view.who, datetime.now(UTC)), lists=(Listed("cacheEntries(%s)"),)
    ),
    "ToolCall": Route(
        "tool_calls",
        of("tool_calls"),
        lists=(
            Listed("toolCalls(%s)"),
            *(Listed(f"toolCalls(%s, filter: {{status: [{each}]}})", _calls(each)) for each in ("SUCCESS", "ERROR", "PENDING")),
        ),
        ones=(
            link("user", "User", "user_id"),
            link("conversation", "Conversation", "conversation_id"),
            link("interaction", "AiInteraction", "interaction_id"),
            One("recordedEvent{id}", _event("tool_call.recorded")),
            One("completedEvent{id}", _event("tool_call.completed")),
        ),
    ),
    "AuditEvent": Route(
        "audit_events",
        of("audit_events"),
        lists=(Listed("auditEvents(%s)"),),
        ones=(
            One("actor{id}", lambda view, row: view.node("User", row["actor_id"]) if row["actor_role"] in PEOPLE else None),
            One("target{id}", lambda view, row: view.node(row["target_type"], row["target_id"])),
        ),
    ),
    "Document": Route(
        "documents",
        of("documents"),
        lists=(Listed("documents(%s)"),),
        ones=(link("project", "Project", "project_id"),),
        manys=(Many("chunks%s", "DocumentChunk", by("document_id")),),
    ),
    "DocumentChunk": Route(
        "document_embeddings",
        of("document_embeddings"),
        ones=(link("document", "Document", "document_id"),),
        manys=(
            Many(
                "neighbors(before: 10, after: 10){id}",
                "DocumentChunk",
                lambda one, other: one["document_id"] == other["document_id"] and one["id"] != other["id"],
                path=("neighbors",),
            ),
        ),
    ),
    "ContentSearch": Route(
        "ai_content_searches", of("ai_content_searches"), lists=(Listed("contentSearches(%s)"),), ones=(link("user", "User", "user_id"),)
    ),
}


def _subject(view: View, row: Row) -> str | None:
    return view.node("Organization" if row["subject_type"] == "ORGANIZATION" else "User", row["subject_id"])


# ── tables that are fields of other types ────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Field:
    """A value that comes from a side table, under a node of `type_name`."""

    type_name: str
    text: str
    expected: Callable[[View, Row], Any]


def _payload(part: str, name: str) -> Callable[[View, Row], Any]:
    def expected(view: View, row: Row) -> Any:
        found = view.beside("tool_call_payloads", tool_call_id=row["id"], part=part, organization_id=row["organization_id"])
        return found and json.loads(found["payload"]).get(name)

    return expected


def _request(view: View, row: Row) -> Any:
    found = view.beside("ai_interaction_payloads", interaction_id=row["id"])
    return found and json.loads(found["request"])


def _details(view: View, row: Row) -> Any:
    found = view.beside("audit_payloads", event_id=row["id"])
    return found and json.loads(found["payload"])


def _hints(view: View, row: Row) -> list[dict[str, str]] | None:
    """A list for whose keys one may know of, even if there is none; null otherwise."""
    test = oracle.READS["user_provider_keys"].of(view.who.role)
    whose = {"organization_id": row["organization_id"], "user_id": row["id"]}
    if test is None or not test(view.who, whose):
        return None
    return [{"hint": key["hint"]} for key in view.visible("user_provider_keys") or () if key["user_id"] == row["id"]]


def _address(view: View, row: Row) -> str | None:
    is_legible = oracle.is_legible("ai_interactions", "ip_address", view.who.role)
    return str(row["ip_address"]).partition("/")[0] if is_legible and row["ip_address"] else None


FIELDS: Final[dict[str, tuple[Field, ...]]] = {
    "ai_interaction_payloads": (Field("AiInteraction", "request", _request),),
    "ai_interactions": (Field("AiInteraction", "ipAddress", _address),),
    "tool_call_outcomes": (Field("ToolCall", "status", _status),),
    "tool_call_payloads": (
        Field("ToolCall", "params", _payload("CALL", "params")),
        Field("ToolCall", "result", _payload("OUTCOME", "result")),
        Field("ToolCall", "errorDetails", _payload("OUTCOME", "errorDetails")),
    ),
    "audit_payloads": (Field("AuditEvent", "details", _details),),
    "user_provider_keys": (Field("AiSettings", "keys{hint}", _hints),),
}
# By a root field of their own (test_parity.py asks them), or not on the wire at all.
AT_THE_ROOT: Final = {"ai_cache_stats", "audit_checkpoints", "identities"}
UNREACHED: Final = {"usage_ledger", "usage_reservations", "audit_heads", "idempotency_keys"}
assert AT > LONG_AGO
