"""Rows into the database: arrays through unnest, since COPY is refused under row-level security.

Whoever calls holds the transaction, so that the demo world appears whole, chains included, or not at all.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg

from db.actor import operator_context_sql
from db.embedder import Embedder
from db.seed import usage, vectors
from db.seed.build import Built, all_tables
from db.seed.chain import batches, events
from db.seed.tables import ChunkRow, OrganizationRow, sql_type

_BATCH_ROWS: Final = 2_500
_BATCH_BYTES: Final = 8_000_000
_EMBED_BATCH: Final = 48

_DIGESTS: Final = {
    "calls": "SELECT c.id::text, encode(app.tool_call_digest(c), 'hex') FROM app.tool_calls AS c WHERE c.organization_id = $1",
    "outcomes": "SELECT o.tool_call_id::text, encode(app.tool_call_outcome_digest(o), 'hex') FROM app.tool_call_outcomes AS o WHERE o.organization_id = $1",
}
_BUDGETS: Final = (
    "SELECT id::text, subject_id::text, metric, budget_window FROM app.usage_budgets WHERE organization_id = $1"
)
_SET_BUDGETS: Final = """
UPDATE app.usage_budgets AS b SET used = s.used, window_start = s.window_start, limit_value = s.limit_value
FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::bigint[]) AS s (id, used, window_start, limit_value)
WHERE b.organization_id = $1 AND b.id = s.id"""

# Tables that grow under one transaction have no statistics, and the operator may not ANALYZE: foreign keys would be
# checked by reading whole tables, again and again.
USE_INDEXES: Final = "SET LOCAL enable_seqscan = off"

Connection = Any
Step = Callable[[int], None]
Progress = Callable[[str, int, int], None]


def stepper(tell: Progress, name: str, total: int) -> Step:
    """Adds up what is done and tells it on."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        tell(name, done, total)

    return step


class Embedding:
    """The chunks' vectors, made while other rows are written; `None` without an embedder."""

    def __init__(self, embedder: Embedder | None, chunks: Sequence[ChunkRow]) -> None:
        self._task = asyncio.create_task(_embed(embedder, chunks)) if embedder else None
        self._chunks = chunks

    async def rows(self) -> Sequence[ChunkRow]:
        """The chunks, with vectors where there is an embedder."""
        return await self._task if self._task else self._chunks

    def cancel(self) -> None:
        """For a seed that failed elsewhere."""
        if self._task:
            self._task.cancel()


async def _embed(embedder: Embedder, chunks: Sequence[ChunkRow]) -> list[ChunkRow]:
    found = vectors.shipped(embedder.model, [chunk.chunk_text for chunk in chunks])
    missing = [n for n, vector in enumerate(found) if vector is None]
    for start in range(0, len(missing), _EMBED_BATCH):
        some = missing[start : start + _EMBED_BATCH]
        for n, values in zip(some, await embedder.embed([chunks[n].chunk_text for n in some]), strict=True):
            found[n] = vectors.as_text(values)
    return [
        chunk._replace(model=embedder.model, dimensions=embedder.dimensions, embedding=vector)
        for chunk, vector in zip(chunks, found, strict=True)
    ]


async def load(connection: Connection, built: Built, *, seed: int, tell: Progress) -> dict[str, int]:
    """Writes the organization, all but its chunks, and returns its numbers of rows; `tell` hears of rows written.

    Needs a transaction, in which it sets the context.
    """
    counts = {"organizations": 1}
    await connection.execute(operator_context_sql(built.organization.id))
    await insert(connection, "organizations", OrganizationRow, [built.home])
    slug = built.organization.slug
    step = stepper(tell, f"{slug}: rows", sum(len(rows) for rows in built.tables.values()))
    for table, rows in all_tables(built):
        counts[table] = len(rows)
        await insert(connection, table, type(rows[0]), rows, step=step)
    counts["usage_ledger"] = await _settle(connection, built, seed)
    counts["audit_events"] = await _append(connection, built, seed, tell)
    return counts


async def load_chunks(connection: Connection, embedding: Embedding, step: Step) -> int:
    """Writes an organization's chunks once their vectors are there."""
    chunks = await embedding.rows()
    await insert(connection, "document_embeddings", ChunkRow, chunks, step=step)
    return len(chunks)


async def insert(
    connection: Connection, table: str, shape: Any, rows: Sequence[tuple[Any, ...]], *, step: Step | None = None
) -> None:
    """Multi-row INSERTs; a statement takes some thousand rows or megabytes, so that triggers fire per statement."""
    names: tuple[str, ...] = shape._fields
    binds = ", ".join(f"${n}::{_bind_type(name)}[]" for n, name in enumerate(names, 1))
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f'r."{name}"::ext.vector' if sql_type(name) == "ext.vector" else f'r."{name}"' for name in names)
    statement = f"INSERT INTO app.{table} ({columns}) SELECT {values} FROM unnest({binds}) AS r ({columns})"
    for some in _batches(rows):
        await connection.execute(statement, *(list(column) for column in zip(*some, strict=True)))
        if step:
            step(len(some))


def _bind_type(name: str) -> str:
    # as text: asyncpg's binary form of inet wants objects, vector's none at all
    return "text" if sql_type(name) == "ext.vector" else sql_type(name)


def _batches(rows: Sequence[tuple[Any, ...]]) -> Sequence[Sequence[tuple[Any, ...]]]:
    found, start, size = [], 0, 0
    for n, row in enumerate(rows):
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if n - start >= _BATCH_ROWS or size > _BATCH_BYTES:
            found.append(rows[start : n + 1])
            start, size = n + 1, 0
    return [*found, rows[start:]] if start < len(rows) else found


async def _settle(connection: Connection, built: Built, seed: int) -> int:
    organization = built.organization
    budgets = {(row[1], row[2], row[3]): row[0] for row in await connection.fetch(_BUDGETS, organization.id)}
    moves, states = usage.ledger(organization, built.clock, built.tables["ai_usage_logs"], budgets, seed)  # type: ignore[arg-type]
    await insert(connection, "usage_ledger", usage.LedgerRow, moves)
    await connection.execute(
        _SET_BUDGETS, organization.id, [s.id for s in states], [s.used for s in states], [s.window_start for s in states], [s.limit_value for s in states],
    )  # fmt: skip
    return len(moves)


async def _append(connection: Connection, built: Built, seed: int, tell: Progress) -> int:
    digests = {name: dict(await connection.fetch(sql, built.organization.id)) for name, sql in _DIGESTS.items()}
    found = events(built, digests["calls"], digests["outcomes"])
    step = stepper(tell, f"{built.organization.slug}: audit events", len(found))
    for count, text in batches(found, built.organization.slug, seed):
        await connection.execute("SELECT count(*) FROM app.audit_append($1::jsonb)", text)
        step(count)
    return len(found)


async def connect(url: str) -> Connection:
    """The operator's connection."""
    return await asyncpg.connect(url)
