"""One PostgreSQL for the whole run, one migrated template, and a clone of it for each test that asks for `urls`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Urls
from db.migrate import upgrade
from tests.client import Client, client_of
from tests.databases import clone, fast_folder
from tests.seeded import remove, seeded_server, urls_of


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """An embedded PostgreSQL that promises nothing after a crash; in memory if there is room: a clone is ten times faster."""
    with fast_folder() as home, EmbeddedServer(home, is_durable=False) as running:
        yield running


@pytest.fixture(scope="session")
async def template(server: EmbeddedServer) -> Urls:
    """The migrated, empty database that others are cloned from: never connect to it."""
    urls = await bootstrap(server.bootstrap_url, database="template_minutebook", credentials=server.credentials)
    await upgrade(urls)
    return urls


@pytest.fixture
async def urls(template: Urls) -> AsyncIterator[Urls]:
    """A migrated, empty database of the test's own."""
    async with clone(template) as copy:
        yield copy


@pytest.fixture(scope="session")
async def seeded(shared_folder: Path) -> AsyncIterator[Urls]:
    """The demo world that others are cloned from, on a server of its own: never connect to it."""
    with seeded_server(shared_folder) as running:
        yield await urls_of(running)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
async def world(seeded: Urls) -> AsyncIterator[Urls]:
    """The demo world, for all tests that only read it."""
    async with clone(seeded) as copy:
        yield copy


@pytest.fixture(scope="session")
async def ask_world(world: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of the application over the demo world. Read only: reads on record are all that it may add."""
    async with client_of(world, tmp_path_factory.mktemp("api")) as client:
        yield client


@pytest.fixture
async def client(urls: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of the application over the test's own database."""
    async with client_of(urls, tmp_path_factory.mktemp("api"), EMBEDDER="none") as asking:
        yield asking


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The world's folder is large, and pytest keeps the folders of three runs."""
    factory: pytest.TempPathFactory | None = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and not hasattr(session.config, "workerinput"):
        remove(factory.getbasetemp())
