"""URLs, pools and what a connection is when a request gets it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import NotBootstrappedError, Pools, Urls, at, check_ready, masked, open_pool, open_pools, readers_at_once
from db.pool import DatabaseUnavailableError
from tests.databases import superuser

ID = "01997a2e-5f00-7abc-8def-000000000001"


@pytest.fixture(scope="module")
async def prepared(server: EmbeddedServer) -> Urls:
    return await bootstrap(server.bootstrap_url, database="engine", credentials=server.credentials)


@pytest.fixture
async def pool(prepared: Urls) -> AsyncIterator["asyncpg.Pool[Any]"]:
    pool = await open_pool(prepared.api, max_size=1)
    yield pool
    pool.terminate()


def test_no_password_is_in_a_repr_or_a_masked_url() -> None:
    secret = "postgresql://u:hunter2@h:1/d?host=/s&password=hunter2"
    urls = Urls(api=secret, ingest=secret, operator=secret, migrator=secret, bootstrap=secret)
    assert "hunter2" not in repr(urls)
    assert "hunter2" not in f"{urls}"
    assert masked(secret) == "postgresql://u:***@h:1/d?host=/s&password=***"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5433/d?sslmode=require", "postgresql://a:b%2F@h:5433/n?sslmode=require"),
        ("postgresql://u:p@h1:1,h2:2/d", "postgresql://a:b%2F@h1:1,h2:2/n"),
        ("postgres://u@[::1]/d", "postgres://a:b%2F@[::1]/n"),
        ("postgresql:///d?host=/run/pg&user=u&password=p", "postgresql://a:b%2F@/n?host=%2Frun%2Fpg"),
        ("postgresql://u:p@/d?dbname=other&port=1", "postgresql://a:b%2F@/n?port=1"),
        ("postgresql://h", "postgresql://a:b%2F@h/n"),
    ],
)
def test_a_url_changes_login_and_database_and_nothing_else(url: str, expected: str) -> None:
    assert at(url, user="a", password="b/", database="n") == expected


async def test_uuids_and_vectors_are_text_both_ways_in_arrays_too(pool: "asyncpg.Pool[Any]") -> None:
    row = await pool.fetchrow(
        "SELECT $1::uuid, $2::uuid[], $3::ext.vector, ARRAY[$4::ext.vector], $5::jsonb",
        ID,
        [ID, ID],
        "[1,2]",
        "[3]",
        "{}",
    )
    assert tuple(row) == (ID, [ID, ID], "[1,2]", ["[3]"], "{}")


async def test_a_malformed_uuid_is_a_data_error(pool: "asyncpg.Pool[Any]") -> None:
    with pytest.raises(asyncpg.DataError) as refused:
        await pool.fetchval("SELECT $1::uuid", "not one")
    assert refused.value.sqlstate == "22P02"


async def test_a_request_never_waits_for_asyncpg_to_learn_a_type(pool: "asyncpg.Pool[Any]") -> None:
    seen: list[str] = []
    sql = "SELECT $1::uuid[], $2::text[], $3::int8[], $4::timestamptz[], $5::jsonb[], $6::ext.vector, $7::float8[], $8::date[]"
    async with pool.acquire() as connection:
        with connection.query_logger(lambda record: seen.append(record.query)):
            await connection.fetch(sql, [ID], ["a"], [1], [], ["{}"], "[1]", [1.5], [])
    assert seen == [sql]


async def test_a_statement_is_prepared_once_for_the_life_of_its_connection(pool: "asyncpg.Pool[Any]") -> None:
    for _ in range(3):
        await pool.fetch("SELECT 1 AS once")
    assert await pool.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT 1 AS once'") == 1


async def test_behind_a_transaction_pooler_nothing_outlives_a_statement(prepared: Urls) -> None:
    pool = await open_pool(prepared.api, max_size=1, pooler="transaction")
    try:
        assert await pool.fetchval("SELECT $1::uuid", ID) == ID
        assert await pool.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        assert await pool.fetchval("SELECT current_setting('application_name')") == ""
    finally:
        pool.terminate()


async def test_both_pools_answer_or_the_database_is_unavailable(prepared: Urls) -> None:
    pools: Pools = await open_pools(prepared, api_size=1, ingest_size=1)
    await check_ready(pools)
    async with pools.ingest.acquire():
        with pytest.raises(DatabaseUnavailableError, match="within"):
            await check_ready(pools, timeout_s=0.05)
    await pools.close()
    with pytest.raises(DatabaseUnavailableError, match="the api login gets no answer"):
        await check_ready(pools)


async def test_closing_does_not_wait_for_ever_for_a_connection_in_use(prepared: Urls) -> None:
    pools = await open_pools(prepared, api_size=1, ingest_size=1)
    held = await pools.api.take()
    server_process = held.connection.get_server_pid()
    async with asyncio.timeout(5):
        await pools.close(timeout_s=0.1)
    is_open = True
    async with superuser(prepared) as connection:
        for _ in range(200):
            is_open = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", server_process)
            if not is_open:
                break
            await asyncio.sleep(0.01)
    assert not is_open


async def test_a_database_without_extensions_is_said_to_lack_them(server: EmbeddedServer) -> None:
    with pytest.raises(NotBootstrappedError, match="minutebook migrate"):
        await open_pool(server.bootstrap_url, max_size=1)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("postgresql://u@localhost/d", True),
        ("postgresql://u@127.0.0.1:5433/d?sslmode=require", True),
        ("postgresql://u@[::1]/d", True),
        ("postgresql:///d?host=/run/postgresql", True),
        ("postgresql://u@db.example.org/d", False),
        ("postgresql://u@10.0.0.3/d", False),
        ("postgresql:///d?host=db.example.org", False),
    ],
)
def test_readers_are_kept_back_only_where_the_database_shares_the_processors(url: str, *, is_here: bool) -> None:
    found = readers_at_once(url)
    assert (found is not None) == is_here
    assert found is None or (found >= 3 and found % 2 == 1)
