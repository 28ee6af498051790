"""The world, built once: one copy to ask, one with row-level security switched off, clones for what spoils its copy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.db.valid_rows import TABLES
from tests.security.looking import Dump, dump
from tests.security.worlds import build

UNLIMITED: dict[str, Any] = {"EMBEDDER": "none", "LIMIT_COST": "10000000", "LIMIT_OPERATIONS_MINUTE": "1000000"}


@dataclass(frozen=True)
class House:
    """A world, a client of the API over it, and its rows."""

    urls: Urls
    client: Client

    async def dump(self) -> Dump:
        async with superuser(self.urls) as connection:
            return await dump(connection)


@pytest.fixture(scope="session")
async def built(template: Urls) -> AsyncIterator[Urls]:
    """The world that others are cloned from: never connect to it."""
    async with clone(template) as copy:
        await build(copy)
        yield copy


@pytest.fixture(scope="session")
async def house(built: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The world under row-level security."""
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(clone(built))
        client = await stack.enter_async_context(client_of(urls, tmp_path_factory.mktemp("house"), **UNLIMITED))
        yield House(urls, client)


@pytest.fixture(scope="session")
async def bare(built: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The world without row-level security: the API's own statements are all that separates its organizations."""
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(clone(built))
        async with superuser(urls) as connection:
            for name in TABLES:
                await connection.execute(f"ALTER TABLE app.{name} DISABLE ROW LEVEL SECURITY")
        client = await stack.enter_async_context(client_of(urls, tmp_path_factory.mktemp("bare"), **UNLIMITED))
        yield House(urls, client)
