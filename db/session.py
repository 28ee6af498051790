"""One transaction that acts as a caller: begun with its first statement, ended in one message, never left behind.

A query's loaders take turns on it (one connection runs one statement at a time), so all of them read one snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import Executable

from db.actor import END, Actor, begin_sql
from db.engine import Pools, acquire, release
from db.statement import shapes
from db.types import Role

log = structlog.get_logger(__name__)

STATEMENT_TIMEOUT_MS: Final = 5_000


class LostCommitError(Exception):
    """PostgreSQL answered COMMIT with a rollback: what the transaction did was not stored."""


@dataclass(frozen=True)
class Limits:
    """What a transaction may take: seconds for a connection, milliseconds for a statement."""

    acquire_s: float = 5.0
    statement_ms: int = STATEMENT_TIMEOUT_MS


class Session:
    """The caller's transaction. `statements` lists the data statements that it ran, for tests and for tracing."""

    __slots__ = (
        "_connection", "_failure", "_limits", "_lock", "_pool", "_read_only", "_request_id", "actor", "now", "statements",
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
        self._connection: PoolConnectionProxy | None = None
        self._lock = asyncio.Lock()
        self._failure: Exception | None = None

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
        async with self._lock:
            if self._failure is not None:  # the transaction is aborted: later statements could only say so
                raise self._failure
            connection = self._connection or await self._begin()
            self.statements.append(sql)
            try:
                rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._failure = error
                raise
            return rows

    async def execute_text(self, sql: str) -> None:
        """Run settings or several commands as one simple message, without binds; not counted as a data statement."""
        async with self._lock:
            connection = self._connection or await self._begin()
            await connection.execute(sql)

    async def _begin(self) -> PoolConnectionProxy:
        connection = await acquire(self._pool, timeout_s=self._limits.acquire_s)
        self._connection = connection
        await connection.execute(
            begin_sql(
                self.actor,
                read_only=self._read_only,
                request_id=self._request_id,
                timeout_ms=self._limits.statement_ms,
            )
        )
        return connection

    async def finish(self, *, failed: bool) -> None:
        """End the transaction and give the connection back, clean or not at all."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        is_clean = False
        try:
            if failed or self._failure is not None:
                await connection.execute("ROLLBACK; SELECT app.assert_clean()")
            elif self._read_only:
                await connection.execute(END)
            else:
                await self._commit(connection)
            is_clean = True
        finally:
            if not is_clean:
                log.error("connection.dropped", role=self.actor.role.value)
                connection.terminate()
            await release(self._pool, connection)

    async def _commit(self, connection: PoolConnectionProxy) -> None:
        # A COMMIT of an aborted transaction is answered ROLLBACK, without an error: only its own tag tells.
        if await connection.execute("COMMIT") != "COMMIT":
            raise LostCommitError
        await connection.execute("SELECT app.assert_clean()")


@asynccontextmanager
async def act_as(
    pools: Pools,
    actor: Actor,
    *,
    read_only: bool = True,
    request_id: str = "-",
    limits: Limits = Limits(),
    now: datetime | None = None,
) -> AsyncIterator[Session]:
    """The transaction of `actor`: committed at the end of the block, rolled back when it raises or is cancelled."""
    now = now or datetime.now(UTC)
    session = Session(pools, actor, read_only=read_only, request_id=request_id, limits=limits, now=now)
    try:
        yield session
    except BaseException:
        # Shielded: a cancelled request must not leave its transaction open on a pooled connection.
        await asyncio.shield(session.finish(failed=True))
        raise
    await asyncio.shield(session.finish(failed=False))
