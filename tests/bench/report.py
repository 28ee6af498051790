"""bench.json and the tables: what was measured, on what, and how far from the targets."""

import os
import platform
import statistics
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.bench import load
from tests.bench.measure import Cell, summed_up
from tests.bench.operations import OURS, PEER, ROWS, SIDES, SQL, STOCK, Operation
from tests.bench.sides import PEER_SOURCE, node_version

# execution.md §3: requests a second at least, CPU a request at most.
TARGETS: Final[Mapping[str, tuple[float, float, float | None]]] = {
    "O1": (2.2, 0.85, 0.40),
    "O2": (3.0, 0.90, 0.35),
    "O3": (3.0, 0.85, 0.40),
    "O4": (2.2, 0.85, 0.40),
    "O5": (3.0, 0.85, 0.35),
    "O6": (2.2, 0.75, 0.45),
    "O7": (1.5, 0.70, None),
    "O8": (1.0, 0.95, None),
}
Cells = Mapping[str, list[Cell]]


def machine(postgres_version: str) -> dict[str, Any]:
    """What all of it ran on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    packages = (
        "litestar",
        "uvicorn",
        "uvloop",
        "asyncpg",
        "orjson",
        "graphql-core",
        "strawberry-graphql",
        "sqlalchemy",
    )
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory) / 1024**2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": postgres_version,
        "node": node_version(),
        "load": load.driver(),
        **{name: version(name) for name in packages},
        "postgraphile": _peer_version(),
    }


def _peer_version() -> str:
    import orjson

    found: str = orjson.loads((PEER_SOURCE / "package.json").read_bytes())["dependencies"]["postgraphile"]
    return found


def summary(
    operation: Operation, cells: Cells, size: int, statements: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """One operation's entry in bench.json: ratios are medians of the rounds' own ratios."""
    hand = [name for name in (ROWS, SQL) if name in cells]
    best = max(hand, key=lambda name: statistics.median(cell.rate for cell in cells[name])) if hand else None
    entry: dict[str, Any] = {"title": operation.title, "answer_bytes": size}
    entry["targets"] = dict(
        zip(("vs_postgraphile", "vs_handwritten", "cpu_vs_postgraphile"), TARGETS[operation.name], strict=True)
    )
    spread: dict[str, Any] = {}
    for key, other in (("vs_postgraphile", PEER), ("vs_handwritten", best or ""), ("vs_stock", STOCK)):
        if OURS in cells and other in cells:
            pairs = list(zip(cells[OURS], cells[other], strict=True))
            for name, values in (
                (key, [ours.rate / theirs.rate for ours, theirs in pairs]),
                (f"cpu_{key}", [ours.cpu_ms / max(1e-6, theirs.cpu_ms) for ours, theirs in pairs]),
            ):
                found = summed_up(values)
                entry[name], spread[name] = round(found["median"], 3), [round(found["min"], 3), round(found["max"], 3)]
    entry |= {"spread": spread, "handwritten_way": best and best.removeprefix("handwritten-")}
    entry["rps"] = {name: summed_up([cell.rate for cell in each]) for name, each in cells.items()}
    for name, attribute in (
        ("p50_ms", "p50_ms"),
        ("p99_ms", "p99_ms"),
        ("api_cpu_ms", "api_ms"),
        ("database_cpu_ms", "database_ms"),
    ):
        entry[name] = {
            side: round(statistics.median(getattr(cell, attribute) for cell in each), 3) for side, each in cells.items()
        }
    entry["failures"] = {name: sum(cell.failures for cell in each) for name, each in cells.items()}
    return entry | {"statements": statements}


def printed(operation: Operation, entry: Mapping[str, Any]) -> str:
    """One operation's table for the terminal."""
    lines = [f"\n{operation.name} {operation.title} ({entry['answer_bytes']:,} bytes)"]
    lines.append(
        f"  {'':18}{'req/s':>9}{'min–max':>17}{'p50 ms':>9}{'p99 ms':>9}{'API ms':>8}{'PG ms':>8}{'SQL':>5}{'failed':>8}"
    )
    for name in (each for each in SIDES if each in entry["rps"]):
        rate = entry["rps"][name]
        digits = 0 if rate["median"] >= 10 else 2
        spread = f"{rate['min']:,.{digits}f}–{rate['max']:,.{digits}f}"
        values = [entry[key][name] for key in ("p50_ms", "p99_ms", "api_cpu_ms", "database_cpu_ms")]
        sql = entry["statements"].get(name, {}).get("data", "-")
        lines.append(
            f"  {name:18}{rate['median']:9,.{digits}f}{spread:>17}{values[0]:9.2f}{values[1]:9.2f}{values[2]:8.2f}{values[3]:8.2f}"
            f"{sql!s:>5}{entry['failures'][name]:8}"
        )
    ratios = [
        f"{key} {entry[key]:.2f}"
        for key in ("vs_postgraphile", "vs_handwritten", "vs_stock", "cpu_vs_postgraphile")
        if key in entry
    ]
    return "\n".join([*lines, "  " + " · ".join(ratios)])


def targets(operations: Mapping[str, Mapping[str, Any]]) -> str:
    """Which targets are reached, and how far the others are."""
    lines = ["\nTargets (requests/s against PostGraphile, against the hand-written endpoint; CPU against PostGraphile)"]
    for name, entry in operations.items():
        peer, hand, cpu = TARGETS[name]
        parts = [
            _verdict(entry.get("vs_postgraphile"), peer, is_least=True),
            _verdict(entry.get("vs_handwritten"), hand, is_least=True),
            _verdict(entry.get("cpu_vs_postgraphile"), cpu, is_least=False),
        ]
        lines.append(f"  {name}  " + "   ".join(parts))
    return "\n".join(lines)


def _verdict(found: float | None, wanted: float | None, *, is_least: bool) -> str:
    if found is None or wanted is None:
        return f"{'-':24}"
    is_reached = found >= wanted if is_least else found <= wanted
    return f"{found:5.2f} ({'≥' if is_least else '≤'} {wanted:.2f}) {'reached' if is_reached else 'short':8}"
