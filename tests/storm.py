"""Many people of many organizations on few connections, with errors, timeouts, cancellations and forgotten statements.

Every row that anybody reads carries its organization's id, and every connection is looked at when it is taken.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import pytest

from db.actor import END, Actor
from db.commit import LostCommitError
from db.engine import Pools, Urls, open_pools
from db.pool import Held, Pool
from db.session import Limits, Session, act_as
from db.types import Role
from tests.databases import superuser

READS: Final = (
    "SELECT organization_id AS tag FROM app.projects",
    "SELECT organization_id AS tag FROM app.users",
    "SELECT name::uuid AS tag FROM app.projects",
    "SELECT id AS tag FROM app.organizations",
    "SELECT current_setting('app.organization_id')::uuid AS tag",
)
_WRITE: Final = "INSERT INTO app.ai_conversations (organization_id, user_id, title) VALUES ($1, $2, $3)"
_PLANT: Final = """
INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES ('{id}', '{id}', 'One of many', 'TEAM', 'UTC');
INSERT INTO app.projects (organization_id, name) SELECT '{id}', '{id}' FROM generate_series(1, 3);
"""
_PERSON: Final = "INSERT INTO app.users (organization_id, id, role) VALUES ('{organization}', '{id}', '{role}');"
_STATES: Final = """
SELECT pid, state, left(query, 80) AS query FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename IN ('minutebook_api', 'minutebook_ingest')
    AND state IS DISTINCT FROM 'idle'"""


@dataclass
class Found:
    """What happened: rows of another organization, connections taken unclean, how operations ended, what was stored."""

    foreign: list[str] = field(default_factory=list)
    unclean: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    stored: set[str] = field(default_factory=set)


def organization(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"storm:{number}"))


def person(number: int, role: Role) -> Actor:
    """Somebody of this role in the organization."""
    user = str(uuid.uuid5(uuid.NAMESPACE_URL, f"storm:{number}:{role}"))
    return Actor(organization(number), None if role is Role.SERVICE else user, user, role)


async def plant(urls: Urls, count: int) -> None:
    """`count` organizations with a person of each role and three projects named after them."""
    async with superuser(urls) as connection:
        for number in range(count):
            people = "".join(
                _PERSON.format(organization=organization(number), id=person(number, role).user_id, role=role.value)
                for role in Role
                if role is not Role.SERVICE
            )
            context = f"SET LOCAL app.organization_id = '{organization(number)}';"
            await connection.execute(context + _PLANT.format(id=organization(number)) + people)


@asynccontextmanager
async def planted_pools(urls: Urls, *, api_size: int = 1) -> AsyncIterator[Pools]:
    """Two organizations, and few connections: whatever is left on one meets the next transaction."""
    await plant(urls, 2)
    pools = await open_pools(urls, api_size=api_size, ingest_size=1)
    yield pools
    await pools.close(timeout_s=1)


async def busy(urls: Urls, *, within_s: float = 1.0) -> list[str]:
    """The backends of the request logins that are still in a transaction or a statement after this time."""
    async with superuser(urls) as connection:
        for _ in range(int(within_s / 0.02)):
            rows = await connection.fetch(_STATES)
            if not rows:
                break
            await asyncio.sleep(0.02)
    return [str(dict(row)) for row in rows]


async def whole(pool: Pool) -> bool:
    """Whether every connection of the pool can be had, outside of a transaction and clean."""
    async with AsyncExitStack() as stack:
        taken = [await stack.enter_async_context(pool.acquire(timeout_s=2)) for _ in range(pool.size)]
        for connection in taken:
            await connection.execute("SELECT app.assert_clean()")
        return not any(connection.is_in_transaction() for connection in taken)


class Storm:
    """`count` organizations; `rng` decides who does what."""

    def __init__(self, pools: Pools, count: int, seed: int = 1) -> None:
        self._pools = pools
        self._count = count
        self._rng = random.Random(seed)
        self.found = Found()
        self._left_count = 0

    async def run(self, monkeypatch: pytest.MonkeyPatch, *, workers: int, operations: int) -> Found:
        """What was found when all operations have ended."""
        self._left_count = operations
        with monkeypatch.context() as patch:
            patch.setattr(Pool, "take", self._looking(Pool.take))
            await asyncio.gather(*(self._work() for _ in range(workers)))
        return self.found

    def _looking(self, take: Callable[..., Awaitable[Held]]) -> Callable[..., Awaitable[Held]]:
        """What takes a connection and looks at it; half of those that are still open go on as they are."""

        async def taken(pool: Pool, **given: Any) -> Held:
            held = await take(pool, **given)
            if held.is_open and self._rng.random() < 0.5:
                return held
            try:
                await held.connection.execute(END if held.is_open else "SELECT app.assert_clean()")
                held.is_open = False
                if held.connection.is_in_transaction():
                    self.found.unclean.append("in a transaction")
            except asyncpg.PostgresError as error:
                self.found.unclean.append(str(error))
            except BaseException:
                pool.drop(held)
                raise
            return held

        return taken

    async def _work(self) -> None:
        kinds: dict[Callable[[Actor], Awaitable[None]], int] = {
            self._read: 60, self._write: 12, self._fail: 9, self._time_out: 2, self._cancel: 12, self._forget: 5,
        }  # fmt: skip
        while self._left_count > 0:
            self._left_count -= 1
            [kind] = self._rng.choices(list(kinds), weights=list(kinds.values()))
            actor = person(self._rng.randrange(self._count), self._rng.choice(list(Role)))
            try:
                await kind(actor)
            except asyncpg.PostgresError as error:
                self.found.ends[error.sqlstate or ""] += 1
            except (asyncpg.InterfaceError, OSError, RuntimeError, LostCommitError) as error:
                self.found.ends[f"{kind.__name__}: {error!r}"] += 1
            else:
                self.found.ends["done"] += 1

    async def _look(self, session: Session) -> None:
        rows = await session.fetch_text(f"/* {session.actor.db_role} */ {self._rng.choice(READS)}")
        tags = {row["tag"] for row in rows}
        if tags != {session.actor.organization_id}:
            self.found.foreign.append(f"{session.actor.organization_id} {session.actor.role} saw {tags}")

    async def _read(self, actor: Actor) -> None:
        async with act_as(self._pools, actor) as session:
            await asyncio.gather(*(self._look(session) for _ in range(self._rng.randint(1, 3))))

    async def _write(self, actor: Actor) -> None:
        actor = person(self._rng.randrange(self._count), Role.MEMBER)
        title = f"{actor.organization_id} {self._rng.random()}"
        async with act_as(self._pools, actor, read_only=False) as session:
            await session.fetch_text(_WRITE, actor.organization_id, actor.user_id, title)
            await self._look(session)
        self.found.stored.add(title)

    async def _fail(self, actor: Actor) -> None:
        is_swallowed = self._rng.random() < 0.5
        async with act_as(self._pools, actor, read_only=self._rng.random() < 0.5) as session:
            await self._look(session)
            try:
                await session.fetch_text("SELECT 1 / 0")
            except asyncpg.DivisionByZeroError:
                if not is_swallowed:
                    raise

    async def _time_out(self, actor: Actor) -> None:
        async with act_as(self._pools, actor, limits=Limits(statement_ms=5)) as session:
            await session.fetch_text("SELECT pg_sleep(0.2)")

    async def _cancel(self, actor: Actor) -> None:
        work = asyncio.ensure_future(self._rng.choice((self._read, self._write, self._time_out))(actor))
        await asyncio.sleep(self._rng.random() * 0.004)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    async def _forget(self, actor: Actor) -> None:
        async with act_as(self._pools, actor) as session:
            forgotten = [asyncio.ensure_future(self._look(session)) for _ in range(2)]
            await self._look(session)
        await asyncio.gather(*forgotten, return_exceptions=True)
