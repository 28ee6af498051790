"""`minutebook schema`: the SDL, whether the committed one is the server's own, and what changed since the last release."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import rich_click as click

if TYPE_CHECKING:
    from api.schema_changes import SchemaDifference

ROOT: Final = Path(__file__).resolve().parents[2]
NAME: Final = "schema.graphql"
STYLES: Final = {"breaking": "bold red", "dangerous": "yellow", "safe": "green"}
PIPED_WIDTH: Final = 240


@dataclass(frozen=True)
class Earlier:
    """A schema to compare with: what it is called, and its text."""

    name: str
    text: str


class NothingEarlierError(Exception):
    """There is no schema to compare with; says why."""


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Instead of printing: exit code 1 if schema.graphql is not the server's own, or breaks what the last git tag "
    "promised and did not deprecate. Lists breaking, dangerous and safe changes.",
)
@click.option("--against", metavar="REF_OR_FILE", help="With --check: compare with this instead of the last git tag.")
def schema(*, check: bool, against: str | None) -> None:
    """Print the GraphQL schema, sorted."""
    from api.schema import build_schema, schema_text

    if against is not None and not check:
        raise click.UsageError("--against goes with --check.")
    text = schema_text(build_schema())
    if not check:
        click.echo(text, nl=False)
        return
    click.echo(drift(text, ROOT))
    try:
        earlier = last_release(ROOT) if against is None else named(against, ROOT)
    except NothingEarlierError as reason:
        if against is not None:
            raise click.UsageError(str(reason)) from None
        click.echo(f"Not compared with an earlier schema: {reason}")
        return
    compare(earlier, text)


def drift(text: str, root: Path) -> str:
    """What to say of schema.graphql. Raises ClickException when it is not the server's own."""
    committed = root / NAME
    if not committed.is_file() and not (root / "pyproject.toml").is_file():
        return f"There is no {NAME} beside an installed package: nothing to drift from."
    if not committed.is_file() or committed.read_text(encoding="utf-8") != text:
        raise click.ClickException(f"{NAME} is not the server's own: minutebook schema > {NAME}")
    return f"{NAME} is the server's own."


def compare(earlier: Earlier, text: str) -> None:
    """Print what changed. Raises ClickException when something breaks that was not deprecated."""
    from graphql import GraphQLError

    from api.schema_changes import Weight, differences

    try:
        found = differences(earlier.text, text)
    except GraphQLError as error:
        raise click.ClickException(f"{earlier.name} is no schema: {error.message}") from None
    if not found:
        click.echo(f"No change since {earlier.name}.")
        return
    _print(earlier, found)
    broken = sum(each.weight is Weight.BREAKING and not each.is_announced for each in found)
    if broken:
        raise click.ClickException(
            f"{broken} of these break what {earlier.name} promised and did not deprecate: docs/schema-changes.md"
        )


def _print(earlier: Earlier, found: list["SchemaDifference"]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Changes since {earlier.name}", title_justify="left")
    for heading in ("", "kind", "what"):
        table.add_column(heading, overflow="fold")
    for each in found:
        weight = Text(each.weight.value, style=STYLES[each.weight.value])
        table.add_row(weight + (" (deprecated)" if each.is_announced else ""), each.kind, Text(each.description))
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(table)


# ── where the earlier schema is ──────────────────────────────────────────────────────────────────────────────────────
def last_release(root: Path) -> Earlier:
    """The schema of the last tag before what is checked out. Raises NothingEarlierError."""
    _git(root, "ls-files", "--error-unmatch", NAME, otherwise=f"{NAME} is in no git repository here.")
    tag = _git(root, "describe", "--tags", "--abbrev=0", otherwise="the repository has no tag.").strip()
    return Earlier(tag, _git(root, "show", f"{tag}:./{NAME}", otherwise=f"tag {tag} has no {NAME}."))


def named(what: str, root: Path) -> Earlier:
    """The schema of a file, or of a commit by any of its names. Raises NothingEarlierError."""
    if Path(what).is_file():
        return Earlier(what, Path(what).read_text(encoding="utf-8"))
    neither = f"{what} is neither a file nor a commit of a git repository here."
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{what}^{{commit}}", otherwise=neither)
    return Earlier(what, _git(root, "show", f"{commit.strip()}:./{NAME}", otherwise=f"{what} has no {NAME}."))


def _git(root: Path, *arguments: str, otherwise: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, encoding="utf-8", check=False
        )
    except OSError:
        raise NothingEarlierError("git is not installed.") from None
    if done.returncode != 0:
        if "dubious ownership" in done.stderr:
            raise NothingEarlierError("git does not trust this folder, which belongs to somebody else.")
        raise NothingEarlierError(otherwise)
    return done.stdout
