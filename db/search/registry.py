"""The embedding models that stored vectors may come from.

Name and dimension stand in statements as literals, or the partial index of a model could not be used by a generic
plan: what enters here is therefore checked to be harmless text.
"""

import re
from dataclasses import dataclass
from typing import Final

from db.types import EMBEDDING_MODELS

_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,200}\Z")
_LARGEST: Final = 16_000
_LARGEST_INDEXED: Final = 4_000


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A model: its vectors' length, and whether the schema holds an HNSW index for it (without one: exact scans)."""

    name: str
    dimensions: int
    has_index: bool = False

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError("a model's name is 1 to 200 letters, digits and . _ : / -")
        largest = _LARGEST_INDEXED if self.has_index else _LARGEST
        if not 1 <= self.dimensions <= largest:
            raise ValueError(f"a model has 1 to {largest} dimensions")

    @property
    def sql_type(self) -> str:
        """The type that both sides of a distance are cast to; an index beyond 2,000 dimensions holds halves."""
        kind = "halfvec" if self.has_index and self.dimensions > 2_000 else "vector"
        return f"ext.{kind}({self.dimensions})"


_models: Final = {
    name: EmbeddingModel(name, dimensions, has_index=True) for name, dimensions in EMBEDDING_MODELS.items()
}


def register(name: str, dimensions: int, *, has_index: bool = False) -> EmbeddingModel:
    """Make a configured model known. ValueError for an unfit name or dimension, and for a known name of another one."""
    model = EmbeddingModel(name, dimensions, has_index)
    known = _models.setdefault(name, model)
    if known.dimensions != dimensions:
        raise ValueError(f"model {name!r} has {known.dimensions} dimensions, not {dimensions}")
    return known


def model_named(name: str) -> EmbeddingModel | None:
    """The registered model, or None."""
    return _models.get(name)


def known_models() -> tuple[EmbeddingModel, ...]:
    """All of them, in the order of their registration."""
    return tuple(_models.values())
