"""The loader: what is asked for together is read together, once, and what goes wrong is told to everybody who waits."""

import asyncio
from typing import Any

import pytest

from api.loader import Batch, Loader


def reading(calls: list[list[Any]]) -> Batch:
    """A batch that keeps what it was called with and gives each key twice over."""

    async def read(keys: list[Any]) -> list[Any]:
        calls.append(keys)
        await asyncio.sleep(0)
        return [key * 2 for key in keys]

    return read


async def test_what_is_asked_for_in_one_turn_is_one_call_in_the_order_of_asking() -> None:
    calls: list[list[Any]] = []
    loader = Loader(reading(calls))
    found = await asyncio.gather(loader.load_all([3, 1, 3]), loader.load(2), loader.load_all([2, 4]))
    assert found == [[6, 2, 6], 4, [4, 8]]
    assert calls == [[3, 1, 2, 4]]


async def test_tasks_that_are_made_while_others_ask_join_their_call() -> None:
    calls: list[list[Any]] = []
    loader = Loader(reading(calls))

    async def late() -> Any:
        return await asyncio.gather(loader.load(2), loader.load(3))

    one, more = await asyncio.gather(loader.load(1), late())
    assert (one, more) == (2, [4, 6])
    assert calls == [[1, 2, 3]]


async def test_a_key_is_read_once_also_while_it_is_being_read() -> None:
    calls: list[list[Any]] = []
    is_read = asyncio.Event()

    async def read(keys: list[Any]) -> list[Any]:
        calls.append(keys)
        is_read.set()
        await asyncio.sleep(0)
        return keys

    loader = Loader(read)
    first = asyncio.create_task(loader.load(1))
    await is_read.wait()
    assert await loader.load_all([1, 2]) == [1, 2]
    assert (await first, await loader.load(1)) == (1, 1)
    assert calls == [[1], [2]]


async def test_a_failure_is_told_to_everybody_who_waits_and_to_who_comes_later() -> None:
    async def read(keys: list[Any]) -> list[Any]:
        raise LookupError(keys)

    loader = Loader(read)
    found = await asyncio.gather(loader.load(1), loader.load_all([2, 1]), return_exceptions=True)
    assert [type(each) for each in found] == [LookupError, LookupError]
    with pytest.raises(LookupError):
        await loader.load(1)


async def test_a_batch_of_the_wrong_length_fails_instead_of_mixing_up_keys() -> None:
    async def read(_keys: list[Any]) -> list[Any]:
        return [1]

    with pytest.raises(ValueError, match="zip"):
        await Loader(read).load_all([1, 2])


async def test_who_is_cancelled_leaves_the_others_their_answer() -> None:
    loader = Loader(reading([]))
    leaves, stays = asyncio.create_task(loader.load(1)), asyncio.create_task(loader.load(1))
    await asyncio.sleep(0)
    leaves.cancel()
    assert await stays == 2
    with pytest.raises(asyncio.CancelledError):
        await leaves


async def test_nobody_waits_for_ever_for_a_batch_that_was_cut_off() -> None:
    async def read(_keys: list[Any]) -> list[Any]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await Loader(read).load(1)
