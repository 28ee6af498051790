"""Prepares the session that runs migrations, then runs them: one transaction each. `db.migrate` brings the connection.

The lock is polled: waiting inside pg_advisory_lock holds a snapshot for which the holder's CREATE INDEX CONCURRENTLY
waits in turn, a deadlock.
"""

import asyncio
import time
from typing import Final

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from db.engine import OWNER
from db.migrate import SCHEMA, VERSION_TABLE, MigrationLockedError

LOCK: Final = 6_117_206_854
LOCK_TIMEOUT_S: Final = 300
POLL_S: Final = 0.2

# FORCE ROW LEVEL SECURITY blinds the owner without a word; with row_security off, what would see no rows fails instead.
BEFORE: Final = (f"SET ROLE {OWNER}", "SET row_security = off")
# A migration that waits for a lock makes everyone else wait behind it. A step that needs longer sets its own.
AFTER: Final = ("SET lock_timeout = '4s'", "SET statement_timeout = '10min'")
# Known to Citus; elsewhere PostgreSQL keeps them as names without a meaning.
CITUS: Final = (
    "SET citus.multi_shard_modify_mode = 'sequential'",
    "SET citus.enable_unsafe_triggers = on",
    "SET citus.enable_local_reference_table_foreign_keys = off",
)


def take_lock(connection: Connection) -> None:
    """Poll until no other migrator runs; the lock is the session's, and goes with it."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while not connection.exec_driver_sql(f"SELECT pg_catalog.pg_try_advisory_lock({LOCK})").scalar_one():
        connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationLockedError(f"another migrator did not finish within {LOCK_TIMEOUT_S} s")
        await_only(asyncio.sleep(POLL_S))


def prepare(connection: Connection) -> None:
    for setting in (*BEFORE, *CITUS):
        connection.exec_driver_sql(setting)
    connection.commit()  # SET lasts only when its transaction does
    take_lock(connection)
    for setting in AFTER:
        connection.exec_driver_sql(setting)
    connection.commit()


def is_ours(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001 - alembic's signature
    return kind != "schema" or name == SCHEMA


def run() -> None:
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is None or context.is_offline_mode():
        raise RuntimeError("migrations run through db.migrate, over a connection: minutebook migrate")
    prepare(connection)
    context.configure(
        connection=connection,
        target_metadata=context.config.attributes.get("metadata"),
        version_table=VERSION_TABLE,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=is_ours,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
