"""Connections: where each login connects to, and the two pools that requests take connections from.

Everything that asyncpg would ask the server about types is asked when a connection opens, never inside a request.
"""

import asyncio
import os
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from db.pool import CONNECTION_ERRORS, DatabaseUnavailableError, Pool

Pooler = Literal["session", "transaction"]

API: Final = "minutebook_api"
INGEST: Final = "minutebook_ingest"
OPERATOR: Final = "minutebook_operator"
MIGRATOR: Final = "minutebook_migrator"
OWNER: Final = "minutebook_owner"

CONNECT_TIMEOUT_S: Final = 10.0
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_STATEMENTS_CACHED: Final = 1000

# Naming a type in a statement makes asyncpg look it up, once per connection: three round trips that a request is spared.
_ARRAYS: Final = (
    "uuid",
    "text",
    "bigint",
    "integer",
    "float8",
    "boolean",
    "timestamptz",
    "date",
    "jsonb",
    "bytea",
    "ext.vector",
)
_ARRAYS_SQL: Final = f"SELECT {', '.join(f'NULL::{name}[]' for name in _ARRAYS)}"


class NotBootstrappedError(DatabaseUnavailableError):
    """The database lacks Minutebook's extensions: `minutebook migrate` prepares it."""


@dataclass(frozen=True, slots=True, repr=False)
class Urls:
    """A URL per login, libpq's form, passwords included; hence the masked repr."""

    api: str
    ingest: str
    operator: str
    migrator: str
    bootstrap: str | None = None

    def __repr__(self) -> str:
        return f"Urls(api={masked(self.api)!r}, …)"

    def for_database(self, database: str) -> "Urls":
        """The same server and logins, another database."""
        return Urls(
            api=at(self.api, database=database),
            ingest=at(self.ingest, database=database),
            operator=at(self.operator, database=database),
            migrator=at(self.migrator, database=database),
            bootstrap=self.bootstrap and at(self.bootstrap, database=database),
        )


@dataclass(frozen=True, slots=True)
class Pools:
    """`api` serves people, `ingest` services: two logins, since a request role reaches whatever its login can."""

    api: Pool
    ingest: Pool

    async def close(self, *, timeout_s: float = 10) -> None:
        """Wait for connections in use, then close; after `timeout_s` they are cut off."""
        for pool in (self.api, self.ingest):
            try:
                async with asyncio.timeout(timeout_s):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


async def open_pools(urls: Urls, *, api_size: int = 10, ingest_size: int = 5, pooler: Pooler = "session") -> Pools:
    """Both pools, each with a first connection open. Raises what `open_pool` raises."""
    api = await open_pool(urls.api, max_size=api_size, pooler=pooler)
    try:
        ingest = await open_pool(urls.ingest, max_size=ingest_size, pooler=pooler)
    except BaseException:
        api.terminate()
        raise
    sizes = ((api, urls.api, api_size), (ingest, urls.ingest, ingest_size))
    return Pools(*(Pool(pool, size, at_once=readers_at_once(url)) for pool, url, size in sizes))


def readers_at_once(url: str) -> int | None:
    """Two for each processor and one more, where the database shares ours; None where it is on another machine."""
    parts = urlsplit(url)
    hosts = [parts.hostname, *(value for key, value in parse_qsl(parts.query) if key == "host")]
    if not all(host is None or host.startswith("/") or host in _HERE for host in hosts):
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * processors + 1


async def open_pool(url: str, *, max_size: int, min_size: int = 1, pooler: str = "session") -> "asyncpg.Pool[Any]":
    """Asyncpg's pool, with connections that give uuids and vectors as text. `pooler="transaction"` fits PgBouncer in that mode.

    It never resets a connection: `app.assert_clean()` at a transaction's end finds what was left behind, while asyncpg's
    RESET ALL costs a round trip and does not undo SET ROLE.
    """
    is_pooled = pooler == "transaction"
    settings = {} if is_pooled else {"application_name": "minutebook"}
    return await asyncpg.create_pool(
        url,
        min_size=min(min_size, max_size),
        max_size=max_size,
        init=_prepare,
        reset=_leave_as_it_is,
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=0 if is_pooled else _STATEMENTS_CACHED,
        max_cached_statement_lifetime=0,
        server_settings=settings,
    )


async def check_ready(pools: Pools, *, timeout_s: float = 2.0) -> None:
    """Both logins get an answer from PostgreSQL in time. Raises DatabaseUnavailableError, whose text names no secret."""
    for name, pool in (("api", pools.api), ("ingest", pools.ingest)):
        try:
            async with pool.acquire(timeout_s=timeout_s) as connection:
                await connection.execute("SELECT 1", timeout=timeout_s)
        except CONNECTION_ERRORS as error:
            raise DatabaseUnavailableError(f"the {name} login gets no answer: {type(error).__name__}") from error


def at(url: str, *, user: str | None = None, password: str | None = None, database: str | None = None) -> str:
    """The URL with another login or database; host, port and every parameter stay. `user` replaces the password too."""
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    query = [(key, value) for key, value in parse_qsl(parts.query) if not _is_replaced(key, user, database)]
    if user is not None:
        login = quote(user, safe="") + ("" if password is None else f":{quote(password, safe='')}")
    path = parts.path if database is None else f"/{quote(database, safe='')}"
    netloc = f"{login}@{address}" if login else address
    # urlunsplit drops an empty authority: postgresql:///name?host=… must keep its slashes.
    return f"{parts.scheme}://{netloc}{urlunsplit(('', '', path, urlencode(query), ''))}"


def masked(url: str) -> str:
    """The URL without its password, for messages and logs."""
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    hidden = f"{user}{':***' if colon else ''}@{address}" if login else address
    query = urlencode(
        [(key, "***" if key == "password" else value) for key, value in parse_qsl(parts.query)], safe="/*"
    )
    return f"{parts.scheme}://{hidden}{parts.path}" + (f"?{query}" if query else "")


def _is_replaced(key: str, user: str | None, database: str | None) -> bool:
    return (user is not None and key in {"user", "password"}) or (
        database is not None and key in {"database", "dbname"}
    )


async def _prepare(connection: "asyncpg.Connection[Any]") -> None:
    try:
        # The driver's own codec of text: one in Python is called for each value, and a page has hundreds.
        await connection.set_builtin_type_codec("uuid", schema="pg_catalog", codec_name="text", format="text")
        await connection.set_type_codec("vector", schema="ext", encoder=str, decoder=str, format="text")
        await connection.fetchrow(_ARRAYS_SQL)
    except ValueError as error:  # asyncpg's answer to an unknown type
        raise NotBootstrappedError("the database lacks the type ext.vector: run minutebook migrate first") from error


async def _leave_as_it_is(connection: "asyncpg.Connection[Any]") -> None:
    """Instead of asyncpg's reset."""
