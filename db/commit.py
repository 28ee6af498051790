"""The message that ends a change: its audit events, COMMIT, and where somebody reads next, the BEGIN of that.

A change on record commits before the disk has it and is acknowledged after: docs/decisions/0006-commit-then-flush.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from db.actor import END, READING
from db.pool import CONNECTION_ERRORS, END_TIMEOUT_S

ROLLBACK: Final = "ROLLBACK; SELECT app.assert_clean()"
# COMMIT of an aborted transaction is a rollback without an error; a statement before it in the same message fails there.
_PLAIN: Final = "SELECT 1"
# One event of no more than this is appended by parameters with types: cheaper than an array of them, and the same event.
_ONE: Final = ("action", "target_type", "target_id", "details")
# One of several: COMMIT gives the lock back without waiting for the disk; then the message's own commit waits, for all
# that was committed before it, together with everybody else's. set_config, not SET LOCAL: it must not reach Citus
# workers, which nobody would then wait for.
_UNFLUSHED: Final = "set_config('synchronous_commit', 'off', true); COMMIT; "
_FLUSH: Final = "pg_logical_emit_message(true, 'minutebook', '')"


class LostCommitError(Exception):
    """What the transaction did was not stored: a statement of it failed."""


def append_sql(events: Sequence[Mapping[str, Any]]) -> str:
    """The call that appends these events, with literals: the simple protocol has no parameters."""
    if len(events) == 1 and events[0].keys() <= set(_ONE):
        event = events[0]
        action, target_type, target_id = (_literal(event.get(name)) for name in _ONE[:3])
        return f"app.audit_append_one({action}, {target_type}, {target_id}, {_json(event.get('details'))})"
    return f"app.audit_append({_json(events)})"


def _literal(text: str | None) -> str:
    """A quote is doubled, a backslash is itself (standard_conforming_strings), and PostgreSQL refuses a NUL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def _json(value: Any) -> str:
    """A quote stands in JSON in strings alone, where it may be escaped: nothing in the value ends the literal."""
    return "NULL" if value is None else "'" + orjson.dumps(value).decode().replace("'", "\\u0027") + "'"


def commit_sql(append: str | None, *, is_alone: bool, begin: str | None = None) -> str:
    """The message, with the call that appends. `begin` is `begin_sql` of the next transaction, `is_after_change`."""
    if append is None:
        return f"{_PLAIN}; {begin or END}"
    # Alone in its organization: its COMMIT waits for the disk, with the head of the chain locked.
    if is_alone:
        return f"SELECT {append}; {begin or END}"
    flush = f"BEGIN; SELECT {_FLUSH}; {begin}" if begin else f"SELECT app.assert_clean(), {_FLUSH}"
    return f"SELECT {append}, {_UNFLUSHED}{flush}"


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
