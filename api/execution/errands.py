"""Coroutines of many parents run together inside the operation's own task.

A task costs about 5 µs and two turns of the loop; an errand under one. To what runs in it, it is the current task (the
part of a task that `asyncio.timeout` and task groups use), with a context of its own, by asyncio's documented way for
other task implementations.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Coroutine, Iterable
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any, Final

from api.execution.complete import Kinds, kinds_of

# Typed for asyncio's own tasks alone.
_enter: Any = asyncio.tasks._enter_task
_leave: Any = asyncio.tasks._leave_task
_PLAIN: Final = frozenset({str, int, bool, float, type(None), list, dict})

Places = list[tuple[list[Any], int]]


class Errand:
    """One coroutine, whose result or exception takes the place `at` in `column`. Attributes are named as Task's are."""

    __slots__ = (
        "__weakref__",
        "_at",
        "_cancels",
        "_column",
        "_context",
        "_coroutine",
        "_fut_waiter",
        "_must_cancel",
        "_turns",
    )

    def __init__(self, coroutine: Coroutine[Any, Any, Any], column: list[Any], at: int) -> None:
        self._coroutine, self._column, self._at = coroutine, column, at
        self._context: Context = copy_context()
        self._fut_waiter: Future[Any] | None = None
        self._must_cancel = False
        self._cancels = 0
        self._turns: Turns | None = None

    def cancel(self, msg: object = None) -> bool:
        """Ask it to end, as a task is asked."""
        self._cancels += 1
        if self._fut_waiter is None or not self._fut_waiter.cancel(msg):
            self._must_cancel = True
        return True

    def cancelling(self) -> int:
        return self._cancels

    def uncancel(self) -> int:
        self._cancels = max(self._cancels - 1, 0)
        self._must_cancel = self._must_cancel and self._cancels > 0
        return self._cancels

    def done(self) -> bool:
        return False

    def get_coro(self) -> Coroutine[Any, Any, Any]:
        return self._coroutine

    def get_name(self) -> str:
        return repr(self._coroutine)

    def step(self, turns: "Turns") -> bool:
        """Run until it waits or ends; whether it waits. Raises only what must end the whole operation."""
        self._fut_waiter = None
        coroutine = self._coroutine
        try:
            if self._must_cancel:
                self._must_cancel = False
                awaited = self._context.run(coroutine.throw, asyncio.CancelledError())
            else:
                awaited = self._context.run(coroutine.send, None)
        except StopIteration as stop:
            self._column[self._at] = stop.value
            return False
        except Exception as error:  # noqa: BLE001 - a resolver's failure is its own place's alone
            self._column[self._at] = error
            return False
        self._turns = turns
        if awaited is None:
            turns.loop.call_soon(self._wake)
        elif getattr(awaited, "_asyncio_future_blocking", False):
            awaited._asyncio_future_blocking = False
            self._fut_waiter = awaited
            awaited.add_done_callback(self._wake)
            if self._must_cancel and awaited.cancel():
                self._must_cancel = False
        else:
            self._column[self._at] = RuntimeError(f"A resolver awaited what asyncio cannot: {awaited!r}")
            coroutine.close()
            return False
        return True

    def _wake(self, _: object = None) -> None:
        turns = self._turns
        assert turns is not None  # noqa: S101 - it has waited
        turns.ready.append(self)
        if not turns.signal.done():
            turns.signal.set_result(None)


class Turns:
    """Who of a round of errands can go on, and the signal that somebody can."""

    __slots__ = ("loop", "ready", "signal", "waiting")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.ready: list[Errand] = []
        self.signal: Future[None] = loop.create_future()
        self.waiting: set[Errand] = set()

    def run(self, errands: list[Errand]) -> None:
        """Let each of these run until it waits. Raises what must end the whole operation; the others can still go on."""
        loop = self.loop
        task = asyncio.current_task(loop)
        fatal: BaseException | None = None
        _leave(loop, task)
        try:
            for errand in errands:
                _enter(loop, errand)
                try:
                    is_waiting = errand.step(self)
                except BaseException as error:  # noqa: BLE001 - a cancellation from inside ends the operation, after the round
                    is_waiting, fatal = False, error
                finally:
                    _leave(loop, errand)
                if is_waiting:
                    self.waiting.add(errand)
                else:
                    self.waiting.discard(errand)
        finally:
            _enter(loop, task)
        if fatal is not None:
            raise fatal


async def complete(errands: list[Errand]) -> None:
    """Run all to their ends. When the task is cancelled, or one of them is, all are, and have ended before this raises."""
    turns = Turns(asyncio.get_running_loop())
    fatal: BaseException | None = None
    ready = errands
    while True:
        try:
            turns.run(ready)
            if not turns.waiting:
                break
            await turns.signal
        except BaseException as error:  # noqa: BLE001 - raised again below, when nothing is left running
            if fatal is None:
                fatal = error
            for errand in turns.waiting:
                errand.cancel()
            if not turns.waiting:
                break
        ready, turns.ready = turns.ready, []
        if turns.signal.done():
            turns.signal = turns.loop.create_future()
    if fatal is not None:
        raise fatal


def waiting(values: list[Any], kinds: Kinds) -> Places:
    """The places of a column that have to be awaited."""
    if kinds <= _PLAIN:
        return []
    awaitable = {kind for kind in kinds if hasattr(kind, "__await__")}
    return [(values, at) for at, each in enumerate(values) if type(each) in awaitable] if awaitable else []


async def awaited(values: list[Any], kinds: Kinds) -> tuple[list[Any], Kinds]:
    """A column and its types when nothing in it has to be awaited any more."""
    places = waiting(values, kinds)
    if not places:
        return values, kinds
    await wait(places)
    return values, kinds_of(values)


async def wait(places: Places) -> None:
    """Put the results of all, or their exceptions, in their places."""
    if len(places) > 1:
        await complete([Errand(_coroutine(values[at]), values, at) for values, at in places])
        return
    (values, at), *_ = places
    try:
        values[at] = await values[at]
    except Exception as error:  # noqa: BLE001 - as above
        values[at] = error


def _coroutine(awaitable: Any) -> Coroutine[Any, Any, Any]:
    return awaitable if isinstance(awaitable, CoroutineType) else _held(awaitable)


async def _held(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def close(values: Iterable[Any]) -> None:
    for each in values:
        if isinstance(each, CoroutineType):
            each.close()
