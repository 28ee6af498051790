"""Behind PgBouncer in transaction mode, where every transaction may run on another connection of the server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from db.embedded import EmbeddedServer
from db.engine import Pools, Urls, open_pools
from tests.client import client_of
from tests.databases import superuser
from tests.full import is_full
from tests.pgbouncer import pgbouncer
from tests.stories import small_world
from tests.stories.story import document
from tests.storm import Storm, busy, plant

# How many of the server's connections PgBouncer has for each login: far fewer than it has clients.
SIZE = 3


@pytest.fixture
async def through(server: EmbeddedServer, urls: Urls) -> AsyncIterator[Urls]:
    """The test's database, reached through PgBouncer."""
    async with pgbouncer(server, urls, size=SIZE) as pooled:
        yield pooled


@pytest.fixture
async def pools(through: Urls) -> AsyncIterator[Pools]:
    pools = await open_pools(through, api_size=12, ingest_size=6, pooler="transaction")
    yield pools
    await pools.close()


async def test_nothing_bleeds_through_pgbouncer_and_no_prepared_statement_is_missed(
    urls: Urls, pools: Pools, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    operations = 20_000 if is_full(pytestconfig) else 1_200
    await plant(urls, 32)
    found = await Storm(pools, 32).run(monkeypatch, workers=24, operations=operations)
    assert (found.foreign, found.unclean) == ([], [])
    assert set(found.ends) == {"done", "57014", "22012", "_fail: LostCommitError()"}
    assert found.ends["done"] > operations * 0.75
    async with superuser(urls) as connection:
        rows = await connection.fetch("SELECT organization_id, title FROM app.ai_conversations")
        used = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'minutebook_api'"
        )
    assert {row["title"].split()[0] == row["organization_id"] for row in rows} == {True}
    assert found.stored <= {row["title"] for row in rows}
    assert 0 < used <= SIZE
    assert await busy(urls) == []


async def test_pools_that_prepare_statements_fail_behind_pgbouncer(
    urls: Urls, through: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(urls, 4)
    pools = await open_pools(through, api_size=8, ingest_size=1, pooler="session")
    try:
        found = await Storm(pools, 4).run(monkeypatch, workers=8, operations=150)
    finally:
        await pools.close()
    assert any("prepared statement" in end or end in {"26000", "42P05"} for end in found.ends)


async def test_the_application_answers_the_inbox_through_pgbouncer(urls: Urls, through: Urls, tmp_path: Path) -> None:
    await small_world.plant(urls, times=1)
    text = document("01_inbox")
    who = ["alice", "bob", "carol", "dave", "service:northwind"]
    async with client_of(urls, tmp_path / "direct", EMBEDDER="none") as client:
        direct = {each: (await client.ask(text, each)).body for each in who}
    environment: dict[str, Any] = {
        "EMBEDDER": "none",
        "POOLER": "transaction",
        "POOL_SIZE": "8",
        "INGEST_POOL_SIZE": "4",
    }
    async with client_of(through, tmp_path / "pooled", **environment) as client:
        for _ in range(2):  # thirty at once who are not known yet, then thirty who are
            answers = await asyncio.gather(*(client.ask(text, each) for each in who * 6))
            assert [answer.body for answer in answers] == [direct[each] for each in who * 6]
    assert direct["alice"]["data"]["conversations"]["edges"]
