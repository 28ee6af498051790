"""`minutebook migrate`, `seed`, `maintain`: what changes a database's shape or fills it."""

from datetime import UTC, datetime
from typing import Any

import rich_click as click

from api.cli.audit import sign_due_chains
from api.cli.connections import Database, connected, opened, run_async
from api.settings import Settings, SettingsError, load


@click.command()
@click.option(
    "--down", metavar="REVISION", help="Undo to that revision instead; `base` undoes everything, data included."
)
def migrate(down: str | None) -> None:
    """Bring the database to this version's shape, and make months of partitions."""
    with opened(load(), preparing=True) as database:
        if down is not None:
            _move(database, down, is_down=True)
        else:
            prepare(database)


def prepare(database: Database) -> None:
    """Migrations, then partitions. A database that is at head already is left as it is."""
    _move(database, "head", is_down=False)
    if database.urls.operator:
        run_async(ensure_partitions(database.url("operator")))
    else:
        click.echo("minutebook: OPERATOR_DATABASE_URL is not set: no partitions were made", err=True)


def _move(database: Database, revision: str, *, is_down: bool) -> None:
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    from db.migrate import MigrationLockedError, downgrade, upgrade

    database.url("migrator")
    try:
        run_async(downgrade(database.urls, revision) if is_down else upgrade(database.urls, revision))
    except CommandError as error:
        raise click.UsageError(str(error)) from None
    except MigrationLockedError as error:
        raise click.ClickException(str(error)) from None
    except DBAPIError as error:
        raise click.ClickException(f"the migration failed and was undone: {error.orig}") from None


@click.command()
def maintain() -> None:
    """Make the next three months of partitions, forget expired idempotency keys, sign the audit chains that are due.

    Run it daily, and every few minutes beside `minutebook serve`, which signs nothing: it does what is left to do.
    """
    settings = load()
    with opened(settings) as database:
        made = run_async(ensure_partitions(database.url("operator")))
        forgotten = run_async(forget_expired_keys(database.url("operator")))
        click.echo(f"{made} partitions made, {forgotten} expired keys forgotten")
        sign_due_chains(settings, database)


async def ensure_partitions(url: str) -> int:
    """How many partitions were missing and are there now."""
    from db.doctor import MONTHS_AHEAD

    async with connected(url) as connection:
        made: int = await connection.fetchval("SELECT app.ensure_partitions($1)", MONTHS_AHEAD)
    return made


async def forget_expired_keys(url: str) -> int:
    """How many idempotency keys were older than their 24 hours. A change that comes by one takes it over."""
    async with connected(url) as connection:
        tag: str = await connection.execute("DELETE FROM app.idempotency_keys WHERE expires_at <= clock_timestamp()")
    return int(tag.removeprefix("DELETE "))


class Moment(click.ParamType[datetime]):
    """An instant: ISO 8601, in UTC where it names no zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("must be an instant such as 2026-01-31T12:00:00Z", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.option(
    "--scale", type=click.IntRange(1, 1000), default=1, show_default=True, help="Multiplies rows and organizations."
)
@click.option("--anchor", type=Moment(), help="The world's present, default now. The same anchor gives the same ids.")
def seed(scale: int, anchor: datetime | None) -> None:
    """Fill an empty database with the demo world."""
    settings = load()
    with opened(settings) as database:
        if not run_async(is_empty(database.url("operator"))):
            raise click.ClickException("the database has organizations already; the demo world needs an empty one")
        fill(settings, database, scale=scale, anchor=anchor)


def fill_if_empty(settings: Settings, database: Database) -> None:
    """The demo world, the first time."""
    if run_async(is_empty(database.url("operator"))):
        fill(settings, database)


async def is_empty(url: str) -> bool:
    """Whether no organization exists."""
    async with connected(url) as connection:
        return not await connection.fetchval("SELECT EXISTS (SELECT FROM app.organizations)")


def fill(settings: Settings, database: Database, *, scale: int = 1, anchor: datetime | None = None) -> None:
    """The demo world with a progress bar; embedded by the configured model, where there is one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from db.embedder import from_name
    from db.seed import SeedError
    from db.seed import seed as plant

    given = settings.embedder
    try:
        embedder = from_name(
            given.kind, url=given.url, model=given.model, dimensions=given.dimensions, api_key=given.api_key or ""
        )
    except ValueError as error:
        raise SettingsError("EMBEDDER", f"cannot be used: {error}") from None
    columns = (TextColumn("Demo world"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    url = database.url("operator")
    console = Console(stderr=True)
    if not console.is_terminal:
        click.echo("Writing the demo world", err=True)
    with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("writing", total=None)

        def progress(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        try:
            report = run_async(plant(url, scale=scale, anchor=anchor, embedder=embedder, progress=progress))
        except SeedError as error:
            raise click.ClickException(str(error)) from None
    rows = sum(report.counts.values())
    found = "" if report.is_embedded else ", without vectors: document search is by words alone"
    click.echo(f"{rows:,} rows in {report.seconds:.0f} s{found}", err=True)
