"""Tables that are no type of their own: the fields of other types that show them, or that they are not on the wire."""

import json
from collections.abc import Callable
from typing import Any, Final

from tests.security import oracle
from tests.security.looking import Row
from tests.security.routes import status_of
from tests.security.views import Field, View


def _payload(part: str, name: str) -> Callable[[View, Row], Any]:
    def expected(view: View, row: Row) -> Any:
        found = view.beside(
            "tool_call_payloads", tool_call_id=row["id"], part=part, organization_id=row["organization_id"]
        )
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
    "tool_call_outcomes": (Field("ToolCall", "status", status_of),),
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
