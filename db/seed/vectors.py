"""The vectors of the demo's documents, shipped with them: embedding 2,000 chunks would take most of a minute.

`data/vectors.bin` has a record per text: 8 bytes of its sha256, then 384 signed bytes. `python -m db.seed` writes it.
"""

import hashlib
import math
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Final

from db.seed.build import clock_of
from db.seed.documents import library
from db.seed.world import EMBEDDING_MODEL, ORGANIZATIONS

DIMENSIONS: Final = 384
_KEY_BYTES: Final = 8
_PEAK: Final = 127
FILE: Final = files("db.seed").joinpath("data", "vectors.bin")


def shipped(model: str, texts: Sequence[str]) -> list[str | None]:
    """The text for pgvector of each text's vector at length one; None for another model or a text that is not in the file."""
    known = _known() if model == EMBEDDING_MODEL else {}
    return [as_text(_unit(record)) if (record := known.get(_key(text))) else None for text in texts]


def as_text(values: Sequence[float]) -> str:
    """As pgvector reads it."""
    return f"[{','.join([f'{value:.6g}' for value in values])}]"


def packed(texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> bytes:
    """The file's bytes: a quarter of a percent of precision for a quarter of the size."""
    records = {}
    for text, vector in zip(texts, vectors, strict=True):
        peak = max(map(abs, vector))
        records[_key(text)] = array("b", [round(value / peak * _PEAK) for value in vector]).tobytes()
    return b"".join(key + records[key] for key in sorted(records))


def demo_texts(seed: int) -> list[str]:
    """Every chunk's text, whatever the anchor."""
    now = datetime.now(UTC)
    return [chunk.chunk_text for o in ORGANIZATIONS for chunk in library(o, clock_of(o, now), seed).chunks]


@cache
def _known() -> "dict[bytes, array[int]]":
    data = FILE.read_bytes() if FILE.is_file() else b""
    size = _KEY_BYTES + DIMENSIONS
    return {
        data[at : at + _KEY_BYTES]: array("b", data[at + _KEY_BYTES : at + size]) for at in range(0, len(data), size)
    }


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:_KEY_BYTES]


def _unit(record: "array[int]") -> list[float]:
    norm = math.sqrt(sum(value * value for value in record))
    return [value / norm for value in record]
