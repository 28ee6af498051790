"""Databases for tests: clones of one migrated template on one embedded server, and a superuser's look into them."""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg

from db.bootstrap import restrict_database
from db.engine import Urls

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made inside
ROOM: Final = 2 * 1024**3


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A folder for a server's data: in memory if there is room. Its path is short, as a socket's must be."""
    has_room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    with tempfile.TemporaryDirectory(prefix="minutebook-", dir=MEMORY if has_room else None) as home:
        yield Path(home)


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
