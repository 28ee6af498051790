"""The request's transaction: who it acts as, what ends it, and that nothing of it is left on its connection."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from db import session as sessions
from db.actor import DB_ROLES, Actor
from db.commit import LostCommitError
from db.engine import Pools, Urls, open_pools
from db.pool import CONNECTION_ERRORS, PoolExhaustedError
from db.session import Limits, Session, TransactionOverError, act_as
from db.types import Role
from tests.databases import superuser
from tests.storm import READS, busy, person, plant, planted_pools, whole

CONTEXT = (
    "SELECT session_user::text AS login, current_user::text AS role, current_setting('app.organization_id') AS organization,"
    " current_setting('app.user_id') AS user_, current_setting('app.actor_id') AS actor"
)
BACKEND = "SELECT pg_backend_pid() AS pid"
EVENT = [{"action": "house.changed", "details": {"text": "'; DROP TABLE x; --"}}]
MEMBER, STRANGER = person(0, Role.MEMBER), person(1, Role.MEMBER)
SERVICE = person(0, Role.SERVICE)


def beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if another change of the same organization were always under way."""
    monkeypatch.setattr(sessions, "_under_way", Counter({MEMBER.organization_id: 1}))


@pytest.fixture
async def pools(urls: Urls) -> AsyncIterator[Pools]:
    async with planted_pools(urls) as pools:
        yield pools


async def pid_of(pools: Pools, actor: Actor = MEMBER) -> int:
    async with act_as(pools, actor) as session:
        [row] = await session.fetch_text(BACKEND)
    return int(row["pid"])


# ── who acts, through which login ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("role", list(Role))
async def test_people_come_through_the_api_login_and_services_through_their_own(pools: Pools, role: Role) -> None:
    actor = person(0, role)
    async with act_as(pools, actor) as session:
        [row] = await session.fetch_text(CONTEXT)
    login = "minutebook_ingest" if role is Role.SERVICE else "minutebook_api"
    assert tuple(row) == (login, DB_ROLES[role], actor.organization_id, actor.user_id or "", actor.actor_id)


@pytest.mark.parametrize(
    ("actor", "role"),
    [(MEMBER, "app_service"), *((SERVICE, DB_ROLES[role]) for role in Role if role is not Role.SERVICE)],
)
async def test_no_login_can_become_what_the_other_serves(pools: Pools, actor: Actor, role: str) -> None:
    pool = pools.ingest if actor is SERVICE else pools.api
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError) as refused:
            await connection.execute(f"SET ROLE {role}")
    assert refused.value.sqlstate == "42501"
    async with act_as(pools, actor) as session:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute_text(f"SET LOCAL ROLE {role}")
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                f"BEGIN; SELECT app.begin_request('{actor.organization_id}', '', '{actor.actor_id}', '{role}', 'r', 5000)"
            )
        await connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("kind", "expected"), [("query", ("repeatable read", "on")), ("change", ("read committed", "off"))]
)
async def test_a_query_reads_one_snapshot_and_a_change_what_is_committed(
    pools: Pools, kind: str, expected: tuple[str, str]
) -> None:
    async with act_as(pools, MEMBER, read_only=kind == "query", limits=Limits(statement_ms=1234)) as session:
        [row] = await session.fetch_text(
            "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'),"
            " current_setting('statement_timeout')"
        )
    assert tuple(row) == (*expected, "1234ms")


# ── a statement fails ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_after_a_failure_the_other_statements_fail_alike_and_none_of_them_runs(pools: Pools) -> None:
    seen: list[str] = []
    async with act_as(pools, MEMBER) as session:
        await session.fetch_text(BACKEND)
        assert session._held is not None
        session._held.connection.add_query_logger(lambda record: seen.append(record.query))
        results = await asyncio.gather(
            session.fetch_text("SELECT 1 / 0"),
            session.fetch_text(READS[0]),
            session.execute_text("RESET ROLE"),
            session.fetch_text(READS[1]),
            return_exceptions=True,
        )
    assert [type(each) for each in results] == [asyncpg.DivisionByZeroError] * 4
    assert seen == ["SELECT 1 / 0", "ROLLBACK; SELECT app.assert_clean()"]
    assert session.statements == [BACKEND, "SELECT 1 / 0"]


@pytest.mark.parametrize("kind", ["query", "change"])
async def test_a_transaction_that_cannot_begin_runs_nothing_at_all(urls: Urls, pools: Pools, kind: str) -> None:
    async with superuser(urls) as connection:
        await connection.execute("REVOKE EXECUTE ON FUNCTION app.begin_request FROM minutebook_api")
    ran: list[str] = []

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=kind == "query") as session:
            results = await asyncio.gather(*(session.fetch_text(sql) for sql in READS[:3]), return_exceptions=True)
            assert {type(each) for each in results} == {asyncpg.InsufficientPrivilegeError}
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.undo_to("here")
            ran.extend(session.statements)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await work()
    assert ran == []
    assert await whole(pools.api)


async def test_a_swallowed_error_of_a_change_is_a_lost_commit(urls: Urls, pools: Pools) -> None:
    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text("INSERT INTO app.ai_conversations (organization_id, user_id, title) VALUES ($1, $2, 'x')",
                                     MEMBER.organization_id, MEMBER.user_id)  # fmt: skip
            with suppress(asyncpg.DivisionByZeroError):
                await session.fetch_text("SELECT 1 / 0")

    with pytest.raises(LostCommitError):
        await work()
    async with superuser(urls) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.ai_conversations") == 0
    assert await whole(pools.api)


@pytest.mark.parametrize("end", ["plain", "on record, alone", "on record, beside another"])
async def test_a_commit_that_would_be_a_rollback_is_a_lost_commit(
    urls: Urls, pools: Pools, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if end == "on record, beside another":
        beside_another(monkeypatch)

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text(BACKEND)
            if end != "plain":
                await session.commit_with(EVENT)
            assert session._held is not None
            with suppress(asyncpg.DivisionByZeroError):
                await session._held.connection.execute("SELECT 1 / 0")  # behind the session's back

    with pytest.raises(LostCommitError):
        await work()
    async with superuser(urls) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.audit_events") == 0
    assert await whole(pools.api)


async def test_undoing_to_a_savepoint_keeps_the_context_and_a_dead_transaction_stays_dead(pools: Pools) -> None:
    async with act_as(pools, MEMBER, read_only=False) as session:
        before = await session.fetch_text(CONTEXT)
        await session.execute_text("SAVEPOINT here")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await session.fetch_text("SELECT 1 / 0")
        await session.undo_to("here")
        assert await session.fetch_text(CONTEXT) == before

    async def work() -> None:
        async with pools.api.acquire(), act_as(pools, MEMBER, limits=Limits(acquire_s=0.05)) as session:
            with suppress(PoolExhaustedError):
                await session.fetch_text(BACKEND)
            with pytest.raises(PoolExhaustedError):
                await session.undo_to("here")

    with pytest.raises(PoolExhaustedError):
        await work()


async def test_a_statement_takes_no_longer_than_its_limit(pools: Pools) -> None:
    started = time.monotonic()
    with pytest.raises(asyncpg.QueryCanceledError):
        async with act_as(pools, MEMBER, limits=Limits(statement_ms=50)) as session:
            await session.fetch_text("SELECT pg_sleep(5)")
    assert time.monotonic() - started < 1
    assert await whole(pools.api)


@pytest.mark.parametrize("kind", ["query", "change"])
async def test_waiting_for_a_connection_is_done_once_for_all_statements(pools: Pools, kind: str) -> None:
    async with pools.api.acquire():
        started = time.monotonic()

        async def work() -> None:
            async with act_as(pools, MEMBER, read_only=kind == "query", limits=Limits(acquire_s=0.1)) as session:
                reads = (session.fetch_text(sql) for sql in READS)
                results = await asyncio.gather(*reads, return_exceptions=True)
                assert {type(each) for each in results} == {PoolExhaustedError}

        with pytest.raises(PoolExhaustedError):
            await work()
        assert time.monotonic() - started < 0.4
    assert await whole(pools.api)


# ── something is left ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "leftover",
    ["SET ROLE app_admin", "SET app.organization_id = '1'", "SET app.user_id = '1'", "SET app.actor_id = '1'"],
)
@pytest.mark.parametrize("kind", ["query", "change"])
async def test_a_connection_on_which_something_is_left_is_closed(pools: Pools, leftover: str, kind: str) -> None:
    before = await pid_of(pools)
    with pytest.raises(asyncpg.InvalidTransactionStateError) if kind == "change" else nullcontext():
        async with act_as(pools, MEMBER, read_only=kind == "query") as session:
            await session.execute_text(leftover)
    assert await pid_of(pools, STRANGER) != before
    assert await whole(pools.api)


async def test_a_clean_connection_is_used_again(pools: Pools) -> None:
    assert await pid_of(pools) == await pid_of(pools, STRANGER)


async def end_normally(session: Session) -> None:
    """Leave the block although a statement still runs."""


async def end_by_error(session: Session) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("end", [end_normally, end_by_error])
async def test_a_forgotten_statement_is_stopped_and_takes_no_other_connection(
    urls: Urls, pools: Pools, end: Callable[[Session], Awaitable[None]]
) -> None:
    before = await pid_of(pools)
    with suppress(ZeroDivisionError):
        async with act_as(pools, MEMBER) as session:
            forgotten = [asyncio.ensure_future(session.fetch_text(f"SELECT pg_sleep({n})")) for n in (3, 4, 5)]
            await asyncio.sleep(0.05)
            await end(session)
    assert await busy(urls) == []
    results = await asyncio.gather(*forgotten, return_exceptions=True)
    assert [type(each) for each in results] == [asyncio.CancelledError, TransactionOverError, TransactionOverError]
    with pytest.raises(TransactionOverError):
        await session.fetch_text(READS[0])
    assert await pid_of(pools) == before
    assert await whole(pools.api)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("reads_on", [False, True])
async def test_a_change_on_record_is_on_the_disk_before_it_is_acknowledged(
    urls: Urls, others: int, reads_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plant(urls, 2)
    if others:
        beside_another(monkeypatch)
    async with superuser(urls) as connection:
        await connection.execute("SET synchronous_commit = on; CHECKPOINT")
        for role in ("minutebook_api", "minutebook_ingest"):  # the tests' own server would wait for nobody
            await connection.execute(
                f"ALTER ROLE {role} IN DATABASE {connection._params.database} SET synchronous_commit = on"
            )
        pools = await open_pools(urls, api_size=1, ingest_size=1)
        for _ in range(3):
            then = Session(pools, MEMBER, read_only=True, request_id="r", limits=Limits(), now=datetime.now(UTC))
            async with act_as(pools, MEMBER, read_only=False, then=then if reads_on else None) as session:
                [before] = await session.fetch_text("SELECT pg_current_wal_insert_lsn()::text")
                await session.commit_with(EVENT)
            assert await connection.fetchval("SELECT pg_current_wal_flush_lsn() > $1::text::pg_lsn", before[0])
            await then.finish(failed=False)
        await pools.close()
        texts = await connection.fetch("SELECT convert_from(payload, 'UTF8')::jsonb ->> 'text' FROM app.audit_payloads")
        assert [row[0] for row in texts] == ["'; DROP TABLE x; --"] * 3


async def test_a_change_waits_for_the_disk_with_the_chain_locked_only_where_no_other_of_its_organization_is_under_way(
    urls: Urls,
) -> None:
    await plant(urls, 2)
    pools = await open_pools(urls, api_size=3, ingest_size=1)

    async def ends(actor: Actor) -> str:
        """How the message ends a change of this actor's."""
        seen: list[str] = []
        async with act_as(pools, actor, read_only=False) as session:
            await session.fetch_text(BACKEND)
            await session.commit_with(EVENT)
            assert session._held is not None
            connection = session._held.connection
            connection.add_query_logger(note := lambda record: seen.append(record.query))
        await asyncio.sleep(0)  # the driver tells a little later
        connection.remove_query_logger(note)
        [message] = seen
        return "then flush" if message.endswith("pg_logical_emit_message(true, 'minutebook', '')") else "plainly"

    try:
        assert await ends(MEMBER) == "plainly"
        async with act_as(pools, STRANGER, read_only=False) as stranger, act_as(pools, MEMBER) as reader:
            await stranger.fetch_text(BACKEND)
            await reader.fetch_text(BACKEND)
            assert await ends(MEMBER) == "plainly"
        with suppress(ZeroDivisionError):
            async with act_as(pools, person(0, Role.ADMIN), read_only=False) as other:
                await other.fetch_text(BACKEND)
                assert await ends(MEMBER) == "then flush"
                raise ZeroDivisionError
        assert await ends(MEMBER) == "plainly"
        assert not sessions._under_way
    finally:
        await pools.close()


async def test_what_is_under_way_is_forgotten_however_it_ends(urls: Urls, pools: Pools) -> None:
    async def cut_off() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text("SELECT pg_sleep(3)")

    async def killed() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            [row] = await session.fetch_text(BACKEND)
            async with superuser(urls) as connection:
                await connection.execute("SELECT pg_terminate_backend($1, 2000)", row["pid"])

    async def never_begun() -> None:
        async with (
            pools.api.acquire(),
            act_as(pools, MEMBER, read_only=False, limits=Limits(acquire_s=0.05)) as session,
        ):
            await session.fetch_text(BACKEND)

    async def refused() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.commit_with([{"action": "no action at all"}])

    async def nothing() -> None:
        async with act_as(pools, MEMBER, read_only=False):
            pass

    for end in (cut_off, killed, never_begun, refused, nothing):
        task = asyncio.ensure_future(end())
        await asyncio.wait([task], timeout=0.3)
        task.cancel()
        await asyncio.wait([task])
        assert not sessions._under_way, end.__name__
    assert await whole(pools.api)


async def test_what_cannot_be_put_on_record_is_undone_and_the_connection_goes_on(urls: Urls, pools: Pools) -> None:
    before = await pid_of(pools)

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text("INSERT INTO app.ai_conversations (organization_id, user_id, title) VALUES ($1, $2, 'x')",
                                     MEMBER.organization_id, MEMBER.user_id)  # fmt: skip
            await session.commit_with([{"action": "no action at all"}])

    with pytest.raises(asyncpg.CheckViolationError):
        await work()
    async with superuser(urls) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.ai_conversations") == 0
    assert await pid_of(pools) == before
    assert await whole(pools.api)


async def test_a_forgotten_statement_of_a_change_is_a_lost_commit(pools: Pools) -> None:
    forgotten: list[asyncio.Future[Any]] = []

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            forgotten.append(asyncio.ensure_future(session.fetch_text("SELECT pg_sleep(3)")))
            await asyncio.sleep(0.05)

    with pytest.raises(LostCommitError):
        await work()
    await asyncio.wait(forgotten)
    assert await whole(pools.api)


@pytest.mark.parametrize("after_s", [0, 0.001, 0.003, 0.05])
async def test_a_cancelled_transaction_leaves_its_connection_clean(urls: Urls, pools: Pools, after_s: float) -> None:
    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            await asyncio.gather(session.fetch_text("SELECT pg_sleep(3)"), session.fetch_text(READS[0]))

    task = asyncio.ensure_future(work())
    await asyncio.sleep(after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await busy(urls) == []
    assert await whole(pools.api)


async def test_a_backend_that_no_longer_answers_holds_up_a_request_for_no_longer_than_the_end_may_take(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "END_TIMEOUT_S", 0.2)
    stopped = await pid_of(pools)
    os.kill(stopped, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), act_as(pools, MEMBER) as session:
                await session.fetch_text(BACKEND)
        assert time.monotonic() - started < 1
        assert await pid_of(pools) != stopped
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert await whole(pools.api)


@pytest.mark.parametrize("kind", ["query", "change"])
async def test_a_killed_backend_ends_its_transaction_alone(urls: Urls, pools: Pools, kind: str) -> None:

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=kind == "query") as session:
            [row] = await session.fetch_text(BACKEND)
            async with superuser(urls) as connection:
                await connection.execute("SELECT pg_terminate_backend($1, 2000)", row["pid"])
            with pytest.raises(CONNECTION_ERRORS):
                await session.fetch_text(READS[0])

    with pytest.raises((asyncpg.InterfaceError, LostCommitError)):
        await work()
    assert await whole(pools.api)


class OwnError(Exception):
    pass


@pytest.mark.parametrize("error", [OwnError, asyncio.CancelledError])
async def test_what_came_first_is_told_although_the_connection_is_lost_too(
    urls: Urls, pools: Pools, error: type[BaseException]
) -> None:

    async def work() -> None:
        async with act_as(pools, MEMBER, read_only=False) as session:
            [row] = await session.fetch_text(BACKEND)
            async with superuser(urls) as connection:
                await connection.execute("SELECT pg_terminate_backend($1, 2000)", row["pid"])
            with suppress(*CONNECTION_ERRORS):
                await session.fetch_text(READS[0])
            raise error

    with pytest.raises(error):
        await work()
    assert await whole(pools.api)


# ── two at once ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_two_transactions_that_take_turns_share_nothing(urls: Urls) -> None:
    await plant(urls, 2)
    pools = await open_pools(urls, api_size=2, ingest_size=1)
    try:
        async with act_as(pools, MEMBER) as ours, act_as(pools, STRANGER) as theirs:
            for _ in range(200):
                for sql in READS:
                    pair = await asyncio.gather(ours.fetch_text(sql), theirs.fetch_text(sql))
                    assert [{row["tag"] for row in rows} for rows in pair] == [
                        {MEMBER.organization_id},
                        {STRANGER.organization_id},
                    ]
            with pytest.raises(asyncpg.DivisionByZeroError):
                await ours.fetch_text("SELECT 1 / 0")
            assert await theirs.fetch_text(READS[0])
            assert ours.statements is not theirs.statements
            assert (len(ours.statements), len(theirs.statements)) == (1001, 1001)
        assert await whole(pools.api)
    finally:
        await pools.close()


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_is_planned_for_its_values_is_so_until_the_end_of_its_transaction_and_said_once(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode, sent, execute = "SELECT current_setting('plan_cache_mode')", list[str](), Session.execute_text

    async def counted(session: Session, sql: str) -> None:
        sent.append(sql)
        await execute(session, sql)

    monkeypatch.setattr(Session, "execute_text", counted)
    await plant(urls, 1)
    pools = await open_pools(urls, api_size=1, ingest_size=1)
    try:
        for times in (1, 2):
            async with act_as(pools, MEMBER) as session:
                [before] = await session.fetch_text(mode)
                await asyncio.gather(session.plan_for_values(), session.plan_for_values())
                [after] = await session.fetch_text(mode)
            assert (before[0], after[0]) == ("force_generic_plan", "force_custom_plan")
            assert len(sent) == times
    finally:
        await pools.close()
