"""Cancelling a request at any of its await points."""

import asyncio
import types
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


class Steps:
    """Counts the await points of a request and of the tasks that it starts; at some of them the request is cancelled."""

    def __init__(self, *at: int) -> None:
        self.at = at
        self.count = 0
        self.request: asyncio.Task[Any] | None = None

    async def through(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await self._stepped(coroutine)

    @types.coroutine
    def _stepped(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        awaited = coroutine.send
        value: Any = None
        while True:
            try:
                waiting = awaited(value)
            except StopIteration as stop:
                return stop.value
            self.count += 1
            if self.count in self.at and self.request is not None:
                self.request.cancel()
            try:
                value = yield waiting
                awaited = coroutine.send
            except BaseException as error:  # noqa: BLE001 - handed to the coroutine, whatever it is
                value, awaited = error, coroutine.throw

    @contextmanager
    def counting(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine, **how: asyncio.Task(self.through(coroutine), loop=loop, **how))
        try:
            yield
        finally:
            loop.set_task_factory(None)

    async def run(self, asked: Coroutine[Any, Any, Result]) -> Result | None:
        """The result, or None when the request was cancelled."""
        with self.counting():
            self.request = request = asyncio.ensure_future(asked)
            try:
                return await request
            except asyncio.CancelledError:
                return None
