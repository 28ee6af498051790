"""BEGIN goes out with the first statement: one round trip, and nothing of a statement where it did not begin."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db import pool as pools_of_ours
from db.ahead import Ahead
from db.engine import Pools, Urls
from db.pool import Pool
from db.session import Limits, act_as
from db.types import Role
from tests.databases import superuser
from tests.storm import READS, busy, person, planted_pools, whole

MEMBER, STRANGER = person(0, Role.MEMBER), person(1, Role.MEMBER)
INSERT = "INSERT INTO app.ai_conversations (organization_id, user_id, title) VALUES ($1, $2, 'x') RETURNING id"
COUNT = "SELECT count(*) FROM app.ai_conversations"


@pytest.fixture
async def pools(urls: Urls) -> AsyncIterator[Pools]:
    async with planted_pools(urls) as pools:
        yield pools


async def end_active(urls: Urls, how: str) -> None:
    """Cancel or terminate what the login of requests runs just now."""
    async with superuser(urls) as connection:
        ended = await connection.fetch(
            f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = 'minutebook_api' AND state = 'active'"
        )
    assert len(ended) == 1


# ── the logins by themselves ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("login", ["minutebook_api", "minutebook_ingest"])
async def test_a_login_that_took_on_no_role_may_read_and_write_nothing(urls: Urls, login: str) -> None:
    relations = """
        SELECT relname, has_any_column_privilege($1, oid, 'SELECT') AS is_read,
            has_any_column_privilege($1, oid, 'INSERT, UPDATE') OR has_table_privilege($1, oid, 'DELETE, TRUNCATE') AS is_written
        FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"""
    functions = """
        SELECT proname FROM pg_proc WHERE pronamespace = 'app'::regnamespace
            AND has_function_privilege($1, oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE')"""
    async with superuser(urls) as connection:
        rows = await connection.fetch(relations, login)
        names = {each["proname"] for each in await connection.fetch(functions, login)}
    assert len(rows) > 30
    assert [row["relname"] for row in rows if row["is_written"]] == []
    assert [row["relname"] for row in rows if row["is_read"]] == ["alembic_version"]  # which schema this is
    assert names == {f"authenticate{'' if login == 'minutebook_api' else '_service'}", "begin_request", "assert_clean"}


@pytest.mark.parametrize("read_only", [True, False])
async def test_a_statement_whose_begin_was_refused_does_nothing_and_says_why(
    urls: Urls, pools: Pools, *, read_only: bool
) -> None:
    async with superuser(urls) as connection:
        await connection.execute("REVOKE EXECUTE ON FUNCTION app.begin_request FROM minutebook_api")
    for sql, arguments in ((INSERT, (MEMBER.organization_id, MEMBER.user_id)), (READS[0], ()), ("SELECT 1", ())):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="begin_request"):
            async with act_as(pools, MEMBER, read_only=read_only) as session:
                await session.fetch_text(sql, *arguments)
        assert session.statements == []
    async with superuser(urls) as connection:
        assert await connection.fetchval(COUNT) == 0
        await connection.execute("GRANT EXECUTE ON FUNCTION app.begin_request TO minutebook_api")
    assert await whole(pools.api)
    async with act_as(pools, STRANGER) as session:
        assert {row["tag"] for row in await session.fetch_text(READS[0])} == {STRANGER.organization_id}


@pytest.mark.parametrize("sql", [INSERT, READS[0], "SELECT 1"])
async def test_a_statement_whose_begin_never_began_does_nothing_and_says_why(
    urls: Urls, pools: Pools, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a cancellation had come just then: the message is over before BEGIN, and the login stands alone.
    monkeypatch.setattr("db.session.begin_sql", lambda *_, **__: "SELECT 1 / 0")
    arguments = (MEMBER.organization_id, MEMBER.user_id) if sql == INSERT else ()
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with act_as(pools, MEMBER, read_only=False) as session:
            await session.fetch_text(sql, *arguments)
    async with superuser(urls) as connection:
        assert await connection.fetchval(COUNT) == 0
    assert await whole(pools.api)


# ── one round trip ───────────────────────────────────────────────────────────────────────────────────────────────────
async def test_begin_and_the_first_statement_are_on_the_wire_before_anything_is_answered(
    pools: Pools, messages: list[str]
) -> None:
    async with act_as(pools, MEMBER) as session:
        await session.fetch_text(READS[0])
    async with act_as(pools, STRANGER) as session:
        asked = asyncio.ensure_future(session.fetch_text(READS[0]))
        await asyncio.sleep(0)
        assert len(messages) == 2
        held: Any = session._held
        assert not held.ahead.is_answered
        with pytest.raises(asyncpg.InterfaceError, match="another operation is in progress"):
            await held.connection.execute("SELECT 1")  # the driver has sent its own
        assert {row["tag"] for row in await asked} == {STRANGER.organization_id}
        assert held.ahead.is_answered
        await session.fetch_text(READS[1])
    assert [each.split(";")[0] for each in messages] == ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "COMMIT"]


async def test_where_the_drivers_wire_is_not_found_begin_goes_out_alone(
    urls: Urls, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setattr(Ahead, "of", lambda _: None)
    async with planted_pools(urls) as pools:
        async with act_as(pools, STRANGER) as session:
            assert {row["tag"] for row in await session.fetch_text(READS[0])} == {STRANGER.organization_id}
        assert await whole(pools.api)
    assert messages == []


# ── what goes wrong meanwhile ────────────────────────────────────────────────────────────────────────────────────────
async def test_an_argument_that_the_driver_refuses_leaves_the_connection_in_order(pools: Pools) -> None:
    async with act_as(pools, MEMBER) as session:
        await session.fetch_text("SELECT $1::int", 1)
    async with act_as(pools, MEMBER) as session:
        with pytest.raises(asyncpg.DataError):
            await session.fetch_text("SELECT $1::int", "one")  # prepared: it is refused before it is sent
    assert await whole(pools.api)
    async with act_as(pools, STRANGER) as session:
        assert {row["tag"] for row in await session.fetch_text(READS[0])} == {STRANGER.organization_id}


async def test_what_was_cancelled_on_a_connection_before_is_not_taken_for_begins_answer(
    pools: Pools, messages: list[str]
) -> None:
    async def asleep(timeout_s: float | None) -> None:
        async with pools.api.acquire() as connection:
            await connection.execute("SELECT pg_sleep(3)", timeout=timeout_s)

    for end in ("too late", "cancelled"):
        task = asyncio.ensure_future(asleep(0.05 if end == "too late" else None))
        await asyncio.sleep(0.04)
        if end == "cancelled":
            task.cancel()
        with pytest.raises((TimeoutError, asyncio.CancelledError)):
            await task
        messages.clear()  # the driver is cancelling still: BEGIN waits for that, and goes out alone
        async with act_as(pools, STRANGER) as session:
            assert {row["tag"] for row in await session.fetch_text(READS[0])} == {STRANGER.organization_id}
        assert messages == []
    assert await whole(pools.api)


async def test_a_transport_that_is_closed_already_is_a_lost_connection() -> None:
    def closed(_: bytes) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")

    wire = Wire()
    wire.write = closed  # type: ignore[method-assign,assignment]
    with pytest.raises(ConnectionResetError):
        wire.ahead.send("BEGIN")


@pytest.mark.parametrize("place", ["begin", "statement"])
@pytest.mark.parametrize("end", ["cancelled", "too late", "killed"])
async def test_a_request_that_ends_while_begin_or_its_statement_runs_leaves_nothing(
    urls: Urls, pools: Pools, place: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT 1 AS one"
    if place == "begin":
        begin = "BEGIN; SELECT pg_sleep(0.5)"
        monkeypatch.setattr("db.session.begin_sql", lambda *_, **__: begin)
    else:
        sql = "SELECT 1 AS one, pg_sleep(0.5)"

    async def work() -> Any:
        limits = Limits(statement_ms=50 if end == "too late" and place == "statement" else 5_000)
        async with act_as(pools, MEMBER, limits=limits) as session:
            return await session.fetch_text(sql)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.1)
    if end == "cancelled":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    elif end == "killed":
        await end_active(urls, "terminate")
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
            await task
    elif place == "statement":
        with pytest.raises(asyncpg.QueryCanceledError):
            await task
    else:
        await end_active(urls, "cancel")
        with pytest.raises(asyncpg.QueryCanceledError):
            await task
    monkeypatch.undo()
    assert await busy(urls) == []
    assert await whole(pools.api)
    async with act_as(pools, STRANGER) as session:
        assert {row["tag"] for row in await session.fetch_text(READS[0])} == {STRANGER.organization_id}


async def test_a_statement_that_ends_its_backend_is_not_run_again_on_another(
    urls: Urls, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setattr(pools_of_ours, "OPEN_S", 60.0)
    async with planted_pools(urls, api_size=2) as pools:
        async with act_as(pools, MEMBER) as one, act_as(pools, MEMBER) as two:
            await asyncio.gather(one.fetch_text("SELECT 1"), two.fetch_text("SELECT 1"))
        assert len(messages) == 2

        async def work() -> None:
            async with act_as(pools, MEMBER) as session:
                await session.fetch_text("SELECT pg_sleep(1)")

        task = asyncio.ensure_future(work())
        await asyncio.sleep(0.1)
        await end_active(urls, "terminate")
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
            await task
        assert len(messages) == 3
        assert await whole(pools.api)


async def test_a_connection_lost_while_nobody_had_it_is_not_the_next_callers_matter(
    urls: Urls, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setattr(pools_of_ours, "OPEN_S", 0.001)
    send = Ahead.send

    def lost(ahead: Ahead, sql: str) -> None:
        send(ahead, sql)
        if len(messages) in losses:
            ahead._transport.abort()

    monkeypatch.setattr(Ahead, "send", lost)
    async with planted_pools(urls) as pools:
        losses = {2, 4}
        for _ in range(2):  # the second message is the first connection's second, the third another connection's
            async with act_as(pools, MEMBER) as session:
                assert {row["tag"] for row in await session.fetch_text(READS[0])} == {MEMBER.organization_id}
            await asyncio.sleep(0.05)
        assert len(messages) == 3
        assert session.statements == [READS[0]]
        losses = {4, 5, 6, 7}
        with pytest.raises((asyncpg.ConnectionDoesNotExistError, OSError)):  # the fifth is a new connection's
            async with act_as(pools, MEMBER) as session:
                await session.fetch_text(READS[0])
        assert len(messages) == 5
        losses = set()
        assert await whole(pools.api)


# ── the wire alone ───────────────────────────────────────────────────────────────────────────────────────────────────
class Wire:
    """A transport and a driver that keep what they are given."""

    def __init__(self) -> None:
        self.sent = self.received = b""
        self.protocol: Any = self
        self.ahead: Any = Ahead(self, self)

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        self.sent += data

    def data_received(self, data: bytes) -> None:
        self.received += data

    def _is_cancelling(self) -> bool:
        return False


def message(kind: str, text: bytes = b"") -> bytes:
    return kind.encode() + (len(text) + 4).to_bytes(4, "big") + text


DONE = message("C", b"COMMIT\0") + message("C", b"BEGIN\0") + message("T", b"Z\0\0\0\5I") + message("D", b"E\0\0\0\5")
READY = message("Z", b"T")
ERROR = message("E", b"SERROR\0C42501\0Mpermission denied for function begin_request\0\0") + message("Z", b"E")
NEXT = message("2") + message("D", b"row") + message("C", b"SELECT 1\0") + READY
NOTICE = message("N", b"SNOTICE\0C00000\0Mhello\0\0")


@pytest.mark.parametrize("size", range(1, 40))
@pytest.mark.parametrize("first", [DONE + READY, DONE + NOTICE + READY, DONE + ERROR], ids=["done", "told", "failed"])
def test_an_answer_is_taken_off_the_wire_however_it_is_cut(first: bytes, size: int) -> None:
    wire = Wire()
    for _ in range(3):
        wire.received, wire.sent = b"", b""
        wire.ahead.send("BEGIN")
        assert wire.sent == message("Q", b"BEGIN\0")
        assert wire.protocol is wire.ahead
        data = first + NEXT
        for at in range(0, len(data), size):
            wire.protocol.data_received(data[at : at + size])
        assert wire.received == (NOTICE if NOTICE in first else b"") + NEXT
        assert wire.protocol is wire
        assert wire.ahead.is_answered
        assert (wire.ahead.failure is not None) == (ERROR in first)


@pytest.mark.parametrize("cut", [0, 7])
def test_an_answer_like_the_last_one_is_looked_at_no_less(cut: int) -> None:
    wire = Wire()
    told = DONE + NOTICE + READY
    for first in (DONE + READY, DONE + READY, DONE + ERROR, DONE + ERROR, told, told, DONE + READY):
        wire.received = b""
        wire.ahead.send("BEGIN")
        for part in (first[:cut], first[cut:]):
            if part:
                wire.protocol.data_received(part)
        wire.protocol.data_received(NEXT)
        assert wire.received == (NOTICE if first is told else b"") + NEXT
        assert isinstance(wire.ahead.failure, asyncpg.InsufficientPrivilegeError) == (ERROR in first)


def test_a_row_that_holds_what_an_answer_says_is_no_answer() -> None:
    wire = Wire()
    row = message("D", DONE + READY)
    for parts in ([DONE + READY], [row[:5], row[5:], READY + NEXT]):
        wire.ahead.send("BEGIN")
        for part in parts:
            wire.protocol.data_received(part)
    assert wire.received == NEXT


async def test_the_pools_connections_have_a_wire_that_is_known(pools: Pools) -> None:
    """Transport and driver are no public parts of asyncpg: where a version of it has others, this says so."""
    pool: Pool = pools.api
    held = await pool.take()
    assert held.ahead is not None
    pool.give_back(held)
