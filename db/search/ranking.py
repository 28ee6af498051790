"""The ranked lists: nearest vectors, matching text, and both fused.

Every statement carries `organization_id = $1` beside the policy, is built once per shape, and names its role, so that
a prepared statement is not planned anew at each change of role. Vector SQL is exact or HNSW, decided by a count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Protocol

from db.actor import Actor
from db.search.registry import EmbeddingModel
from db.search.request import EVERYTHING, LIMIT, Mode, Scope, vector_literal

# Measured at 384 dimensions: 5,000 chunks are scanned in about 10 ms; beyond, HNSW wins.
EXACT_UP_TO: Final = 5_000
OVERSAMPLING: Final = 10
# Of reciprocal rank fusion; 60 is the value of its authors (Cormack et al., 2009).
FUSION: Final = 60
_BEST_FUSED: Final = 2 / (FUSION + 1)
# The memory factor lets a scan reach its tuple limit instead of stopping at work_mem.
_HNSW_SETTINGS: Final = (
    "SET LOCAL hnsw.iterative_scan = relaxed_order; SET LOCAL hnsw.ef_search = 200; "
    "SET LOCAL hnsw.max_scan_tuples = 20000; SET LOCAL hnsw.scan_mem_multiplier = 4"
)


class SearchSession(Protocol):
    """What db.session.Session offers: one transaction of one caller."""

    @property
    def actor(self) -> Actor: ...

    async def fetch_text(self, sql: str, *arguments: Any) -> Sequence[Any]: ...

    async def execute_text(self, sql: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found. Ranks count from 1 in their list; None where the chunk is not in it.

    `score` is the cosine similarity (SEMANTIC, -1..1), rank / (rank + 1) of ts_rank_cd (FULL_TEXT, 0..1), or the fused
    score as a share of the best possible one (HYBRID, 0..1).
    """

    id: str
    score: float
    semantic_rank: int | None = None
    text_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits, best first. `approximate` where an index was asked that may miss one."""

    hits: tuple[Hit, ...]
    mode: Mode
    model: str | None
    approximate: bool = False


async def nearest(
    session: SearchSession,
    *,
    organization_id: str,
    model: EmbeddingModel,
    embedding: Sequence[float],
    scope: Scope = EVERYTHING,
    limit: int = LIMIT,
    exact_up_to: int = EXACT_UP_TO,
) -> Ranking:
    """The `limit` chunks of the model nearest to the vector by cosine. SearchInputError for a vector that does not fit."""
    vector = vector_literal(model, embedding)
    role, filters = session.actor.db_role, _filters(scope)
    shape = tuple(filters)
    narrowing = tuple(filters.values())
    is_exact = not model.has_index
    if not is_exact:
        count_sql = _count_sql(role, model, shape)
        [counted] = await session.fetch_text(count_sql, organization_id, exact_up_to + 1, *narrowing)
        is_exact = counted["count"] <= exact_up_to
    if not is_exact:
        await session.execute_text(_HNSW_SETTINGS)
        sample = limit * OVERSAMPLING
        sql = _indexed_sql(role, model, shape)
        rows = await session.fetch_text(sql, organization_id, vector, limit, sample, *narrowing)
        # A scan that ran into its tuple limit has too few candidates, perhaps too few rows: then only exact is right.
        is_exact = not rows or rows[0]["candidates"] < sample
    if is_exact:
        rows = await session.fetch_text(_exact_sql(role, model, shape), organization_id, vector, limit, *narrowing)
    hits = (
        Hit(row["id"], score=_rounded(1 - row["distance"]), semantic_rank=rank)
        for rank, row in enumerate(rows, start=1)
    )
    return Ranking(tuple(hits), Mode.SEMANTIC, model.name, approximate=not is_exact)


async def matching(
    session: SearchSession,
    *,
    organization_id: str,
    text: str,
    model: str | None = None,
    scope: Scope = EVERYTHING,
    limit: int = LIMIT,
) -> Ranking:
    """The `limit` chunks that match the text as a web search would: all words, or any where no chunk has them all.

    With a model, chunks of that model and those without one.
    """
    rows = await session.fetch_text(
        _text_sql(session.actor.db_role),
        organization_id,
        text,
        limit,
        _as_list(scope.content_types),
        None if scope.project_id is None else [scope.project_id],
        _as_list(scope.document_ids),
        model,
    )
    hits = (
        Hit(row["id"], score=_rounded(row["rank"] / (row["rank"] + 1)), text_rank=rank)
        for rank, row in enumerate(rows, start=1)
    )
    return Ranking(tuple(hits), Mode.FULL_TEXT, model)


async def hybrid(
    session: SearchSession,
    *,
    organization_id: str,
    text: str,
    model: EmbeddingModel,
    embedding: Sequence[float],
    scope: Scope = EVERYTHING,
    limit: int = LIMIT,
    exact_up_to: int = EXACT_UP_TO,
) -> Ranking:
    """Both lists, fused: sum of 1 / (60 + rank), ties by id."""
    by_vector = await nearest(
        session,
        organization_id=organization_id,
        model=model,
        embedding=embedding,
        scope=scope,
        limit=limit,
        exact_up_to=exact_up_to,
    )
    by_text = await matching(
        session, organization_id=organization_id, text=text, model=model.name, scope=scope, limit=limit
    )
    hits = tuple(_fused(by_vector.hits, by_text.hits)[:limit])
    return Ranking(hits, Mode.HYBRID, model.name, by_vector.approximate)


def _fused(by_vector: Sequence[Hit], by_text: Sequence[Hit]) -> list[Hit]:
    found = {hit.id: hit for hit in by_vector}
    for hit in by_text:
        found[hit.id] = replace(found.get(hit.id, hit), text_rank=hit.text_rank)
    scored = [replace(hit, score=fused_score(hit.semantic_rank, hit.text_rank)) for hit in found.values()]
    return sorted(scored, key=lambda hit: (-hit.score, hit.id))


def fused_score(semantic_rank: int | None, text_rank: int | None) -> float:
    """1 for the first of both lists, about one half for the first of one."""
    return _rounded(sum(1 / (FUSION + rank) for rank in (semantic_rank, text_rank) if rank) / _BEST_FUSED)


def _rounded(score: float) -> float:
    # Six digits survive the float32 that a cursor carries.
    return round(min(max(score, -1.0), 1.0), 6)


# ── statements ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _as_list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _filters(scope: Scope) -> dict[str, Any]:
    """The filters that are given, by their key in _CONDITIONS, with the value of each."""
    given = {
        "document_ids": _as_list(scope.document_ids),
        "content_types": _as_list(scope.content_types),
        "project_id": scope.project_id,
    }
    return {name: value for name, value in given.items() if value is not None}


_CONDITIONS: Final = {
    "document_ids": "e.document_id = ANY(${n}::uuid[])",
    "content_types": "d.content_type = ANY(${n}::text[])",
    "project_id": "d.project_id = ${n}::uuid",
}


def _chunks(model: EmbeddingModel, shape: tuple[str, ...], first_bind: int) -> str:
    """FROM and WHERE of the model's chunks in scope; the filters' values are bound from `first_bind` on."""
    conditions = [_CONDITIONS[name].format(n=first_bind + place) for place, name in enumerate(shape)]
    own = [condition for condition in conditions if condition.startswith("e.")]
    documents = [condition for condition in conditions if condition.startswith("d.")]
    if documents:
        inner = "SELECT FROM app.documents d WHERE d.organization_id = $1 AND d.id = e.document_id"
        own.append(f"EXISTS ({' AND '.join([inner, *documents])})")
    clauses = ["e.organization_id = $1", f"e.model = '{model.name}'", "e.embedding IS NOT NULL", *own]
    return f"FROM app.document_embeddings e WHERE {' AND '.join(clauses)}"


def _distance(model: EmbeddingModel) -> str:
    # The parameter is read once, in a sub-select: as a plain cast a generic plan would parse it for every row.
    return f"(e.embedding::{model.sql_type}) OPERATOR(ext.<=>) (SELECT $2::text::{model.sql_type})"


@cache
def _count_sql(role: str, model: EmbeddingModel, shape: tuple[str, ...]) -> str:
    return f"/* {role} */ SELECT count(*) FROM (SELECT {_chunks(model, shape, 3)} LIMIT $2) counted"


@cache
def _exact_sql(role: str, model: EmbeddingModel, shape: tuple[str, ...]) -> str:
    # MATERIALIZED keeps the planner from the index: this answer is the exact one.
    return (
        f"/* {role} */ WITH candidate AS MATERIALIZED (SELECT e.id, {_distance(model)} AS distance "
        f"{_chunks(model, shape, 4)}) SELECT id, distance FROM candidate ORDER BY distance, id LIMIT $3"
    )


@cache
def _indexed_sql(role: str, model: EmbeddingModel, shape: tuple[str, ...]) -> str:
    # Without MATERIALIZED and `+ 0` the planner trusts the index's relaxed order and drops the sort.
    distance = _distance(model)
    return (
        f"/* {role} */ WITH candidate AS MATERIALIZED (SELECT e.id, {distance} AS distance {_chunks(model, shape, 5)} "
        f"ORDER BY {distance} LIMIT $4) SELECT id, distance, (SELECT count(*) FROM candidate) AS candidates "
        "FROM candidate ORDER BY distance + 0, id LIMIT $3"
    )


@cache
def _text_sql(role: str) -> str:
    # The function reaches the GIN index, which no policy lets through; the join puts its ids back under the policy.
    return (
        f"/* {role} */ SELECT e.id, found.rank FROM app.search_chunks_text($2, $3, $4, $5, $6, $7) AS found "
        "JOIN app.document_embeddings e ON e.organization_id = $1 AND e.id = found.id ORDER BY found.rank DESC, e.id"
    )
