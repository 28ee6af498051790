"""Faults to plant: in the database, inside a transaction that is undone, and in the process, on the API's own statements."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import literal_column, select, true

from api import child_pages, paging
from api.node import Source
from db import mirror, statement
from db.policy import Scope, bound, organization_column
from db.types import Role

HERE: Final = "organization_id = nullif(current_setting('app.organization_id', true), '')::uuid"
SELF: Final = "user_id = nullif(current_setting('app.user_id', true), '')::uuid"


def widened(table: str, policy: str, using: str) -> str:
    return f"ALTER POLICY {table}_select_{policy} ON app.{table} USING ({using})"


# Name, SQL, and who finds it out.
ROW_FAULTS: Final = (
    ("a policy dropped", "DROP POLICY ai_conversations_select_member ON app.ai_conversations", "ana"),
    ("a policy that says true", widened("ai_insights", "member", "true"), "ana"),
    ("a scope without the organization", widened("ai_messages", "member", SELF), "wanda"),
    ("an own scope turned into the organization's", widened("ai_messages", "member", HERE), "ana"),
    ("nobody's rows shown to everybody", widened("tool_calls", "member", f"{HERE} AND {SELF} OR user_id IS NOT NULL"), "ana"),
    ("budgets of colleagues", widened("usage_budgets", "member", HERE), "ana"),
    ("budgets of people for an observer", widened("usage_budgets", "observer", HERE), "olga"),
    ("another actor's keys", widened("idempotency_keys", "service", HERE), "service"),
    ("an admin who reads conversations", widened("ai_conversations", "admin", HERE), "carol"),
    ("soft deletion inside a policy", widened("ai_conversations", "member", f"{HERE} AND {SELF} AND deleted_at IS NULL"), "ana"),
    ("row-level security switched off", "ALTER TABLE app.users DISABLE ROW LEVEL SECURITY", "ana"),
    ("a policy more for PUBLIC", "CREATE POLICY open ON app.projects USING (true)", "dave"),
    ("a grant more", "GRANT SELECT ON app.ai_conversations TO app_observer", "olga"),
    ("a grant less", "REVOKE SELECT ON app.ai_patterns FROM app_auditor", "dave"),
    ("a grant on the whole catalogue", "GRANT SELECT ON ALL TABLES IN SCHEMA app TO app_member", "ben"),
)  # fmt: skip
COLUMN_FAULTS: Final = (
    ("addresses for the auditor", "GRANT SELECT (ip_address) ON app.ai_interactions TO app_auditor", "dave"),
    ("ciphertext for its owner", "GRANT SELECT (ciphertext) ON app.user_provider_keys TO app_member", "ana"),
    ("cached answers for the service", "GRANT SELECT (response) ON app.ai_cache TO app_service", "service"),
    ("a column taken away", "REVOKE SELECT ON app.projects FROM app_observer; GRANT SELECT (id) ON app.projects TO app_observer", "olga"),
)  # fmt: skip


# Writes: SQL, who finds it out, by which command (on which table).
POLICY_FAULTS: Final = {
    "updates of anybody's rows": (
        ("ALTER POLICY ai_conversations_update_member ON app.ai_conversations USING (true) WITH CHECK (true);"
        "ALTER POLICY ai_conversations_select_member ON app.ai_conversations USING (true)"), "ana", "UPDATE", "ai_conversations",
    ),
    "any role in a message": ("ALTER POLICY ai_messages_insert_member ON app.ai_messages WITH CHECK (true)", "ana", "INSERT", "ai_messages"),
    "a search that is selected twice": (
        ("ALTER POLICY ai_content_searches_update_member ON app.ai_content_searches USING (true) WITH CHECK (true);"
        "ALTER TABLE app.ai_content_searches DISABLE TRIGGER USER"), "ana", "UPDATE", "ai_content_searches",
    ),
    "admins made by the service": ("ALTER POLICY users_insert_service ON app.users WITH CHECK (true)", "service", "INSERT", "users"),
    "a deletion that is not there": ("DROP POLICY ai_feedback_delete_member ON app.ai_feedback", "ana", "DELETE", "ai_feedback"),
    "a deletion that should not be": (
        ("GRANT DELETE ON app.ai_insights TO app_member;"
        "CREATE POLICY gone ON app.ai_insights FOR DELETE TO app_member USING (true)"), "ana", "DELETE", "ai_insights",
    ),
}  # fmt: skip
GRANT_FAULTS: Final = {
    "tiers by their owner": ("GRANT UPDATE (tier) ON app.user_ai_settings TO app_member", "ana", "UPDATE"),
    "a whole table to update": ("GRANT UPDATE ON app.ai_conversations TO app_member", "ana", "UPDATE"),
    "a rollup at birth": ("GRANT INSERT (tokens_used) ON app.ai_conversations TO app_member", "ana", "INSERT"),
    "names withheld from the admin": ("REVOKE UPDATE (name) ON app.organizations FROM app_admin", "carol", "UPDATE"),
}


# ── in the process ───────────────────────────────────────────────────────────────────────────────────────────────────
Patch = Callable[[pytest.MonkeyPatch], None]


@contextmanager
def planted(patch: Patch) -> Iterator[None]:
    """The process with a fault in it. What was compiled before or meanwhile is forgotten."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        _forget()
        patch(monkeypatch)
        try:
            yield
        finally:
            _forget()
    _forget()


def _forget() -> None:
    statement.shapes._known.clear()
    for cached in (mirror.rule, mirror.where, mirror.allows, Source.is_readable):
        getattr(cached, "cache_clear", lambda: None)()


def without_the_organization(patch: pytest.MonkeyPatch) -> None:
    def where(self: Scope, table: Any) -> Any:
        return true() if self.column is None else bound(table, self.column, self.bind)

    patch.setattr(Scope, "where", where)


def own_becomes_org(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scope, "where", lambda _self, table: bound(table, organization_column(table), "organization_id"))


def everybody_is_an_admin(patch: pytest.MonkeyPatch) -> None:
    original = mirror.rule.__wrapped__
    patch.setattr(mirror, "rule", lambda _role, table, command="select": original(Role.ADMIN, table, command))


def a_loader_without_the_mirror(patch: pytest.MonkeyPatch) -> None:
    mirrored = Source.select

    def selected(self: Source[Any], role: Role, *more: Any) -> Any:
        if not more:  # a page, not a loader
            return mirrored(self, role)
        origin = self.table if self.origin is None else self.origin(role)
        columns = (column.label(name) for name, column in self.columns.items())
        return select(*more, *columns).select_from(origin).where(*(test(role) for test in self.extra))

    patch.setattr(Source, "select", selected)


def nothing_extra(patch: pytest.MonkeyPatch) -> None:
    def narrow(self: Source[Any], found: Any, role: Role) -> Any:
        origin = self.table if self.origin is None else self.origin(role)
        return found.select_from(origin).where(mirror.where(role, self.table))

    patch.setattr(Source, "narrow", narrow)


def children_of_anybody(patch: pytest.MonkeyPatch) -> None:
    original = child_pages._lateral

    def of_anybody(pager: Any, by: Any, *, is_bounded: bool) -> Any:
        return original(pager, by.is_not(None) | by.is_(None), is_bounded=is_bounded)

    patch.setattr(child_pages, "_lateral", of_anybody)


def a_cursor_that_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(paging.Pager, "_beyond", lambda _self, _name: ())


def a_count_of_everything(patch: pytest.MonkeyPatch) -> None:
    def counted(self: Any, *_tests: Any) -> Any:
        return select(literal_column("1")).select_from(self.listing.source.table)

    patch.setattr(paging.Pager, "counted", counted)


def a_page_that_loses_a_row(patch: pytest.MonkeyPatch) -> None:
    original = paging.Pager.connection
    patch.setattr(paging.Pager, "connection", lambda self, rows, *others: original(self, rows[1:], *others))


# Name, fault, whether it takes a database without RLS to show, who finds it out, and on which types.
API_FAULTS: Final[tuple[tuple[str, Patch, bool, str, tuple[str, ...]], ...]] = (
    ("a mirror without the organization", without_the_organization, True, "olga", ("Project", "Insight")),
    ("a mirror without the organization, for one of two", without_the_organization, True, "wanda", ("ToolCall",)),
    ("an own scope turned into the organization's", own_becomes_org, True, "ana", ("Conversation",)),
    ("everybody mirrored as an admin", everybody_is_an_admin, True, "ben", ("AuditEvent",)),
    ("a loader without the organization", a_loader_without_the_mirror, True, "dave", ("Document",)),
    ("a loader without the owner", a_loader_without_the_mirror, True, "ana", ("Conversation",)),
    ("deleted conversations shown", nothing_extra, False, "ana", ("Message",)),
    ("expired answers shown", nothing_extra, False, "carol", ("CacheEntry",)),
    ("children of other parents", children_of_anybody, False, "ana", ("Category",)),
    ("a cursor that is ignored", a_cursor_that_is_ignored, False, "carol", ("Feedback",)),
    ("a count of everything", a_count_of_everything, True, "ana", ("Feedback",)),
    ("a page that loses a row", a_page_that_loses_a_row, False, "ana", ("Feedback",)),
)
