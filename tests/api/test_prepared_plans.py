"""Plans of prepared statements: PostgreSQL plans a list of ids a few times, then keeps one plan for any length."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.node import global_id
from db.engine import Pools, Urls
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import IDS, PROJECT, plant
from tests.stories.story import document

# PostgreSQL plans for the values this often before it compares with a plan for any.
TRIALS = 5
TIMES = 12
CHAT = """query ($id: ID!, $first: Int!) { node(id: $id) { ... on Conversation { id title project { id name }
  messages(first: $first) { edges { node { id role content user { id displayName } interaction { id } feedbackSummary { up down }
    sources { kind node { __typename id } } } } } } } }"""
UNDER = "query ($first: Int!) { conversations(first: $first) { edges { node { id messages(first: 2) { edges { node { id conversation { id title } } } } } } } }"


@pytest.fixture(scope="module")
async def eager(template: Urls) -> AsyncIterator[Urls]:
    """A small organization, where planning seems to cost nothing, as it does beside large tables: any gain is taken."""
    async with clone(template) as copy:
        await plant(copy, times=4)
        async with superuser(copy) as connection:
            await connection.execute("VACUUM ANALYZE")
            name = await connection.fetchval("SELECT current_database()")
            await connection.execute(f"ALTER DATABASE {name} SET cpu_operator_cost = 0.00001")
        yield copy


@pytest.fixture
async def single(eager: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client whose application has one connection for people. Read only."""
    async with client_of(
        eager, tmp_path_factory.mktemp("single"), EMBEDDER="none", POOL_SIZE="1", INGEST_POOL_SIZE="1",
        LIMIT_OPERATIONS_MINUTE="1000000",
    ) as client:  # fmt: skip
        yield client


async def planned(client: Client) -> dict[str, tuple[int, int]]:
    """Of each statement that the connection has prepared, how often its plan was any values' and how often one's own."""
    app: Any = client.http._transport.app  # type: ignore[attr-defined]
    pools: Pools = app.state["service"].running[1].pools
    async with pools.api.acquire() as held:
        rows = await held.fetch("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
    return {row["statement"]: (row["generic_plans"], row["custom_plans"]) for row in rows}


def is_kept(plans: dict[str, tuple[int, int]], statements: set[str]) -> None:
    assert statements
    for sql in statements:
        generic, custom = plans[sql]
        assert custom <= TRIALS, sql
        assert generic + custom < TIMES * 2 or generic > custom, sql


async def ids(client: Client, root: str) -> list[str]:
    found = (await client.ask(f"{{{root}(first:12){{edges{{node{{id}}}}}}}}")).data[root]["edges"]
    return [edge["node"]["id"] for edge in found]


async def test_a_node_by_its_id_keeps_one_plan(single: Client) -> None:
    text = "query ($id: ID!) { node(id: $id) { __typename id } }"
    asked = [*await ids(single, "conversations"), *await ids(single, "insights"), *await ids(single, "documents")]
    asked += [global_id("Project", PROJECT)] * TIMES
    asked += [global_id("User", each) for each in list(IDS.values()) * 3]
    statements: set[str] = set()
    for each in asked:
        answer = await single.ask(text, id=each)
        assert answer.data["node"]["id"] == each
        statements |= set(answer.statements)
    assert len(statements) >= 5
    is_kept(await planned(single), statements)


async def test_a_chat_keeps_one_plan_for_each_statement_whatever_the_number_of_messages(single: Client) -> None:
    statements: set[str] = set()
    for first, each in enumerate(await ids(single, "conversations"), 1):
        answer = await single.ask(CHAT, id=each, first=first * 2)
        assert 0 < len(answer.data["node"]["messages"]["edges"]) <= first * 2
        statements |= set(answer.statements)
    for story in await ids(single, "conversations"):
        statements |= set((await single.ask(document("02_open_a_chat"), id=story)).statements)
    assert len(statements) >= 5
    is_kept(await planned(single), statements)


async def test_lists_under_many_parents_keep_one_plan_whatever_their_number(single: Client) -> None:
    statements: set[str] = set()
    for first in range(1, TIMES + 1):
        answer = await single.ask(UNDER, first=first)
        assert len(answer.data["conversations"]["edges"]) == first
        statements |= set(answer.statements)
    is_kept(await planned(single), statements)


RANGE = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
SUMS = {
    "aiMetrics": "query ($range: TimeRange!) { aiMetrics(range: $range, groupBy: [MODEL], granularity: DAY) { rows { count } } }",
    "usageMetrics": "query ($range: TimeRange!) { usageMetrics(range: $range, granularity: DAY) { rows { count } } }",
    "toolUsage": "query ($range: TimeRange!) { toolUsage(range: $range) { count } }",
    "usageActivity": "query ($range: TimeRange!) { usageActivity(range: $range) { requests } }",
}


@pytest.mark.parametrize("field", SUMS)
async def test_what_adds_up_a_range_is_planned_for_the_range(single: Client, field: str) -> None:
    """A plan for any range takes an index for few rows: for a million of them that was twice the time."""
    for _ in range(TIMES):
        answer = await single.ask(SUMS[field], "carol", range=RANGE)
        assert answer.data[field] is not None
    (sql,) = answer.statements
    assert (await planned(single))[sql] == (0, TIMES)
