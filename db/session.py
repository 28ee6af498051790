"""One transaction that acts as a caller: begun with its first statement, ended in one message, never left behind.

A query's loaders take turns on it (one connection runs one statement at a time), so all of them read one snapshot. What
only read gives its connection back before its end: the pool, or the next who begins there, ends it (db/pool.py).
A change on record commits before the disk has it and is acknowledged after: docs/decisions/0006-commit-then-flush.md.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import asyncpg
import structlog
from sqlalchemy import Executable

from db.actor import Actor, begin_sql
from db.commit import ROLLBACK, LostCommitError, append_sql, commit, commit_sql, is_rolled_back
from db.engine import Pools
from db.pool import CONNECTION_ERRORS, END_TIMEOUT_S, Held
from db.statement import shapes
from db.types import Role

log = structlog.get_logger(__name__)

STATEMENT_TIMEOUT_MS: Final = 5_000
APPEND: Final = "SELECT app.audit_append($1::jsonb)"
PLAN_FOR_VALUES: Final = "SET LOCAL plan_cache_mode = force_custom_plan"

Method = Literal["begin", "fetch", "execute"]
"""Whether a statement gives rows, or none, or nothing is run but the BEGIN."""

# The changes under way in this process, by organization. It only tells which way is the cheaper one; both are right.
_under_way: Counter[str] = Counter()


class TransactionOverError(RuntimeError):
    """A statement came after the end of its transaction, or was cut off by it."""


@dataclass(frozen=True)
class Limits:
    """What a transaction may take: seconds for a connection, milliseconds for a statement."""

    acquire_s: float = 5.0
    statement_ms: int = STATEMENT_TIMEOUT_MS


class Session:
    """The caller's transaction. `statements` lists the data statements that it ran, for tests and for tracing."""

    __slots__ = (
        "_append", "_failure", "_has_begun", "_held", "_limits", "_lock", "_plans_for_values", "_pool", "_read_only", "_request_id",
        "_running", "actor", "now", "statements",
    )  # fmt: skip

    def __init__(
        self, pools: Pools, actor: Actor, *, read_only: bool, request_id: str, limits: Limits, now: datetime
    ) -> None:
        self.actor = actor
        self.now = now
        self.statements: list[str] = []
        self._pool = pools.ingest if actor.role is Role.SERVICE else pools.api
        self._read_only = read_only
        self._request_id = request_id
        self._limits = limits
        self._held: Held | None = None
        self._lock = asyncio.Lock()
        self._failure: Exception | None = None
        self._running: asyncio.Task[Any] | None = None
        self._has_begun = False
        self._append: str | None = None
        self._plans_for_values = False

    async def fetch(self, shape: Hashable, build: Callable[[], Executable], **values: Any) -> list[asyncpg.Record]:
        """Run the statement of `shape`, built by `build` when it is new. Raises asyncpg's errors.

        The binds `organization_id`, `user_id`, `actor_id` and `now` are always filled.
        """
        actor = self.actor
        statement = shapes.get(shape, actor.role, actor.db_role, build)
        values |= {
            "organization_id": actor.organization_id,
            "user_id": actor.user_id,
            "actor_id": actor.actor_id,
            "now": self.now,
        }
        return await self.fetch_text(statement.sql, *statement.arguments(values))

    async def fetch_text(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run SQL text with `$n` binds; the text names the role itself where it is planned often."""
        rows: list[asyncpg.Record] = await self._send("fetch", sql, *arguments)
        return rows

    async def execute_text(self, sql: str) -> None:
        """Run settings or several commands as one simple message, without binds; not counted as a data statement."""
        await self._send("execute", sql)

    async def plan_for_values(self) -> None:
        """From here to the end of the transaction each statement is planned for the values that it has.

        A list with LIMIT has one plan for any (decision 8); what adds up a range reads all of it, and how depends on how
        much that is: a round trip, once a transaction, and a millisecond of planning against a second.
        """
        if not self._plans_for_values:
            self._plans_for_values = True
            await self.execute_text(PLAN_FOR_VALUES)

    async def undo_to(self, savepoint: str) -> None:
        """ROLLBACK TO the savepoint: the transaction goes on, although a statement of it was refused.

        Raises what had ended it for good: a lost connection, a cancellation.
        """
        if self._has_begun and isinstance(self._failure, asyncpg.PostgresError):
            self._failure = None
        await self.execute_text(f"ROLLBACK TO SAVEPOINT {savepoint}")

    async def commit_with(self, events: Sequence[Mapping[str, Any]]) -> None:
        """End on record: these audit events are appended by the message that commits. Nothing may follow."""
        append = append_sql(events)
        await self._send("begin", APPEND)
        self._append = append

    async def _send(self, method: Method, sql: str, *arguments: Any) -> Any:
        async with self._lock:
            if self._failure is not None:  # aborted, never begun or over: a statement could run outside of it
                raise self._failure
            self._running = asyncio.current_task()
            try:
                if self._held is None:
                    return await self._begin(method, sql, *arguments)
                self._note(method, sql)
                return await _run(self._held, method, sql, *arguments)
            except BaseException as error:
                self._failure = error if isinstance(error, Exception) else TransactionOverError("cut off")
                raise
            finally:
                self._running = None

    async def _begin(self, method: Method, sql: str, *arguments: Any) -> Any:
        """Begin, and run the first statement. BEGIN goes out with it; without a context it may read and write nothing."""
        while True:
            held = self._held = await self._pool.take(timeout_s=self._limits.acquire_s, at_once=not self._read_only)
            ends_another, ahead = held.is_open, held.ahead
            begin = self._begin_sql(ends_another=ends_another)
            try:
                if ahead is None or not ahead.is_free or method == "begin":
                    await held.connection.execute(begin)
                    self._note_begun(held, method, sql)
                    return await _run(held, method, sql, *arguments)
                ahead.send(begin)
                try:
                    return await ahead.followed_by(_run(held, method, sql, *arguments))
                finally:
                    if ahead.failure is None and (ahead.is_answered or not held.is_gone):
                        self._note_begun(held, method, sql)
            except CONNECTION_ERRORS:
                # Nothing has begun, and what failed may be the end of another's reading, or have been lost while nobody had
                # it: that is not this caller's matter.
                is_other = ends_another or (held.is_gone and not held.is_new)
                if self._has_begun or not is_other:
                    raise
                log.exception("connection.dropped", role=self.actor.role.value)
                self._held = None
                self._pool.drop(held)

    def _note(self, method: Method, sql: str) -> None:
        if method != "execute":
            self.statements.append(sql)

    def _note_begun(self, held: Held, method: Method, sql: str) -> None:
        held.is_open = False
        self._has_begun = True
        self._note(method, sql)
        if not self._read_only:
            _under_way[self.actor.organization_id] += 1

    def _begin_sql(self, *, ends_another: bool, is_after_change: bool = False) -> str:
        return begin_sql(
            self.actor,
            read_only=self._read_only,
            request_id=self._request_id,
            timeout_ms=self._limits.statement_ms,
            ends_another=ends_another,
            is_after_change=is_after_change,
        )

    async def finish(self, *, failed: bool, then: "Session | None" = None) -> None:
        """End the transaction and give the connection back, clean or not at all; a cancellation does not stop it.

        What a change has committed `then` reads, a session of the same caller that has not begun: its BEGIN goes out with
        the COMMIT where that can be, and it has the connection.

        Raises, unless it `failed` anyway: why it could not begin, LostCommitError, or errors of its end.
        """
        if failed or self._failure is not None or self._running is not None:
            # Shielded: a cancelled request must not leave its transaction open on a pooled connection.
            await asyncio.shield(self._finish(failed=failed))
        elif self._read_only:
            self._failure = TransactionOverError("the transaction is over")
            held, self._held = self._held, None
            if held is not None:
                self._pool.give_back(held, is_open=True)
        else:  # a shield is a task; one that is cancelled just here costs its connection instead
            await self._finish(failed=False, then=then)

    async def _finish(self, *, failed: bool, then: "Session | None" = None) -> None:
        failure, running = self._failure, self._running
        self._failure = failure or TransactionOverError("the transaction is over")
        if running is not None:
            # A loader's task outlives the request that waited for it: it may neither hold nor take a connection now.
            running.cancel()
        async with self._lock:
            held, self._held = self._held, None
        is_undone = failed or failure is not None or running is not None
        if held is not None:
            try:
                await self._end(held, is_undone=is_undone, failed=failed, then=then)
            finally:
                self._leave()
        if is_undone and not failed:
            if failure is not None and not self._has_begun:
                raise failure
            if not self._read_only:
                raise LostCommitError

    def _leave(self) -> None:
        """No longer under way."""
        if self._has_begun and not self._read_only:
            organization_id = self.actor.organization_id
            _under_way[organization_id] -= 1
            if not _under_way[organization_id]:
                del _under_way[organization_id]

    async def _end(self, held: Held, *, is_undone: bool, failed: bool, then: "Session | None") -> None:
        connection, is_clean, goes_on = held.connection, False, False
        try:
            # The driver's timer: asyncio.timeout would cost a tenth of a message.
            if is_undone:
                await connection.execute(ROLLBACK, timeout=END_TIMEOUT_S)
            else:
                goes_on = await self._commit(held, then)
            is_clean = True
        except (*CONNECTION_ERRORS, LostCommitError) as error:
            if isinstance(error, asyncpg.PostgresError | LostCommitError) and not is_undone:
                is_clean = await is_rolled_back(connection)
            if not failed:  # else the caller is told what came first
                raise
        finally:
            if is_clean and not goes_on:
                self._pool.give_back(held)
            elif not is_clean:
                log.error("connection.dropped", role=self.actor.role.value)
                self._pool.drop(held)

    async def _commit(self, held: Held, then: "Session | None") -> bool:
        """Commit; whether `then` has the connection now."""
        is_alone = _under_way[self.actor.organization_id] == 1
        if then is None:
            return await commit(held.connection, commit_sql(self._append, is_alone=is_alone), begins_next=False)
        async with then._lock:  # a loader that was left over could begin it meanwhile
            is_new = not then._has_begun and then._failure is None
            begin = then._begin_sql(ends_another=True, is_after_change=True) if is_new else None
            sql = commit_sql(self._append, is_alone=is_alone, begin=begin)
            goes_on = await commit(held.connection, sql, begins_next=is_new)
            if goes_on:
                then._held, then._has_begun = held, True
        return goes_on


async def _run(held: Held, method: Method, sql: str, *arguments: Any) -> Any:
    return await getattr(held.connection, method)(sql, *arguments) if method != "begin" else None


@asynccontextmanager
async def act_as(
    pools: Pools,
    actor: Actor,
    *,
    read_only: bool = True,
    request_id: str = "-",
    limits: Limits = Limits(),
    now: datetime | None = None,
    then: Session | None = None,
) -> AsyncIterator[Session]:
    """The transaction of `actor`: committed at the end of the block, rolled back when it raises or is cancelled.

    `then` reads what it has committed (`Session.finish`).
    """
    now = now or datetime.now(UTC)
    session = Session(pools, actor, read_only=read_only, request_id=request_id, limits=limits, now=now)
    try:
        yield session
    except BaseException:
        await session.finish(failed=True)
        raise
    await session.finish(failed=False, then=then)
