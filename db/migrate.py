"""Alembic without its command line: up and down as the owner, over one asyncpg connection of the migrator's login.

One migration is one transaction. A process runs one upgrade at a time: Alembic's context is a global. What a session
needs before the first migration stands in migrations/env.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from db.engine import API, CONNECT_TIMEOUT_S, INGEST, OPERATOR, Urls

MIGRATIONS: Final = Path(__file__).resolve().parents[1] / "migrations"
SCHEMA: Final = "app"
VERSION_TABLE: Final = "alembic_version"

# `serve` and `doctor` compare the head before they believe the database.
_READERS_SQL: Final = f"GRANT SELECT ON {SCHEMA}.{VERSION_TABLE} TO {API}, {INGEST}, {OPERATOR}"
_HAS_VERSION_SQL: Final = f"SELECT pg_catalog.to_regclass('{SCHEMA}.{VERSION_TABLE}') IS NOT NULL"


class MigrationLockedError(RuntimeError):
    """Another migrator holds the lock and did not finish in time."""


def execute_text(sql: str) -> None:
    """Run SQL text as it is written: several commands, `$$`, colons. For migrations, where `op.execute` would not.

    asyncpg refuses several commands in a prepared statement, and SQLAlchemy takes `:word` for a bind.
    """
    bind = op.get_bind()
    # The dialect sends its BEGIN with its own first statement: without one, the raw text would commit by itself.
    bind.exec_driver_sql("SELECT 1")
    driver = bind.connection.driver_connection
    if driver is None:
        raise RuntimeError("the migration's connection is closed")
    await_only(driver.execute(sql))


async def upgrade(urls: Urls, revision: str = "head", *, migrations: Path = MIGRATIONS) -> None:
    """Run the migrations up to `revision`. Raises MigrationLockedError, asyncpg's and SQLAlchemy's errors."""
    await _run(urls, migrations, lambda config: command.upgrade(config, revision))


async def downgrade(urls: Urls, revision: str, *, migrations: Path = MIGRATIONS) -> None:
    """Undo the migrations down to `revision`; `base` undoes all, and leaves roles, schemas and extensions."""
    await _run(urls, migrations, lambda config: command.downgrade(config, revision))


async def write_revision(
    urls: Urls, message: str, metadata: MetaData | None = None, *, migrations: Path = MIGRATIONS
) -> None:
    """Add a migration file; with `metadata` it contains what differs from the database, to be read before it is kept."""
    await _run(
        urls, migrations, lambda config: command.revision(config, message, autogenerate=metadata is not None), metadata
    )


def head(migrations: Path = MIGRATIONS) -> str | None:
    """The revision that this code wants; None while there are no migrations. Needs no database."""
    return ScriptDirectory.from_config(_config(migrations)).get_current_head()


def _config(migrations: Path) -> Config:
    config = Config()
    options = {
        "script_location": str(migrations),
        "file_template": "%(year)d_%(month).2d_%(day).2d_%(hour).2d%(minute).2d_%(slug)s",
        "timezone": "UTC",
        "path_separator": "os",
    }
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


async def _run(urls: Urls, migrations: Path, run: Callable[[Config], object], metadata: MetaData | None = None) -> None:
    async def connect() -> Any:
        return await asyncpg.connect(urls.migrator, timeout=CONNECT_TIMEOUT_S)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    config = _config(migrations)
    config.attributes["metadata"] = metadata

    def within(connection: Connection) -> None:
        config.attributes["connection"] = connection
        run(config)
        if connection.exec_driver_sql(_HAS_VERSION_SQL).scalar_one():
            connection.exec_driver_sql(_READERS_SQL)
        connection.commit()

    try:
        # Closing the connection is what releases the lock and forgets the role.
        async with engine.connect() as connection:
            await connection.run_sync(within)
    finally:
        await engine.dispose()
