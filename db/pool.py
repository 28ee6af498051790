"""The pool that requests take connections from: asyncpg's, with the connections that were used last kept at hand.

Taking one from asyncpg and giving it back costs a task, a timer and two queues: a tenth of a small answer. Who has only
read gives its connection back before its transaction has ended: END goes out with the next BEGIN, or 5 ms later alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from db.actor import END
from db.ahead import Ahead

log = structlog.get_logger(__name__)

END_TIMEOUT_S: Final = 5.0
# How long a read's transaction may stay open on an idle connection: longer than between two requests of a busy server,
# and nothing to a vacuum or a lock that waits for it.
OPEN_S: Final = 0.005
# What nobody took for a minute goes back to asyncpg, which closes it some minutes later; what is in use all the time goes
# back now and then, so that asyncpg can replace it after its number of queries.
IDLE_S: Final = 60.0
KEPT_S: Final = 600.0

# Where the database shares our processors, backends beyond two for each of them take these from one another: a page of tool
# calls took up to 60 ms instead of 30, and a tenth more time in all. So who only reads then waits until a connection is given
# back, or for PATIENCE_S: what is slow there keeps nobody for longer.
PATIENCE_S: Final = 0.005

# What any use of a connection may raise. InternalClientError is asyncpg's when a backend has said farewell but its socket
# is not closed yet: the protocol is then in a state in which it sends nothing. TimeoutError is an OSError.
CONNECTION_ERRORS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class DatabaseUnavailableError(RuntimeError):
    """The database cannot be used now; trying again later may help."""


class PoolExhaustedError(DatabaseUnavailableError):
    """Every connection stayed in use for as long as a request may wait for one."""


class Held:
    """A connection in somebody's hands. While `is_open`, a transaction that only read has still to be ended."""

    __slots__ = ("ahead", "connection", "given_back", "is_open", "taken")

    def __init__(self, connection: PoolConnectionProxy, taken: float) -> None:
        self.connection = connection
        self.ahead = Ahead.of(connection)
        self.taken = taken
        self.given_back = taken
        self.is_open = False

    @property
    def is_new(self) -> bool:
        """Whether nobody has had it before."""
        return self.given_back == self.taken

    @property
    def is_gone(self) -> bool:
        """Whether the connection was closed: by its server, or by us."""
        try:
            return self.connection.is_closed()  # type: ignore[no-any-return]
        except asyncpg.InterfaceError:  # asyncpg has noticed, and taken it back already
            return True


class _Waiter(NamedTuple):
    """Somebody who waits for a connection, since when, and until when."""

    told: "asyncio.Future[Held | None]"
    since: float
    until: float
    timeout_s: float


class Pool:
    """At most `size` connections, and of readers no more than `at_once` unless one has to wait for PATIENCE_S.

    Nothing of it may be used from another event loop than that which opened it.
    """

    def __init__(self, pool: "asyncpg.Pool[Any]", size: int, *, at_once: int | None = None) -> None:
        self._pool = pool
        self._size = size
        self._at_once = at_once or size
        self._taken = 0
        self._ready: list[Held] = []
        self._waiting: deque[_Waiter] = deque()
        self._usher: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._loop = asyncio.get_running_loop()

    @property
    def size(self) -> int:
        """How many connections there can be at once."""
        return self._size

    async def take(self, *, timeout_s: float = 5.0, at_once: bool = False) -> Held:
        """A connection, the one used last first. End its transaction where it `is_open`.

        Where as many are in use as shall be at once, it waits for one of them, a moment, unless it is wanted `at_once`.
        Raises PoolExhaustedError, or asyncpg's errors of a new connection.
        """
        ready, is_admitted, until = self._ready, at_once, 0.0
        while True:
            if is_admitted or self._taken - len(ready) < self._at_once:
                while ready:
                    held = ready.pop()
                    if not held.is_gone:
                        return held
                    self._taken -= 1
                if self._taken < self._size:
                    return await self._opened(timeout_s)
            now = self._loop.time()
            until = until or now + timeout_s
            found = await self._next(_Waiter(self._loop.create_future(), now, until, timeout_s))
            if found is not None and not found.is_gone:
                return found
            self._taken -= found is not None
            is_admitted = True

    def give_back(self, held: Held, *, is_open: bool = False) -> None:
        """The next who asks can have it. `is_open` says that a transaction that only read has still to be ended."""
        held.is_open = is_open
        held.given_back = now = self._loop.time()
        if self._is_closing or now - held.taken > KEPT_S:
            self._start(self._return(held))
            return
        if self._tell(held):
            return
        self._ready.append(held)
        if is_open and self._timer is None:
            self._timer = self._loop.call_later(OPEN_S, self._settle)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(IDLE_S, self._sweep)

    def drop(self, held: Held) -> None:
        """Close a connection that nobody may use again; the next is opened when it is wanted."""
        with suppress(asyncpg.InterfaceError):  # its loss was noticed, and asyncpg has taken it back already
            held.connection.terminate()
        self._left()

    @asynccontextmanager
    async def acquire(self, *, timeout_s: float = 5.0) -> AsyncIterator[PoolConnectionProxy]:
        """A connection outside of any transaction, for as long as the block lasts. Raises what `take` raises."""
        held = await self.take(timeout_s=timeout_s, at_once=True)
        while held.is_open and not await self._ended(held):
            held = await self.take(timeout_s=timeout_s, at_once=True)
        try:
            yield held.connection
        finally:
            if held.is_gone or held.connection.is_in_transaction():
                self.drop(held)
            else:
                self.give_back(held)

    async def close(self) -> None:
        """Wait for connections in use, then close all."""
        self._is_closing = True
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        while self._ready:
            self._start(self._return(self._ready.pop()))
        await self._pool.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def terminate(self) -> None:
        """Close all, those in use too, without a farewell."""
        self._is_closing = True
        self._ready.clear()
        self._pool.terminate()

    async def _opened(self, timeout_s: float) -> Held:
        self._taken += 1
        try:
            if self._pool.get_idle_size():  # there is nothing to wait for, and a time limit has its price
                connection = await self._pool.acquire()
            else:
                connection = await self._pool.acquire(timeout=timeout_s)
            return Held(connection, self._loop.time())
        except BaseException as error:
            self._left()
            if isinstance(error, TimeoutError):
                raise _exhausted(timeout_s) from None
            raise

    async def _next(self, waiter: "_Waiter") -> Held | None:
        """What somebody gives back; None when there is a connection to take, or room for another one."""
        self._waiting.append(waiter)
        if self._usher is None:
            self._usher = self._loop.call_later(PATIENCE_S, self._look_after)
        try:
            return await waiter.told
        except asyncio.CancelledError:
            told = waiter.told
            # It may have come just when nobody wanted it any more.
            if told.done() and not told.cancelled() and told.exception() is None:
                held = told.result()
                self._wake() if held is None else self.give_back(held, is_open=held.is_open)
            raise

    def _look_after(self) -> None:
        """Who has waited for PATIENCE_S may have any connection that is left; whose time is over gets none."""
        now = self._loop.time()
        waiting = [each for each in self._waiting if not each.told.done()]
        free = len(self._ready) + self._size - self._taken
        for each in waiting:
            if now >= each.until:
                each.told.set_exception(_exhausted(each.timeout_s))
            elif free > 0 and now >= each.since + PATIENCE_S:
                free -= 1
                each.told.set_result(None)
        self._waiting = deque(each for each in waiting if not each.told.done())
        self._usher = None
        if self._waiting:
            left = self._waiting[0].since + PATIENCE_S - now
            self._usher = self._loop.call_later(left if left > 0 else PATIENCE_S, self._look_after)

    def _left(self) -> None:
        self._taken -= 1
        self._wake()

    def _wake(self) -> None:  # there is room for another connection: whoever waits may open it
        self._tell(None)

    def _tell(self, what: Held | None) -> bool:
        """Give it to who waits longest; whether somebody does."""
        while self._waiting:
            told = self._waiting.popleft().told
            if not told.done():
                told.set_result(what)
                return True
        return False

    def _settle(self) -> None:
        """End what has been open for too long."""
        self._timer = None
        latest = self._loop.time() - OPEN_S
        late = [each for each in self._ready if each.is_open and each.given_back <= latest]
        for each in late:
            self._ready.remove(each)
            self._start(self._end(each))
        if any(each.is_open for each in self._ready):
            self._timer = self._loop.call_later(OPEN_S, self._settle)

    def _sweep(self) -> None:
        self._sweeper = None
        latest = self._loop.time() - IDLE_S
        idle = [each for each in self._ready if each.given_back <= latest]
        for each in idle:
            self._ready.remove(each)
            self._start(self._return(each))
        if self._ready:
            self._sweeper = self._loop.call_later(IDLE_S, self._sweep)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, held: Held) -> None:
        if await self._ended(held):
            self.give_back(held)

    async def _return(self, held: Held) -> None:
        if held.is_open and not await self._ended(held):
            return
        with suppress(*CONNECTION_ERRORS):
            await self._pool.release(held.connection)
        self._left()

    async def _ended(self, held: Held) -> bool:
        """End the transaction of a connection; whether it is clean. One that is not is dropped."""
        try:
            await held.connection.execute(END, timeout=END_TIMEOUT_S)
        except CONNECTION_ERRORS:
            log.exception("connection.dropped", role="reader")
            self.drop(held)
            return False
        except BaseException:
            self.drop(held)
            raise
        held.is_open = False
        return True


def _exhausted(timeout_s: float) -> PoolExhaustedError:
    return PoolExhaustedError(f"no connection became free within {timeout_s:g} s")
