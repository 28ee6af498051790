"""A deadline that moves, around one piece of work of the current task: `asyncio.timeout` for a third of its price."""

import asyncio
from types import TracebackType
from typing import Final, Self

# What a deadline may come late or early by: moving it costs as much as making it.
SLACK_S: Final = 0.01


class Deadline:
    """`with Deadline(seconds) as deadline:` raises TimeoutError from the block when its time is over.

    As `asyncio.timeout`, it cancels the task, and takes that back where nobody else has cancelled it too.
    """

    __slots__ = ("_cancelling", "_due", "_is_over", "_loop", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._is_over = False
        self._due = loop.time() + seconds
        self._timer = loop.call_at(self._due, self._end)

    def move(self, seconds: float) -> None:
        """From now on the block may take this long."""
        due = self._loop.time() + seconds
        if abs(due - self._due) > min(SLACK_S, seconds / 10) and not self._is_over:
            self._timer.cancel()
            self._due = due
            self._timer = self._loop.call_at(due, self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        is_ours = self._is_over and self._task.uncancel() <= self._cancelling
        if is_ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error
