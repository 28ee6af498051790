"""The demo world: four organizations with half a year of believable work, written as live data would be.

`seed` fills a database that has none of it; `scale` multiplies it. Chance comes from a seed, time from an anchor.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final

from db.embedder import Embedder
from db.seed import load
from db.seed.build import HERO_TITLE, Built, build
from db.seed.clock import HISTORY_DAYS
from db.seed.scale import multiply
from db.seed.world import ORGANIZATIONS

__all__ = ["SeedError", "SeedReport", "seed"]

SEED: Final = 20_260_214
_LOCK: Final = 7_203_114_905  # any number that nobody else uses
# Copies of `scale` lie up to this far behind the demo's own history.
_MARGIN_DAYS: Final = 75


class SeedError(RuntimeError):
    """The database holds a demo world already, in part or in full, or another seed is writing it."""


@dataclass(frozen=True)
class SeedReport:
    """What was written. `counts` are rows by table; `handles` name ids worth opening first."""

    anchor: datetime
    scale: int
    counts: Mapping[str, int]
    handles: Mapping[str, str]
    is_embedded: bool
    seconds: float


async def seed(
    operator_url: str,
    *,
    scale: int = 1,
    anchor: datetime | None = None,
    embedder: Embedder | None = None,
    progress: load.Progress | None = None,
) -> SeedReport:
    """Writes the demo world as minutebook_operator: the four organizations in one transaction, then the copies.

    `anchor` is its present (aware; default now), `progress` hears (step, done, total). Raises SeedError.
    """
    started_at = perf_counter()
    anchor = (anchor or datetime.now(UTC)).astimezone(UTC)
    tell = progress or (lambda _step, _done, _total: None)
    connection = await load.connect(operator_url)
    try:
        await _make_months(connection, anchor, scale)
        counts, handles = await _write(connection, anchor, embedder, tell)
        if scale > 1:
            second = await load.connect(operator_url)
            try:
                counts.update(await multiply((connection, second), scale, tell))
            finally:
                await second.close()
        # Until autovacuum comes round, plans over freshly loaded tables are guesses.
        await connection.execute("SELECT app.analyze_tables()")
    finally:
        await connection.close()
    return SeedReport(anchor, scale, dict(counts), handles, embedder is not None, perf_counter() - started_at)


async def _make_months(connection: Any, anchor: datetime, scale: int) -> None:
    since = (anchor - timedelta(days=HISTORY_DAYS + _MARGIN_DAYS + scale // 35)).date()
    months = (anchor.year - since.year) * 12 + anchor.month - since.month + 1
    await connection.execute("SELECT app.ensure_partitions($1, $2)", months, since)


async def _write(
    connection: Any, anchor: datetime, embedder: Embedder | None, tell: load.Progress
) -> tuple[Counter[str], dict[str, str]]:
    counts: Counter[str] = Counter()
    handles: dict[str, str] = {}
    made: list[tuple[Built, load.Embedding]] = []
    next_one = asyncio.create_task(asyncio.to_thread(build, ORGANIZATIONS[0], anchor, SEED))
    try:
        async with connection.transaction():
            await _claim(connection)
            await connection.execute(load.USE_INDEXES)
            for number in range(1, len(ORGANIZATIONS) + 1):
                built = await next_one
                made.append((built, load.Embedding(embedder, built.chunks)))
                if number < len(ORGANIZATIONS):
                    next_one = asyncio.create_task(asyncio.to_thread(build, ORGANIZATIONS[number], anchor, SEED))
                counts.update(await load.load(connection, built, seed=SEED, tell=tell))
                handles |= _handles(built)
            for built, embedding in made:
                step = load.stepper(tell, f"{built.organization.slug}: chunks", len(built.chunks))
                counts["document_embeddings"] += await load.load_chunks(connection, embedding, step)
    finally:
        for _, embedding in made:
            embedding.cancel()
        next_one.cancel()
        await asyncio.gather(next_one, return_exceptions=True)
    return counts, handles


async def _claim(connection: Any) -> None:
    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
        raise SeedError("another seed is writing this database")
    taken = await connection.fetch(
        "SELECT slug FROM app.organizations WHERE slug = ANY ($1::text[]) ORDER BY slug",
        [o.slug for o in ORGANIZATIONS],
    )
    if taken:
        slugs = ", ".join(row["slug"] for row in taken)
        raise SeedError(f"the database holds the demo world already ({slugs}); seed an empty one")


def _handles(built: Built) -> dict[str, str]:
    """Ids that depend on the anchor, by name: guides and tests open these first."""
    slug, tables = built.organization.slug, built.tables
    newest: dict[str, Any] = {
        f"{slug}.insight": tables["ai_insights"][-1],
        f"{slug}.interaction": tables["ai_interactions"][0],
    }
    if slug == "northwind":
        rows: list[Any] = [row for row in tables["ai_conversations"] if getattr(row, "title", None) == HERO_TITLE]
        newest["alice.conversation"] = rows[0]
    if slug == "vromm":
        newest["erik.search"] = tables["ai_content_searches"][-1]
    if slug == "taskline":
        newest["taskline.huge_interaction"] = max(
            tables["ai_interactions"], key=lambda row: getattr(row, "request_bytes", 0)
        )
    return {name: row.id for name, row in newest.items()}
