"""The README's tables, printed from what they describe: the matrix, the settings, the benchmark's figures.

`python -m api.readme` writes them between their markers; a test refuses a README that differs.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from api.settings import docs
from db.mirror import markdown

README: Final = Path(__file__).resolve().parents[1] / "README.md"
FIGURES: Final = README.with_name("bench.json")


def permissions() -> str:
    """Who may do what, one row a table."""
    return markdown()


def configuration() -> str:
    """Every environment variable, its default and its meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{row.variable}` | {f'`{row.default}`' if row.default else '-'} | {row.meaning} |" for row in docs()]
    return "\n".join(lines)


def speed() -> str:
    """The benchmark's ratios beside their targets, and what they were measured on."""
    if not FIGURES.exists():
        return "Not measured here yet: `make bench`."
    found = orjson.loads(FIGURES.read_bytes())
    machine, settings = found["machine"], found["settings"]
    lines = [
        "| operation | vs PostGraphile 5 | vs hand-written | vs stock Strawberry | CPU vs PostGraphile | p99 ms, ours / PostGraphile |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_speed_row(name, entry) for name, entry in found["operations"].items()]
    lines += [f"\n`{name}` did not run: {reason}" for name, reason in found["missing"].items()]
    lines.append(
        f"\n{machine['cpu']}, {machine['cores']} cores, {machine['system']}; Python {machine['python']}, PostgreSQL "
        f"{machine['postgresql']}, Node {machine['node']}, PostGraphile {machine['postgraphile']}, {machine['load']}; "
        f"{settings['rounds']} rounds of {settings['seconds']:g} s, {settings['connections']} connections, "
        f"{settings['messages']:,} messages. In brackets the target; medians of rounds, the spread is in `bench.json`."
    )
    return "\n".join(lines)


def _speed_row(name: str, entry: Mapping[str, Any]) -> str:
    targets = entry["targets"]
    cells = [
        _ratio(entry.get("vs_postgraphile"), targets["vs_postgraphile"], "≥"),
        _ratio(entry.get("vs_handwritten"), targets["vs_handwritten"], "≥"),
        _ratio(entry.get("vs_stock"), None, ""),
        _ratio(entry.get("cpu_vs_postgraphile"), targets["cpu_vs_postgraphile"], "≤"),
        " / ".join(_ratio(entry["p99_ms"].get(side), None, "") for side in ("ours", "postgraphile")),
    ]
    return f"| {name} {entry['title']} | {' | '.join(cells)} |"


def _ratio(found: float | None, target: float | None, sign: str) -> str:
    if found is None:
        return "-"
    return f"{found:.2f}" + (f" ({sign} {target:g})" if target is not None else "")


def generated(text: str) -> str:
    """The README with its tables as they should be. Raises ValueError when a marker is missing."""
    for name, table in (("permissions", permissions()), ("speed", speed()), ("configuration", configuration())):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{begin}.*?{end}", re.DOTALL)
        found = pattern.search(text)
        if found is None:
            raise ValueError(f"README.md has no {begin} … {end}")
        head, tail = text[: found.start()], text[found.end() :]
        text = f"{head}{begin}\n{table}\n{end}{tail}"
    return text


def main() -> None:
    """Write the tables into the README."""
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write("README.md is up to date\n")


if __name__ == "__main__":
    main()
