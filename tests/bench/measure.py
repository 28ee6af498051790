"""Measuring: the same content first, then each side in turn, round after round; medians are taken of rounds, not of requests."""

import asyncio
import re
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.embedded import EmbeddedServer
from tests.bench import load, processes
from tests.bench.answers import DifferentAnswerError, difference, meaning
from tests.bench.operations import OURS, SQL, Operation
from tests.bench.sides import Side
from tests.bench.world import connected

_WARM_UP_S: Final = 1.0
_SETTLE_S: Final = 0.2
_IDLE_S: Final = 20
_IDLE_SHARE: Final = 0.2
_FEWEST: Final = 8
_LONGEST_S: Final = 60
_LOGGED: Final = re.compile(rb"LOG:  (?:statement|execute [^:]*): (.*)")
# What opens, sets up and ends a transaction: everything else is a data statement.
_CONTROL: Final = re.compile(
    rb"\s*(begin|commit|rollback|start transaction|savepoint|release|set |reset |deallocate|select app\.(begin_request|assert_clean)|"
    rb"(/\*.*?\*/ *)?select set_config|select (el|__local).*set_config|;)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Cell:
    """One side, one operation, one round. CPU is milliseconds a request."""

    rate: float
    p50_ms: float
    p99_ms: float
    api_ms: float
    database_ms: float
    failures: int

    @property
    def cpu_ms(self) -> float:
        return self.api_ms + self.database_ms


def ask(operation: Operation, side: Side, body: bytes | None = None) -> bytes:
    """The body of one answer. Raises DifferentAnswerError for a status that is not 200."""
    url = f"http://127.0.0.1:{side.port}{operation.path(side.name)}"
    data = operation.bodies(side.name)[0] if body is None else body
    request = urllib.request.Request(url, data, operation.headers(side.name), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - our own address
            found: bytes = answer.read()
            return found
    except OSError as error:
        detail = error.read()[:400] if isinstance(error, urllib.error.HTTPError) else b""
        raise DifferentAnswerError(
            f"{operation.name} by {side.name}: {error} {detail.decode(errors='replace')}"
        ) from error


def answers(operation: Operation, side: Side) -> bool:
    """Whether the side has the operation: SQL that makes JSON has no write."""
    return not (side.name == SQL and operation.name == "O7")


def check(operation: Operation, sides: Mapping[str, Side]) -> int:
    """All sides say the same: the length of the first one's answer. Raises DifferentAnswerError that says where they part."""
    found = {name: ask(operation, side) for name, side in sides.items() if answers(operation, side)}
    meanings = {name: meaning(operation, name, body) for name, body in found.items()}
    first = OURS if OURS in meanings else next(iter(meanings))
    for name, each in meanings.items():
        parting = difference(meanings[first], each)
        if parting:
            raise DifferentAnswerError(f"{operation.name}: {first} and {name} differ at {parting}")
    return len(found[first])


def measured(
    operation: Operation, side: Side, server_pid: int, *, connections: int, seconds: float, folder: Path
) -> Cell:
    """One cell, warmed up, and longer where hardly anything is answered. CPU is what the side and PostgreSQL spent meanwhile."""
    load.drive(operation, side, connections=connections, seconds=_WARM_UP_S, folder=folder)
    _wait_until_idle(side.pid, server_pid)
    before = processes.cpu_seconds(side.pid), processes.cpu_seconds(server_pid)
    length = seconds * operation.times_longer
    found = load.drive(operation, side, connections=connections, seconds=length, folder=folder)
    after = processes.cpu_seconds(side.pid), processes.cpu_seconds(server_pid)
    _wait_until_idle(side.pid, server_pid)
    if found.requests < _FEWEST and length < _LONGEST_S:
        longer = 4 * seconds
        return measured(operation, side, server_pid, connections=connections, seconds=longer, folder=folder)
    if not found.requests:
        raise DifferentAnswerError(f"{operation.name} by {side.name}: no answer within {length:g} s")
    api, database = (1e3 * (b - a) / found.requests for a, b in zip(before, after, strict=True))
    return Cell(found.rate, found.p50_ms, found.p99_ms, api, database, found.failures)


def _wait_until_idle(*roots: int) -> None:
    """What was asked and abandoned at the end of a run is worked on no more: it would disturb the next cell."""
    deadline = time.monotonic() + _IDLE_S
    while time.monotonic() < deadline:
        before = sum(map(processes.cpu_seconds, roots))
        time.sleep(_SETTLE_S)
        if sum(map(processes.cpu_seconds, roots)) - before < _IDLE_SHARE * _SETTLE_S:
            return


def rounds_of(
    operation: Operation,
    sides: Mapping[str, Side],
    server_pid: int,
    *,
    rounds: int,
    connections: int,
    seconds: float,
    folder: Path,
) -> Iterator[tuple[str, Cell]]:
    """A B C D, A B C D, …: what disturbs the machine for a while disturbs all of them."""
    for _ in range(rounds):
        for name, side in sides.items():
            if answers(operation, side):
                yield (
                    name,
                    measured(operation, side, server_pid, connections=connections, seconds=seconds, folder=folder),
                )


def summed_up(values: list[float]) -> dict[str, float]:
    """Median and spread of the rounds."""
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


@asynccontextmanager
async def statements_logged(server: EmbeddedServer, bootstrap_url: str) -> AsyncIterator[Path]:
    """For the block, PostgreSQL writes every statement that it runs into its log."""
    await _configure(bootstrap_url, "ALTER SYSTEM SET log_statement = 'all'")
    try:
        yield server.log
    finally:
        await _configure(bootstrap_url, "ALTER SYSTEM RESET log_statement")


async def _configure(url: str, sql: str) -> None:
    async with connected(url) as connection:
        await connection.execute(sql)
        await connection.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(_SETTLE_S)


def statements(operation: Operation, side: Side, log: Path) -> dict[str, int]:
    """Data statements and all messages of one request, from PostgreSQL's log; the connection is warm by then."""
    for _ in range(3):  # a first request on a connection may ask for types
        ask(operation, side)
    start = log.stat().st_size
    ask(operation, side)
    time.sleep(_SETTLE_S)
    with log.open("rb") as lines:
        lines.seek(start)
        found = _LOGGED.findall(lines.read())
    return {"data": sum(not _CONTROL.match(each) for each in found), "all": len(found)}


def soak(
    operation: Operation, side: Side, *, connections: int, folder: Path, wanted: int = 100_000
) -> dict[str, float]:
    """Resident megabytes before, and after so many requests."""
    before, done = processes.resident_mb(side.pid), 0
    while done < wanted:
        done += load.drive(operation, side, connections=connections, seconds=10, folder=folder).requests
    return {"requests": done, "before_mb": round(before, 1), "after_mb": round(processes.resident_mb(side.pid), 1)}
