"""Cancelling a request at any of its await points."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


class Steps:
    """Counts the await points of a request and of the tasks that it starts; at some of them the request is cancelled."""

    def __init__(self, *at: int) -> None:
        self.count = 0
        self._at = at
        self._request: asyncio.Task[Any] | None = None

    def take(self) -> None:
        """One more await point was reached."""
        self.count += 1
        if self.count in self._at and self._request is not None:
            self._request.cancel()

    async def run(self, asked: Coroutine[Any, Any, Result]) -> Result | None:
        """The result, or None when the request was cancelled."""
        with self._counting():
            self._request = request = asyncio.ensure_future(asked)
            try:
                return await request
            except asyncio.CancelledError:
                return None

    @contextmanager
    def _counting(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine, **how: asyncio.Task(_Counted(self, coroutine), loop=loop, **how))
        try:
            yield
        finally:
            loop.set_task_factory(None)


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that tells when it waits."""

    def __init__(self, steps: Steps, coroutine: Any) -> None:
        self._steps = steps
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        waiting = self._coroutine.send(value)
        self._steps.take()
        return waiting

    def throw(self, *error: Any) -> Any:
        waiting = self._coroutine.throw(*error)
        self._steps.take()
        return waiting

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()
