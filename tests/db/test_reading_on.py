"""A change's commit begins the reading that follows it: on one connection, in one message, and never at the change's cost."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from db import session as sessions
from db.commit import LostCommitError
from db.engine import Pools, Urls, open_pools
from db.session import Limits, Session, act_as
from db.types import Role
from tests.databases import superuser
from tests.storm import person, plant, planted_pools, whole

MEMBER = person(0, Role.MEMBER)
INSERT = "INSERT INTO app.ai_conversations (organization_id, user_id, title) VALUES ($1, $2, 'x')"
COUNT = "SELECT count(*) AS n, pg_backend_pid() AS pid, current_user::text AS role FROM app.ai_conversations"
EVENT, WRONG = [{"action": "house.changed"}], [{"action": "Not An Action"}]
ENDS = ["plain", "on record, alone", "on record, beside another"]


@pytest.fixture(params=ENDS)
def end(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == ENDS[2]:
        monkeypatch.setattr(sessions, "_under_way", Counter({MEMBER.organization_id: 1}))
    return str(request.param)


@pytest.fixture
async def pools(urls: Urls) -> AsyncIterator[Pools]:
    async with planted_pools(urls) as pools:
        yield pools


def reader(pools: Pools) -> Session:
    return Session(pools, MEMBER, read_only=True, request_id="r-1", limits=Limits(acquire_s=1), now=datetime.now(UTC))


async def change(pools: Pools, then: Session, end: str, events: list[dict[str, str]] = EVENT) -> int:
    """A conversation more, committed; the backend that did it."""
    async with act_as(pools, MEMBER, read_only=False, then=then) as session:
        await session.fetch_text(INSERT, MEMBER.organization_id, MEMBER.user_id)
        [row] = await session.fetch_text(COUNT)
        if end != "plain":
            await session.commit_with(events)
    return int(row["pid"])


async def stored(urls: Urls) -> tuple[int, int]:
    async with superuser(urls) as connection:
        tables = ("ai_conversations", "audit_events")
        conversations, events = [await connection.fetchval(f"SELECT count(*) FROM app.{each}") for each in tables]
    return conversations, events


async def test_what_reads_on_sees_the_change_in_a_snapshot_of_its_own_that_has_begun_already(
    pools: Pools, end: str
) -> None:
    then = reader(pools)
    pid = await change(pools, then, end)
    assert then._has_begun
    assert await then.fetch_text(COUNT) == [(1, pid, "app_member")]
    [modes] = await then.fetch_text(
        "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'),"
        " current_setting('app.request_id')"
    )
    assert tuple(modes) == ("repeatable read", "on", "r-1")
    await then.finish(failed=False)
    assert await whole(pools.api)


async def test_a_reading_that_cannot_begin_takes_nothing_from_the_change(urls: Urls, pools: Pools, end: str) -> None:
    then = reader(pools)
    async with superuser(urls) as connection, act_as(pools, MEMBER, read_only=False, then=then) as session:
        await session.fetch_text(INSERT, MEMBER.organization_id, MEMBER.user_id)
        if end != "plain":
            await session.commit_with(EVENT)
        await connection.execute("REVOKE EXECUTE ON FUNCTION app.begin_request FROM minutebook_api")
    assert await stored(urls) == (1, 0 if end == "plain" else 1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await then.fetch_text(COUNT)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await then.finish(failed=False)
    assert await whole(pools.api)


@pytest.mark.parametrize("end", ENDS[1:], indirect=True)
async def test_a_change_whose_event_is_refused_is_not_taken_for_stored(urls: Urls, pools: Pools, end: str) -> None:
    then = reader(pools)
    with pytest.raises(asyncpg.CheckViolationError):
        await change(pools, then, end, events=WRONG)
    assert await stored(urls) == (0, 0)
    assert [row["n"] for row in await then.fetch_text(COUNT)] == [0]
    await then.finish(failed=False)
    assert await whole(pools.api)


async def test_a_change_that_fails_in_its_commit_is_not_taken_for_stored(urls: Urls, pools: Pools, end: str) -> None:
    async with superuser(urls) as connection:
        await connection.execute("""
            CREATE FUNCTION app.refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'late'; END $$;
            CREATE CONSTRAINT TRIGGER late AFTER INSERT ON app.ai_conversations DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION app.refuse_late()""")
    then = reader(pools)
    with pytest.raises(asyncpg.RaiseError, match="late"):
        await change(pools, then, end)
    assert await stored(urls) == (0, 0)
    assert not then._has_begun
    await then.finish(failed=False)
    assert await whole(pools.api)


async def test_a_lost_commit_stays_one(urls: Urls, pools: Pools, end: str) -> None:
    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False, then=then) as session:
            await session.fetch_text(INSERT, MEMBER.organization_id, MEMBER.user_id)
            if end != "plain":
                await session.commit_with(EVENT)
            assert session._held is not None
            with pytest.raises(asyncpg.DivisionByZeroError):
                await session._held.connection.execute("SELECT 1 / 0")  # behind the session's back

    then = reader(pools)
    with pytest.raises(LostCommitError):
        await work()
    assert not then._has_begun
    assert await stored(urls) == (0, 0)
    assert await whole(pools.api)


@pytest.mark.parametrize("state", ["begun", "over"])
async def test_who_reads_already_or_no_more_is_left_alone(urls: Urls, state: str, end: str) -> None:
    await plant(urls, 2)
    pools = await open_pools(urls, api_size=2, ingest_size=1)
    then = reader(pools)
    before: list[Any] = []
    if state == "begun":
        before = await then.fetch_text(COUNT)
    else:
        await then.finish(failed=False)
    await change(pools, then, end)
    if state == "begun":
        assert await then.fetch_text(COUNT) == before
        await then.finish(failed=False)
    assert await whole(pools.api)
    await pools.close(timeout_s=1)
