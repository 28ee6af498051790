"""The demo world in a server's folder, made once for all processes of a run and copied by each that asks for it.

Seeding takes a core for a quarter of a minute, copying the finished data half a second.
"""

import asyncio
import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Urls
from db.migrate import upgrade
from tests.databases import fast_folder

WORLD: Final = "seeded_minutebook"
ROOT: Final = Path(__file__).parents[1]


async def urls_of(server: EmbeddedServer) -> Urls:
    """The world's database on a server whose folder is a copy."""
    return await bootstrap(server.bootstrap_url, database=WORLD, credentials=server.credentials)


async def _make(server: EmbeddedServer) -> None:
    from db.embedder import MiniLm
    from db.seed import seed

    urls = await urls_of(server)
    await upgrade(urls)
    await seed(urls.operator, embedder=MiniLm())


@contextmanager
def seeded_server(shared: Path) -> Iterator[EmbeddedServer]:
    """A running server of one's own with the world in it; `shared` is a folder that the processes of a run have in common."""
    original = shared / "seeded"
    with (shared / "seeded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second waits for the first
        if not original.exists():
            making = shared / "seeded.making"
            subprocess.run([sys.executable, "-m", "tests.seeded", str(making)], cwd=ROOT, check=True)
            making.rename(original)
    with fast_folder() as folder:
        home = folder / "home"
        # With its owners: where the tests run as root, PostgreSQL does not.
        subprocess.run(["cp", "-a", str(original), str(home)], check=True)
        with EmbeddedServer(home, is_durable=False) as running:
            yield running


def remove(shared: Path) -> None:
    """Nothing of the run needs the world any more."""
    shutil.rmtree(shared / "seeded", ignore_errors=True)


if __name__ == "__main__":
    with EmbeddedServer(Path(sys.argv[1]), is_durable=False) as made:
        asyncio.run(_make(made))
