"""The message that ends a change: its audit events, COMMIT, and where somebody reads next, the BEGIN of that.

A change on record commits before the disk has it and is acknowledged after: docs/decisions/0006-commit-then-flush.md.
"""

from typing import Final

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from db.actor import END, READING
from db.pool import CONNECTION_ERRORS, END_TIMEOUT_S

ROLLBACK: Final = "ROLLBACK; SELECT app.assert_clean()"
# COMMIT of an aborted transaction is a rollback without an error; a statement before it in the same message fails there.
_PLAIN: Final = "SELECT 1"
# A change that is alone in its organization: its COMMIT waits for the disk, with the head of the chain locked.
_ON_RECORD: Final = "SELECT app.audit_append('{events}')"
# One of several: COMMIT gives the lock back without waiting for the disk; then the message's own commit waits, for all
# that was committed before it, together with everybody else's. set_config, not SET LOCAL: it must not reach Citus
# workers, which nobody would then wait for.
_UNFLUSHED: Final = "SELECT app.audit_append('{events}'), set_config('synchronous_commit', 'off', true); COMMIT; "
_FLUSH: Final = "pg_logical_emit_message(true, 'minutebook', '')"


class LostCommitError(Exception):
    """What the transaction did was not stored: a statement of it failed."""


def commit_sql(events: str | None, *, is_alone: bool, begin: str | None = None) -> str:
    """The message. `begin` ends a transaction, checks what it left and begins the next (`begin_sql`, `is_after_change`)."""
    if events is None:
        return f"{_PLAIN}; {begin or END}"
    # A quote stands in JSON in strings alone, where it may be escaped: nothing in the events ends the literal.
    quoted = events.replace("'", "\\u0027")
    if is_alone:
        return f"{_ON_RECORD.format(events=quoted)}; {begin or END}"
    flush = f"BEGIN; SELECT {_FLUSH}; {begin}" if begin else f"SELECT app.assert_clean(), {_FLUSH}"
    return _UNFLUSHED.format(events=quoted) + flush


async def commit(connection: PoolConnectionProxy, sql: str, *, begins_next: bool) -> bool:
    """Send the message; whether the next transaction has begun. Raises LostCommitError, or errors of the end.

    An error in the BEGIN of the next, where the change is stored already, is not the change's: it is False.
    """
    try:
        await connection.execute(sql, timeout=END_TIMEOUT_S)
    except asyncpg.InFailedSQLTransactionError as error:
        raise LostCommitError from error
    except asyncpg.PostgresError:
        if begins_next and await _was_reading(connection) and await is_rolled_back(connection):
            return False
        raise
    return begins_next


async def _was_reading(connection: PoolConnectionProxy) -> bool:
    """Whether the transaction that failed is the next one: nothing else tells it from the change, but its savepoint."""
    try:
        await connection.execute(f"ROLLBACK TO SAVEPOINT {READING}", timeout=END_TIMEOUT_S)
    except CONNECTION_ERRORS:
        return False
    return True


async def is_rolled_back(connection: PoolConnectionProxy) -> bool:
    """Whether a connection whose last message failed is clean again."""
    try:
        await connection.execute(ROLLBACK, timeout=END_TIMEOUT_S)
    except CONNECTION_ERRORS:
        return False
    return True
