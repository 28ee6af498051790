"""One operation against a database that is slow, full, gone or cancelled under it, and what it leaves behind."""

import asyncio
import gc
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.connection import Edge
from api.context import Context
from api.execution.slots import Group, Slot
from api.node import Node, global_id
from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Pools, Urls
from db.migrate import upgrade
from db.pool import Pool
from db.session import Session
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.steps import Steps
from tests.stories.small_world import HERE, IDS, plant
from tests.stories.story import document
from tests.storm import busy, whole

INBOX = document("01_inbox")
CALLS = document("16_recent_tool_calls")
ALICE = {"u": global_id("User", IDS["alice"])}
CHANGE = 'mutation{upsertProject(input:{name:"Cancelled"}){project{id name} userErrors{code}}}'
BOTH = "{conversations(first:1){edges{node{id}}} insights(first:1){edges{node{id}}}}"
LOCK = "BEGIN; LOCK TABLE app.ai_conversations IN ACCESS EXCLUSIVE MODE"
READ_EVENTS = "SELECT count(*) FROM app.audit_events WHERE action = 'payload.read'"
REQUEST_BACKENDS = (
    "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename IN ('minutebook_api', 'minutebook_ingest')"
)
SMALL: dict[str, Any] = {
    "EMBEDDER": "none",
    "POOL_SIZE": "2",
    "INGEST_POOL_SIZE": "1",
    "LIMIT_OPERATIONS_MINUTE": "1000000",
}


@pytest.fixture(scope="module")
async def planted(template: Urls) -> AsyncIterator[Urls]:
    """The small organization. Whoever spoils it mends it."""
    async with clone(template) as copy:
        await plant(copy, times=1)
        yield copy


def app_of(client: Client) -> Litestar:
    app: Any = client.http._transport.app  # type: ignore[attr-defined]
    assert isinstance(app, Litestar)
    return app


def pools_of(client: Client) -> Pools:
    pools: Pools = app_of(client).state["service"].running[1].pools
    return pools


@asynccontextmanager
async def started(urls: Urls, home: Path, **environment: str) -> AsyncIterator[Client]:
    """A client whose application knows alice and carol already, and must be whole at the end."""
    async with client_of(urls, home, **(SMALL | environment)) as client:
        for who in ("alice", "carol"):
            assert (await client.ask(INBOX, who)).data
        yield client
        assert await busy(urls) == []
        assert await whole(pools_of(client).api)
        assert await whole(pools_of(client).ingest)


async def sent(client: Client, token: str, query: str = BOTH) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await client.http.post("/graphql", json={"query": query}, headers=headers)


def is_unavailable(response: httpx.Response) -> bool:
    """503 as a whole: typed, with Retry-After, without data."""
    body = response.json()
    codes = [error["extensions"]["code"] for error in body["errors"]]
    return (response.status_code, codes, response.headers.get("retry-after"), "data" in body) == (
        503, ["UNAVAILABLE"], "1", False,
    )  # fmt: skip


# ── cancelled anywhere ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("times", [1, 2], ids=["once", "and again while it cleans up"])
@pytest.mark.parametrize(
    ("who", "query", "variables"),
    [("alice", INBOX, {}), ("carol", CALLS, ALICE), ("carol", CHANGE, {})],
    ids=["a page", "payloads", "a change"],
)
async def test_a_request_cancelled_at_any_await_point_leaves_nothing(
    planted: Urls, tmp_path: Path, who: str, query: str, variables: dict[str, Any], times: int
) -> None:
    async with started(planted, tmp_path) as client:
        for at in itertools.count(1):
            app_of(client).state["service"].running[0].forget(HERE)  # authentication is a step too
            steps = Steps(*range(at, at + times))
            answer = await steps.run(client.ask(query, who, **variables))
            assert await busy(planted) == []
            assert await whole(pools_of(client).api)
            if answer is not None and steps.count < at:
                assert answer.data
                break
        assert at > 5


# ── two at once ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_operations_that_take_turns_in_one_loop_share_nothing(planted: Urls, tmp_path: Path) -> None:
    asked = [("alice", INBOX, {}), ("carol", CALLS, ALICE), ("dave", CALLS, ALICE), ("service:northwind", CALLS, ALICE)]
    async with started(planted, tmp_path, POOL_SIZE="4", INGEST_POOL_SIZE="2") as client:
        alone = {who: await client.ask(query, who, **variables) for who, query, variables in asked}
        for _ in range(15):
            answers = await asyncio.gather(
                *(client.ask(query, who, **variables) for who, query, variables in asked * 2)
            )
            assert [answer.raw for answer in answers] == [alone[who].raw for who, *_ in asked * 2]
            contexts = list(client.seen)
            assert len(contexts) == len(answers)
            for name in ("session", "reads", "_loaders"):
                assert len({id(getattr(context, name)) for context in contexts}) == len(contexts)
            by_role = {context.actor.role: context for context in contexts}
            assert {role.value: bool(context.reads) for role, context in by_role.items()} == {
                "MEMBER": False, "ADMIN": True, "AUDITOR": True, "SERVICE": False,
            }  # fmt: skip
            for context in contexts:
                [who] = [who for who, *_ in asked if IDS.get(who) == context.actor.user_id]
                assert tuple(context.session.statements) == alone[who].statements


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_statement_that_takes_too_long_ends_all_of_its_operation(planted: Urls, tmp_path: Path) -> None:
    async with started(planted, tmp_path, STATEMENT_TIMEOUT_MS="100") as client:
        async with superuser(planted) as holder:
            await holder.execute(LOCK)
            answer = await client.ask(BOTH)
        assert answer.codes == ["TIMEOUT", "TIMEOUT"]
        assert len(answer.statements) == 1
        assert answer.body["data"] in (None, {"conversations": None, "insights": None})
        assert (await client.ask(BOTH)).data


async def test_an_operation_that_takes_too_long_is_stopped_as_a_whole(planted: Urls, tmp_path: Path) -> None:
    async with started(planted, tmp_path, OPERATION_TIMEOUT="0.2") as client:
        async with superuser(planted) as holder:
            await holder.execute(LOCK)
            began = time.monotonic()
            answer = await client.ask(BOTH)
            assert time.monotonic() - began < 1
            assert await busy(planted) == []  # although the lock is still held
        assert (answer.status, answer.codes, "data" in answer.body) == (504, ["TIMEOUT"], False)
        assert (await client.ask(BOTH)).data


# ── no connection to be had ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_full_pool_is_503_in_time_bad_tokens_are_still_401_and_then_all_goes_on(
    planted: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquired: list[object] = []
    take = Pool.take

    def counted(pool: Pool, **how: Any) -> Any:
        acquired.append(pool)
        return take(pool, **how)

    async with started(planted, tmp_path, POOL_TIMEOUT="1") as client:
        pool = pools_of(client).api
        async with pool.acquire(), pool.acquire():
            began = time.monotonic()
            waiting = [asyncio.ensure_future(sent(client, client.token(who), INBOX)) for who in ("alice", "bob") * 3]
            await asyncio.sleep(0.05)
            with monkeypatch.context() as patch:
                patch.setattr(Pool, "take", counted)
                for bad in ("x", client.token("alice")[:-2], "a.b.c"):
                    refused = await sent(client, bad)
                    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
                        401,
                        "UNAUTHENTICATED",
                    )
                assert acquired == []
            assert time.monotonic() - began < 1
            responses = await asyncio.gather(*waiting)
            assert time.monotonic() - began < 1.5
        assert [is_unavailable(response) for response in responses] == [True] * 6
        began = time.monotonic()
        again = await asyncio.gather(*(sent(client, client.token("alice")) for _ in range(12)))
        assert {response.status_code for response in again} == {200}
        assert time.monotonic() - began < 1


async def test_requests_wait_for_a_connection_that_becomes_free_in_time(planted: Urls, tmp_path: Path) -> None:
    async with started(planted, tmp_path, POOL_TIMEOUT="2") as client:
        pool = pools_of(client).api
        async with pool.acquire(), pool.acquire():
            waiting = [asyncio.ensure_future(client.ask(BOTH)) for _ in range(12)]
            await asyncio.sleep(0.1)
        assert [(await each).status for each in waiting] == [200] * 12


async def test_a_killed_backend_is_unavailable_and_the_next_request_works(planted: Urls, tmp_path: Path) -> None:
    async with started(planted, tmp_path) as client, superuser(planted) as killer:
        async with superuser(planted) as holder:
            await holder.execute(LOCK)
            waiting = asyncio.ensure_future(sent(client, client.token("alice")))
            await asyncio.sleep(0.1)
            await killer.execute(REQUEST_BACKENDS)
            assert is_unavailable(await waiting)
        assert (await client.ask(BOTH)).data
        await killer.execute(REQUEST_BACKENDS)  # idle ones, unnoticed
        assert (await client.ask(BOTH)).data


async def test_the_application_survives_a_restart_of_its_database(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "server", is_durable=False)
    with server:
        urls = await bootstrap(server.bootstrap_url, database="minutebook", credentials=server.credentials)
        await upgrade(urls)
        await plant(urls, times=1)
        async with started(urls, tmp_path / "api") as client:
            before = await client.ask(INBOX)
            assert (await client.http.get("/health/ready")).status_code == 200
            server.stop()
            assert is_unavailable(await sent(client, client.token("alice")))
            assert is_unavailable(await sent(client, client.token("bob")))  # who is not known yet
            ready = await client.http.get("/health/ready")
            assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
            assert "@" not in ready.text
            assert (await client.http.get("/health/live")).status_code == 200
            server.start()
            assert (await client.ask(INBOX)).raw == before.raw
            assert (await client.http.get("/health/ready")).json()["status"] == "ready"


# ── something is left ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_role_left_on_a_connection_ends_that_connection_and_not_the_next_request(
    planted: Urls, tmp_path: Path
) -> None:
    async with started(planted, tmp_path, POOL_SIZE="1") as client, superuser(planted) as connection:
        begin = await connection.fetchval("SELECT pg_get_functiondef('app.begin_request'::regproc)")
        async with pools_of(client).api.acquire() as held:
            before = held.get_server_pid()
        await connection.execute(begin.replace("SET LOCAL ROLE", "SET ROLE"))
        assert (await client.ask(BOTH)).data
        await connection.execute(begin)
        assert (await client.ask(BOTH)).data
        async with pools_of(client).api.acquire() as held:
            assert held.get_server_pid() != before


# ── reads on record ──────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_read_is_on_record_before_its_answer_leaves(planted: Urls, tmp_path: Path) -> None:
    async with started(planted, tmp_path) as client, superuser(planted) as connection:
        app, counted = app_of(client), []

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            async def leaving(message: Any) -> None:
                if message["type"] == "http.response.start":
                    counted.append(await connection.fetchval(READ_EVENTS))
                await send(message)

            await app(scope, receive, leaving)

        before = await connection.fetchval(READ_EVENTS)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=watched), base_url="http://minutebook.test"
        ) as http:
            for who in ("carol", "dave", "alice"):
                headers = {"Authorization": f"Bearer {client.token(who)}"}
                response = await http.post("/graphql", json={"query": CALLS, "variables": ALICE}, headers=headers)
                assert "LATE" in response.text
        assert counted == [before + 1, before + 2, before + 2]  # one's own are not on record


async def test_what_cannot_be_put_on_record_is_not_shown(planted: Urls, tmp_path: Path) -> None:
    roles = "app_member, app_observer, app_admin, app_auditor, app_service"
    both = "app.audit_append(jsonb), app.audit_append_one(text, text, uuid, jsonb)"
    async with started(planted, tmp_path) as client, superuser(planted) as connection:
        await connection.execute(f"REVOKE EXECUTE ON FUNCTION {both} FROM {roles}")
        try:
            answer = await client.ask(CALLS, "carol", **ALICE)
            assert (answer.status, answer.codes, "data" in answer.body) == (503, ["UNAVAILABLE"], False)
            assert b"LATE" not in answer.raw
            assert (await client.ask(CALLS, "alice", **ALICE)).data
        finally:
            await connection.execute(f"GRANT EXECUTE ON FUNCTION {both} TO {roles}")
        assert (await client.ask(CALLS, "carol", **ALICE)).data


# ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_database_at_another_migration_is_not_ready(urls: Urls, tmp_path: Path, client: Client) -> None:
    assert (await client.http.get("/health/ready")).status_code == 200
    async with superuser(urls) as connection:
        await connection.execute("UPDATE app.alembic_version SET version_num = 'another'")
    ready = await client.http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert "database another" in ready.json()["migrations"]
    assert (await client.http.get("/health/live")).json() == {"status": "live"}


async def test_a_database_that_goes_away_between_two_looks_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr("api.app.head_is", gone)
    assert (await client.http.get("/health/ready")).status_code == 503


async def test_an_operation_leaves_nothing_that_only_the_collector_would_free(ask_world: Client) -> None:
    """What stands in circles stays until enough of it has gathered, and then everybody waits for the collector."""
    text = "{ %s: conversations(first: 5) { edges { cursor node { id messages(first: 5) { edges { node { id myFeedback { rating } } } } } } } }"
    compiled, by_slots = text % "again", text % "once"
    kinds = (Context, Session, Node, Edge, Group, Slot)
    for _ in range(2):
        await ask_world.ask(compiled)
    ask_world.seen.clear()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for question in (compiled, by_slots):
            await ask_world.ask(question)
        ask_world.seen.clear()
        gc.collect()
        assert [type(each).__name__ for each in gc.garbage if isinstance(each, kinds)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
