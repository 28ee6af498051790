"""The route of each GraphQL type: its table, its root lists, its edges, and what each shows, in terms of the oracle."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from db.types import Role
from tests.security import oracle
from tests.security.looking import Dump, Row
from tests.security.people import LONG_AGO, TOMORROW, Principal
from tests.security.views import Listed, Many, One, Route, Rows, View, among, by, link, of

PEOPLE: Final = {"MEMBER", "OBSERVER", "ADMIN", "AUDITOR"}
RANGE: Final = f'range: {{from: "{(LONG_AGO - timedelta(days=1)).isoformat()}", to: "{TOMORROW.isoformat()}"}}'


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


def status_of(view: View, row: Row) -> str:
    outcome = view.beside("tool_call_outcomes", tool_call_id=row["id"], organization_id=row["organization_id"])
    return outcome["status"] if outcome else "PENDING"


def _calls(status: str) -> Rows:
    def rows(view: View) -> list[Row] | None:
        found = view.visible("tool_calls")
        return None if found is None else [row for row in found if status_of(view, row) == status]

    return rows


def _subject(view: View, row: Row) -> str | None:
    return view.node("Organization" if row["subject_type"] == "ORGANIZATION" else "User", row["subject_id"])


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
            Many(
                "conversations(first: 100, filter: {state: ALL})",
                "Conversation",
                by("project_id"),
                of("ai_conversations"),
            ),
            Many("documents%s", "Document", by("project_id")),
        ),
    ),
    "Category": Route(
        "budget_categories", of("budget_categories"), manys=(Many("patterns%s", "Pattern", by("category_id")),)
    ),
    "Tool": Route("ai_tools", of("ai_tools")),
    "Conversation": Route(
        "ai_conversations",
        lambda view: oracle.live_conversations(view.dump, view.who),
        lists=(
            Listed("conversations(%s)"),
            Listed("conversations(%s, filter: {state: ALL})", of("ai_conversations")),
            Listed(
                "conversations(%s, filter: {state: ALL}, orderBy: {field: CREATED_AT, direction: ASC})",
                of("ai_conversations"),
            ),
            Listed(
                "conversations(%s, filter: {state: DELETED})",
                among(of("ai_conversations"), lambda row: row["deleted_at"] is not None),
            ),
            Listed('conversations(%s, filter: {search: "LUMBER"})'),
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
            One(
                "myFeedback{id}",
                lambda view, row: view.node("Feedback", view.feedback_by_message.get(row["id"], {}).get("id")),
            ),
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
        "ai_patterns",
        of("ai_patterns"),
        lists=(Listed("patterns(%s)"),),
        ones=(link("category", "Category", "category_id"),),
    ),
    "AiSettings": Route(
        "user_ai_settings",
        lambda view: oracle.settings(view.dump, view.who),
        lists=(Listed("aiSettings(%s)"),),
        ones=(link("user", "User", "id"),),
    ),
    "UsageBudget": Route("usage_budgets", of("usage_budgets"), ones=(One(SUBJECT, _subject),)),
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
        "ai_cache",
        lambda view: oracle.fresh_cache(view.dump, view.who, datetime.now(UTC)),
        lists=(Listed("cacheEntries(%s)"),),
    ),
    "ToolCall": Route(
        "tool_calls",
        of("tool_calls"),
        lists=(
            Listed("toolCalls(%s)"),
            *(
                Listed(f"toolCalls(%s, filter: {{status: [{each}]}})", _calls(each))
                for each in ("SUCCESS", "ERROR", "PENDING")
            ),
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
            One(
                "actor{id}",
                lambda view, row: view.node("User", row["actor_id"]) if row["actor_role"] in PEOPLE else None,
            ),
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
        "ai_content_searches",
        of("ai_content_searches"),
        lists=(Listed("contentSearches(%s)"),),
        ones=(link("user", "User", "user_id"),),
    ),
}


def view_of(dump: Dump, who: Principal) -> View:
    return View(dump, who, TYPES)
