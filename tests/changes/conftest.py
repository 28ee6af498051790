"""Changes are tried in the security tests' world of two organizations that look alike: a clone of it for each test."""

from collections.abc import AsyncIterator

import pytest

from db.engine import Urls
from tests.changes.house import House
from tests.client import client_of
from tests.databases import clone
from tests.security.conftest import UNLIMITED, built

__all__ = ["built"]


@pytest.fixture
async def house(built: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The world, for one test to change."""
    async with clone(built) as urls, client_of(urls, tmp_path_factory.mktemp("changes"), **UNLIMITED) as client:
        yield House(urls, client)
