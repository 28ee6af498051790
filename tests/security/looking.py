"""Looking at a world: a superuser's dump of all rows, and transactions as one of its principals."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg

from db.engine import Urls
from tests.db.valid_rows import TABLES
from tests.security.people import Principal

Database: TypeAlias = "asyncpg.Connection[Any]"
Row: TypeAlias = dict[str, Any]
Dump: TypeAlias = dict[str, list[Row]]


def key_of(table: str) -> tuple[str, ...]:
    """The columns that tell rows of a table apart, the organization's first."""
    names = [column.name for column in TABLES[table].primary_key]
    return tuple(name for name in names if name != "created_at")


async def dump(connection: Database) -> Dump:
    """Every row of every table, as a superuser sees them."""
    found = {}
    for name, table in TABLES.items():
        columns = ", ".join(column.name for column in table.c if column.name not in {"embedding", "tsv"})
        found[name] = [dict(row) for row in await connection.fetch(f"SELECT {columns} FROM app.{name}")]
    return found


@asynccontextmanager
async def acting(connection: Database, actor: Principal) -> AsyncIterator[Database]:
    """A transaction as this principal, undone at the end. On a superuser's connection too, inside what it began."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(actor.begin)
        yield connection
    finally:
        await transaction.rollback()


@asynccontextmanager
async def logins(urls: Urls) -> AsyncIterator[dict[bool, Database]]:
    """Connections of the two request logins: True is the service's."""
    api, ingest = await asyncpg.connect(urls.api), await asyncpg.connect(urls.ingest)
    try:
        for connection in (api, ingest):
            await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str)
        yield {False: api, True: ingest}
    finally:
        await api.close()
        await ingest.close()
