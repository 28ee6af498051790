"""`minutebook audit`: checkpoints, exports and their verification. `verify` and `key` need no database."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import rich_click as click

from api.cli.connections import Database, connected, opened, run_async
from api.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from audit_verifier.note import Checkpoint
    from db.audit.checkpoints import Connection, Signer

Write = Callable[[bytes, int, int], None]


@click.group()
def audit() -> None:
    """The audit chains: sign them, hand them out, verify what was handed out."""


@audit.command()
@click.option("--new", "name", metavar="NAME", help="Print a new signing key of this name instead: a secret.")
def key(name: str | None) -> None:
    """Print the public key that verifies checkpoints. Give it to your auditors by another way than the export."""
    from audit_verifier.note import KeyFormatError, PrivateKey

    if name is None:
        click.echo(str(signer_of(load()).key.public))
        return
    try:
        click.echo(PrivateKey.generate(name).secret_text())
    except KeyFormatError as error:
        raise click.BadParameter(str(error), param_hint="--new") from None


def signer_of(settings: Settings) -> "Signer":
    """The key and the file of checkpoints. Raises SettingsError where there is no key."""
    from db.audit.checkpoints import Signer
    from db.audit.notes import Notes

    signing_key = settings.audit_key()
    if signing_key is None:
        raise SettingsError("AUDIT_SIGNING_KEY", "is required to sign: minutebook audit key --new NAME makes one")
    return Signer(signing_key, Notes(settings.checkpoint_file))


@audit.command()
@click.argument("organizations", nargs=-1, metavar="[ORGANIZATION]...")
def checkpoint(organizations: tuple[str, ...]) -> None:
    """Sign the chains as they are now, of all organizations or of those named by slug or id, due or not."""
    settings = load()
    signer = signer_of(settings)
    with opened(settings) as database:
        faults = run_async(_checkpoint(database.url("operator"), organizations, signer))
    if faults:
        raise click.ClickException("; ".join(faults))


async def _checkpoint(url: str, names: tuple[str, ...], signer: "Signer") -> list[str]:
    from db.audit.checkpoints import BrokenChainError, sign
    from db.audit.notes import NotesError

    faults = []
    async with connected(url) as connection:
        for slug, organization_id in await _found(connection, names):
            try:
                made = await sign(connection, organization_id, signer)
            except BrokenChainError as error:
                faults.append(f"{slug} is not signed: {error}")
            except NotesError as error:
                raise click.ClickException(str(error)) from None
            else:
                click.echo(f"{slug}: {_said(made)}")
    return faults


def sign_due_chains(settings: Settings, database: Database) -> None:
    """Sign the chains that are due, where there is a key. ClickException names those that could not be signed."""
    if settings.audit_key() is None:
        click.echo("minutebook: AUDIT_SIGNING_KEY is not set: no checkpoint was signed", err=True)
        return
    made, faults = run_async(_sign_due(database.url("operator"), signer_of(settings)))
    if made:
        click.echo(f"{made} audit chains signed")
    if faults:
        raise click.ClickException("; ".join(f"{each} is not signed: {reason}" for each, reason in faults.items()))


async def _sign_due(url: str, signer: "Signer") -> tuple[int, dict[str, str]]:
    from db.audit.keeper import sign_due

    async with connected(url) as connection:
        return await sign_due(connection, signer)


def _said(made: "Checkpoint | None") -> str:
    return "nothing new" if made is None else f"{made.size:,} events signed"


async def _found(connection: "Connection", names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Slug and id of the organizations named, or of all that have a chain."""
    rows = await connection.fetch(
        "SELECT o.slug, o.id::text AS id FROM app.organizations o WHERE o.slug = ANY ($1::text[])"
        " OR o.id::text = ANY ($1::text[]) OR (cardinality($1::text[]) = 0 AND EXISTS"
        " (SELECT FROM app.audit_heads h WHERE h.organization_id = o.id)) ORDER BY o.slug",
        list(names),
    )
    known = {name for row in rows for name in row.values()}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no organization {name!r}", param_hint="ORGANIZATION")
    return [(row["slug"], row["id"]) for row in rows]


@audit.command()
@click.argument("organization", metavar="ORGANIZATION")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write; standard output if not given."
)
@click.option(
    "--from", "first", type=click.IntRange(1), metavar="SEQ", help="The first event; the chain's if not given."
)
@click.option("--to", "last", type=click.IntRange(1), metavar="SEQ", help="The last event; the chain's if not given.")
def export(organization: str, out: Path | None, first: int | None, last: int | None) -> None:
    """Write an organization's chain for the offline verifier. It holds all payloads; the export is on record itself."""
    with opened(load()) as database, _written(out) as file, _counted() as report:

        def write(piece: bytes, done: int, total: int) -> None:
            try:
                file.write(piece)
            except OSError as error:
                raise click.ClickException(f"the export cannot be written: {error.strerror}") from None
            report(done, total)

        run_async(_export(database.url("operator"), organization, (first, last), write))


async def _export(url: str, organization: str, ends: tuple[int | None, int | None], write: Write) -> None:
    from db.audit.exports import RangeError, extent, lines, put_on_record

    async with connected(url) as connection:
        [(_, organization_id)] = await _found(connection, (organization,))
        try:
            await extent(connection, organization_id, *ends)
            await put_on_record(connection, organization_id, *ends)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                what = await extent(connection, organization_id, *ends)
                done = 0
                async for count, piece in lines(connection, organization_id, what):
                    done += count
                    write(piece, done, what.last - what.first + 1)
        except RangeError as error:
            raise click.UsageError(str(error)) from None


@contextmanager
def _written(out: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that others may not read and that is there when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = out.with_name(f"{out.name}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _counted() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("events", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@audit.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="PUBLICKEY",
    help="What minutebook audit key prints; again for an older one.",
)
@click.option(
    "--checkpoint",
    "notes",
    type=click.Path(path_type=Path),
    metavar="NOTES",
    help="Checkpoints kept outside the database.",
)
@click.option("--partial", "is_partial", is_flag=True, help="Accept a range, or what is left after pruning.")
def verify(file: Path, keys: tuple[str, ...], notes: Path | None, *, is_partial: bool) -> int:
    """Verify an export, offline. Exit code 0: as it was written; 1: tampered with; 2: cannot be verified."""
    from audit_verifier.verify import verify as verdict

    report = verdict(file, keys, notes, is_partial=is_partial)
    click.echo("\n".join(report.lines()))
    return report.code
