"""Stories of admin and auditor: tool calls and their use; D2's three sample queries."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import superuser
from tests.stories.small_world import IDS, plant
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
