"""One page of a search: its hits with highlights, and cursors that hold what follows.

A cursor is a snapshot of the remaining ids with their ranks, so later pages neither search nor compare floats. It
carries no authority: its ids are read under the reader's own policies, its checksum only tells a mangled one.
"""

import base64
import binascii
import hashlib
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypedDict

from db.embedder import Embedder, EmbedderUnavailable
from db.search.ranking import Hit, Ranking, SearchSession, hybrid, matching, nearest
from db.search.request import LIMIT, Mode, Plan, Scope, SearchInputError

_VERSION: Final = 1
# version, mode, approximate, hits before; then per remaining hit: id, score, ranks (0 = none)
_HEAD: Final = struct.Struct(">BBBH")
_ROW: Final = struct.Struct(">16sfHH")
_CHECKSUM_BYTES: Final = 8
_MODES: Final = tuple(Mode)
_HEADLINE: Final = "StartSel=«, StopSel=», MaxFragments=2, MinWords=8, MaxWords=25, ShortWord=0, FragmentDelimiter= … "


class _About(TypedDict):
    organization_id: str
    scope: Scope
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """A hit and its excerpt: plain text with each match between « and »; None where the text does not match."""

    hit: Hit
    highlight: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """`model` is that of the vectors compared, None for FULL_TEXT; `mode` what was done."""

    found: tuple[Found, ...]
    mode: Mode
    model: str | None
    approximate: bool
    has_next: bool
    has_previous: bool
    _ranking: Ranking
    _before: int
    _request_digest: bytes

    def cursor(self, position: int) -> str:
        """The cursor of `found[position]`; worth making only when it is selected (up to 1.6 kB)."""
        place = next(n for n, hit in enumerate(self._ranking.hits, start=1) if hit.id == self.found[position].hit.id)
        return _packed(self._ranking, place, self._before + place, self._request_digest)


async def page(
    session: SearchSession,
    plan: Plan,
    *,
    organization_id: str,
    embedder: Embedder | None,
    first: int,
    after: str | None = None,
    limit: int = LIMIT,
) -> Page:
    """Search, or read on from a cursor; the whole list ends after `limit` hits, whatever `first` says.

    An embedder that is unavailable makes it FULL_TEXT. SearchInputError for `after` from another search.
    """
    digest = _digest(plan, organization_id)
    if after is None:
        ranking, before = await _search(session, plan, organization_id, embedder, limit), 0
    else:
        ranking, before = _unpacked(after, plan, digest, limit)
    chosen = ranking.hits[:first]
    found: tuple[Found, ...] = ()
    if chosen and (plan.request.text is not None or after is not None):
        found = await _highlighted(session, organization_id, chosen, plan.text)
    elif chosen:
        found = tuple(Found(hit, None) for hit in chosen)
    return Page(
        found=found,
        mode=ranking.mode,
        model=ranking.model,
        approximate=ranking.approximate,
        has_next=bool(found) and len(ranking.hits) > len(chosen),
        has_previous=before > 0,
        _ranking=ranking,
        _before=before,
        _request_digest=digest,
    )


async def _search(
    session: SearchSession, plan: Plan, organization_id: str, embedder: Embedder | None, limit: int
) -> Ranking:
    request, model = plan.request, plan.model
    embedding: Sequence[float] | None = request.embedding
    if plan.must_embed and embedder is not None:
        try:
            [embedding] = await embedder.embed([plan.text])
        except EmbedderUnavailable:
            embedding = None
    about = _About(organization_id=organization_id, scope=request.scope, limit=limit)
    if model is None or embedding is None:
        ranking = await matching(session, text=plan.text, **about)
    elif plan.mode is Mode.SEMANTIC:
        ranking = await nearest(session, model=model, embedding=embedding, **about)
    else:
        ranking = await hybrid(session, text=plan.text, model=model, embedding=embedding, **about)
    return _above(ranking, request.min_score)


def _above(ranking: Ranking, min_score: float | None) -> Ranking:
    if min_score is None:
        return ranking
    hits = tuple(hit for hit in ranking.hits if hit.score >= min_score)
    return Ranking(hits, ranking.mode, ranking.model, ranking.approximate)


async def _highlighted(
    session: SearchSession, organization_id: str, hits: Sequence[Hit], text: str
) -> tuple[Found, ...]:
    """The hits that (still) exist for this reader, with their excerpts."""
    rows = await session.fetch_text(
        f"/* {session.actor.db_role} */ {_HIGHLIGHT_SQL}", organization_id, [hit.id for hit in hits], text
    )
    excerpts = {row["id"]: row["highlight"] for row in rows}
    return tuple(Found(hit, excerpts[hit.id]) for hit in hits if hit.id in excerpts)


# Any of the words is marked. The text's own guillemets become single ones, so that every « is ours; there is no markup,
# and a reader escapes it as any other text.
_HIGHLIGHT_SQL: Final = rf"""SELECT e.id, CASE WHEN e.tsv @@ asked.query THEN ts_headline('pg_catalog.english',
    translate(e.chunk_text, '«»', U&'\2039\203A'), asked.query, '{_HEADLINE}') END AS highlight
FROM app.document_embeddings e, (
    SELECT string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery AS query
    FROM unnest(tsvector_to_array(to_tsvector('pg_catalog.english', $3::text))) AS word
) asked
WHERE e.organization_id = $1 AND e.id = ANY($2::uuid[])"""


# ── cursors ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _digest(plan: Plan, organization_id: str) -> bytes:
    """What a cursor belongs to: the organization and everything that was asked."""
    asked = asdict(plan.request) | {"organization": organization_id}
    return hashlib.sha256(json.dumps(asked, default=list, sort_keys=True).encode()).digest()


def _checksum(body: bytes, digest: bytes) -> bytes:
    return hashlib.sha256(digest + body).digest()[:_CHECKSUM_BYTES]


def _packed(ranking: Ranking, start: int, before: int, digest: bytes) -> str:
    head = _HEAD.pack(_VERSION, _MODES.index(ranking.mode), ranking.approximate, before)
    rows = [
        _ROW.pack(bytes.fromhex(hit.id.replace("-", "")), hit.score, hit.semantic_rank or 0, hit.text_rank or 0)
        for hit in ranking.hits[start:]
    ]
    body = head + b"".join(rows)
    return _text(_checksum(body, digest) + body)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpacked(cursor: str, plan: Plan, digest: bytes, limit: int) -> tuple[Ranking, int]:
    refusal = SearchInputError("after", "is not a cursor of this search")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    rows = body[_HEAD.size :]
    is_whole = len(body) >= _HEAD.size and len(rows) % _ROW.size == 0 and len(rows) <= limit * _ROW.size
    is_ours = checksum == _checksum(body, digest) and _text(raw) == cursor
    if not is_whole or not is_ours:
        raise refusal
    version, mode, is_approximate, before = _HEAD.unpack_from(body)
    hits = tuple(_hit(*row) for row in _ROW.iter_unpack(rows))
    if version != _VERSION or mode >= len(_MODES) or not all(math.isfinite(hit.score) for hit in hits):
        raise refusal
    done = _MODES[mode]
    model = plan.model.name if plan.model and done is not Mode.FULL_TEXT else None
    return Ranking(hits, done, model, bool(is_approximate)), before


def _hit(raw_id: bytes, score: float, semantic_rank: int, text_rank: int) -> Hit:
    digits = raw_id.hex()
    chunk_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return Hit(chunk_id, round(score, 6), semantic_rank or None, text_rank or None)
