"""`minutebook keys`: the keyring that wraps people's own provider keys. No command shows a key, of anybody."""

from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from api.cli.connections import Database, connected, opened, run_async
from api.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from db.crypto import Keyring
    from db.keys import Rotation, Uses

BATCH: Final = 500
NAMED: Final = 10


@click.group()
def keys() -> None:
    """The keyring: which of its keys are used, wrapping with a new one, letting an old one go.

    \b
    To replace a key:
      1. put the new one first in KEYRING, keep the old one behind it, restart every server;
      2. minutebook keys rotate, again after any interruption, until it names the new key alone;
      3. minutebook keys drop OLD-ID, and if that agrees take it out of KEYRING.
    """


@keys.command("list")
def show() -> None:
    """Print each key id, how many provider keys it wraps, and whether KEYRING has it."""
    settings = load()
    with opened(settings) as database:
        found = _found(settings, database)
    rows = [(key_id, count, "seals") for key_id, count in list(found.known.items())[:1]]
    rows += [(key_id, count, "opens") for key_id, count in list(found.known.items())[1:]]
    rows += [
        (key_id, count, "MISSING from KEYRING: these must be set again") for key_id, count in found.lacking.items()
    ]
    rows += [("demo", found.demo, "the demo world's, opened by nothing")] if found.demo else []
    if not rows:
        click.echo("no keyring, and no provider key")
    width = max((len(key_id) for key_id, _, _ in rows), default=0)
    for key_id, count, state in rows:
        click.echo(f"{key_id:<{width}}  {count:>9,}  {state}")


@keys.command()
@click.option(
    "--batch",
    type=click.IntRange(1, 10_000),
    default=BATCH,
    show_default=True,
    help="Provider keys of one transaction; their owners wait for it.",
)
def rotate(batch: int) -> None:
    """Wrap every provider key with KEYRING's first key. Whenever it is cut off, the next run goes on."""
    settings = load()
    keyring = _keyring(settings)
    with opened(settings) as database:
        done = _rotated(database, keyring, batch)
        found = _found(settings, database)
    _report(done, found, keyring)
    left = {key_id: count for key_id, count in found.known.items() if count and key_id != keyring.primary}
    if found.lacking or left:
        said = ", ".join(f"{key_id} ({count:,})" for key_id, count in {**left, **found.lacking}.items())
        raise click.ClickException(f"provider keys are still wrapped by {said}")


@keys.command()
@click.argument("key_id", metavar="ID")
def drop(key_id: str) -> None:
    """Say whether a key may leave KEYRING: refused while it seals, or still wraps a provider key."""
    settings = load()
    keyring = _keyring(settings)
    with opened(settings) as database:
        found = _found(settings, database)
    count = found.known.get(key_id, found.lacking.get(key_id, 0))
    if count:
        raise click.ClickException(f"{key_id} still wraps {count:,} provider keys: minutebook keys rotate first")
    if key_id == keyring.primary:
        raise click.ClickException(f"{key_id} is what seals: put another key first in KEYRING")
    if key_id not in keyring:
        raise click.BadParameter(f"KEYRING has no {key_id!r}", param_hint="ID")
    click.echo(f"nothing is wrapped by {key_id}: take it out of KEYRING")


def _keyring(settings: Settings) -> "Keyring":
    keyring = settings.sealing_keys(make=False)
    if keyring is None:
        raise SettingsError("KEYRING", "is required for this command")
    return keyring


def _found(settings: Settings, database: Database) -> "Uses":
    from db.keys import used_keys, uses

    async def ask() -> dict[str, int]:
        async with connected(database.url("operator")) as connection:
            return await used_keys(connection)

    return uses(run_async(ask()), settings.sealing_keys(make=False))


def _rotated(database: Database, keyring: "Keyring", batch: int) -> "Rotation":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from db.keys import rotate as rotate_keys

    columns = (TextColumn("Provider keys"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        async def work() -> Any:
            async with connected(database.url("operator")) as connection:
                return await rotate_keys(connection, keyring, batch=batch, progress=progress)

        done: Rotation = run_async(work())
    return done


def _report(done: "Rotation", found: "Uses", keyring: "Keyring") -> None:
    click.echo(
        f"{done.rewrapped:,} provider keys wrapped anew; {keyring.primary} wraps {found.known[keyring.primary]:,}"
    )
    if found.demo:
        click.echo(f"{found.demo:,} of the demo world skipped")
    for organization_id, id_ in done.unopenable[:NAMED]:
        click.echo(f"does not open, must be set again: {id_} of organization {organization_id}", err=True)
    if len(done.unopenable) > NAMED:
        click.echo(f"and {len(done.unopenable) - NAMED:,} more", err=True)
