"""`python -m db.seed`: embeds the demo's documents again, after their prose has changed."""

import asyncio
from pathlib import Path

from db.embedder import MiniLm
from db.seed import SEED
from db.seed.vectors import FILE, demo_texts, packed


def main() -> None:
    """Writes data/vectors.bin in this source tree."""
    texts = demo_texts(SEED)
    Path(str(FILE)).write_bytes(packed(texts, asyncio.run(MiniLm().embed(texts))))


if __name__ == "__main__":
    main()
