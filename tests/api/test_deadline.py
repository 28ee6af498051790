"""A deadline around a block: what it ends, what it leaves alone, and that it can move."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from api.deadline import Deadline


async def test_a_block_that_takes_too_long_is_a_time_out() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError), Deadline(0.05):
        await asyncio.sleep(5)
    assert time.monotonic() - started < 1
    await asyncio.sleep(0)  # nothing of the cancellation is left


async def test_a_block_in_time_is_left_alone_and_nothing_ends_what_follows() -> None:
    with Deadline(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize(("to", "is_late"), [(0.3, False), (0.02, True)])
async def test_a_deadline_moves_both_ways(to: float, is_late: bool) -> None:
    ends = None
    try:
        with Deadline(0.08) as deadline:
            deadline.move(to)
            await asyncio.sleep(0.15)
    except TimeoutError as error:
        ends = error
    assert (ends is not None) is is_late


async def test_many_deadlines_end_each_not_before_its_own_time_and_once() -> None:
    ended: dict[int, float] = {}

    async def work(n: int) -> None:
        started = time.monotonic()
        with pytest.raises(TimeoutError), Deadline(0.05 * n):
            await asyncio.sleep(5)
        ended[n] = time.monotonic() - started
        await asyncio.sleep(0.1)  # nothing ends this

    await asyncio.gather(*(work(n) for n in range(1, 5)))
    assert list(ended) == [1, 2, 3, 4]
    for n, seconds in ended.items():
        assert 0.05 * n <= seconds < 0.05 * n + 1


async def test_what_cleans_up_after_the_end_is_not_ended_once_more() -> None:
    cleaned = False

    async def slow_to_end() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(5)
        finally:
            await asyncio.sleep(0.1)
            cleaned = True

    with pytest.raises(TimeoutError), Deadline(0.02):
        await slow_to_end()
    assert cleaned


async def test_the_loop_is_left_alone_where_no_deadline_is() -> None:
    loop, later = asyncio.get_running_loop(), 0
    call_later = loop.call_later

    def counted(*given: Any) -> Any:
        nonlocal later
        later += 1
        return call_later(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "call_later", counted)
        with Deadline(5):
            await asyncio.sleep(0.05)
        before = later
        await asyncio.sleep(0.1)
        assert 2 <= before <= 7
        assert later <= before + 2  # its last look, and this sleep's own timer


def test_a_deadline_of_another_loop_ends_there() -> None:
    """A process that makes a second loop (a test, a command line) does not lose the first one's."""

    async def late() -> str:
        try:
            with Deadline(0.03):
                await asyncio.sleep(5)
        except TimeoutError:
            return "late"
        return "in time"

    assert [asyncio.run(late()) for _ in range(3)] == ["late"] * 3


async def test_a_cancellation_from_outside_is_no_time_out() -> None:
    async def work() -> None:
        with Deadline(5):
            await asyncio.sleep(5)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_beside_a_time_out_stays_one() -> None:
    async def work() -> None:
        with Deadline(0.02):
            try:
                await asyncio.sleep(5)
            finally:
                task.cancel()

    task = asyncio.ensure_future(work())
    await asyncio.wait([task])
    assert task.cancelled()


async def test_an_error_of_the_block_is_told_as_it_is() -> None:
    async def fails() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Deadline(0.02):
        await fails()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_an_inner_deadline_leaves_the_outer_one_its_own_time() -> None:
    async def outlives_its_own() -> None:
        with pytest.raises(TimeoutError), Deadline(0.02):
            await asyncio.sleep(5)
        await asyncio.sleep(5)

    started = time.monotonic()
    with pytest.raises(TimeoutError), Deadline(0.1):
        await outlives_its_own()
    assert time.monotonic() - started >= 0.1


def test_a_deadline_needs_a_task() -> None:
    loop = asyncio.new_event_loop()
    found: list[BaseException] = []

    def outside() -> None:
        try:
            Deadline(1)
        except RuntimeError as error:
            found.append(error)
        loop.stop()

    loop.call_soon(outside)
    loop.run_forever()
    loop.close()
    assert len(found) == 1
