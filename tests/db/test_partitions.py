"""Months of the log tables: made once, guarded like their parents, safe under several makers."""

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

MONTHLY = {
    "ai_interactions", "ai_interaction_payloads", "tool_calls", "tool_call_outcomes", "tool_call_payloads", "ai_usage_logs",
    "ai_content_searches",
}  # fmt: skip
PARTITIONS_SQL = """
SELECT p.oid AS id, p.relname::text AS name, parent.relname::text AS parent, p.relrowsecurity AND p.relforcerowsecurity AS is_guarded,
    pg_get_expr(p.relpartbound, p.oid) AS bound, p.relacl, pg_get_userbyid(p.relowner)::text AS owner
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid JOIN pg_class parent ON parent.oid = i.inhparent
WHERE parent.relkind = 'p' AND p.relkind = 'r' AND p.relnamespace = 'app'::regnamespace ORDER BY 2"""


@pytest.fixture
async def operator(urls: Any) -> Any:
    connection = await asyncpg.connect(urls.operator)
    yield connection
    await connection.close()


async def test_nobody_but_the_operator_makes_months(urls: Any) -> None:
    for url in (urls.api, urls.ingest):
        login = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await login.execute("SELECT app.ensure_partitions(1)")
        finally:
            await login.close()


async def test_each_log_table_gets_its_months_once(operator: Any) -> None:
    assert await operator.fetchval("SELECT app.ensure_partitions(2, '2031-11-20')") == 3 * len(MONTHLY)
    assert await operator.fetchval("SELECT app.ensure_partitions(2, '2031-11-01')") == 0
    assert await operator.fetchval("SELECT app.ensure_partitions(3, '2031-11-30')") == len(MONTHLY)
    made = [row for row in await operator.fetch(PARTITIONS_SQL) if "_203" in row["name"]]
    assert {row["parent"] for row in made} == MONTHLY
    december = next(row for row in made if row["name"] == "tool_calls_2031_12")
    assert december["bound"] == "FOR VALUES FROM ('2031-12-01 00:00:00+00') TO ('2032-01-01 00:00:00+00')"


async def test_a_month_does_not_depend_on_the_callers_time_zone(operator: Any) -> None:
    await operator.execute("SET timezone = 'Pacific/Auckland'")
    await operator.execute("SELECT app.ensure_partitions(0, '2031-05-01')")
    await operator.execute("SET timezone = 'UTC'")
    bounds = {row["bound"] for row in await operator.fetch(PARTITIONS_SQL) if row["name"].endswith("_2031_05")}
    assert bounds == {"FOR VALUES FROM ('2031-05-01 00:00:00+00') TO ('2031-06-01 00:00:00+00')"}


async def test_a_partition_is_guarded_like_its_parent(operator: Any) -> None:
    await operator.execute("SELECT app.ensure_partitions(1, '2031-11-20')")
    partitions = await operator.fetch(PARTITIONS_SQL)
    assert len(partitions) >= 2 * len(MONTHLY)
    assert [row["name"] for row in partitions if not row["is_guarded"]] == []
    assert [row["name"] for row in partitions if row["relacl"] or row["owner"] != "minutebook_owner"] == []
    for kind, sql in {
        "triggers": "SELECT tgname::text || tgenabled::text FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY 1",
        "keys": "SELECT conname::text FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' AND confrelid NOT IN"
        " (SELECT inhrelid FROM pg_inherits) ORDER BY 1",
        "indexes": "SELECT count(*)::text FROM pg_index WHERE indrelid = $1 AND indisvalid",
    }.items():
        for row in partitions:
            parent = await operator.fetchval("SELECT ('app.' || $1)::regclass::oid", row["parent"])
            expected = [found[0] for found in await operator.fetch(sql, parent)]
            assert [found[0] for found in await operator.fetch(sql, row["id"])] == expected, f"{kind} of {row['name']}"


async def test_several_makers_at_once_make_each_month_once(urls: Any) -> None:
    async def make() -> int:
        connection = await asyncpg.connect(urls.operator)
        try:
            return int(await connection.fetchval("SELECT app.ensure_partitions(2, '2031-11-20')"))
        finally:
            await connection.close()

    assert sorted(await asyncio.gather(*(make() for _ in range(4)))) == [0, 0, 0, 3 * len(MONTHLY)]


async def test_a_migrations_row_security_setting_does_not_stop_it(urls: Any) -> None:
    migrator = await asyncpg.connect(urls.migrator)
    try:
        await migrator.execute("SET ROLE minutebook_owner; SET row_security = off")
        assert await migrator.fetchval("SELECT app.ensure_partitions(0, '2031-11-20')") == len(MONTHLY)
    finally:
        await migrator.close()


async def test_months_are_made_while_rows_are_written(urls: Any, operator: Any) -> None:
    organization, user = await with_a_user(operator)
    async with operator.transaction():
        await add_log(operator, organization, user)
        other = await asyncpg.connect(urls.operator)
        try:
            await other.execute("SET lock_timeout = '2s'")
            assert await other.fetchval("SELECT app.ensure_partitions(0, '2031-11-20')") == len(MONTHLY)
        finally:
            await other.close()


async def test_a_missing_month_is_a_check_violation_without_a_constraint(operator: Any) -> None:
    organization, user = await with_a_user(operator)
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await add_log(operator, organization, user, created_at="'1999-01-01'", id_="gen_random_uuid()")
    assert caught.value.constraint_name is None


async def test_a_foreign_key_of_a_new_month_holds(operator: Any) -> None:
    await operator.execute("SELECT app.ensure_partitions(0, '2031-11-20')")
    organization, _ = await with_a_user(operator)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await add_log(operator, organization, str(uuid.uuid4()), created_at="'2031-11-20'", id_="gen_random_uuid()")


async def test_what_is_on_record_stays_in_a_new_month_too(urls: Any, operator: Any) -> None:
    await operator.execute("SELECT app.ensure_partitions(0, '2031-11-20')")
    organization, user = await with_a_user(operator)
    await add_log(operator, organization, user, created_at="'2031-11-20'", id_="gen_random_uuid()")
    migrator = await asyncpg.connect(urls.migrator)
    try:
        await migrator.execute("SET ROLE minutebook_owner; ALTER TABLE app.ai_usage_logs NO FORCE ROW LEVEL SECURITY")
        for statement in ("UPDATE app.ai_usage_logs SET tokens_used = 0", "DELETE FROM app.ai_usage_logs",
                          "TRUNCATE app.ai_usage_logs_2031_11"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
                await migrator.execute(statement)
    finally:
        await migrator.close()


async def test_a_version_7_id_tells_its_time_and_no_other_does(operator: Any) -> None:
    gap = await operator.fetchval("SELECT clock_timestamp() - app.uuid_time(app.uuidv7())")
    assert abs(gap.total_seconds()) < 5
    assert await operator.fetchval("SELECT app.uuid_time('018f4e3c-1234-7000-8000-000000000001')::text") == (
        await operator.fetchval("SELECT uuid_extract_timestamp('018f4e3c-1234-7000-8000-000000000001')::text")
        if await operator.fetchval("SELECT current_setting('server_version_num')::int >= 180000")
        else "2024-05-06 16:37:36.692+00"
    )
    for other in (
        "gen_random_uuid()",
        "'018f4e3c-1234-7000-c000-000000000001'",
        "'00000000-0000-0000-0000-000000000001'",
    ):
        assert await operator.fetchval(f"SELECT app.uuid_time({other})") is None


async def with_a_user(operator: Any) -> tuple[str, str]:
    organization = await operator.fetchval(
        "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ('ours', 'Ours', 'TEAM', 'UTC') RETURNING id"
    )
    user = await operator.fetchval(
        "INSERT INTO app.users (organization_id, role) VALUES ($1, 'MEMBER') RETURNING id", organization
    )
    return str(organization), str(user)


async def add_log(
    operator: Any, organization: str, user: str, *, created_at: str = "now()", id_: str = "app.uuidv7()"
) -> None:
    await operator.execute(
        "INSERT INTO app.ai_usage_logs (organization_id, id, user_id, tier, provider, tokens_used, created_at)"
        f" VALUES ('{organization}', {id_}, '{user}', 'FREE', 'OPENAI', 7, {created_at})"
    )
