"""The oracle: who may see and change which rows, written by hand from the permission table of the design.

It reads rows of a superuser's dump and knows nothing of db/policies.py. A cell that says nothing is denied; an admin
is a member too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from db.types import Role
from tests.security.looking import Dump, Row, key_of
from tests.security.people import Principal

Test: TypeAlias = Callable[[Principal, Row], bool]
Key: TypeAlias = tuple[Any, ...]


def org(who: Principal, row: Row) -> bool:
    return bool(row["organization_id"] == who.organization_id)


def itself(who: Principal, row: Row) -> bool:
    return bool(row["id"] == who.organization_id)


def own(who: Principal, row: Row) -> bool:
    return org(who, row) and who.user_id is not None and row["user_id"] == who.user_id


def own_by_actor(who: Principal, row: Row) -> bool:
    return org(who, row) and row["actor_id"] == who.actor_id


def subject(who: Principal, row: Row) -> bool:
    return org(who, row) and row["subject_id"] in {who.user_id, who.organization_id}


def the_organizations(who: Principal, row: Row) -> bool:
    return org(who, row) and row["subject_id"] == who.organization_id


@dataclass(frozen=True)
class Line:
    """One line of the table: a cell for each role; None is a dash."""

    member: Test | None = None
    observer: Test | None = None
    admin: Test | None = None
    auditor: Test | None = None
    service: Test | None = None

    def of(self, role: Role) -> Test | None:
        found: Test | None = getattr(self, role.value.lower())
        return self.member if role is Role.ADMIN and found is None else found


def everybody(test: Test) -> Line:
    return Line(test, test, test, test, test)


STAFF: Final = Line(admin=org, auditor=org)
STAFF_AND_SERVICE: Final = Line(admin=org, auditor=org, service=org)
PRIVATE: Final = Line(member=own, service=org)
OWN_OR_STAFF: Final = Line(member=own, admin=org, auditor=org, service=org)

READS: Final[dict[str, Line]] = {
    "organizations": everybody(itself),
    "users": everybody(org),
    "projects": everybody(org),
    "budget_categories": everybody(org),
    "documents": everybody(org),
    "ai_tools": everybody(org),
    "identities": Line(service=org),
    "ai_conversations": PRIVATE,
    "ai_messages": PRIVATE,
    "ai_feedback": OWN_OR_STAFF,
    "ai_insights": everybody(org),
    "ai_patterns": everybody(org),
    "user_ai_settings": OWN_OR_STAFF,
    "user_provider_keys": PRIVATE,
    "usage_budgets": Line(subject, the_organizations, org, org, org),
    "usage_ledger": STAFF,
    "usage_reservations": STAFF,
    "ai_usage_logs": STAFF_AND_SERVICE,
    "ai_interactions": STAFF_AND_SERVICE,
    "ai_interaction_payloads": Line(admin=org, service=org),
    "tool_calls": OWN_OR_STAFF,
    "tool_call_outcomes": OWN_OR_STAFF,
    "tool_call_payloads": OWN_OR_STAFF,
    "ai_content_searches": OWN_OR_STAFF,
    "document_embeddings": Line(member=org, observer=org, admin=org, service=org),
    # The service deletes, and so must match on the key: it reads these columns and nothing else.
    "ai_cache": STAFF_AND_SERVICE,
    "audit_events": STAFF,
    "audit_checkpoints": STAFF,
    "audit_payloads": STAFF,
    "idempotency_keys": Line(member=own_by_actor, service=own_by_actor),
    "ai_cache_stats": STAFF,
    "audit_heads": Line(),
}

SEALED: Final = frozenset({"ciphertext", "wrapped_key", "fingerprint"})
CACHE_KEY: Final = frozenset({"id", "organization_id", "scope", "cache_key"})


def is_legible(table: str, column: str, role: Role) -> bool:
    """Whether the role may select this column, where it may read the table."""
    if READS[table].of(role) is None:
        return False
    if table == "user_provider_keys":
        return column not in SEALED
    if (table, column) == ("ai_interactions", "ip_address"):
        return role is Role.ADMIN
    return table != "ai_cache" or role is not Role.SERVICE or column in CACHE_KEY


def visible(dump: Dump, table: str, who: Principal) -> list[Row] | None:
    """The rows of a table that this principal sees; None where its role may not read the table at all."""
    test = READS[table].of(who.role)
    return None if test is None else [row for row in dump[table] if test(who, row)]


def keys(dump: Dump, table: str, who: Principal) -> frozenset[Key] | None:
    found = visible(dump, table, who)
    names = key_of(table)
    return None if found is None else frozenset(tuple(row[name] for name in names) for row in found)


# ── what the API shows of it ─────────────────────────────────────────────────────────────────────────────────────────
def live_conversations(dump: Dump, who: Principal) -> list[Row] | None:
    found = visible(dump, "ai_conversations", who)
    return found and [row for row in found if row["deleted_at"] is None]


def live_messages(dump: Dump, who: Principal) -> list[Row] | None:
    """Messages disappear with their conversation."""
    live = {row["id"] for row in live_conversations(dump, who) or ()}
    found = visible(dump, "ai_messages", who)
    return found and [row for row in found if row["conversation_id"] in live]


def settings(dump: Dump, who: Principal) -> list[Row] | None:
    """AI settings exist for every user in scope before a row does: they are rows of users."""
    test = READS["user_ai_settings"].of(who.role)
    if test is None:
        return None
    return [row for row in dump["users"] if test(who, {**row, "user_id": row["id"]})]


def fresh_cache(dump: Dump, who: Principal, now: datetime) -> list[Row] | None:
    """The cache as those see it who run it: not the service, and nothing that expired."""
    found = None if who.role is Role.SERVICE else visible(dump, "ai_cache", who)
    return found and [row for row in found if row["expires_at"] > now]


# ── writes ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Write:
    """A command on the rows of a scope; `columns` by name, `rows` narrows them further."""

    scope: Test
    columns: frozenset[str] = frozenset()
    rows: Test = field(default=lambda _who, _row: True)

    def allows(self, who: Principal, row: Row) -> bool:
        return self.scope(who, row) and self.rows(who, row)


def write(scope: Test, columns: str = "", rows: Test = lambda _who, _row: True) -> Write:
    return Write(scope, frozenset(columns.split()), rows)


Writes: TypeAlias = dict[str, Write]
"""By role, in lower case; the admin has the member's where it has none of its own."""


def modest(_who: Principal, row: Row) -> bool:
    return row["role"] in {"MEMBER", "OBSERVER"}


def unchosen(_who: Principal, row: Row) -> bool:
    return row["selected_content_id"] is None


def pending(_who: Principal, row: Row) -> bool:
    return bool(row["status"] == "PENDING")


def by_user(_who: Principal, row: Row) -> bool:
    return bool(row["role"] == "USER")


def undismissed_by_others(who: Principal, row: Row) -> bool:
    return row["dismissed_by"] in {None, who.user_id}


KEY_COLUMNS: Final = "ciphertext wrapped_key key_id key_version hint fingerprint needs_reentry set_at"
DOCUMENT: Final = "project_id title content_type content_id metadata"
CHUNK: Final = "document_id chunk_index chunk_text model dimensions embedding"
INSIGHT: Final = "project_id insight_type title description data severity expires_at"
PATTERN: Final = "pattern_type category_id pattern_data confidence last_calculated_at"
RESULT: Final = "response_bytes latency_ms error_code error_message status cost_micro_usd tokens_used completed_at"
CALL: Final = "conversation_id message_id type model_name provider tier request_bytes prompt_hash file_metadata ip_address created_at"
ANSWER: Final = "query_type query_params sources model tokens_used cost_micro_usd created_at"

INSERTS: Final[dict[str, Writes]] = {
    "users": {"service": write(org, "display_name role", modest)},
    "identities": {"service": write(org, "issuer subject")},
    "projects": {"admin": write(org, "name"), "service": write(org, "name")},
    "budget_categories": {"service": write(org, "name")},
    "documents": {"service": write(org, DOCUMENT)},
    "document_embeddings": {"service": write(org, CHUNK)},
    "ai_tools": {"admin": write(org, "name description is_enabled")},
    "ai_conversations": {
        "member": write(own, "title project_id metadata"),
        "service": write(org, "title project_id metadata model_used created_at"),
    },
    "ai_messages": {
        "member": write(own, "conversation_id role content", by_user),
        "service": write(org, f"conversation_id role content {ANSWER}"),
    },
    "ai_feedback": {"member": write(own, "message_id rating feedback_text")},
    "ai_insights": {"service": write(org, INSIGHT)},
    "ai_patterns": {"service": write(org, PATTERN)},
    "user_ai_settings": {"member": write(own, "preferred_provider")},
    "user_provider_keys": {"member": write(own, f"provider {KEY_COLUMNS}")},
    "ai_usage_logs": {
        "service": write(org, "tier provider model tokens_used cost_micro_usd interaction_id created_at")
    },
    "ai_interactions": {"service": write(org, f"{CALL} {RESULT}")},
    "ai_interaction_payloads": {"service": write(org, "interaction_id request response created_at")},
    "tool_calls": {
        "service": write(
            org, "session_id conversation_id interaction_id tool_name ai_confidence timestamp payload_hash created_at"
        )
    },
    "tool_call_outcomes": {"service": write(org, "tool_call_id status timestamp completed_at payload_hash created_at")},
    "tool_call_payloads": {"service": write(org, "tool_call_id part salt payload created_at")},
    "ai_content_searches": {"service": write(org, "query content_type filters results_count created_at")},
    "idempotency_keys": {
        role: write(own_by_actor, "actor_id key request_hash result expires_at") for role in ("member", "service")
    },
}

UPDATES: Final[dict[str, Writes]] = {
    "organizations": {"admin": write(itself, "name timezone")},
    "users": {"service": write(org, "display_name role", modest)},
    "projects": {"admin": write(org, "name"), "service": write(org, "name")},
    "budget_categories": {"service": write(org, "name")},
    "documents": {"service": write(org, DOCUMENT)},
    "document_embeddings": {"service": write(org, CHUNK)},
    # A tool's name is its key: calls point at it.
    "ai_tools": {"admin": write(org, "description is_enabled")},
    "ai_conversations": {
        "member": write(own, "title project_id deleted_at"),
        "service": write(org, "title project_id metadata model_used deleted_at"),
    },
    "ai_feedback": {"member": write(own, "rating feedback_text")},
    "ai_insights": {
        "member": write(org, "is_dismissed dismissed_by dismissed_at", undismissed_by_others),
        "service": write(org, INSIGHT),
    },
    "ai_patterns": {"service": write(org, PATTERN)},
    "user_ai_settings": {
        "member": write(own, "preferred_provider"),
        "service": write(org, "preferred_provider tier"),
    },
    "user_provider_keys": {"member": write(own, KEY_COLUMNS)},
    "ai_interactions": {"service": write(org, RESULT, pending)},
    "ai_content_searches": {"member": write(own, "selected_content_id", unchosen)},
    "idempotency_keys": {role: write(own_by_actor, "request_hash result expires_at") for role in ("member", "service")},
}

DELETES: Final[dict[str, Writes]] = {
    "ai_feedback": {"member": write(own)},
    "user_provider_keys": {"member": write(own)},
    "document_embeddings": {"service": write(org)},
    "ai_cache": {"admin": write(org), "service": write(org)},
}

WRITES: Final = {"INSERT": INSERTS, "UPDATE": UPDATES, "DELETE": DELETES}


def may_write(command: str, table: str, role: Role) -> Write | None:
    """The cell of the table; None where the command is denied."""
    cells = WRITES[command].get(table, {})
    name = role.value.lower()
    return cells.get(name) or (cells.get("member") if role is Role.ADMIN else None)
