"""Who may do what: one block per table, one line per role. A table without a block fails at import.

Read `role=[command(scope, columns)]` as "role may command the rows of scope, writing these columns"; what is not named
is denied. An admin is a member too: its line adds to the member's. From here come the policies and grants, the API's
mirror, the `viewerCan…` fields, the README's table and the parity tests.
"""

from typing import Final

from db import models
from db.policy import (
    Rule,
    TablePolicy,
    delete,
    everything,
    insert,
    manage,
    org,
    organization_as_subject,
    own,
    own_by_actor,
    read,
    subject,
    update,
)

PEOPLE: Final = ("member", "observer", "admin", "auditor")
REQUEST_ROLES: Final = (*PEOPLE, "service")
POLICIES: Final[dict[str, TablePolicy]] = {}

NOT_PRIVILEGED: Final = "role IN ('MEMBER', 'OBSERVER')"
SECRETS: Final = ("ciphertext", "wrapped_key", "fingerprint")


def protect(model: type[models.Base], *, operator: list[Rule] | None = None, **roles: list[Rule]) -> None:
    """Declare a table's block. The operator manages every table unless its line says otherwise."""
    lines = {role: {rule.command: rule for rule in rules} for role, rules in roles.items()}
    if "member" in lines:
        lines["admin"] = {**lines["member"], **lines.get("admin", {})}
    lines["operator"] = {rule.command: rule for rule in (manage() if operator is None else operator)}
    table = models.table(model)
    POLICIES[table.name] = TablePolicy(table, lines)


def everybody(rule: Rule) -> dict[str, list[Rule]]:
    """The same single rule for every request role."""
    return {role: [rule] for role in REQUEST_ROLES}


# ── who ───────────────────────────────────────────────────────────────────────────────────────────────────────────
protect(
    models.Organization,
    **everybody(read(org)) | {"admin": [read(org), update(org, "name", "timezone")]},
    definer=[read(everything)],
)
protect(
    models.User,
    **everybody(read(org))
    | {
        "service": [
            read(org),
            insert(org, "display_name", "role", check=NOT_PRIVILEGED),
            update(org, "display_name", "role", using=NOT_PRIVILEGED, check=NOT_PRIVILEGED),
        ]
    },
    definer=[read(everything)],
)
protect(models.Identity, service=[read(org), insert(org, "issuer", "subject")], definer=[read(everything)])

# ── what the product is about ─────────────────────────────────────────────────────────────────────────────────────
protect(
    models.Project,
    **everybody(read(org))
    | {
        "admin": [read(org), insert(org, "name"), update(org, "name")],
        "service": [read(org), insert(org, "name"), update(org, "name")],
    },
)
protect(
    models.Category,
    **everybody(read(org)) | {"service": [read(org), insert(org, "name"), update(org, "name")]},
)
DOCUMENT = ("project_id", "title", "content_type", "content_id", "metadata")
protect(
    models.Document,
    **everybody(read(org)) | {"service": [read(org), insert(org, *DOCUMENT), update(org, *DOCUMENT)]},
    finder=[read(everything, "id", "organization_id", "content_type", "project_id")],
)
CHUNK = ("document_id", "chunk_index", "chunk_text", "model", "dimensions", "embedding")
protect(
    models.DocumentChunk,
    member=[read(org)],
    observer=[read(org)],
    service=[read(org), insert(org, *CHUNK), update(org, *CHUNK), delete(org)],
    finder=[read(everything, "id", "organization_id", "document_id", "model", "tsv")],
)

# ── conversations ─────────────────────────────────────────────────────────────────────────────────────────────────
CONVERSATION = ("title", "project_id", "metadata")
ROLLUPS = ("message_count", "tokens_used", "cost_micro_usd", "last_message_at", "model_used", "updated_at")
protect(
    models.Conversation,
    member=[read(own), insert(own, *CONVERSATION), update(own, "title", "project_id", "deleted_at")],
    service=[
        read(org),
        insert(org, *CONVERSATION, "model_used", "created_at"),
        update(org, *CONVERSATION, "model_used", "deleted_at"),
    ],
    definer=[read(org), update(org, *ROLLUPS)],
)
MESSAGE = ("conversation_id", "role", "content")
MODEL_OUTPUT = ("query_type", "query_params", "sources", "model", "tokens_used", "cost_micro_usd", "created_at")
protect(
    models.Message,
    member=[read(own), insert(own, *MESSAGE, check="role = 'USER'")],
    service=[read(org), insert(org, *MESSAGE, *MODEL_OUTPUT)],
    definer=[read(org)],
)
RATING = ("rating", "feedback_text")
protect(
    models.Feedback,
    member=[read(own), insert(own, "message_id", *RATING), update(own, *RATING), delete(own)],
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org)],
)

# ── insights and patterns ─────────────────────────────────────────────────────────────────────────────────────────
INSIGHT = ("project_id", "insight_type", "title", "description", "data", "severity", "expires_at")
DISMISSAL = update(
    org,
    "is_dismissed",
    "dismissed_by",
    "dismissed_at",
    check="(dismissed_by IS NULL OR dismissed_by = nullif(current_setting('app.user_id', true), '')::uuid)",
)
protect(
    models.Insight,
    member=[read(org), DISMISSAL],
    observer=[read(org)],
    auditor=[read(org)],
    service=[read(org), insert(org, *INSIGHT), update(org, *INSIGHT)],
)
PATTERN = ("pattern_type", "category_id", "pattern_data", "confidence", "last_calculated_at")
protect(
    models.Pattern,
    **everybody(read(org)) | {"service": [read(org), insert(org, *PATTERN), update(org, *PATTERN)]},
)

# ── settings, keys, budgets, usage ────────────────────────────────────────────────────────────────────────────────
protect(
    models.AiSettings,
    member=[read(own), insert(own, "preferred_provider"), update(own, "preferred_provider")],
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org), update(org, "tier", "preferred_provider")],
    definer=[read(org), insert(org, "tier"), update(org, "tier", "updated_at")],
)
KEY = (
    "provider",
    "ciphertext",
    "wrapped_key",
    "key_id",
    "key_version",
    "hint",
    "fingerprint",
    "needs_reentry",
    "set_at",
)
# What app.open_provider_key hands to a service, and what it looks for.
OPENING = ("id", "organization_id", "user_id", "provider", *KEY[1:5], "needs_reentry")
protect(
    models.ProviderKey,
    member=[read(own, but=SECRETS), insert(own, *KEY), update(own, *KEY[1:]), delete(own)],
    service=[read(org, but=SECRETS)],
    definer=[read(org, *OPENING)],
)
protect(
    models.UsageBudget,
    member=[read(subject)],
    observer=[read(organization_as_subject)],
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org)],
    definer=[
        read(org),
        insert(everything, "subject_id", "subject_type", "metric", "budget_window", "window_start", "limit_value"),
        update(org, "limit_value", "updated_at"),
    ],
)
for ledger in (models.UsageLedger, models.UsageReservation):
    protect(ledger, admin=[read(org)], auditor=[read(org)])
USAGE = ("tier", "provider", "model", "tokens_used", "cost_micro_usd", "interaction_id", "created_at")
protect(
    models.UsageLog,
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org), insert(org, *USAGE)],
    definer=[read(org)],
)

# ── interactions and cache ────────────────────────────────────────────────────────────────────────────────────────
OUTCOME = (
    "response_bytes",
    "latency_ms",
    "error_code",
    "error_message",
    "status",
    "cost_micro_usd",
    "tokens_used",
    "completed_at",
)
CALL = (
    "conversation_id",
    "message_id",
    "type",
    "model_name",
    "provider",
    "tier",
    "request_bytes",
    "prompt_hash",
    "file_metadata",
    "ip_address",
    "created_at",
)
protect(
    models.AiInteraction,
    admin=[read(org)],
    auditor=[read(org, but=("ip_address",))],
    service=[
        read(org, but=("ip_address",)),
        insert(org, *CALL, *OUTCOME),
        update(org, *OUTCOME, using="status = 'PENDING'", check="status <> 'PENDING'"),
    ],
    definer=[read(org)],
)
protect(
    models.AiInteractionPayload,
    admin=[read(org)],
    service=[read(org), insert(org, "interaction_id", "request", "response", "created_at")],
)
protect(
    models.CacheEntry,
    admin=[read(org), delete(org)],
    auditor=[read(org)],
    service=[read(org, "id", "organization_id", "scope", "cache_key"), delete(org)],
)
protect(models.CacheStats, admin=[read(org)], auditor=[read(org)])

# ── tool calls and searches ───────────────────────────────────────────────────────────────────────────────────────
TOOL = ("name", "description", "is_enabled")
protect(
    models.Tool,
    **everybody(read(org)) | {"admin": [read(org), insert(org, *TOOL), update(org, *TOOL[1:])]},
)
protect(
    models.ToolCall,
    member=[read(own)],
    admin=[read(org)],
    auditor=[read(org)],
    service=[
        read(org),
        insert(
            org,
            "session_id",
            "conversation_id",
            "interaction_id",
            "tool_name",
            "ai_confidence",
            "timestamp",
            "payload_hash",
            "created_at",
        ),
    ],
    definer=[read(org)],
)
protect(
    models.ToolCallOutcome,
    member=[read(own)],
    admin=[read(org)],
    auditor=[read(org)],
    service=[
        read(org),
        insert(org, "tool_call_id", "status", "timestamp", "completed_at", "payload_hash", "created_at"),
    ],
    definer=[read(org)],
)
protect(
    models.ToolCallPayload,
    member=[read(own)],
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org), insert(org, "tool_call_id", "part", "salt", "payload", "created_at")],
    definer=[read(org)],
)
protect(
    models.ContentSearch,
    member=[
        read(own),
        update(
            own, "selected_content_id", using="selected_content_id IS NULL", check="selected_content_id IS NOT NULL"
        ),
    ],
    admin=[read(org)],
    auditor=[read(org)],
    service=[read(org), insert(org, "query", "content_type", "filters", "results_count", "created_at")],
)

# ── the record of changes: written by one definer function alone, checkpoints by the operator ──────────────────────────
EVENT = ("seq", "action", "actor_id", "actor_role", "target_type", "target_id", "target_digest", "request_id")
HASHES = ("occurred_at", "payload_digest", "leaf", "prev_hash", "hash")
protect(
    models.AuditHead,
    operator=[read(everything)],
    definer=[read(org), insert(org, "seq", "hash"), update(org, "seq", "hash", "updated_at")],
)
protect(
    models.AuditEvent,
    admin=[read(org)],
    auditor=[read(org)],
    operator=[read(everything)],
    definer=[read(org), insert(org, *EVENT, *HASHES)],
)
protect(
    models.AuditPayload,
    admin=[read(org)],
    auditor=[read(org)],
    operator=[read(everything)],
    definer=[read(org), insert(org, "event_id", "salt", "payload")],
)
protect(
    models.AuditCheckpoint,
    admin=[read(org)],
    auditor=[read(org)],
    operator=[read(everything), insert(everything, "tree_size", "root_hash", "subtrees", "note", "key_id")],
)

# ── what a role does through a definer function, whose policies are the definer's above ────────────────────────────
CALLS: Final = {
    "usage_activity": ("admin", "auditor", "service"),
    "set_user_tier": ("admin",),
    "set_budget_limit": ("admin",),
    "open_provider_key": ("service",),
}

# ── the wire ──────────────────────────────────────────────────────────────────────────────────────────────────────
IDEMPOTENCY = [
    read(own_by_actor),
    insert(own_by_actor, "actor_id", "key", "request_hash", "result", "expires_at"),
    update(own_by_actor, "request_hash", "result", "expires_at"),
]
protect(models.IdempotencyKey, member=IDEMPOTENCY, service=IDEMPOTENCY)

if unprotected := {table.name for table in models.Base.metadata.tables.values()} - POLICIES.keys():
    raise RuntimeError(f"db/policies.py has no block for: {', '.join(sorted(unprotected))}")
