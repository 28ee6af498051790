"""The index finds what an exact scan finds, whatever share of all vectors an organization holds."""

import uuid

import asyncpg
import numpy as np
from numpy.typing import NDArray

from db import search
from db.engine import Urls
from tests.db.search.library import INDEX_ONLY, MINILM, Chunk, Library


async def test_recall_is_095_for_large_and_small_organizations(library: Library, urls: Urls) -> None:
    shares = {0.5: 10_000, 0.1: 2_000, 0.01: 200, 0.001: 20}
    organizations = {share: str(uuid.UUID(int=n, version=4)) for n, share in enumerate(shares, start=1)}
    rest = str(uuid.UUID(int=99, version=4))
    for organization_id in (*organizations.values(), rest):
        await library.organization(organization_id)
    chance = np.random.default_rng(5)
    centres = chance.normal(size=(200, MINILM.dimensions))
    points = clustered(centres, 20_000, chance)
    owners = [organizations[share] for share, count in shares.items() for _ in range(count)]
    owners += [rest] * (len(points) - len(owners))
    index = await without_index(urls)
    ids = np.array(await library.add(Chunk(*given) for given in zip(owners, owners, points, strict=True)))
    await execute_as_owner(urls, index)
    await library.operator.execute("ANALYZE app.document_embeddings")

    owned_by = np.array(owners)
    for share, organization_id in organizations.items():
        is_own = owned_by == organization_id
        recalls, approximate_count = [], 0
        async with library.member(organization_id, INDEX_ONLY) as session:
            for query in clustered(centres, 20, chance):
                found = await search.nearest(
                    session,
                    organization_id=organization_id,
                    model=MINILM,
                    embedding=query.tolist(),
                    limit=10,
                    exact_up_to=0,
                )
                order = np.argsort(-(points[is_own] @ query))[:10]
                expected = set(ids[is_own][order].tolist())
                assert len(found.hits) == min(10, shares[share])
                recalls.append(len(expected & {hit.id for hit in found.hits}) / len(expected))
                approximate_count += found.approximate
        assert np.mean(recalls) >= 0.95, (share, recalls)
        # 20 rows are fewer than the candidates asked for: the index's answer was replaced by the exact one.
        assert approximate_count == (0 if share == 0.001 else 20)


def clustered(centres: NDArray[np.float64], count: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors around the centres, as texts on a few topics lie."""
    noise = chance.normal(size=(count, centres.shape[1])) * 0.7
    points = centres[chance.integers(len(centres), size=count)] + noise
    units: NDArray[np.float32] = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return units


async def without_index(urls: Urls) -> str:
    """Drop the model's HNSW index, which is ten times faster to build at once; the statement that makes it again."""
    name = f"ix_document_embeddings_hnsw_{MINILM.dimensions}"
    owner = await asyncpg.connect(urls.migrator)
    try:
        definition: str = await owner.fetchval("SELECT pg_get_indexdef($1::text::regclass)", f"app.{name}")
        await owner.execute(f"SET ROLE minutebook_owner; DROP INDEX app.{name}")
    finally:
        await owner.close()
    return definition


async def execute_as_owner(urls: Urls, sql: str) -> None:
    owner = await asyncpg.connect(urls.migrator)
    try:
        await owner.execute(f"SET ROLE minutebook_owner; SET maintenance_work_mem = '128MB'; {sql}")
    finally:
        await owner.close()
