"""Drift between the matrix and the database is asked of PostgreSQL, and each kind of it is found, in words."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.drift import drift
from db.engine import Urls
from db.policies import POLICIES
from db.policy import Command, Rule, TablePolicy, delete, org, read
from tests.databases import clone, superuser

OURS = "organization_id = nullif(current_setting('app.organization_id', true), '')::uuid"

PRINTED = "(organization_id = (NULLIF(current_setting('app.organization_id'::text, true), ''::text))::uuid)"

PLANTED = [
    # the change, what is said about it
    (
        "DROP POLICY ai_feedback_select_member ON app.ai_feedback",
        ["ai_feedback: policy ai_feedback_select_member is missing"],
    ),
    (
        f"CREATE POLICY ai_feedback_select_observer ON app.ai_feedback FOR SELECT TO app_observer USING ({OURS})",
        ["ai_feedback: policy ai_feedback_select_observer is not declared"],
    ),
    (
        "ALTER POLICY ai_feedback_select_member ON app.ai_feedback TO app_observer",
        ["ai_feedback: policy ai_feedback_select_member: roles is {app_observer}, declared is {app_member}"],
    ),
    (
        "ALTER POLICY ai_feedback_select_auditor ON app.ai_feedback USING (true)",
        [
            f"ai_feedback: policy ai_feedback_select_auditor: using is true, declared is {PRINTED}",
        ],
    ),
    (
        "ALTER POLICY ai_messages_insert_service ON app.ai_messages WITH CHECK (true)",
        [
            f"ai_messages: policy ai_messages_insert_service: check is true, declared is {PRINTED}",
        ],
    ),
    (
        f"DROP POLICY ai_messages_select_service ON app.ai_messages; CREATE POLICY ai_messages_select_service ON app.ai_messages AS RESTRICTIVE TO app_service USING ({OURS})",
        [
            "ai_messages: policy ai_messages_select_service: command is ALL, declared is SELECT",
            "ai_messages: policy ai_messages_select_service: permissive is RESTRICTIVE, declared is PERMISSIVE",
        ],
    ),
    ("REVOKE DELETE ON app.ai_feedback FROM app_member", ["ai_feedback: DELETE to app_member is not granted"]),
    (
        "REVOKE UPDATE (title) ON app.ai_conversations FROM app_member",
        ["ai_conversations: UPDATE (title) to app_member is not granted"],
    ),
    (
        "GRANT UPDATE (tier) ON app.user_ai_settings TO app_member",
        ["user_ai_settings: UPDATE (tier) to app_member is granted and not declared"],
    ),
    (
        "GRANT SELECT ON app.user_provider_keys TO PUBLIC",
        ["user_provider_keys: SELECT to PUBLIC is granted and not declared"],
    ),
    (
        "GRANT SELECT ON app.ai_feedback TO app_member WITH GRANT OPTION",
        [
            "ai_feedback: SELECT to app_member is not granted",
            "ai_feedback: SELECT to app_member with grant option is granted and not declared",
        ],
    ),
    ("CREATE TABLE app.things (id int)", ["things: the table is not declared"]),
    ("DROP TABLE app.audit_checkpoints", ["audit_checkpoints: the table is missing"]),
]


@pytest.fixture(scope="module")
async def connection(template: Urls) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """The owner's, in one clone for all changes: each is rolled back."""
    async with clone(template) as urls:
        migrator = await asyncpg.connect(urls.migrator)
        yield migrator
        await migrator.close()


async def test_the_database_is_what_the_matrix_declares(connection: Any) -> None:
    assert await drift(connection) == []
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relpersistence = 't'") == 0
    assert await connection.fetchval("SELECT current_user") == "minutebook_migrator"


async def test_it_waits_for_no_reader_and_no_writer(connection: Any, template: Urls) -> None:
    name = await connection.fetchval("SELECT current_database()")
    async with superuser(template.for_database(name)) as writer, writer.transaction():
        await writer.execute("".join(f"LOCK TABLE app.{table} IN ROW EXCLUSIVE MODE;" for table in POLICIES))
        await connection.execute("SET lock_timeout = '1s'")
        assert await drift(connection) == []
    await connection.execute("RESET lock_timeout")


@pytest.mark.parametrize(("change", "words"), PLANTED, ids=[change.partition(" ON ")[0] for change, _ in PLANTED])
async def test_a_planted_change_is_found(connection: Any, change: str, words: list[str]) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"SET LOCAL ROLE minutebook_owner; {change}; RESET ROLE")
        assert await drift(connection) == words
    finally:
        await transaction.rollback()


async def test_a_changed_matrix_is_found(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    block = POLICIES["ai_feedback"]
    auditor: dict[Command, Rule] = {"select": read(org, but=("feedback_text",)), "delete": delete(org)}
    monkeypatch.setitem(POLICIES, "ai_feedback", TablePolicy(block.table, {**block.rules, "auditor": auditor}))
    columns = [column.name for column in block.table.columns if column.name != "feedback_text"]
    assert await drift(connection) == [
        "ai_feedback: policy ai_feedback_delete_auditor is missing",
        *sorted(
            ["ai_feedback: DELETE to app_auditor is not granted"]
            + [f"ai_feedback: SELECT ({column}) to app_auditor is not granted" for column in columns]
        ),
        "ai_feedback: SELECT to app_auditor is granted and not declared",
    ]
