"""Builds the page into `assets`, once per state of its sources: `python -m api.graphiql.build [--now]`.

It works in a temporary folder, so that 250 MB of node_modules do not stay. A build that cannot run is no failure: the
server then shows a plain page, and the next try comes an hour later; with --now it comes at once and tells by exit code.
"""

import contextlib
import gzip
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from api.graphiql.node import NodeError, find

SOURCES: Final = Path(__file__).resolve().parent
ASSETS: Final = SOURCES / "assets"
STAMP: Final = ".stamp"
FAILED: Final = ".failed"
RETRY_S: Final = 3_600
PACKED: Final = {".js", ".css", ".ttf"}


def main(arguments: list[str]) -> int:
    """0 when the page is built, or need not be; 1 only with --now and without it."""
    is_asked_for = "--now" in arguments
    stamp = _stamp()
    if _known(STAMP) == stamp:
        return 0
    if not is_asked_for and _failed_lately(stamp):
        return 0
    print("Building GraphiQL (once, about a minute)", flush=True)  # noqa: T201 - there is no CLI yet
    try:
        _build(stamp)
    except (NodeError, OSError) as error:
        print(f"\nGraphiQL was not built: {error}", file=sys.stderr)  # noqa: T201
        print("The API is served all the same, with a plain page; `make page` tries again.", file=sys.stderr)  # noqa: T201
        with contextlib.suppress(OSError):
            ASSETS.mkdir(exist_ok=True)
            (ASSETS / FAILED).write_text(stamp)
        return int(is_asked_for)
    return 0


def _build(stamp: str) -> None:
    node = find()
    with tempfile.TemporaryDirectory(prefix="minutebook-page-") as made:
        work = Path(made)
        for path in _sources():
            target = work / path.relative_to(SOURCES)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        with _step("1/2 packages"):
            node.install(work)
        with _step("2/2 bundle"):
            node.run("node_modules/vite/bin/vite.js", "build", folder=work)
        built = work / "assets"
        for path in built.iterdir():
            if path.suffix in PACKED:
                (built / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 6, mtime=0))
        (built / STAMP).write_text(stamp)
        beside = SOURCES / ".assets"  # first copied whole, then swapped: a server that starts meanwhile sees old or new
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(built, beside)
        shutil.rmtree(ASSETS, ignore_errors=True)
        beside.rename(ASSETS)


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"  {name} … ", end="", flush=True)  # noqa: T201
    yield
    print(f"{time.monotonic() - began:.0f} s", flush=True)  # noqa: T201


def _sources() -> Iterator[Path]:
    """What the page is made of, in a fixed order."""
    for pattern in ("*.json", "*.js", ".npmrc", "index.html", "src/*", "stories/*"):
        yield from sorted(SOURCES.glob(pattern))


def _stamp() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _known(name: str) -> str | None:
    path = ASSETS / name
    return path.read_text() if path.is_file() else None


def _failed_lately(stamp: str) -> bool:
    return _known(FAILED) == stamp and time.time() - (ASSETS / FAILED).stat().st_mtime < RETRY_S


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
