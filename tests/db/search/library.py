"""Documents of an empty database, written as the operator and searched as a member."""

import math
import struct
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import numpy as np
from numpy.typing import NDArray

from db import search
from db.actor import Actor
from db.embedder import EmbedderUnavailable
from db.engine import Pools
from db.search import SearchRequest
from db.session import Session, act_as
from db.types import Role

MINILM = search.known_models()[0]
ADA = search.known_models()[1]
A, B = (str(uuid.UUID(int=number, version=4)) for number in (0xA, 0xB))
PROJECT = str(uuid.UUID(int=0xC, version=4))
EVERYTHING_EXACT = 10**9
# Makes the planner take the HNSW index also where sorting an organization's few rows would be cheaper.
INDEX_ONLY = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off"


@dataclass(frozen=True)
class Chunk:
    organization_id: str
    text: str
    vector: Sequence[float] | NDArray[np.float32] | None
    document_id: str | None = None
    model: str = MINILM.name


def axis(*weights: float, dimensions: int = MINILM.dimensions) -> list[float]:
    """A vector whose first coordinates are given."""
    return [*weights, *[0.0] * (dimensions - len(weights))]


def at_angle(degrees: float) -> list[float]:
    return axis(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def binary(vector: Sequence[float] | NDArray[np.float32]) -> bytes:
    array = np.asarray(vector, ">f4")
    return struct.pack(">HH", array.size, 0) + array.tobytes()


class Library:
    """An empty database's documents, written as the operator and searched as a member."""

    def __init__(self, operator: asyncpg.Connection, pools: Pools) -> None:
        self.operator = operator
        self._pools = pools
        self._written_count = 0

    async def organization(self, organization_id: str, model: str = MINILM.name) -> None:
        """An organization with one document of its own id."""
        await self.operator.execute(
            "INSERT INTO app.organizations (id, slug, name, kind, timezone, embedding_model) "
            "VALUES ($1, $2, 'An organization', 'TEAM', 'UTC', $3)",
            organization_id,
            f"o-{organization_id[:8]}{organization_id[-4:]}",
            model,
        )
        await self.document(organization_id, organization_id)

    async def document(
        self, organization_id: str, document_id: str, content_type: str = "DOCUMENT", project_id: str | None = None
    ) -> None:
        if project_id is not None:
            await self.operator.execute(
                "INSERT INTO app.projects (organization_id, id, name) VALUES ($1, $2, 'A project')",
                organization_id,
                project_id,
            )
        await self.operator.execute(
            "INSERT INTO app.documents (organization_id, id, title, content_type, project_id) "
            "VALUES ($1, $2, 'A title', $3, $4)",
            organization_id,
            document_id,
            content_type,
            project_id,
        )

    async def add(self, chunks: Iterable[Chunk]) -> list[str]:
        """Store the chunks; their ids, in order."""
        rows = list(chunks)
        ids = [str(uuid.uuid4()) for _ in rows]
        await self.operator.execute(
            "INSERT INTO app.document_embeddings "
            "(organization_id, id, document_id, chunk_index, chunk_text, model, dimensions, embedding) "
            "SELECT o, i, d, n, t, m, ext.vector_dims(v), v FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], "
            "$5::text[], $6::text[], $7::ext.vector[]) AS given (o, i, d, n, t, m, v)",
            [chunk.organization_id for chunk in rows],
            ids,
            [chunk.document_id or chunk.organization_id for chunk in rows],
            list(range(self._written_count, self._written_count + len(rows))),
            [chunk.text for chunk in rows],
            [chunk.model for chunk in rows],
            [None if chunk.vector is None else binary(chunk.vector) for chunk in rows],
        )
        self._written_count += len(rows)
        return ids

    @asynccontextmanager
    async def member(self, organization_id: str, settings: str = "") -> AsyncIterator[Session]:
        user = str(uuid.uuid4())
        async with act_as(self._pools, Actor(organization_id, user, user, Role.MEMBER)) as session:
            if settings:
                await session.execute_text(settings)
            yield session

    async def page(
        self,
        request: SearchRequest,
        *,
        after: str | None = None,
        first: int = 10,
        embedder: "Canned | None" = None,
        organization_id: str = A,
    ) -> search.Page:
        plan = search.plan(request, organization_model=MINILM.name, embedder=embedder)
        async with self.member(organization_id) as session:
            return await search.page(
                session, plan, organization_id=organization_id, embedder=embedder, first=first, after=after
            )


@dataclass
class Canned:
    """An embedder that always means the same."""

    vector: list[float] | None
    model: str = MINILM.name
    dimensions: int = MINILM.dimensions

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.vector is None:
            raise EmbedderUnavailable("away")
        return [self.vector for _ in texts]
