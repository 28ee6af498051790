"""Nothing bleeds from one request into the next that gets its connection, whatever the first one died of."""

from collections.abc import AsyncIterator

import pytest

from db import commit as commits
from db import pool as pools_of_ours
from db.engine import Pools, Urls, open_pools
from tests.databases import superuser
from tests.full import is_full
from tests.storm import Found, Storm, busy, plant, whole

# 57014 timeouts, 22012 planted errors: everything else that an operation may end with is a fault.
EXPECTED = {"done", "57014", "22012", "_fail: LostCommitError()"}


@pytest.fixture
async def pools(urls: Urls) -> AsyncIterator[Pools]:
    pools = await open_pools(urls, api_size=5, ingest_size=5)
    yield pools
    await pools.close()


async def test_64_organizations_on_5_connections_see_their_own_rows_alone(
    urls: Urls, pools: Pools, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    operations = 20_000 if is_full(pytestconfig) else 2_500
    await plant(urls, 64)
    found = await Storm(pools, 64).run(monkeypatch, workers=32, operations=operations)
    assert (found.foreign, found.unclean) == ([], [])
    assert {end for end in found.ends if end not in EXPECTED} == set()
    assert found.ends["done"] > operations * 0.8
    assert min(found.ends[end] for end in EXPECTED) > operations / 200
    assert await busy(urls) == []
    assert await whole(pools.api)
    assert await whole(pools.ingest)
    async with superuser(urls) as connection:
        rows = await connection.fetch("SELECT organization_id, title FROM app.ai_conversations")
    assert {row["title"].split()[0] == row["organization_id"] for row in rows} == {True}
    assert found.stored <= {row["title"] for row in rows}


async def leaky(urls: Urls, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> Found:
    await plant(urls, 4)
    return await Storm(pools, 4).run(monkeypatch, workers=8, operations=150)


async def test_a_table_without_its_policy_is_found(urls: Urls, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    async with superuser(urls) as connection:
        await connection.execute("ALTER TABLE app.projects DISABLE ROW LEVEL SECURITY")
    assert (await leaky(urls, pools, monkeypatch)).foreign


@pytest.mark.parametrize("kept", ["SET LOCAL app.", "SET LOCAL ROLE"])
async def test_a_context_or_a_role_that_outlives_its_transaction_is_found(
    urls: Urls, pools: Pools, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    async with superuser(urls) as connection:
        body = await connection.fetchval("SELECT pg_get_functiondef('app.begin_request'::regproc)")
        await connection.execute(body.replace(kept, kept.replace("LOCAL ", "")))
    for module in (commits, pools_of_ours):
        monkeypatch.setattr(module, "END", "COMMIT")  # nobody looks at the end
    found = await leaky(urls, pools, monkeypatch)
    assert "a role or a context is left on this connection" in found.unclean
