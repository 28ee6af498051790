"""Stories of admin and auditor: tool calls, their use, and the proof of the log; D2's three sample queries."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import superuser
from tests.stories.small_world import HERE, IDS, plant
from tests.stories.story import ask, document, is_batched, is_refused, nodes

TASKLINE = "00000001-0003-4000-8000-000000000001"
INES, JON = (f"00000002-0003-4000-8000-{number:012}" for number in (1, 2))
NOW = datetime.now(UTC)
WEEK = {"f": (NOW - timedelta(days=7)).isoformat(), "t": (NOW + timedelta(hours=1)).isoformat()}
QUARTER_AGO = NOW - timedelta(days=91)
ALICE = global_id("User", IDS["alice"])


# ── 16 A user's recent tool calls ────────────────────────────────────────────────────────────────────────────────────
async def test_a_foreign_users_tool_calls_are_an_empty_list_like_an_invented_ones(ask_world: Client) -> None:
    invented = "01940000-0000-7000-8000-00000000beef"
    answers = [
        await ask(ask_world, "16_recent_tool_calls", who, u=global_id("User", user))
        for who in ("carol", "dave")
        for user in (INES, invented)
    ]
    assert {answer.raw for answer in answers} == {b'{"data":{"toolCalls":{"edges":[]}}}'}


async def test_a_member_asking_for_another_user_sees_an_empty_list(ask_world: Client) -> None:
    assert (await ask(ask_world, "16_recent_tool_calls", "ines", u=global_id("User", JON))).data == {
        "toolCalls": {"edges": []}
    }
    own = nodes((await ask(ask_world, "16_recent_tool_calls", "ines", u=global_id("User", INES))).data["toolCalls"])
    assert len(own) == 20
    assert {(node["recordedEvent"], node["completedEvent"]) for node in own} == {(None, None)}
    assert is_refused(await ask(ask_world, "16_recent_tool_calls", "olga", u=ALICE), "toolCalls", "FORBIDDEN")


@pytest.mark.parametrize("who", ["jon", "vera"])
async def test_admin_and_auditor_see_a_users_calls_with_the_events_that_prove_them(
    ask_world: Client, world: Urls, who: str
) -> None:
    found = nodes((await ask(ask_world, "16_recent_tool_calls", who, u=global_id("User", INES))).data["toolCalls"])
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT c.id, coalesce(o.status, 'PENDING') AS status, r.seq::text AS recorded, encode(r.hash, 'hex') AS hash,"
            " d.seq::text AS completed FROM app.tool_calls c LEFT JOIN app.tool_call_outcomes o ON o.tool_call_id = c.id"
            " LEFT JOIN app.audit_events r ON r.target_id = c.id AND r.action = 'tool_call.recorded'"
            " LEFT JOIN app.audit_events d ON d.target_id = c.id AND d.action = 'tool_call.completed'"
            " WHERE c.user_id = $1 ORDER BY c.timestamp DESC, c.id DESC LIMIT 20",
            INES,
        )
    assert [
        (node["id"], node["status"], node["recordedEvent"]["seq"], node["recordedEvent"]["hash"],
         (node["completedEvent"] or {}).get("seq"))
        for node in found
    ] == [(global_id("ToolCall", row[0]), *row[1:]) for row in rows]  # fmt: skip
    assert {node["errorDetails"] is None for node in found if node["status"] != "ERROR"} == {True}


async def test_a_call_that_has_not_ended_has_taken_no_time_yet(ask_world: Client) -> None:
    answer = await ask_world.ask("{toolCalls(filter:{status:[PENDING]}){edges{node{completedAt durationMs}}}}", "vera")
    found = nodes(answer.data["toolCalls"])
    assert found
    assert all(node == {"completedAt": None, "durationMs": None} for node in found)


async def test_reading_payloads_of_tool_calls_is_on_record_for_who_reads_others(urls: Urls, tmp_path: Path) -> None:
    await plant(urls, times=1)
    async with client_of(urls, tmp_path, EMBEDDER="none") as client, superuser(urls) as connection:
        for who in ("alice", "carol", "dave", "service:northwind"):
            found = nodes((await ask(client, "16_recent_tool_calls", who, u=ALICE)).data["toolCalls"])
            assert {node["errorDetails"]["code"] for node in found} == {"LATE"}
        assert "errors" not in (await ask(client, "17_tool_usage", "carol", **WEEK)).body
        rows = await connection.fetch(
            "SELECT actor_id, actor_role FROM app.audit_events WHERE action = 'payload.read' ORDER BY seq"
        )
    assert [tuple(row) for row in rows] == [(IDS["carol"], "ADMIN"), (IDS["dave"], "AUDITOR")]


async def test_tool_calls_are_three_statements_whatever_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    text = document("16_recent_tool_calls")
    stated: dict[str, tuple[str, ...]] = {}
    for who, worldly in (("carol", "jon"), ("dave", "vera"), ("alice", "ines")):
        answers = [
            await client.ask(text.replace("first:20", f"first:{size}"), who, u=ALICE)
            for client in (ask_small, ask_tenfold)
            for size in (1, 20, 100)
        ]
        assert [len(nodes(answer.data["toolCalls"])) for answer in answers] == [1, 20, 20, 1, 20, 100]
        assert {answer.statements for answer in answers} == {answers[0].statements}
        stated[who] = answers[0].statements
        world = await ask(ask_world, "16_recent_tool_calls", worldly, u=global_id("User", INES))
        assert is_batched(world.statements, stated[who])
    assert [len(each) for each in stated.values()] == [3, 3, 2]
    ran("16_recent_tool_calls", stated)


# ── 17 Tool usage ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("who", "scope"), [("ines", INES), ("jon", None), ("vera", None), ("service:taskline", None)])
async def test_tool_usage_counts_the_calls_that_the_caller_may_see(
    ask_world: Client, world: Urls, who: str, scope: str | None
) -> None:
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT c.tool_name, count(*)::text, (count(*) FILTER (WHERE o.status = 'ERROR'))::text FROM app.tool_calls c"
            " LEFT JOIN app.tool_call_outcomes o ON o.tool_call_id = c.id"
            " WHERE c.organization_id = $1 AND c.timestamp >= $2 AND c.timestamp < $3 AND ($4::uuid IS NULL OR c.user_id = $4)"
            " GROUP BY 1 ORDER BY count(*) DESC, 1",
            TASKLINE, *(datetime.fromisoformat(WEEK[name]) for name in ("f", "t")), scope,
        )  # fmt: skip
    found = (await ask(ask_world, "17_tool_usage", who, **WEEK)).data["toolUsage"]
    assert [(each["toolName"], each["count"], each["errors"]) for each in found] == [tuple(row) for row in rows]
    assert found


async def test_an_observer_may_not_see_tool_usage(ask_world: Client) -> None:
    assert is_refused(await ask(ask_world, "17_tool_usage", "olga", **WEEK), "toolUsage", "FORBIDDEN")


@pytest.mark.parametrize("story", ["17_tool_usage", "d2_usage_by_tool"])
async def test_tool_usage_is_one_statement_whatever_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, story: str, ran: Callable[..., None]
) -> None:
    answers = [await ask(client, story, "dave", **WEEK) for client in (ask_small, ask_tenfold, ask_world)]
    assert {answer.statements for answer in answers} == {answers[0].statements}
    assert len(answers[0].statements) == 1
    assert len(answers[0].data["toolUsage"]) == 5
    ran(story, {"dave": answers[0].statements})


# ── D2 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_d2_asks_for_a_users_recent_calls_in_one_operation(ask_world: Client, world: Urls) -> None:
    found = nodes((await ask(ask_world, "d2_recent_calls", "jon", u=global_id("User", INES))).data["toolCalls"])
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT id, tool_name, tool_params::text, result::text, ai_confidence FROM app.tool_call_logs"
            " WHERE user_id = $1 ORDER BY timestamp DESC, id DESC LIMIT 20",
            INES,
        )
    expected = [
        (global_id("ToolCall", row[0]), row[1], *(each and json.loads(each) for each in row[2:4]), row[4])
        for row in rows
    ]
    assert [
        tuple(node[name] for name in ("id", "toolName", "params", "result", "aiConfidence")) for node in found
    ] == expected
    assert all(node["params"] for node in found)


async def test_d2_finds_every_failed_operation(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT id FROM app.tool_call_logs WHERE organization_id = $1 AND lower(status) = 'error' AND timestamp >= $2"
            " ORDER BY timestamp DESC, id DESC",
            TASKLINE, QUARTER_AGO,
        )  # fmt: skip
    found: list[str] = []
    after, has_next = None, True
    while has_next:
        page = (await ask(ask_world, "d2_failed_operations", "vera", f=QUARTER_AGO.isoformat(), after=after)).data[
            "toolCalls"
        ]
        assert page["totalCount"] == {"value": len(rows), "isEstimate": False}
        assert all(node["errorDetails"] for node in nodes(page))
        found += [node["id"] for node in nodes(page)]
        after, has_next = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert len(rows) > 100
    assert found == [global_id("ToolCall", row[0]) for row in rows]


async def test_d2_queries_run_the_same_statements_whatever_the_rows(
    ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    for story, variables in (
        ("d2_recent_calls", {"u": ALICE}),
        ("d2_failed_operations", {"f": QUARTER_AGO.isoformat()}),
    ):
        answers = [await ask(client, story, "carol", **variables) for client in (ask_small, ask_tenfold)]
        assert answers[0].statements == answers[1].statements
        assert "errors" not in answers[0].body
        ran(story, {"carol": answers[0].statements})


# ── 18 Prove the log ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", ["ines", "olga", "service:taskline"])
async def test_who_is_neither_admin_nor_auditor_may_not_verify(ask_world: Client, who: str) -> None:
    answer = await ask(ask_world, "18_prove_the_log", who)
    assert is_refused(answer, "verifyAuditChain", "FORBIDDEN")


@pytest.mark.parametrize(("who", "organization"), [("dave", HERE), ("vera", TASKLINE)])
async def test_the_demo_worlds_chain_verifies(ask_world: Client, world: Urls, who: str, organization: str) -> None:
    async with superuser(world) as connection:
        head = await connection.fetchrow(
            "SELECT seq, encode(hash, 'hex') AS hash FROM app.audit_heads WHERE organization_id = $1", organization
        )
    found = (await ask(ask_world, "18_prove_the_log", who, b=str(head["seq"]))).data["verifyAuditChain"]
    assert found == {
        "ok": True, "verdict": "OK", "checked": str(head["seq"]), "fromSeq": "1", "toSeq": str(head["seq"]),
        "headHash": head["hash"], "firstBrokenSeq": None, "reason": None,
    }  # fmt: skip


async def test_a_stretch_of_the_chain_can_be_verified(ask_small: Client) -> None:
    found = (await ask(ask_small, "18_prove_the_log", "dave", a="5", b=9)).data["verifyAuditChain"]
    assert (found["verdict"], found["checked"], found["fromSeq"], found["toSeq"]) == ("OK", "5", "5", "9")


# What a superuser may do, the seq that is named, and how it is undone. 5 is a call that was recorded.
CALL = "(SELECT target_id FROM app.audit_events WHERE seq = 5)"
OUTCOME = "(SELECT target_id FROM app.audit_events WHERE seq = 25)"
FORGERIES = {
    "an event is edited": (5, "UPDATE app.audit_events SET action = 'x.y' WHERE seq = 5"),
    "an event gets another time": (
        7,
        "UPDATE app.audit_events SET occurred_at = occurred_at + interval '1 microsecond' WHERE seq = 7",
    ),
    "a read's details are edited": (41, "UPDATE app.audit_payloads SET payload = payload || ' '"),
    "a read's details are deleted": (41, "DELETE FROM app.audit_payloads"),
    "a tool call is edited": (
        5,
        f"UPDATE app.tool_calls SET tool_name = 'tool_1', ai_confidence = 0.5 WHERE id = {CALL}",
    ),
    "a call's payload is edited": (
        5,
        f"UPDATE app.tool_call_payloads SET payload = '{{}}' WHERE tool_call_id = {CALL} AND part = 'CALL'",
    ),
    "a call's payload is deleted": (
        5,
        f"DELETE FROM app.tool_call_payloads WHERE tool_call_id = {CALL} AND part = 'CALL'",
    ),
    "an outcome is edited": (
        25,
        f"UPDATE app.tool_call_outcomes SET status = 'SUCCESS' WHERE tool_call_id = {OUTCOME}",
    ),
    "an outcome is deleted": (25, f"DELETE FROM app.tool_call_outcomes WHERE tool_call_id = {OUTCOME}"),
    "a row in the middle is deleted": (9, "DELETE FROM app.audit_events WHERE seq = 9"),
    "the first row is deleted": (1, "DELETE FROM app.audit_events WHERE seq = 1"),
    "the tail is cut": (40, "DELETE FROM app.audit_events WHERE seq >= 40"),
}


async def test_what_a_superuser_forges_is_found_at_its_seq(urls: Urls, tmp_path: Path) -> None:
    await plant(urls, times=1)
    async with client_of(urls, tmp_path, EMBEDDER="none") as client, superuser(urls) as connection:
        await ask(client, "16_recent_tool_calls", "carol", u=ALICE)  # event 41: a read with details
        assert await connection.fetchval("SELECT max(seq) FROM app.audit_events") == 41
        for table in (*TABLES, "audit_payloads", "tool_call_payloads"):  # guards and foreign keys
            await connection.execute(f"ALTER TABLE app.{table} DISABLE TRIGGER ALL")
        for name, (seq, sql) in FORGERIES.items():
            async with undone(connection, sql):
                found = (await ask(client, "18_prove_the_log", "dave")).data["verifyAuditChain"]
                assert (name, found["ok"], found["verdict"], found["firstBrokenSeq"]) == (
                    name,
                    False,
                    "TAMPERED",
                    str(seq),
                )
                assert str(seq) in found["reason"]
            again = (await ask(client, "18_prove_the_log", "dave")).data["verifyAuditChain"]
            assert (name, again["verdict"], again["checked"]) == (name, "OK", "41")


@asynccontextmanager
async def undone(connection: Any, sql: str) -> AsyncIterator[None]:
    """Run one UPDATE or DELETE, and put the table back as it was afterwards."""
    words = sql.split()
    table = words[1] if words[0] == "UPDATE" else words[2]
    await connection.execute(f"CREATE TABLE public.kept AS SELECT * FROM {table}; {sql}")
    yield
    columns = await connection.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = $1::text::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    await connection.execute(
        f"DELETE FROM {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM public.kept; DROP TABLE public.kept"
    )


TABLES = ("audit_events", "tool_calls", "tool_call_outcomes")
COMMANDS = {
    "UPDATE": "UPDATE app.{} SET organization_id = organization_id",
    "DELETE": "DELETE FROM app.{}",
    "TRUNCATE": "TRUNCATE app.{} CASCADE",
}
LOGINS = {
    "api": ("app_member", "app_observer", "app_admin", "app_auditor"),
    "ingest": ("app_service",),
    "operator": ("none",),
    "migrator": ("minutebook_owner", "app_definer"),
}


@pytest.mark.parametrize(("login", "role"), [(login, role) for login, roles in LOGINS.items() for role in roles])
async def test_no_role_of_ours_changes_the_record(small: Urls, login: str, role: str) -> None:
    connection = await asyncpg.connect(getattr(small, login))
    try:
        for table in TABLES:
            for command, sql in COMMANDS.items():
                transaction = connection.transaction()
                await transaction.start()
                try:
                    if login == "migrator":
                        # The owner may lift row security from its tables; what refuses it then are the triggers.
                        lift = f"ALTER TABLE app.{table} NO FORCE ROW LEVEL SECURITY"
                        await connection.execute(f"SET LOCAL ROLE minutebook_owner; {lift}; SET LOCAL ROLE {role}")
                        await connection.execute(f"SET LOCAL app.organization_id = '{HERE}'")
                    else:
                        user = "" if login in {"ingest", "operator"} else IDS["carol"]
                        await connection.execute(
                            f"SELECT app.begin_request('{HERE}', '{user}', '{IDS['carol']}', '{role}', '-', 5000)"
                        )
                    with pytest.raises(asyncpg.PostgresError) as refused:  # noqa: PT012 - says which one was not
                        pytest.fail(f"{command} of {table}: {await connection.execute(sql.format(table))}")
                    assert refused.value.sqlstate == "42501", (command, table, refused.value)
                finally:
                    await transaction.rollback()
    finally:
        await connection.close()
