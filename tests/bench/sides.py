"""The sides: each a process of its own over the same database. One that cannot run says why."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from api.auth import OWN_ISSUER
from api.graphiql.node import NodeError, find
from tests.bench.operations import OURS, PEER, ROWS, SQL, STOCK
from tests.bench.ports import free_port
from tests.bench.world import AUDIENCE, World

ROOT: Final = Path(__file__).resolve().parents[2]
PEER_SOURCE: Final = Path(__file__).with_name("peer")
_START_S: Final = 60
_TIMEOUT_MS: Final = "60000"


class CannotRunError(RuntimeError):
    """A side that this machine cannot run; the message says why."""


@dataclass(frozen=True)
class Side:
    """A running process that answers as `name`."""

    name: str
    port: int
    pid: int


@contextmanager
def running(world: World, names: list[str], home: Path) -> Iterator[tuple[dict[str, Side], dict[str, str]]]:
    """The sides that run, and why the others do not. Both hand-written ways are one process."""
    sides: dict[str, Side] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for name in names:
            twin = sides.get(ROWS if name == SQL else SQL) if name in {ROWS, SQL} else None
            try:
                process = twin or stack.enter_context(_STARTERS[name](world, home))
            except CannotRunError as reason:
                missing[name] = str(reason)
                continue
            sides[name] = Side(name, process.port, process.pid)
        yield sides, missing


@contextmanager
def _ours(world: World, home: Path) -> Iterator[Side]:
    """`minutebook serve` in its production settings; only the time-outs are longer, for O8 on two cores."""
    environment = {
        "DATABASE_URL": world.urls.api,
        "INGEST_DATABASE_URL": world.urls.ingest,
        "MINUTEBOOK_HOME": str(home / "ours"),
        "ENVIRONMENT": "prod",
        "JWT_SECRET": world.secret,
        "JWT_ISSUER": OWN_ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "EMBEDDER": "none",
        "STATEMENT_TIMEOUT_MS": _TIMEOUT_MS,
        "OPERATION_TIMEOUT": "60",
        "LIMIT_OPERATIONS_USER": "1000",
        "LIMIT_OPERATIONS_MINUTE": "1000000",
        "LIMIT_BUCKET": "100000000",
        "LIMIT_REFILL_USER": "10000000",
        "LIMIT_REFILL_ORGANIZATION": "10000000",
    }
    command = [sys.executable, "-c", "from api.cli import main; main()", "serve"]
    with _process(OURS, command, environment, home) as side:
        yield side


@contextmanager
def _handwritten(world: World, home: Path) -> Iterator[Side]:
    environment = {"DATABASE_URL": world.urls.api, "BENCH_SECRET": world.secret}
    with _process("handwritten", [sys.executable, "-m", "tests.bench.handwritten"], environment, home) as side:
        yield side


@contextmanager
def _stock(world: World, home: Path) -> Iterator[Side]:
    environment = {"DATABASE_URL": world.urls.api, "BENCH_SECRET": world.secret}
    with _process(STOCK, [sys.executable, "-m", "tests.bench.stock_app"], environment, home) as side:
        yield side


@contextmanager
def _peer(world: World, home: Path) -> Iterator[Side]:
    """PostGraphile in production mode, on the Node of the wheel, installed from its lock into the bench's folder."""
    folder = home / "peer"
    shutil.copytree(PEER_SOURCE, folder, dirs_exist_ok=True)
    try:
        node = find()
        node.install(folder)
    except NodeError as error:
        raise CannotRunError(str(error)) from None
    environment = {"NODE_ENV": "production", "PEER_DATABASE_URL": world.urls.api}
    with _process(PEER, [str(node.program), str(folder / "server.mjs")], environment, home) as side:
        yield side


def node_version() -> str:
    """The version of the Node that the peer runs on, or a dash."""
    try:
        return subprocess.run([find().program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    except NodeError:
        return "-"


_STARTERS: Final = {OURS: _ours, PEER: _peer, ROWS: _handwritten, SQL: _handwritten, STOCK: _stock}


@contextmanager
def _process(name: str, command: list[str], environment: Mapping[str, str], home: Path) -> Iterator[Side]:
    """The side's process, ready to answer; ended with the block. Raises CannotRunError with the end of its log."""
    port, log = free_port(), home / f"{name}.log"
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    ports = {"PORT": str(port), "PEER_PORT": str(port)}
    with log.open("wb") as output:
        process = _spawned(command, {**inherited, **environment, **ports}, output)
        try:
            _wait_until_ready(name, process, port, log)
            yield Side(name, port, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _spawned(command: list[str], environment: Mapping[str, str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    )


def _wait_until_ready(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2):
                return
        except urllib.error.HTTPError as error:
            if name == PEER and error.code < 500:  # it has no such path, and says so
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise CannotRunError(f"{name} did not start; its log ends with: {log.read_text(errors='replace')[-600:]}")
