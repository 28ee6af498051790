"""The stories' databases: the demo world, a small organization, and the same one with ten times the rows."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import clone
from tests.stories.small_world import plant

HERE = Path(__file__).parent
UPDATE = "--update-sql"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(UPDATE, action="store_true", help="write the .sql files beside the stories' documents anew")


@pytest.fixture
def ran(request: pytest.FixtureRequest) -> Callable[[str, Mapping[str, tuple[str, ...]]], None]:
    """Asserts that a story ran exactly the statements of its .sql file: by who asked, in order."""
    is_update = bool(request.config.getoption(UPDATE, default=False))

    def check(story: str, statements: Mapping[str, tuple[str, ...]]) -> None:
        text = "\n".join(
            f"-- {who}: {len(of_who)} data statements\n" + "".join(f"{sql.strip()};\n" for sql in of_who)
            for who, of_who in statements.items()
        )
        path = HERE / f"{story}.sql"
        if is_update:
            path.write_text(text)
        assert path.exists(), f"run `pytest tests/stories {UPDATE}` once and read {path.name}"
        assert text == path.read_text(), f"{path.name} says otherwise: read the difference, then {UPDATE}"

    return check


@pytest.fixture(scope="session")
async def small(template: Urls) -> AsyncIterator[Urls]:
    """A small organization of the world's people: a few rows of everything that the stories list."""
    async with clone(template) as copy:
        await plant(copy, times=1)
        yield copy


@pytest.fixture(scope="session")
async def ask_small(small: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client over the small organization. Read only."""
    async with client_of(small, tmp_path_factory.mktemp("small")) as client:
        yield client


@pytest.fixture(scope="session")
async def ask_tenfold(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client over the same organization with ten times the rows. Read only."""
    async with clone(template) as copy:
        await plant(copy, times=10)
        async with client_of(copy, tmp_path_factory.mktemp("tenfold")) as client:
            yield client
