"""A deadline that moves, around one piece of work of the current task: `asyncio.timeout` for a tenth of its price.

A timer of the loop costs as much as a small statement's arguments, and nearly none ever ends. So there is one for all
deadlines of a loop, which looks at them every few milliseconds while there are any.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

# What a deadline may come late by.
TICK_S: Final = 0.01


class Deadline:
    """`with Deadline(seconds) as deadline:` raises TimeoutError from the block when its time is over.

    As `asyncio.timeout`, it cancels the task, and takes that back where nobody else has cancelled it too.
    """

    __slots__ = ("_cancelling", "_due", "_is_over", "_task", "_watch")

    def __init__(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._is_over = False
        self._due = loop.time() + seconds
        self._watch = _watch_of(loop)
        self._watch.add(self)

    def move(self, seconds: float) -> None:
        """From now on the block may take this long."""
        self._due = self._watch.loop.time() + seconds

    def is_due(self, now: float) -> bool:
        return self._due <= now

    def end(self) -> None:
        """The time is over."""
        self._is_over = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.deadlines.discard(self)
        is_ours = self._is_over and self._task.uncancel() <= self._cancelling
        if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error


class _Watch:
    """The deadlines of one loop, each ended once."""

    __slots__ = ("_is_looking", "deadlines", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.deadlines: set[Deadline] = set()
        self._is_looking = False

    def add(self, deadline: Deadline) -> None:
        self.deadlines.add(deadline)
        if not self._is_looking:
            self._is_looking = True
            self.loop.call_later(TICK_S, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        due = [each for each in self.deadlines if each.is_due(now)]
        self.deadlines.difference_update(due)
        self._is_looking = bool(self.deadlines)
        if self._is_looking:
            self.loop.call_later(TICK_S, self._look)
        for each in due:
            each.end()


_latest: _Watch | None = None


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    """A process serves by one loop; another loop's deadlines keep the watch that they began with."""
    global _latest  # noqa: PLW0603
    if _latest is None or _latest.loop is not loop:
        _latest = _Watch(loop)
    return _latest
