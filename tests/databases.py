"""Databases for tests: clones of one migrated template on one embedded server, and a superuser's look into them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from db.bootstrap import restrict_database
from db.engine import Urls


@asynccontextmanager
async def superuser(urls: Urls) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection that passes every policy, with uuids as text: for looking at what a test did, and for planting faults."""
    assert urls.bootstrap is not None
    connection = await asyncpg.connect(urls.bootstrap)
    try:
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str)
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def clone(template: Urls) -> AsyncIterator[Urls]:
    """A copy of the template's database, dropped at the end whoever is still connected. Nobody may use the template."""
    assert template.bootstrap is not None
    source = template.bootstrap.partition("?")[0].rpartition("/")[2]
    copy = f"clone_{secrets.token_hex(6)}"
    async with superuser(template.for_database("postgres")) as connection:
        await connection.execute(f"CREATE DATABASE {copy} TEMPLATE {source} STRATEGY FILE_COPY")
        await restrict_database(connection, copy)  # a template's privileges are not copied
    try:
        yield template.for_database(copy)
    finally:
        async with superuser(template.for_database("postgres")) as connection:
            await connection.execute(f"DROP DATABASE {copy} WITH (FORCE)")
