"""From the settings to a database: the operator's own server, or the embedded one for as long as a command runs.

Every way in fails with one line that names the variable to look at.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import rich_click as click

from api.settings import Settings, SettingsError

if TYPE_CHECKING:
    import asyncpg

    from db.engine import Urls

Result = TypeVar("Result")

CREDENTIALS: Final = "credentials"
VARIABLES: Final = {
    "api": "DATABASE_URL",
    "ingest": "INGEST_DATABASE_URL",
    "operator": "OPERATOR_DATABASE_URL",
    "migrator": "MIGRATOR_DATABASE_URL",
}


@dataclass(frozen=True)
class Database:
    """Where the database is. `is_embedded` when this process, or another run, started it."""

    urls: "Urls"
    is_embedded: bool

    def url(self, login: str) -> str:
        """The URL of `api`, `ingest`, `operator` or `migrator`; SettingsError naming the variable that is not set."""
        url: str = getattr(self.urls, login)
        if not url:
            raise SettingsError(VARIABLES[login], "is required for this command")
        return url


def given(settings: Settings) -> "Urls":
    """The connections that the environment names; '' for one that is missing."""
    from db.engine import Urls

    return Urls(
        api=settings.database_url or "",
        ingest=settings.ingest_database_url or "",
        operator=settings.operator_database_url or "",
        migrator=settings.migrator_database_url or "",
        bootstrap=settings.bootstrap_database_url,
    )


def has_server(settings: Settings) -> bool:
    """Whether the environment names a server, so that none is started."""
    return any(
        (
            settings.database_url,
            settings.operator_database_url,
            settings.migrator_database_url,
            settings.bootstrap_database_url,
        )
    )


def run_async(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; what PostgreSQL or the network says becomes one line."""
    with one_line():
        return asyncio.run(work)


@contextmanager
def one_line() -> Iterator[None]:
    """What an operator can do something about, as a ClickException without a traceback."""
    import asyncpg

    from db.bootstrap import BootstrapError
    from db.credentials import CredentialsError
    from db.pool import DatabaseUnavailableError
    from db.postgres_programs import PostgresProgramsError

    try:
        yield
    except (BootstrapError, CredentialsError, DatabaseUnavailableError, PostgresProgramsError) as error:
        raise click.ClickException(str(error)) from None
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise click.ClickException(f"the database refused the login: {error}") from None
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.UndefinedFunctionError):
        raise click.ClickException("the database is not migrated: run minutebook migrate first") from None
    except asyncpg.PostgresError as error:
        raise click.ClickException(f"the database refused: {error}") from None
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise click.ClickException(f"the database cannot be reached: {error or type(error).__name__}") from None


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """One connection with uuids as text."""
    import asyncpg

    from db.engine import CONNECT_TIMEOUT_S

    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
        yield connection
    finally:
        await connection.close(timeout=5)


@contextmanager
def opened(settings: Settings, *, preparing: bool = False) -> Iterator[Database]:
    """The database of this command. `preparing` may make it: logins, schemas, extensions (`run` and `migrate`)."""
    if not has_server(settings):
        with _embedded(settings, preparing=preparing) as urls:
            yield Database(urls, is_embedded=True)
    elif settings.bootstrap_database_url and not settings.database_url:
        yield Database(_bootstrapped(settings, settings.bootstrap_database_url, preparing=preparing), is_embedded=False)
    else:
        yield Database(given(settings), is_embedded=False)


def _bootstrapped(settings: Settings, url: str, *, preparing: bool) -> "Urls":
    """The four logins made from one; a command that prepares nothing uses its address and never its password."""
    from db.bootstrap import DATABASE, bootstrap, urls_for

    named = urlsplit(url).path.strip("/")
    database = DATABASE if named in {"", "postgres", "template1"} else unquote(named)
    credentials = settings.home / CREDENTIALS
    if preparing:
        return run_async(bootstrap(url, database=database, credentials=credentials))
    with one_line():
        return urls_for(url, database=database, credentials=credentials)


@contextmanager
def _embedded(settings: Settings, *, preparing: bool) -> Iterator["Urls"]:
    """The server in `home`: the one that `minutebook run` has open, else one for as long as this takes."""
    from db.bootstrap import bootstrap, urls_for
    from db.embedded import AlreadyRunningError, EmbeddedServer

    server = EmbeddedServer(settings.home)
    if not preparing and not server.data.exists():
        raise click.ClickException(f"there is no database in {settings.home} yet: minutebook run makes one")
    try:
        with one_line():
            try:
                server.start()
            except AlreadyRunningError:
                if preparing:
                    raise
                server.join()
        if preparing:
            yield run_async(bootstrap(server.bootstrap_url, credentials=server.credentials))
        else:
            yield urls_for(server.bootstrap_url, credentials=server.credentials)
    finally:
        server.stop()
