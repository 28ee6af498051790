"""A loader: keys → values, in batches. All that is asked for in one turn of the loop goes into one call.

Callers wait for the batch, not for each key of it: a future for every key would cost more than the statement.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

Batch = Callable[[list[Any]], Awaitable[list[Any]]]


@dataclass(slots=True, eq=False)
class _Round:
    """Keys that are read together. Waiting for an Event, one caller's cancellation is nobody else's."""

    keys: dict[Hashable, None] = field(default_factory=dict)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    task: "asyncio.Task[None] | None" = None


class Loader:
    """Every key is asked for once: what it gave, or how its batch failed, is kept."""

    __slots__ = ("_batch", "_next", "_rounds", "_values")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._values: dict[Hashable, Any] = {}
        self._rounds: dict[Hashable, _Round] = {}
        self._next: _Round | None = None

    async def load(self, key: Hashable) -> Any:
        """The value of one key. Raises what its batch raised."""
        return (await self.load_all((key,)))[0]

    async def load_all(self, keys: Sequence[Hashable]) -> list[Any]:
        """The values in the order of the keys. Raises what a batch of theirs raised."""
        values, rounds = self._values, self._rounds
        if missing := [key for key in keys if key not in values]:
            if new := [key for key in missing if key not in rounds]:
                self._ask(new)
            for each in dict.fromkeys(map(rounds.__getitem__, missing)):
                await each.is_over.wait()
                if each.error is not None:
                    raise each.error
        return [values[key] for key in keys]

    def put(self, key: Hashable, value: Any) -> None:
        """What was read otherwise, and need not be asked for."""
        self._values[key] = value

    def _ask(self, keys: list[Hashable]) -> None:
        asked = self._next
        if asked is None:
            asked = self._next = _Round()
            # Two turns: tasks that a resolver has just made, as gather does, come in between and join.
            asyncio.get_running_loop().call_soon(self._start, asked)
        asked.keys |= dict.fromkeys(keys)
        self._rounds |= dict.fromkeys(keys, asked)

    def _start(self, asked: _Round) -> None:
        asked.task = asyncio.create_task(self._run(asked))

    async def _run(self, asked: _Round) -> None:
        self._next, keys = None, list(asked.keys)
        try:
            self._values.update(zip(keys, await self._batch(keys), strict=True))
        except Exception as error:  # noqa: BLE001 - theirs who wait for it
            asked.error = error
        except BaseException as error:
            asked.error = error
            raise
        finally:
            asked.is_over.set()
