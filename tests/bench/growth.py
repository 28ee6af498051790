"""How time grows: with the data, with the page, with the nesting. Ours alone, one connection, so that time is time of work."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from tests.bench.measure import Cell, measured
from tests.bench.operations import Operation
from tests.bench.sides import Side

BY_DATA: Final = ("O1", "O2", "O3", "O4", "O5", "O6")
_FEEDBACK: Final = "myFeedback { rating }"


def _pages() -> dict[str, str]:
    sizes = {f"page of {size} conversations": size for size in (5, 10, 20, 50, 100)}
    found = {
        name: f"{{ conversations(first: {size}) {{ edges {{ cursor node {{ id title updatedAt messageCount }} }} }} }}"
        for name, size in sizes.items()
    }
    for size in (5, 10, 20, 50):
        messages = f"messages(first: {size}) {{ edges {{ node {{ id role content createdAt }} }} }}"
        found[f"20 conversations × {size} messages"] = (
            f"{{ conversations(first: 20) {{ edges {{ node {{ id {messages} }} }} }} }}"
        )
    return found


def _nestings() -> dict[str, str]:
    levels = [
        "id title",
        "messages(first: 10) { edges { node { id role content %s } } }",
        _FEEDBACK,
        "conversation { title user { displayName } }",
    ]
    one, two = levels[0], levels[1]
    return {
        "1 level: conversations": f"{{ conversations(first: 20) {{ edges {{ node {{ {one} }} }} }} }}",
        "2 levels: × 10 messages": f"{{ conversations(first: 20) {{ edges {{ node {{ {one} {two % ''} }} }} }} }}",
        "3 levels: × feedback": f"{{ conversations(first: 20) {{ edges {{ node {{ {one} {two % levels[2]} }} }} }} }}",
        "5 levels: × conversation × user": f"{{ conversations(first: 20) {{ edges {{ node {{ {one} {two % ' '.join(levels[2:])} }} }} }} }}",
    }


class _Fixed(Operation):
    """An operation whose document stands in its title."""

    def bodies(self, side: str) -> list[bytes]:  # noqa: ARG002 - ours alone is asked
        return [orjson.dumps({"query": self.title})]


def shapes(side: Side, like: Operation, server_pid: int, *, seconds: float, folder: Path) -> dict[str, Cell]:
    """Cells by page size and nesting, asked as the person of `like`."""
    found: dict[str, Cell] = {}
    for number, (name, document) in enumerate({**_pages(), **_nestings()}.items()):
        operation = _Fixed(f"G{number}", document, like.person, {})
        found[name] = measured(operation, side, server_pid, connections=1, seconds=seconds, folder=folder)
    return found


@dataclass(frozen=True)
class Grown:
    """Ours over one size of the data."""

    side: Side
    operations: list[Operation]
    folder: Path


def by_data(sizes: Mapping[int, Grown], server_pid: int, *, rounds: int, seconds: float) -> dict[int, dict[str, Cell]]:
    """Cells of O1 to O6 at each size, the sizes in turn; of the rounds, the one with the median p50."""
    found: dict[int, dict[str, Cell]] = {size: {} for size in sizes}
    for name in BY_DATA:
        cells: dict[int, list[Cell]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size, grown in sizes.items():
                operation = next(each for each in grown.operations if each.name == name)
                alone = replace(operation, connections=1)
                side, folder = grown.side, grown.folder
                cells[size].append(measured(alone, side, server_pid, connections=1, seconds=seconds, folder=folder))
        for size, each in cells.items():
            found[size][name] = sorted(each, key=lambda cell: cell.p50_ms)[len(each) // 2]
    return found


def entry(cells: Mapping[str, Cell]) -> dict[str, Any]:
    """For bench.json."""
    return {
        name: {"p50_ms": round(cell.p50_ms, 3), "p99_ms": round(cell.p99_ms, 3), "cpu_ms": round(cell.cpu_ms, 3)}
        for name, cell in cells.items()
    }


def printed_by_data(sizes: Mapping[int, Mapping[str, Cell]]) -> str:
    """A row an operation, a column a size, and the growth from the first to the last."""
    first, *_, last = sizes
    head = "".join(f"{f'{size:,} messages':>22}" for size in sizes)
    lines = ["\nGrowth with data (ours, one connection, p50 ms)", f"  {'':6}{head}{'growth':>9}"]
    for name in sizes[first]:
        values = "".join(f"{cells[name].p50_ms:22.2f}" for cells in sizes.values())
        lines.append(f"  {name:6}{values}{sizes[last][name].p50_ms / sizes[first][name].p50_ms:9.2f}")
    return "\n".join(lines)


def printed_shapes(cells: Mapping[str, Cell]) -> str:
    """A row a shape."""
    lines = [
        "\nGrowth with page and nesting (ours, one connection)",
        f"  {'':36}{'p50 ms':>9}{'API ms':>9}{'PG ms':>9}",
    ]
    lines += [f"  {name:36}{cell.p50_ms:9.2f}{cell.api_ms:9.2f}{cell.database_ms:9.2f}" for name, cell in cells.items()]
    return "\n".join(lines)
