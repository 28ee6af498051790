"""The README's tables, printed from what they describe: permissions from the matrix, variables from the settings.

`python -m api.readme` writes them between their markers; a test refuses a README that differs.
"""

import re
import sys
from pathlib import Path
from typing import Final

from api.settings import docs
from db.mirror import markdown

README: Final = Path(__file__).resolve().parents[1] / "README.md"


def permissions() -> str:
    """Who may do what, one row a table."""
    return markdown()


def configuration() -> str:
    """Every environment variable, its default and its meaning."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    lines += [f"| `{row.variable}` | {f'`{row.default}`' if row.default else '-'} | {row.meaning} |" for row in docs()]
    return "\n".join(lines)


def generated(text: str) -> str:
    """The README with both tables as they should be. Raises ValueError when a marker is missing."""
    for name, table in (("permissions", permissions()), ("configuration", configuration())):
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
