"""Stories of the frontend developer: asking the documents, and D3's own questions."""

from collections.abc import Callable
from typing import Any

import pytest

from api.node import global_id
from db.embedder import MiniLm
from db.engine import Urls
from tests.client import Client
from tests.databases import superuser
from tests.stories.small_world import HERE, IDS, PROJECT
from tests.stories.story import ask, is_refused, nodes, shapes

# ── 11 Ask the documents ─────────────────────────────────────────────────────────────────────────────────────────────
QUESTION = "why is wood so expensive"


async def test_an_auditor_may_not_search_documents(ask_world: Client) -> None:
    answer = await ask(ask_world, "11_ask_the_documents", "dave", q=QUESTION)
    assert is_refused(answer, "searchDocuments", "FORBIDDEN")
    assert not answer.statements


async def test_asking_why_wood_is_expensive_finds_the_lumber_overrun(ask_world: Client) -> None:
    found = (await ask(ask_world, "11_ask_the_documents", "alice", q=QUESTION)).data["searchDocuments"]
    assert (found["mode"], len(found["edges"])) == ("HYBRID", 10)
    scores = [edge["score"] for edge in found["edges"]]
    assert scores == sorted(scores, reverse=True)
    best = " ".join(edge["node"]["text"].lower() for edge in found["edges"][:3])
    assert "lumber" in best
    by_meaning = min(found["edges"], key=lambda edge: edge["semanticRank"] or 99)
    assert "lumber" in by_meaning["node"]["text"].lower()
    assert any("«" in (edge["highlight"] or "") for edge in found["edges"])


async def test_every_organization_finds_its_own_documents(ask_world: Client) -> None:
    for who in ("alice", "erik", "ines"):
        found = (await ask(ask_world, "11_ask_the_documents", who, q="what happens first")).data["searchDocuments"]
        assert len(found["edges"]) == 10
        ids = [edge["node"]["id"] for edge in found["edges"]]
        others = {"alice", "erik", "ines"} - {who}
        for other in others:
            assert (await ask_world.ask("query($i:[ID!]!){nodes(ids:$i){id}}", other, i=ids)).data == {
                "nodes": [None] * 10
            }


@pytest.mark.parametrize(
    ("given", "argument", "right"),
    [
        ({"embedding": [0.1] * 383}, "embedding", "384"),
        ({"embedding": [0.1] * 1536}, "embedding", "384"),
        ({"embedding": [0.1] * 384, "model": "text-embedding-ada-002"}, "model", MiniLm.model),
        ({"text": "wood", "model": "another-model"}, "model", MiniLm.model),
    ],
)
async def test_a_wrong_dimension_or_model_is_refused_naming_the_right_one(
    ask_world: Client, given: dict[str, Any], argument: str, right: str
) -> None:
    query = "query($i:DocumentSearchInput!){searchDocuments(input:$i){mode}}"
    answer = await ask_world.ask(query, i=given)
    assert is_refused(answer, "searchDocuments", "BAD_USER_INPUT")
    assert answer.errors[0]["extensions"]["argument"] == argument
    assert right in answer.errors[0]["message"]


async def test_a_search_costs_the_same_statements_whatever_is_found(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    answers = [
        await ask(client, "11_ask_the_documents", "alice", q=QUESTION) for client in (ask_small, ask_tenfold, ask_world)
    ]
    assert [len(answer.data["searchDocuments"]["edges"]) for answer in answers] == [5, 10, 10]
    assert len({shapes(answer.statements) for answer in answers}) == 1
    ran("11_ask_the_documents", {"alice": answers[0].statements})


# ── D3 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_d3_asks_for_the_tokens_of_the_month_in_one_operation(
    ask_world: Client, world: Urls, ask_small: Client, ran: Callable[..., None]
) -> None:
    answer = await ask(ask_world, "d3_tokens_of_the_month", "alice")
    async with superuser(world) as connection:
        row = await connection.fetchrow(
            "SELECT limit_value::text, used::text FROM app.usage_budgets WHERE organization_id = $1"
            " AND subject_id = $1 AND metric = 'TOKENS' AND budget_window = 'MONTH'",
            HERE,
        )
    [tokens] = [
        each for each in answer.data["viewer"]["organization"]["budgets"]
        if (each["metric"], each["window"]) == ("TOKENS", "MONTH")
    ]  # fmt: skip
    assert (tokens["limit"], tokens["used"]) == tuple(row)
    assert int(tokens["used"]) > 0
    assert (await ask(ask_small, "d3_tokens_of_the_month", "alice")).statements == answer.statements
    ran("d3_tokens_of_the_month", {"alice": answer.statements})


async def test_d3_asks_for_a_project_with_everything_in_one_operation(
    ask_world: Client, world: Urls, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    project = global_id("Project", PROJECT)
    small, tenfold, answer = [
        await ask(client, "d3_project_overview", "alice", p=project) for client in (ask_small, ask_tenfold, ask_world)
    ]
    async with superuser(world) as connection:
        patterns = await connection.fetchval("SELECT count(*) FROM app.ai_patterns WHERE organization_id = $1", HERE)
        titles = await connection.fetch(
            "SELECT title FROM app.ai_conversations WHERE project_id = $1 AND user_id = $2 AND deleted_at IS NULL"
            " ORDER BY updated_at DESC, id DESC LIMIT 5",
            PROJECT, IDS["alice"],
        )  # fmt: skip
    assert len(nodes(answer.data["patterns"])) == patterns > 0
    assert [node["title"] for node in nodes(answer.data["node"]["conversations"])] == [row[0] for row in titles]
    assert shapes(small.statements) == shapes(tenfold.statements) == shapes(answer.statements)
    ran("d3_project_overview", {"alice": answer.statements})
