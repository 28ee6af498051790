"""`python -m tests.bench`: load the world, start every side, check that they say the same, drive them in turn, report."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson

from db.embedded import EmbeddedServer
from tests.bench import growth, measure, report
from tests.bench.measure import Cell
from tests.bench.operations import OURS, SIDES, Operation, operations_of
from tests.bench.sides import ROOT, Side, running
from tests.bench.world import World, connected, load_world, postgres

_OPERATIONS: Final = tuple(report.TARGETS)


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--scale", type=int, default=1, help="the demo world so many times over; above 1 also shows growth"
    )
    parser.add_argument(
        "--seconds", type=float, default=5, help="seconds of a cell, after a warm-up of one (default 5)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all sides (default 5)")
    parser.add_argument("--connections", type=int, default=8, help="connections that ask at once (default 8)")
    parser.add_argument(
        "--interactions", type=int, default=1_000_000, help="calls to models that O8 measures (default 1,000,000)"
    )
    parser.add_argument("--operations", nargs="+", choices=_OPERATIONS, default=list(_OPERATIONS), metavar="O1")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), metavar="SIDE", help=", ".join(SIDES))
    parser.add_argument("--soak", action="store_true", help="memory after 100,000 requests of O1 on each side")
    parser.add_argument(
        "--growth", action="store_true", help="how time grows with page and nesting (implied by --scale)"
    )
    parser.add_argument("--check", action="store_true", help="compare the answers and time nothing")
    parser.add_argument(
        "--home", type=Path, help="folder of the data, used again as it is; a temporary one if not given"
    )
    parser.add_argument(
        "--out", type=Path, help="where the figures go (default bench.json, at another scale bench-SCALE.json)"
    )
    given = parser.parse_args()
    given.out = given.out or ROOT / ("bench.json" if given.scale == 1 else f"bench-{given.scale}.json")
    return given


def main() -> None:
    """Run the benchmark; exit code 1 when answers differ or a side that was asked for cannot run."""
    given = options()
    with ExitStack() as stack:
        home = given.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="minutebook-bench-")))
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = stack.enter_context(postgres(home / "postgres"))
        found = run(given, home, server)
    if given.check:
        return
    given.out.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    say(f"\nwritten to {given.out}")
    sys.exit(1 if found["missing"] else 0)


def run(given: argparse.Namespace, home: Path, server: EmbeddedServer) -> dict[str, Any]:
    """Everything that bench.json holds."""
    small = asyncio.run(load_world(server, 1, 0, say)) if given.scale > 1 else None
    world = asyncio.run(load_world(server, given.scale, given.interactions, say))
    found: dict[str, Any] = {
        "machine": report.machine(asyncio.run(_version(world))),
        "settings": {
            "scale": given.scale, "messages": world.messages, "interactions": world.interactions, "rounds": given.rounds,
            "seconds": given.seconds, "connections": given.connections,
        },
    }  # fmt: skip
    say("\n".join(f"  {name}: {value}" for name, value in {**found["machine"], **found["settings"]}.items()))
    with running(world, given.sides, home) as (sides, missing), tempfile.TemporaryDirectory() as asked:
        for name, reason in missing.items():
            say(f"{name} does not run here: {reason}")
        found |= {"missing": missing, "operations": _operations(given, world, server, sides, Path(asked))}
        if given.soak and not given.check:
            found["memory"] = _soaked(given, world, sides, Path(asked))
        if OURS in sides and (given.growth or small is not None) and not given.check:
            found["growth"] = _growth(given, (small, world), home, server, sides[OURS])
    return found


def _operations(
    given: argparse.Namespace, world: World, server: EmbeddedServer, sides: Mapping[str, Side], asked: Path
) -> dict[str, Any]:
    wanted = [each for each in operations_of(world) if each.name in given.operations]
    sizes = {each.name: measure.check(each, sides) for each in wanted}
    say(f"the same content from {', '.join(sides)} in {', '.join(sizes)}")
    if given.check:
        return {}
    counts = asyncio.run(_statements(wanted, server, world, sides))
    entries: dict[str, Any] = {}
    for operation in wanted:
        cells: dict[str, list[Cell]] = {}
        for name, cell in measure.rounds_of(
            operation,
            sides,
            _pid(server),
            rounds=given.rounds,
            connections=given.connections,
            seconds=given.seconds,
            folder=asked,
        ):
            cells.setdefault(name, []).append(cell)
        measure.check(operation, sides)
        entries[operation.name] = report.summary(operation, cells, sizes[operation.name], counts[operation.name])
        say(report.printed(operation, entries[operation.name]))
    say(report.targets(entries))
    return entries


async def _statements(
    operations: list[Operation], server: EmbeddedServer, world: World, sides: Mapping[str, Side]
) -> dict[str, dict[str, dict[str, int]]]:
    """Statements of one request of each side, by operation."""
    assert world.urls.bootstrap is not None
    async with measure.statements_logged(server, world.urls.bootstrap) as log:
        return {
            each.name: {
                name: measure.statements(each, side, log) for name, side in sides.items() if measure.answers(each, side)
            }
            for each in operations
        }


def _soaked(given: argparse.Namespace, world: World, sides: Mapping[str, Side], asked: Path) -> dict[str, Any]:
    first = operations_of(world)[0]
    memory = {
        name: measure.soak(first, side, connections=given.connections, folder=asked) for name, side in sides.items()
    }
    for name, each in memory.items():
        say(f"{name}: {each['before_mb']} MB, after {each['requests']:,} requests {each['after_mb']} MB")
    return memory


def _growth(
    given: argparse.Namespace, worlds: tuple[World | None, World], home: Path, server: EmbeddedServer, ours: Side
) -> dict[str, Any]:
    """Ours alone: over both sizes of the data in turn where there are two, then by page and nesting."""
    small, large = worlds
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        large_operations = operations_of(large)
        if small is not None:
            beside = home / "small"
            beside.mkdir(mode=0o700, parents=True, exist_ok=True)
            sides, missing = stack.enter_context(running(small, [OURS], beside))
            if missing:
                raise RuntimeError(missing[OURS])
            with tempfile.TemporaryDirectory() as other:
                grown = {
                    small.messages: growth.Grown(sides[OURS], operations_of(small), Path(other)),
                    large.messages: growth.Grown(ours, large_operations, folder),
                }
                sizes = growth.by_data(grown, _pid(server), rounds=given.rounds, seconds=given.seconds)
            say(growth.printed_by_data(sizes))
            found["messages"] = {str(size): growth.entry(cells) for size, cells in sizes.items()}
        cells = growth.shapes(ours, large_operations[0], _pid(server), seconds=given.seconds, folder=folder)
        say(growth.printed_shapes(cells))
    return found | {"shapes": growth.entry(cells)}


def _pid(server: EmbeddedServer) -> int:
    """PostgreSQL's first process, from its own file."""
    return int((server.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


async def _version(world: World) -> str:
    async with connected(world.urls.api) as connection:
        found: str = await connection.fetchval("SHOW server_version")
    return found


if __name__ == "__main__":
    main()
