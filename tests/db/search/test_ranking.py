"""The ranked lists under row-level security: nothing foreign, nothing missing, nothing out of order.

The wall at its full length: `python -m pytest -p tests.full --full tests/db/search/test_ranking.py -k never_returned`.
"""

import uuid
from typing import Any

import asyncpg
import numpy as np
import pytest

from db import search
from db.actor import Actor
from db.search import Mode, Scope
from db.types import Role
from tests.db.search.library import (
    ADA,
    EVERYTHING_EXACT,
    INDEX_ONLY,
    MINILM,
    PROJECT,
    A,
    B,
    Chunk,
    Library,
    at_angle,
    axis,
)
from tests.full import is_full


@pytest.mark.parametrize("exact_up_to", [EVERYTHING_EXACT, 0])
async def test_the_nearest_chunk_of_another_organization_is_never_returned(
    library: Library, pytestconfig: pytest.Config, exact_up_to: int
) -> None:
    queries = 5_000 if is_full(pytestconfig) else 200  # of either kind: 10,000 in full
    await library.organization(A)
    await library.organization(B)
    own = await library.add(Chunk(A, "lumber", at_angle(degrees)) for degrees in range(20, 80))
    [canary] = await library.add([Chunk(B, "lumber canary", at_angle(0))])
    async with library.member(A, INDEX_ONLY) as session:
        for degrees in np.linspace(-180, 180, queries):
            found = await search.nearest(
                session,
                organization_id=A,
                model=MINILM,
                embedding=at_angle(float(degrees)),
                limit=5,
                exact_up_to=exact_up_to,
            )
            assert found.approximate == (exact_up_to == 0)
            assert len(found.hits) == 5
            assert {hit.id for hit in found.hits} <= set(own)
        # The caller's own organization and the policies each hold alone.
        foreign = await search.nearest(session, organization_id=B, model=MINILM, embedding=at_angle(0))
        text = await search.matching(session, organization_id=A, text="canary")
        both = await search.hybrid(
            session, organization_id=B, text="lumber", model=MINILM, embedding=at_angle(0), limit=50
        )
    assert foreign.hits == text.hits == both.hits == ()
    assert canary not in own


class Unwalled:
    """A session that every policy lets through."""

    def __init__(self, operator: asyncpg.Connection) -> None:
        self.actor = Actor(A, B, B, Role.MEMBER)
        self._operator = operator

    async def fetch_text(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._operator.fetch(sql, *arguments)
        return rows

    async def execute_text(self, sql: str) -> None:
        await self._operator.execute(sql)


async def test_the_statements_keep_the_wall_without_policies(library: Library) -> None:
    await library.organization(A)
    await library.organization(B)
    own = await library.add(Chunk(A, "lumber", at_angle(degrees)) for degrees in range(40, 80))
    await library.add(Chunk(B, "canary", at_angle(degrees)) for degrees in range(40))
    async with library.operator.transaction():
        await library.operator.execute(INDEX_ONLY)
        for exact_up_to in (0, EVERYTHING_EXACT):
            found = await search.nearest(
                Unwalled(library.operator),
                organization_id=A,
                model=MINILM,
                embedding=at_angle(0),
                limit=4,
                exact_up_to=exact_up_to,
            )
            assert [str(hit.id) for hit in found.hits] == own[:4]


async def test_a_similarity_is_a_cosine_and_ties_go_by_id(library: Library) -> None:
    await library.organization(A)
    twins = await library.add([Chunk(A, "twin", axis(2, 0)), Chunk(A, "twin", axis(3, 0))])
    [half] = await library.add([Chunk(A, "sixty degrees", at_angle(60))])
    async with library.member(A) as session:
        found = await search.nearest(session, organization_id=A, model=MINILM, embedding=axis(1e-300, 0))
    assert [hit.id for hit in found.hits] == [*sorted(twins), half]
    assert [hit.score for hit in found.hits] == [1, 1, 0.5]
    assert [hit.semantic_rank for hit in found.hits] == [1, 2, 3]


async def test_a_filter_narrows_before_the_limit(library: Library) -> None:
    await library.organization(A)
    route = str(uuid.uuid4())
    await library.document(A, route, "ROUTE", PROJECT)
    await library.add(Chunk(A, "lumber near", at_angle(n / 10)) for n in range(80))
    wanted = await library.add(Chunk(A, "lumber far away", at_angle(80 + n), route) for n in range(3))
    scopes = (
        Scope(content_types=("ROUTE", "EVENT")),
        Scope(project_id=PROJECT),
        Scope(document_ids=(route, B)),
        Scope(("ROUTE",), PROJECT, (route,)),
    )
    async with library.member(A, INDEX_ONLY) as session:
        for scope in scopes:
            for exact_up_to in (0, EVERYTHING_EXACT):
                near = await search.nearest(
                    session,
                    organization_id=A,
                    model=MINILM,
                    embedding=at_angle(0),
                    scope=scope,
                    exact_up_to=exact_up_to,
                )
                assert [hit.id for hit in near.hits] == wanted
                assert not near.approximate
            text = await search.matching(session, organization_id=A, text="lumber", scope=scope)
            assert {hit.id for hit in text.hits} == set(wanted)
        for nothing in (Scope(content_types=()), Scope(document_ids=()), Scope(project_id=B)):
            by_vector = await search.nearest(
                session, organization_id=A, model=MINILM, embedding=at_angle(0), scope=nothing
            )
            by_text = await search.matching(session, organization_id=A, text="lumber", scope=nothing)
            assert by_vector.hits == by_text.hits == ()


async def test_hybrid_fuses_the_ranks_of_both_lists(library: Library) -> None:
    await library.organization(A)
    both, near, worded, unembedded = await library.add(
        [
            Chunk(A, "lumber lumber lumber", at_angle(10)),
            Chunk(A, "timber prices", at_angle(0)),
            Chunk(A, "lumber in a much longer sentence about other things", at_angle(170)),
            Chunk(A, "lumber, lumber: without a vector", None),
        ]
    )
    async with library.member(A) as session:
        found = await search.hybrid(session, organization_id=A, text="lumber", model=MINILM, embedding=at_angle(0))
    assert found.mode is Mode.HYBRID
    ranks = {hit.id: (hit.semantic_rank, hit.text_rank) for hit in found.hits}
    assert ranks == {both: (2, 1), near: (1, None), worded: (3, 3), unembedded: (None, 2)}
    assert [hit.id for hit in found.hits] == [both, worded, near, unembedded]
    assert found.hits[0].score == pytest.approx((1 / 62 + 1 / 61) / (2 / 61), abs=1e-6)


async def test_models_do_not_mix(library: Library) -> None:
    await library.organization(A)
    [ada] = await library.add([Chunk(A, "x", axis(1, dimensions=ADA.dimensions), model=ADA.name)])
    [mini] = await library.add([Chunk(A, "x", axis(1))])
    unindexed = search.register("test/unindexed-3", 3)
    [small] = await library.add([Chunk(A, "x", [1, 2, 3], model=unindexed.name)])
    async with library.member(A) as session:
        for model, expected in ((ADA, ada), (MINILM, mini), (unindexed, small)):
            vector = axis(1, dimensions=model.dimensions)
            found = await search.nearest(session, organization_id=A, model=model, embedding=vector, exact_up_to=10)
            assert [hit.id for hit in found.hits] == [expected]
            assert found.model == model.name
