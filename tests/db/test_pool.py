"""Connections at hand: taken, given back, waited for, ended later, replaced, and let go."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from db import pool as pools_of_ours
from db.actor import begin_sql
from db.engine import Pools, Urls, open_pools
from db.pool import CONNECTION_ERRORS, Held, Pool, PoolExhaustedError
from db.session import Limits, act_as
from db.types import Role
from tests.databases import superuser
from tests.storm import READS, busy, person, plant, planted_pools, whole

MEMBER, STRANGER = person(0, Role.MEMBER), person(1, Role.MEMBER)
BACKEND = "SELECT pg_backend_pid() AS pid"


@pytest.fixture
async def pools(urls: Urls) -> AsyncIterator[Pools]:
    async with planted_pools(urls, api_size=2) as pools:
        yield pools


@pytest.fixture
def pool(pools: Pools) -> Pool:
    return pools.api


@pytest.fixture
def held_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only read stays open until somebody takes its connection."""
    monkeypatch.setattr(pools_of_ours, "OPEN_S", 60.0)


def pid(held: Held) -> int:
    return int(held.connection.get_server_pid())


async def read(pools: Pools, actor: object = MEMBER) -> int:
    """The backend that answered somebody's question."""
    async with act_as(pools, actor) as session:  # type: ignore[arg-type]
        [row] = await session.fetch_text(BACKEND)
    return int(row["pid"])


async def killed(urls: Urls, backend: int) -> None:
    async with superuser(urls) as connection:
        await connection.execute("SELECT pg_terminate_backend($1, 2000)", backend)


# ── taken and given back ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_connection_used_last_is_the_next_and_nothing_was_sent_in_between(pool: Pool) -> None:
    first, second = await pool.take(), await pool.take()
    await first.connection.execute("SET application_name = 'kept'")
    pool.give_back(second)
    pool.give_back(first)
    again = await pool.take()
    assert again is first
    assert await again.connection.fetchval("SELECT current_setting('application_name')") == "kept"
    pool.give_back(again)


async def test_waiting_for_a_connection_ends_in_an_error_of_ours(pool: Pool) -> None:
    async with pool.acquire(), pool.acquire():
        with pytest.raises(PoolExhaustedError, match=r"within 0.05 s"):
            await pool.take(timeout_s=0.05)
    assert await whole(pool)


async def test_who_is_told_of_room_that_another_took_waits_no_longer_for_that(pool: Pool) -> None:
    async def tell() -> None:
        while True:
            await asyncio.sleep(0.02)
            pool._wake()

    async with pool.acquire(), pool.acquire():
        telling = asyncio.ensure_future(tell())
        async with asyncio.timeout(1):
            with pytest.raises(PoolExhaustedError, match=r"within 0.1 s"):
                await pool.take(timeout_s=0.1)
        telling.cancel()
    assert await whole(pool)


async def test_who_waited_longest_gets_the_connection_that_is_given_back(pool: Pool) -> None:
    one, other = await pool.take(), await pool.take()
    order: list[int] = []

    async def wait(number: int) -> None:
        async with pool.acquire():
            order.append(number)

    waiting = [asyncio.ensure_future(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    pool.give_back(one)
    await asyncio.gather(*waiting)
    pool.give_back(other)
    assert order == [0, 1, 2, 3, 4]
    assert await whole(pool)


async def test_a_connection_that_comes_when_its_waiter_has_given_up_goes_to_the_next(pool: Pool) -> None:
    one, other = await pool.take(), await pool.take()
    leaving, staying = asyncio.ensure_future(pool.take()), asyncio.ensure_future(pool.take())
    await asyncio.sleep(0)
    pool.give_back(one)
    leaving.cancel()  # it has been given the connection, and has not run since
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(1):
        assert await staying is one
    pool.give_back(one)
    pool.give_back(other)
    assert await whole(pool)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection in use is enough; who waits for it loses patience after a fifth of a second."""
    monkeypatch.setattr("db.engine.readers_at_once", lambda _: 1)
    monkeypatch.setattr(pools_of_ours, "PATIENCE_S", 0.2)


@pytest.mark.usefixtures("few_at_once")
async def test_where_enough_are_in_use_a_reader_gets_the_next_one_that_is_given_back(pool: Pool) -> None:
    one = await pool.take()
    waiting = asyncio.ensure_future(pool.take())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    pool.give_back(one)
    async with asyncio.timeout(0.1):
        assert await waiting is one
    pool.give_back(one)
    assert await whole(pool)


@pytest.mark.usefixtures("few_at_once")
async def test_who_comes_later_waits_no_longer_than_who_came_first(urls: Urls) -> None:
    async with planted_pools(urls, api_size=3) as pools:
        pool, found = pools.api, [await pools.api.take()]
        began = asyncio.get_running_loop().time()
        waited: list[float] = []

        async def wait(after_s: float) -> None:
            await asyncio.sleep(after_s)
            found.append(await pool.take())
            waited.append(asyncio.get_running_loop().time() - began - after_s)

        await asyncio.gather(wait(0), wait(0.1))
        assert max(waited) < 0.29
        for each in found:
            pool.give_back(each)
        assert await whole(pool)


async def test_a_connection_lost_on_its_way_to_who_waits_is_replaced(urls: Urls) -> None:
    async with planted_pools(urls, api_size=1) as pools:
        pool = pools.api
        one = await pool.take()
        waiting = asyncio.ensure_future(pool.take())
        await asyncio.sleep(0)
        pool.give_back(one)
        one.connection.terminate()
        async with asyncio.timeout(1):
            found = await waiting
        assert found is not one
        pool.give_back(found)
        assert await whole(pool)


@pytest.mark.usefixtures("few_at_once")
@pytest.mark.parametrize("is_ready", [True, False], ids=["one at hand", "one to open"])
async def test_who_has_lost_patience_gets_another_one_while_there_are_any(pool: Pool, *, is_ready: bool) -> None:
    if is_ready:
        assert await whole(pool)  # all have been opened
    one = await pool.take()
    waiting = [asyncio.ensure_future(pool.take(timeout_s=0.6)) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert not any(each.done() for each in waiting)
    async with asyncio.timeout(0.5):
        other = await waiting[0]
    assert pid(other) != pid(one)
    with pytest.raises(PoolExhaustedError):
        await waiting[1]
    pool.give_back(one)
    pool.give_back(other)
    assert await whole(pool)


@pytest.mark.usefixtures("few_at_once")
async def test_who_has_just_come_has_lost_no_patience_yet(urls: Urls) -> None:
    async with planted_pools(urls, api_size=3) as pools:
        pool = pools.api
        found = [await pool.take()]
        first = asyncio.ensure_future(pool.take())
        await asyncio.sleep(0.15)
        second = asyncio.ensure_future(pool.take())
        await asyncio.sleep(0.15)
        assert (first.done(), second.done()) == (True, False)
        found += await asyncio.gather(first, second)
        for each in found:
            pool.give_back(each)
        assert await whole(pool)


@pytest.mark.usefixtures("few_at_once")
async def test_a_change_and_who_authenticates_wait_for_nobody(pools: Pools) -> None:
    one = await pools.api.take()
    async with asyncio.timeout(0.1):
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text("SELECT 1")
        async with pools.api.acquire() as connection:
            await connection.execute("SELECT 1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), act_as(pools, MEMBER) as session:
            await session.fetch_text("SELECT 1")
    pools.api.give_back(one)
    assert await whole(pools.api)


async def test_a_dropped_connection_makes_room_for_who_waits(pool: Pool) -> None:
    one, other = await pool.take(), await pool.take()
    waiting = asyncio.ensure_future(pool.take())
    await asyncio.sleep(0)
    pool.drop(one)
    found = await waiting
    assert pid(found) != pid(other)
    pool.give_back(found)
    pool.give_back(other)
    assert await whole(pool)


async def test_what_cannot_be_opened_takes_no_place(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> PoolConnectionProxy:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.pool.Pool, "_acquire", refused)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await pool.take()
    assert await whole(pool)


async def test_a_connection_that_died_while_nobody_had_it_is_not_given_to_anybody(urls: Urls, pool: Pool) -> None:
    async with pool.acquire() as connection:
        before = connection.get_server_pid()
    await killed(urls, before)
    await asyncio.sleep(0.05)
    async with pool.acquire() as connection:
        assert await connection.fetchval(BACKEND) != before
    assert await whole(pool)


async def test_what_was_left_in_a_transaction_by_its_user_is_closed(pool: Pool) -> None:
    async with pool.acquire() as connection:
        before = connection.get_server_pid()
        await connection.execute("BEGIN")
    async with pool.acquire() as connection:
        assert connection.get_server_pid() != before
    assert await whole(pool)


# ── a read that is ended later ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("held_open")
async def test_the_end_of_a_read_goes_out_with_the_next_beginning_as_somebody_else(
    urls: Urls, pools: Pools, messages: list[str]
) -> None:
    before = await read(pools)
    assert len(await busy(urls, within_s=0.1)) == 1
    messages.clear()
    async with act_as(pools, STRANGER) as session:
        [row] = await session.fetch_text("SELECT pg_backend_pid() AS pid, current_setting('app.organization_id') AS o")
        assert session._held is not None
        session._held.connection.add_query_logger(lambda record: messages.append(record.query))
        assert {each["tag"] for each in await session.fetch_text(READS[0])} == {STRANGER.organization_id}
    assert (row["pid"], row["o"]) == (before, STRANGER.organization_id)
    async with act_as(pools, MEMBER, read_only=False) as session:
        await asyncio.sleep(0)  # the driver tells a little later
        await session.fetch_text(BACKEND)
    await asyncio.sleep(0)
    # The first statement came before the driver's logger; each first COMMIT is of the read before.
    assert [each.split(";")[0] for each in messages] == ["COMMIT", READS[0], "COMMIT", BACKEND, "SELECT 1"]


@pytest.mark.usefixtures("held_open")
async def test_a_snapshot_begins_with_its_own_read_and_not_with_the_one_before(urls: Urls, pools: Pools) -> None:
    count = "SELECT count(*) AS n FROM app.projects"
    async with act_as(pools, MEMBER) as session:
        [before] = await session.fetch_text(count)
    async with superuser(urls) as connection:
        await connection.execute(
            f"SET app.organization_id = '{MEMBER.organization_id}';"
            f"INSERT INTO app.projects (organization_id, name) VALUES ('{MEMBER.organization_id}', 'a later one')"
        )
    async with act_as(pools, MEMBER) as session:
        [after] = await session.fetch_text(count)
    assert after["n"] == before["n"] + 1


async def test_a_read_ends_by_itself_when_nobody_comes(urls: Urls, pools: Pools) -> None:
    before = await read(pools)
    assert await busy(urls, within_s=0.5) == []
    [held] = pools.api._ready
    assert (held.is_open, pid(held)) == (False, before)
    assert await whole(pools.api)


@pytest.mark.usefixtures("held_open")
@pytest.mark.parametrize("leftover", ["SET ROLE app_admin", "SET app.organization_id = '1'"])
async def test_nobody_begins_on_a_connection_on_which_a_read_left_something(pools: Pools, leftover: str) -> None:
    before = await read(pools)
    async with act_as(pools, MEMBER) as session:
        await session.execute_text(leftover)
    async with act_as(pools, STRANGER) as session:
        rows = await session.fetch_text(READS[0])
        [row] = await session.fetch_text(BACKEND)
    assert row["pid"] != before
    assert {each["tag"] for each in rows} == {STRANGER.organization_id}
    assert await whole(pools.api)


@pytest.mark.parametrize("leftover", ["SET ROLE app_admin", "SET app.user_id = '1'"])
async def test_what_a_read_left_is_found_when_it_ends_by_itself_too(urls: Urls, pools: Pools, leftover: str) -> None:
    before = await read(pools)
    async with act_as(pools, MEMBER) as session:
        await session.execute_text(leftover)
    assert await busy(urls, within_s=0.5) == []
    await asyncio.sleep(0.05)
    assert await read(pools) != before
    assert await whole(pools.api)


@pytest.mark.usefixtures("held_open")
async def test_a_backend_killed_after_a_read_costs_nobody_an_answer(urls: Urls, pools: Pools) -> None:
    before = await read(pools)
    [held] = pools.api._ready
    assert held.is_open
    await killed(urls, before)
    assert await read(pools, STRANGER) != before
    assert await whole(pools.api)


@pytest.mark.usefixtures("held_open")
async def test_a_cancelled_beginning_ends_the_read_before_it_too(urls: Urls, pools: Pools) -> None:
    await read(pools)
    for turns in range(6):
        task = asyncio.ensure_future(read(pools, STRANGER))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with act_as(pools, MEMBER) as session:
            assert {each["tag"] for each in await session.fetch_text(READS[0])} == {MEMBER.organization_id}
    assert await whole(pools.api)
    assert await busy(urls) == []


@pytest.mark.usefixtures("held_open")
async def test_an_error_of_ones_own_beginning_is_ones_own(urls: Urls, pools: Pools) -> None:
    await read(pools)
    async with superuser(urls) as connection:
        await connection.execute("REVOKE EXECUTE ON FUNCTION app.begin_request FROM minutebook_api")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await read(pools)
    assert await whole(pools.api)


@pytest.mark.usefixtures("held_open")
async def test_a_connection_used_outside_of_any_transaction_has_ended_its_read_first(pools: Pools) -> None:
    before = await read(pools)
    async with pools.api.acquire() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT current_user::text") == "minutebook_api"
        assert connection.get_server_pid() == before


def test_a_beginning_that_ends_another_looks_at_the_connection_before_it_takes_on_a_role() -> None:
    sql = begin_sql(MEMBER, read_only=True, request_id="r", timeout_ms=1, ends_another=True)
    assert sql.startswith(
        "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT app.assert_clean(), app.begin"
    )


# ── let go ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_nobody_takes_goes_back_to_asyncpg(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_of_ours, "IDLE_S", 0.02)
    await read(pools)
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not pools.api._taken:
            break
    assert (pools.api._ready, pools.api._taken) == ([], 0)
    await read(pools)


async def test_what_is_used_all_the_time_goes_back_to_asyncpg_now_and_then(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    await read(pools)
    monkeypatch.setattr(pools_of_ours, "KEPT_S", 0.0)
    await read(pools)
    await asyncio.sleep(0.05)
    assert (pools.api._ready, pools.api._taken) == ([], 0)
    await read(pools)


@pytest.mark.usefixtures("held_open")
async def test_closing_ends_what_is_open_and_waits_for_what_is_in_use(urls: Urls) -> None:
    await plant(urls, 2)
    pools = await open_pools(urls, api_size=2, ingest_size=1)
    in_use = await pools.api.take()
    await read(pools)
    closing = asyncio.ensure_future(pools.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    pools.api.give_back(in_use)
    async with asyncio.timeout(5):
        await closing
    assert await busy(urls) == []
    with pytest.raises(CONNECTION_ERRORS):
        async with act_as(pools, MEMBER, limits=Limits(acquire_s=0.1)) as session:
            await session.fetch_text(BACKEND)
