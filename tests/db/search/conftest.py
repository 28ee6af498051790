"""An empty library per test."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from db.engine import Pools, Urls, open_pool
from db.pool import Pool
from tests.db.search.library import Library


@pytest.fixture
async def library(urls: Urls) -> AsyncIterator[Library]:
    operator = await asyncpg.connect(urls.operator)
    await operator.set_type_codec("vector", schema="ext", format="binary", encoder=bytes, decoder=bytes)
    pool = Pool(await open_pool(urls.api, max_size=1), 1)
    try:
        yield Library(operator, Pools(api=pool, ingest=pool))
    finally:
        await pool.close()
        await operator.close()
