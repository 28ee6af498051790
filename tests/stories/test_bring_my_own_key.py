"""Story 10 of the frontend developer: bring my own key. That nothing of it leaks is tried in tests/changes."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import IDS, plant
from tests.stories.story import ask, document

STORY = "10_bring_my_own_key"
KEY = "sk-ant-api03-a-key-of-alices-own-7Qd4"


@pytest.fixture
async def clients(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[tuple[Client, Urls]]]:
    """Over a small organization, and over the same one with ten times the rows; to be changed."""
    async with AsyncExitStack() as stack:
        found = []
        for times in (1, 10):
            urls = await stack.enter_async_context(clone(template))
            await plant(urls, times=times)
            found.append((await stack.enter_async_context(client_of(urls, tmp_path_factory.mktemp("keys"))), urls))
        yield found


async def test_a_key_of_ones_own_is_kept_sealed_at_the_same_cost_whatever_is_stored(
    clients: list[tuple[Client, Urls]], ran: Callable[..., None]
) -> None:
    statements = []
    for client, urls in clients:
        for version in (1, 2):
            answer = await ask(client, STORY, "alice", k=KEY)
            statements.append(answer.statements)
            found = answer.data["setProviderKey"]
            assert found["userErrors"] == []
            assert found["aiSettings"] == {
                "tier": "FREE", "keys": [{"provider": "ANTHROPIC", "hint": "7Qd4", "needsReentry": False}],
            }  # fmt: skip
            async with superuser(urls) as connection:
                [row] = await connection.fetch("SELECT * FROM app.user_provider_keys")
                assert not await connection.fetchval("SELECT count(*) FROM app.user_ai_settings")
            assert (row["user_id"], row["key_version"]) == (IDS["alice"], version)
            assert KEY.encode() not in b"".join(value for value in row.values() if isinstance(value, bytes))
    assert statements[:2] == statements[2:]
    ran(STORY, {"alice, the first time": statements[0], "alice, again": statements[1]})


async def test_what_a_key_is_cannot_be_selected(ask_world: Client) -> None:
    answer = await ask_world.ask(document(STORY).replace("hint", "key"), k=KEY)
    assert (answer.codes, answer.statements) == (["GRAPHQL_VALIDATION_FAILED"], ())


@pytest.mark.parametrize("who", ["olga", "dave", "service:northwind"])
async def test_who_cannot_have_a_key_is_told_so(ask_world: Client, who: str) -> None:
    found = (await ask(ask_world, STORY, who, k=KEY)).data["setProviderKey"]
    assert found["aiSettings"] is None
    assert [(error["code"], error["field"]) for error in found["userErrors"]] == [("FORBIDDEN", None)]
