"""Who may change what, asked of PostgreSQL: each command, table and role on foreign, a colleague's and own rows."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.policies import POLICIES
from tests.databases import superuser
from tests.db.valid_rows import TABLES
from tests.security import oracle
from tests.security.conftest import House
from tests.security.faults import GRANT_FAULTS, POLICY_FAULTS
from tests.security.looking import Database, Dump, Row, acting, logins
from tests.security.people import AT, NEVER_ISSUED, NORTH, PRINCIPALS, SOUTH, Principal, principal, timed, uid, user_id
from tests.security.writes import DONE, NOTHING, REFUSED, column_differences, differences, insert, run

NORTHERN = [who for who in PRINCIPALS if who.slug == NORTH]
each_principal = pytest.mark.parametrize("who", NORTHERN, ids=str)
AUDIT = ("audit_events", "audit_payloads", "audit_checkpoints", "audit_heads")
FK_VIOLATION = "23503"
# No copy of these can be made: one row is all that there may be, or its key is all that it has.
COPIED = {"user_ai_settings", "ai_feedback", "tool_call_outcomes", "tool_call_payloads", "ai_interaction_payloads"}


def sample(dump: Dump, table: str, who: Principal) -> list[Row]:
    """Rows of each kind: foreign first, then of colleagues, of nobody in particular, and own."""
    sides: dict[tuple[bool, object, object], Row] = {}
    for row in dump[table]:
        is_ours = row.get("organization_id", row.get("id")) == who.organization_id
        owner = row.get("user_id", row.get("actor_id", row.get("subject_id")))
        state = next(
            (
                row[name]
                for name in ("status", "role", "selected_content_id", "dismissed_by", "is_dismissed")
                if row.get(name)
            ),
            None,
        )
        sides.setdefault((is_ours, owner if is_ours else None, state), row)
    return [sides[key] for key in sorted(sides, key=str)]


@pytest.fixture(scope="module")
async def rows(house: House) -> Dump:
    return await house.dump()


@pytest.fixture(scope="module")
async def logged_in(house: House) -> AsyncIterator[dict[bool, Database]]:
    async with logins(house.urls) as connections:
        for connection in connections.values():
            await connection.set_type_codec("vector", schema="ext", encoder=str, decoder=str, format="text")
        yield connections


@pytest.fixture
async def spoiled(house: House) -> AsyncIterator[Database]:
    """A superuser inside a transaction that is undone: what it breaks there, it alone sees."""
    async with superuser(house.urls) as connection:
        await connection.set_type_codec("vector", schema="ext", encoder=str, decoder=str, format="text")
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


# ── row by row ───────────────────────────────────────────────────────────────────────────────────────────────────────
@each_principal
@pytest.mark.parametrize("command", ["UPDATE", "DELETE"])
async def test_a_foreign_or_a_colleagues_row_stays_and_ones_own_changes_as_the_oracle_says(
    logged_in: dict[bool, Database], rows: Dump, who: Principal, command: str
) -> None:
    connection = logged_in[who.user_id is None]
    found = [
        line
        for table in POLICIES
        for line in await differences(connection, who, command, table, sample(rows, table, who))
    ]
    assert found == []


@each_principal
async def test_a_row_is_inserted_for_whom_the_oracle_says(
    logged_in: dict[bool, Database], rows: Dump, who: Principal
) -> None:
    connection = logged_in[who.user_id is None]
    found = []
    for table in POLICIES.keys() - COPIED:
        found += await differences(connection, who, "INSERT", table, sample(rows, table, who))
    assert found == []


@each_principal
@pytest.mark.parametrize("table", sorted(COPIED))
async def test_a_row_that_cannot_be_copied_is_refused_to_whom_the_oracle_says(
    logged_in: dict[bool, Database], rows: Dump, who: Principal, table: str
) -> None:
    """Whoever passes the policy meets the key of the row that is there already: one organization's walls stand first."""
    write = oracle.may_write("INSERT", table, who.role)
    for row in sample(rows, table, who):
        seen = await insert(logged_in[who.user_id is None], who, table, row)
        is_let_in = write is not None and write.allows(who, row)
        assert (seen != REFUSED) == is_let_in, f"{who}: {row}"


@each_principal
@pytest.mark.parametrize("command", ["INSERT", "UPDATE"])
async def test_a_column_outside_the_table_is_not_written(
    logged_in: dict[bool, Database], who: Principal, command: str
) -> None:
    assert await column_differences(logged_in[who.user_id is None], who, command) == []


@each_principal
async def test_an_update_of_a_column_without_a_grant_is_refused(
    logged_in: dict[bool, Database], who: Principal
) -> None:
    connection = logged_in[who.user_id is None]
    for name, table in TABLES.items():
        write = oracle.may_write("UPDATE", name, who.role)
        for column in table.c:
            if column.computed is None and (write is None or column.name not in write.columns):
                seen = await run(connection, who, f'UPDATE app.{name} SET "{column.name}" = NULL WHERE false')
                assert seen == REFUSED, f"{who}: {name}.{column.name}"


@each_principal
async def test_nobody_truncates_anything(logged_in: dict[bool, Database], who: Principal) -> None:
    for table in POLICIES:
        assert await run(logged_in[who.user_id is None], who, f"TRUNCATE app.{table} CASCADE") == REFUSED, table


# ── particular rights ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("role", ["ASSISTANT", "SYSTEM", "TOOL"])
@pytest.mark.parametrize("name", ["ana", "carol"])
async def test_a_person_writes_messages_of_its_own_alone(logged_in: dict[bool, Database], name: str, role: str) -> None:
    who = principal(NORTH, name)
    text = "INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content) VALUES ($1, $2, $3, $4, 'x')"
    mine = (who.organization_id, who.user_id, uid(NORTH, "conversation", name, "live"))
    assert await run(logged_in[False], who, text, *mine, role) == REFUSED
    assert await run(logged_in[False], who, text, *mine, "USER") == DONE


async def test_a_message_into_a_foreign_conversation_fails_like_one_into_none(logged_in: dict[bool, Database]) -> None:
    who = principal(NORTH, "ana")
    text = "INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content) VALUES ($1, $2, $3, 'USER', 'x')"
    into = [uid(SOUTH, "conversation", "ana", "live"), uid(NORTH, "conversation", "ben", "live"), NEVER_ISSUED]
    outcomes = {await run(logged_in[False], who, text, who.organization_id, who.user_id, each) for each in into}
    assert outcomes <= {FK_VIOLATION, REFUSED}
    assert len(outcomes) == 1


async def test_feedback_on_a_foreign_message_fails_like_on_none(logged_in: dict[bool, Database]) -> None:
    who = principal(NORTH, "ana")
    text = "INSERT INTO app.ai_feedback (organization_id, user_id, message_id, rating) VALUES ($1, $2, $3, 5)"
    about = [uid(SOUTH, "answer", "ana", "live"), uid(NORTH, "answer", "ben", "live"), NEVER_ISSUED]
    assert {await run(logged_in[False], who, text, who.organization_id, who.user_id, each) for each in about} == {
        FK_VIOLATION
    }
    own = uid(NORTH, "question", "ana", "live")
    assert await run(logged_in[False], who, text, who.organization_id, who.user_id, own) == DONE


@pytest.mark.parametrize("table", ["ai_conversations", "ai_content_searches", "user_provider_keys", "ai_feedback"])
async def test_a_row_is_not_given_away(logged_in: dict[bool, Database], table: str) -> None:
    who = principal(NORTH, "ana")
    for column, value in (("user_id", user_id(NORTH, "ben")), ("organization_id", uid(SOUTH))):
        assert await run(logged_in[False], who, f"UPDATE app.{table} SET {column} = $1", value) == REFUSED


async def test_a_person_does_not_make_itself_premium(logged_in: dict[bool, Database]) -> None:
    for name in ("ana", "carol", "olga", "dave"):
        who = principal(NORTH, name)
        assert await run(logged_in[False], who, "UPDATE app.user_ai_settings SET tier = 'PREMIUM'") == REFUSED
        assert await run(logged_in[False], who, "UPDATE app.users SET role = 'ADMIN'") == REFUSED
        assert await run(logged_in[False], who, "UPDATE app.usage_budgets SET limit_value = NULL") == REFUSED
    mine = "UPDATE app.user_ai_settings SET preferred_provider = 'GOOGLE'"
    assert await run(logged_in[False], principal(NORTH, "ana"), mine) == DONE
    assert await run(logged_in[False], principal(NORTH, "olga"), mine) == REFUSED


async def test_the_service_makes_and_changes_neither_admins_nor_auditors(logged_in: dict[bool, Database]) -> None:
    who = principal(NORTH, "service")
    new = "INSERT INTO app.users (organization_id, display_name, role) VALUES ($1, 'n', $2)"
    change = "UPDATE app.users SET role = $2 WHERE id = $1"
    for role, due in (("ADMIN", REFUSED), ("AUDITOR", REFUSED), ("OBSERVER", DONE), ("MEMBER", DONE)):
        assert await run(logged_in[True], who, new, who.organization_id, role) == due
        assert await run(logged_in[True], who, change, user_id(NORTH, "ana"), role) == due
        assert await run(logged_in[True], who, change, user_id(NORTH, "carol"), role) == NOTHING


async def test_a_search_result_is_selected_once(logged_in: dict[bool, Database]) -> None:
    who = principal(NORTH, "ana")
    select = "UPDATE app.ai_content_searches SET selected_content_id = $2 WHERE id = $1"
    unselect = "UPDATE app.ai_content_searches SET selected_content_id = NULL WHERE id = $1"
    chosen, unchosen = (timed(AT, NORTH, "search", "ana", state) for state in ("chosen", "open"))
    assert await run(logged_in[False], who, select, chosen, NEVER_ISSUED) == NOTHING
    assert await run(logged_in[False], who, unselect, chosen) == NOTHING
    assert await run(logged_in[False], who, select, unchosen, NEVER_ISSUED) == DONE
    async with acting(logged_in[False], who) as connection:
        await connection.execute(select, unchosen, NEVER_ISSUED)
        assert await connection.execute(select, unchosen, uid(NORTH)) == "UPDATE 0"


async def test_an_insight_is_dismissed_in_ones_own_name_and_the_first_one_stays(
    logged_in: dict[bool, Database],
) -> None:
    ben = principal(NORTH, "ben")
    dismiss = "UPDATE app.ai_insights SET is_dismissed = true, dismissed_at = now(), dismissed_by = $2 WHERE id = $1"
    fresh, dismissed = uid(NORTH, "insight", "open"), uid(NORTH, "insight", "dismissed")
    assert await run(logged_in[False], ben, dismiss, uid(SOUTH, "insight", "open"), ben.user_id) == NOTHING
    assert await run(logged_in[False], ben, dismiss, fresh, user_id(NORTH, "ana")) == REFUSED
    assert await run(logged_in[False], ben, dismiss, fresh, ben.user_id) == DONE
    assert await run(logged_in[False], ben, dismiss, dismissed, ben.user_id) not in {DONE, NOTHING}


async def test_an_interaction_is_completed_once(logged_in: dict[bool, Database]) -> None:
    who = principal(NORTH, "service")
    complete = "UPDATE app.ai_interactions SET status = $2, completed_at = created_at WHERE id = $1"
    waiting, ended = (timed(AT, NORTH, "interaction", name) for name in ("carol", "ana"))
    assert await run(logged_in[True], who, complete, timed(AT, SOUTH, "interaction", "carol"), "SUCCEEDED") == NOTHING
    assert await run(logged_in[True], who, complete, waiting, "SUCCEEDED") == DONE
    assert await run(logged_in[True], who, complete, waiting, "PENDING") == REFUSED
    assert await run(logged_in[True], who, complete, ended, "FAILED") == NOTHING


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────────
def changes(table: str) -> list[str]:
    column = TABLES[table].c.keys()[1]
    return [f"UPDATE app.{table} SET {column} = {column}", f"DELETE FROM app.{table}", f"TRUNCATE app.{table} CASCADE"]


@pytest.mark.parametrize("table", AUDIT)
@each_principal
async def test_no_request_role_changes_the_record(logged_in: dict[bool, Database], who: Principal, table: str) -> None:
    for change in changes(table):
        assert await run(logged_in[who.user_id is None], who, change) == REFUSED, change


@pytest.mark.parametrize("table", AUDIT)
@pytest.mark.parametrize("login", ["operator", "owner", "superuser"])
async def test_neither_operator_nor_owner_nor_superuser_changes_the_record(
    house: House, login: str, table: str
) -> None:
    urls = {"operator": house.urls.operator, "owner": house.urls.migrator, "superuser": house.urls.bootstrap}
    connection = await asyncpg.connect(urls[login])
    try:
        for change in changes(table):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await _attempt(connection, login, table, change)
    finally:
        await connection.close()


async def _attempt(connection: "asyncpg.Connection[Any]", login: str, table: str, change: str) -> None:
    """A change by one who takes every guard off that it can: FORCE hides all rows from the owner, and triggers are silenced."""
    async with connection.transaction():
        if login == "owner":
            unforced = f"ALTER TABLE app.{table} NO FORCE ROW LEVEL SECURITY"
            await connection.execute(f"SET LOCAL ROLE minutebook_owner; {unforced}")
        if login == "superuser":
            await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(change)


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("fault", POLICY_FAULTS)
async def test_a_fault_planted_in_the_policies_of_writes_is_found(spoiled: Database, rows: Dump, fault: str) -> None:
    sql, name, command, table = POLICY_FAULTS[fault]
    who = principal(NORTH, name)
    chosen = sample(rows, table, who)
    assert await differences(spoiled, who, command, table, chosen) == []
    await spoiled.execute(sql)
    assert await differences(spoiled, who, command, table, chosen) != []


@pytest.mark.parametrize("fault", GRANT_FAULTS)
async def test_a_fault_planted_in_the_grants_of_writes_is_found(spoiled: Database, fault: str) -> None:
    sql, name, command = GRANT_FAULTS[fault]
    who = principal(NORTH, name)
    assert await column_differences(spoiled, who, command) == []
    await spoiled.execute(sql)
    assert await column_differences(spoiled, who, command) != []
