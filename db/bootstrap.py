"""What must stand before the first migration: roles, logins with passwords, the database, schemas and extensions.

Idempotent, and within the reach of a CREATEROLE login that is no superuser: PostgreSQL 16 gives a role's creator ADMIN
on it, with which the login makes itself a member of the owning roles for as long as this takes.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import asyncpg

from db.credentials import Credentials, scram_verifier
from db.engine import API, CONNECT_TIMEOUT_S, INGEST, MIGRATOR, OPERATOR, OWNER, Urls, at

DATABASE: Final = "minutebook"

_DEFINERS: Final = ("app_definer", "app_finder")
_PEOPLE: Final = ("app_member", "app_observer", "app_admin", "app_auditor")
_SERVICE: Final = "app_service"
_REQUEST_LOGINS: Final = (API, INGEST)
_LOGINS: Final = (*_REQUEST_LOGINS, OPERATOR, MIGRATOR)
_ROLES: Final = (OWNER, *_DEFINERS, *_PEOPLE, _SERVICE)
_OWNING: Final = (OWNER, *_DEFINERS)  # whoever creates functions

# SET alone, never INHERIT: a member that inherits would also be meant by the policies and grants of the role.
_MEMBERSHIPS: Final = (
    *((role, API) for role in _PEOPLE),
    (_SERVICE, INGEST),
    (OWNER, MIGRATOR),
    *((role, OWNER) for role in _DEFINERS),  # functions are handed over with SET ROLE
)
# The settings of a login stay through SET ROLE. Timestamps inside JSON are printed in the session's zone.
_SETTINGS: Final = ("jit = off", "search_path = app, ext", "timezone = 'UTC'")
# One plan for each prepared statement: docs/decisions/0008-one-plan-for-each-statement.md.
_REQUEST_SETTINGS: Final = ("plan_cache_mode = force_generic_plan",)
_EXTENSIONS: Final = ("vector", "btree_gin")
_OLDEST: Final = 160_000
_LOCK: Final = 6_117_206_853  # any number that nobody else uses
_LOCK_TIMEOUT_S: Final = 60

_POWERFUL_SQL: Final = """
SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[])
AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication) ORDER BY 1"""

_OWNS_DATABASE_SQL: Final = """
SELECT pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"""


class BootstrapError(RuntimeError):
    """The database cannot be prepared with this login; the message says what is missing."""


async def bootstrap(bootstrap_url: str, *, database: str = DATABASE, credentials: Path) -> Urls:
    """Prepare roles, `database` and its schemas; `credentials` keeps the passwords of the four logins.

    A lost file gives the logins new passwords. Raises BootstrapError, CredentialsError, or asyncpg's errors of a connection.
    """
    passwords = Credentials(credentials).passwords(list(_LOGINS))
    outside = await asyncpg.connect(bootstrap_url, timeout=CONNECT_TIMEOUT_S)
    try:
        await _lock(outside)
        await _check_version(outside)
        await _create_roles(outside, passwords)
        await _create_database(outside, database)
        await _prepare_database(at(bootstrap_url, database=database), database)
    except asyncpg.InsufficientPrivilegeError as error:
        raise BootstrapError(f"the bootstrap login may not do what is needed: {error}") from error
    finally:
        await outside.close()
    return urls_for(bootstrap_url, database=database, credentials=credentials)


def urls_for(bootstrap_url: str, *, database: str = DATABASE, credentials: Path) -> Urls:
    """The URLs of a database that was bootstrapped already, without connecting to it."""
    passwords = Credentials(credentials).passwords(list(_LOGINS))
    logins = {role: at(bootstrap_url, user=role, password=passwords[role], database=database) for role in _LOGINS}
    return Urls(
        api=logins[API],
        ingest=logins[INGEST],
        operator=logins[OPERATOR],
        migrator=logins[MIGRATOR],
        bootstrap=at(bootstrap_url, database=database),
    )


async def restrict_database(connection: "asyncpg.Connection[Any]", database: str) -> None:
    """Only our logins connect, and nobody but the owner makes temporary tables. A cloned database needs it anew."""
    name = _quoted(database)
    logins = ", ".join(_LOGINS)
    await connection.execute(
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {logins};"
        f"GRANT TEMPORARY ON DATABASE {name} TO {OWNER}"
    )


async def _lock(connection: "asyncpg.Connection[Any]") -> None:
    """Two bootstraps at once would fail with "tuple concurrently updated". Held until the connection closes."""
    try:
        async with asyncio.timeout(_LOCK_TIMEOUT_S):
            while not await connection.fetchval("SELECT pg_catalog.pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise BootstrapError(f"another bootstrap of this server did not end within {_LOCK_TIMEOUT_S} s") from None


async def _check_version(connection: "asyncpg.Connection[Any]") -> None:
    number = int(await connection.fetchval("SELECT pg_catalog.current_setting('server_version_num')"))
    if number < _OLDEST:
        raise BootstrapError(f"PostgreSQL 16 or newer is needed, this server is {number // 10_000}")


async def _create_roles(connection: "asyncpg.Connection[Any]", passwords: dict[str, str]) -> None:
    every = [*_ROLES, *_LOGINS]
    async with connection.transaction():
        rows = await connection.fetch(
            "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[])", every
        )
        missing = [role for role in every if role not in {row["rolname"] for row in rows}]
        statements = [f"CREATE ROLE {role} NOLOGIN NOINHERIT" for role in missing]
        for login in _LOGINS:
            statements.append(f"ALTER ROLE {login} LOGIN NOINHERIT PASSWORD '{scram_verifier(passwords[login])}'")
            settings = (*_SETTINGS, *(_REQUEST_SETTINGS if login in _REQUEST_LOGINS else ()))
            statements += [f"ALTER ROLE {login} SET {setting}" for setting in settings]
        statements += [f"GRANT {role} TO {member} WITH INHERIT FALSE, SET TRUE" for role, member in _MEMBERSHIPS]
        await connection.execute(";\n".join(statements))
        if powerful := [row["rolname"] for row in await connection.fetch(_POWERFUL_SQL, every)]:
            raise BootstrapError(
                f"roles with attributes that pass row-level security or make roles: {', '.join(powerful)}"
            )


async def _create_database(connection: "asyncpg.Connection[Any]", database: str) -> None:
    if await connection.fetchval("SELECT true FROM pg_catalog.pg_database WHERE datname = $1", database):
        return
    try:
        await connection.execute(f"CREATE DATABASE {_quoted(database)} TEMPLATE template0 ENCODING 'UTF8'")
    except asyncpg.InsufficientPrivilegeError as error:
        raise BootstrapError(
            f"the database {database} does not exist, and the bootstrap login may not create it"
        ) from error


async def _prepare_database(url: str, database: str) -> None:
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        async with connection.transaction():
            is_superuser = await connection.fetchval("SELECT pg_catalog.current_setting('is_superuser') = 'on'")
            if not await connection.fetchval(_OWNS_DATABASE_SQL):  # a REVOKE would then warn, and do nothing
                raise BootstrapError(f"the bootstrap login does not own the database {database}")
            owning = ", ".join(_OWNING)
            if not is_superuser:
                await connection.execute(f"GRANT {owning} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
            await _create_schemas(connection)
            await _create_extensions(connection)
            await restrict_database(connection, database)
            if not is_superuser:
                await connection.execute(f"REVOKE {owning} FROM CURRENT_USER GRANTED BY CURRENT_USER")
    finally:
        await connection.close()


async def _create_schemas(connection: "asyncpg.Connection[Any]") -> None:
    everyone = ", ".join((*_ROLES, *_LOGINS))
    # Without IN SCHEMA: PostgreSQL accepts that form and does nothing, since PUBLIC's right is not the schema's.
    private = [f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC" for role in _OWNING]
    statements = [
        f"CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION {OWNER}",
        "CREATE SCHEMA IF NOT EXISTS ext",
        f"GRANT USAGE ON SCHEMA app, ext TO {everyone}",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        *private,
    ]
    await connection.execute(";\n".join(statements))
    owner = await connection.fetchval(
        "SELECT nspowner::regrole::text FROM pg_catalog.pg_namespace WHERE nspname = 'app'"
    )
    if owner != OWNER:
        raise BootstrapError(f"the schema app belongs to {owner}: give Minutebook a database of its own")


async def _create_extensions(connection: "asyncpg.Connection[Any]") -> None:
    for extension in _EXTENSIONS:
        schema = await connection.fetchval(
            "SELECT extnamespace::regnamespace::text FROM pg_catalog.pg_extension WHERE extname = $1", extension
        )
        if schema is None:
            await _create_extension(connection, extension)
        elif schema != "ext":
            raise BootstrapError(f"{extension} is in schema {schema}: ALTER EXTENSION {extension} SET SCHEMA ext")


async def _create_extension(connection: "asyncpg.Connection[Any]", extension: str) -> None:
    login = await connection.fetchval("SELECT pg_catalog.quote_ident(current_user)")
    try:
        await connection.execute(f"CREATE EXTENSION {extension} SCHEMA ext")
    except asyncpg.FeatureNotSupportedError as error:
        raise BootstrapError(f"the extension {extension} is not installed on this server") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise BootstrapError(
            f"the bootstrap login may not create {extension}; have a superuser run, in this database: "
            f"CREATE SCHEMA IF NOT EXISTS ext AUTHORIZATION {login}; CREATE EXTENSION {extension} SCHEMA ext"
        ) from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
