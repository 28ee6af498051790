"""What is asked of a search, checked before any SQL, and what will be done about it.

A text without a fitting embedder is searched as text alone; everything else that does not fit is refused by name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from db.embedder import Embedder
from db.search.registry import EmbeddingModel, model_named

LIMIT: Final = 50
LONGEST_TEXT: Final = 2_000


class Mode(StrEnum):
    SEMANTIC = "SEMANTIC"
    FULL_TEXT = "FULL_TEXT"
    HYBRID = "HYBRID"


class SearchInputError(ValueError):
    """An input that can't be searched for: `argument` as the wire names it, `message` for its sender."""

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument}: {message}")
        self.argument = argument
        self.message = message


@dataclass(frozen=True, slots=True)
class Scope:
    """Which chunks are searched; None does not narrow, an empty list finds nothing. Ids are canonical uuids."""

    content_types: tuple[str, ...] | None = None
    project_id: str | None = None
    document_ids: tuple[str, ...] | None = None


EVERYTHING: Final = Scope()


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The wire's input, with ids decoded. `min_score` bounds the score that the mode gives."""

    text: str | None = None
    embedding: Sequence[float] | None = None
    model: str | None = None
    mode: Mode | None = None
    scope: Scope = EVERYTHING
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request: the mode meant, the model of its vectors (None for FULL_TEXT), the text to embed first."""

    request: SearchRequest
    mode: Mode
    model: EmbeddingModel | None
    must_embed: bool

    @property
    def text(self) -> str:
        return self.request.text or ""


def plan(request: SearchRequest, *, organization_model: str, embedder: Embedder | None) -> Plan:
    """Decide mode and model. SearchInputError names the argument, and the model or dimension that would be right."""
    if request.model is not None and request.model != organization_model:
        raise SearchInputError("model", f"this organization's vectors are of {organization_model!r}")
    if request.min_score is not None and not math.isfinite(request.min_score):
        raise SearchInputError("minScore", "must be a finite number")
    if request.text is not None:
        _check_text(request.text)
    model = model_named(organization_model)
    if request.embedding is not None:
        if model is None:
            raise SearchInputError("embedding", f"vectors of {organization_model!r} can't be searched here")
        vector_literal(model, request.embedding)
    mode = _mode_asked(request)
    if request.embedding is None and not (model and _fits(embedder, model)):
        mode = Mode.FULL_TEXT
    if mode is Mode.FULL_TEXT:
        return Plan(request, mode, model=None, must_embed=False)
    return Plan(request, mode, model, must_embed=request.embedding is None)


def _mode_asked(request: SearchRequest) -> Mode:
    has_text, has_vector = request.text is not None, request.embedding is not None
    if not has_text and not has_vector:
        raise SearchInputError("text", "give a text, an embedding or both")
    if request.mode is None:
        return Mode.HYBRID if has_text else Mode.SEMANTIC
    if request.mode is not Mode.SEMANTIC and not has_text:
        raise SearchInputError("text", f"{request.mode} needs a text")
    return request.mode


def _fits(embedder: Embedder | None, model: EmbeddingModel) -> bool:
    return embedder is not None and (embedder.model, embedder.dimensions) == (model.name, model.dimensions)


def _check_text(text: str) -> None:
    if not text.strip():
        raise SearchInputError("text", "must not be blank")
    if len(text) > LONGEST_TEXT:
        raise SearchInputError("text", f"must be at most {LONGEST_TEXT} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise SearchInputError("text", "must not hold NUL or half a surrogate pair")


def vector_literal(model: EmbeddingModel, embedding: Sequence[float]) -> str:
    """The vector as PostgreSQL's text, at length one: a float32 sum of its squares then can't overflow or vanish."""
    if len(embedding) != model.dimensions:
        raise SearchInputError(
            "embedding", f"{model.name!r} has {model.dimensions} dimensions, this vector {len(embedding)}"
        )
    peak = max(map(abs, embedding))
    if not all(map(math.isfinite, embedding)):
        raise SearchInputError("embedding", "must hold finite numbers alone")
    if peak == 0:
        raise SearchInputError("embedding", "must not be the zero vector, which has no direction")
    scaled = [value / peak for value in embedding]
    norm = math.hypot(*scaled)
    return f"[{','.join(f'{value / norm:.9g}' for value in scaled)}]"
