"""Stories of platform and operations: cost and latency, slow failures, and D4's three questions."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
import pytest

from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import superuser
from tests.stories.small_world import HERE, IDS, plant
from tests.stories.story import ask, document, is_batched, is_refused, nodes, shapes

TASKLINE = "00000001-0003-4000-8000-000000000001"
VROMM = "00000001-0002-4000-8000-000000000001"
NOW = datetime.now(UTC)
WEEK = {"f": (NOW - timedelta(days=7)).isoformat(), "t": (NOW + timedelta(hours=1)).isoformat()}
QUARTER = {"f": (NOW - timedelta(days=90)).isoformat(), "t": (NOW + timedelta(hours=1)).isoformat()}
MICRO = 1_000_000
ENDLESS = 2**62


@pytest.fixture
async def own(urls: Urls, tmp_path: Path) -> AsyncIterator[Client]:
    """A client over a small organization of the test's own, which may be changed."""
    await plant(urls, times=1)
    async with client_of(urls, tmp_path, EMBEDDER="none") as client:
        yield client


def moments(given: dict[str, str]) -> list[datetime]:
    return [datetime.fromisoformat(given[name]) for name in ("f", "t")]


# ── 13 Cost and latency by model and day ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", ["ines", "alice", "olga"])
async def test_who_runs_nothing_may_not_measure(ask_world: Client, who: str) -> None:
    answer = await ask(ask_world, "13_cost_and_latency", who, **WEEK)
    assert is_refused(answer, "aiMetrics", "FORBIDDEN")
    assert not answer.statements


@pytest.mark.parametrize(
    ("who", "organization"), [("carol", HERE), ("dave", HERE), ("service:northwind", HERE), ("jon", TASKLINE)]
)
async def test_metrics_equal_sqls_own_to_the_micro_dollar(
    ask_world: Client, world: Urls, who: str, organization: str
) -> None:
    answer = await ask(ask_world, "13_cost_and_latency", who, **QUARTER)
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT date_trunc('day', i.created_at, o.timezone) AS bucket, i.model_name, count(*) AS count,"
            " count(*) FILTER (WHERE i.status = 'FAILED') AS errors, coalesce(sum(i.tokens_used), 0) AS tokens,"
            " coalesce(sum(i.cost_micro_usd), 0) AS cost,"
            " percentile_cont(0.95) WITHIN GROUP (ORDER BY coalesce(i.latency_ms,"
            "   trunc(extract(epoch FROM i.completed_at - i.created_at) * 1000))) AS p95"
            " FROM app.ai_interactions i JOIN app.organizations o ON o.id = i.organization_id"
            " WHERE i.organization_id = $1 AND i.created_at >= $2 AND i.created_at < $3 GROUP BY 1, 2",
            organization, *moments(QUARTER),
        )  # fmt: skip
    expected = {(row["bucket"], row["model_name"]): row for row in rows}
    metrics = answer.data["aiMetrics"]
    assert len(metrics["rows"]) == len(expected) > 50
    assert metrics["truncated"] is False
    for row in metrics["rows"]:
        own = expected[datetime.fromisoformat(row["bucket"]), row["keys"][0]["value"]]
        assert row["keys"][0]["dimension"] == "MODEL"
        assert (row["count"], row["errors"], row["tokens"]) == (
            str(own["count"]),
            str(own["errors"]),
            str(own["tokens"]),
        )
        assert round(float(row["cost"]) * MICRO) == int(row["cost"].replace(".", "")) == own["cost"]
        assert own["p95"] is None or row["latencyP95Ms"] == pytest.approx(own["p95"])


async def test_a_sum_of_tokens_and_cost_passes_32_and_64_bits(own: Client, urls: Urls) -> None:
    async with superuser(urls) as connection:
        await connection.execute(
            "INSERT INTO app.ai_interactions (organization_id, id, model_name, provider, tier, tokens_used,"
            " request_bytes, status, cost_micro_usd, created_at) SELECT $1, gen_random_uuid(), 'huge', 'OPENAI', 'FREE',"
            " $2, 10, 'SUCCEEDED', $2, now() - interval '1 minute' FROM generate_series(1, 3)",
            HERE, ENDLESS,
        )  # fmt: skip
    rows = (await ask(own, "13_cost_and_latency", "carol", **WEEK)).data["aiMetrics"]["rows"]
    [huge] = [row for row in rows if row["keys"][0]["value"] == "huge"]
    dollars, rest = divmod(3 * ENDLESS, MICRO)
    assert huge["tokens"] == str(3 * ENDLESS)
    assert huge["cost"] == f"{dollars}.{rest:06}"
    assert 3 * ENDLESS > 2**63


async def test_metrics_are_one_statement_whatever_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    answers = [
        await ask(client, "13_cost_and_latency", "carol", **WEEK) for client in (ask_small, ask_tenfold, ask_world)
    ]
    assert all(answer.data["aiMetrics"]["rows"] for answer in answers)
    assert len({shapes(answer.statements) for answer in answers}) == 1
    assert len(answers[0].statements) == 1
    ran("13_cost_and_latency", {"carol": answers[0].statements})


# ── 14 Slow failures ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", ["ines", "alice", "olga"])
async def test_who_runs_nothing_sees_no_failures(ask_world: Client, who: str) -> None:
    answer = await ask(ask_world, "14_slow_failures", who, **WEEK)
    assert is_refused(answer, "aiInteractions", "FORBIDDEN")
    assert not answer.statements


async def test_slow_failures_are_those_of_the_callers_organization(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        for who, organization in (("carol", HERE), ("jon", TASKLINE)):
            rows = await connection.fetch(
                "SELECT i.id, i.request_bytes, left(p.request_head, 500) AS head FROM app.ai_interactions i"
                " LEFT JOIN app.ai_interaction_payloads p ON p.interaction_id = i.id"
                " WHERE i.organization_id = $1 AND i.status = 'FAILED' AND i.latency_ms >= 5000"
                " AND i.created_at >= $2 AND i.created_at < $3 ORDER BY i.created_at DESC, i.id DESC LIMIT 50",
                organization, *moments(QUARTER),
            )  # fmt: skip
            found = nodes((await ask(ask_world, "14_slow_failures", who, **QUARTER)).data["aiInteractions"])
            assert rows
            assert [(node["databaseId"], node["requestBytes"], node["requestPreview"]) for node in found] == [
                tuple(row) for row in rows
            ]


@pytest.mark.parametrize(
    ("start", "end"),
    [(-93, 0), (-92.5, 0), (0, -1), (-1, -1)],
    ids=["93 days", "92 days and a half", "inverted", "empty"],
)
async def test_a_range_that_is_inverted_or_too_wide_is_refused(ask_world: Client, start: float, end: float) -> None:
    ends = {"f": (NOW + timedelta(days=start)).isoformat(), "t": (NOW + timedelta(days=end)).isoformat()}
    answer = await ask(ask_world, "14_slow_failures", "jon", **ends)
    assert is_refused(answer, "aiInteractions", "BAD_USER_INPUT")
    assert answer.errors[0]["extensions"]["argument"] == "range"
    assert not answer.statements


async def test_reading_previews_is_on_record_once_an_operation(own: Client, urls: Urls) -> None:
    text = document("14_slow_failures")
    twice = text.replace(
        "{aiInteractions(",
        "{again:aiInteractions(first:3,filter:{range:{from:$f,to:$t}}){edges{node{request response}}}aiInteractions(",
    )
    unread = text.replace("requestPreview(maxChars:500)", "")
    answer = await own.ask(twice, "carol", **WEEK)
    assert len(nodes(answer.data["aiInteractions"])) == 20
    for who, query in (("carol", unread), ("dave", text), ("service:northwind", text)):
        assert "errors" not in (await own.ask(query, who, **WEEK)).body
    assert await reads(urls) == [
        (IDS["carol"], {"AiInteraction": sorted(n["databaseId"] for n in nodes(answer.data["aiInteractions"]))})
    ]


async def test_an_auditor_sees_failures_without_payloads(ask_small: Client) -> None:
    answer = await ask(ask_small, "14_slow_failures", "dave", **WEEK)
    found = nodes(answer.data["aiInteractions"])
    assert len(found) == 20
    assert {node["requestPreview"] for node in found} == {None}
    assert {node["requestBytes"] for node in found} == {10}
    assert not any("payloads" in sql for sql in answer.statements)


async def test_a_payload_of_five_megabytes_costs_no_more_than_its_head(own: Client, urls: Urls) -> None:
    one = {"f": (NOW - timedelta(days=3)).isoformat(), "t": (NOW - timedelta(days=2)).isoformat()}
    other = {"f": (NOW - timedelta(days=5)).isoformat(), "t": (NOW - timedelta(days=4)).isoformat()}
    async with superuser(urls) as connection:
        for ends, blocks in ((one, 160_000), (other, 1)):
            await connection.execute(
                "WITH i AS (INSERT INTO app.ai_interactions (organization_id, id, model_name, provider, tier, request_bytes,"
                " latency_ms, status, created_at) VALUES ($1, gen_random_uuid(), 'm', 'OPENAI', 'FREE', $3, 9000, 'FAILED',"
                " $2::timestamptz + interval '1 hour') RETURNING *) INSERT INTO app.ai_interaction_payloads (organization_id,"
                " interaction_id, request, created_at) SELECT $1, i.id, jsonb_build_object('q',"
                " (SELECT string_agg(md5(n::text), '') FROM generate_series(1, $3::int / 32) n)), i.created_at FROM i",
                HERE, moments(ends)[0], blocks * 32,
            )  # fmt: skip
    large, small = [await ask(own, "14_slow_failures", "carol", **ends) for ends in (one, other)]
    [node] = nodes(large.data["aiInteractions"])
    assert node["requestBytes"] == 5_120_000
    assert len(node["requestPreview"]) == 500
    assert large.statements == small.statements
    [payloads] = [sql for sql in large.statements if "ai_interaction_payloads" in sql]
    assert "request_head" in payloads
    assert ".request AS" not in payloads
    times: dict[str, list[float]] = {"large": [], "small": []}
    for _ in range(7):
        for name, ends in (("large", one), ("small", other)):
            began = perf_counter()
            await ask(own, "14_slow_failures", "carol", **ends)
            times[name].append(perf_counter() - began)
    # 5 MB take 30 ms to fetch and to parse, a head takes none: generous for a machine with other work.
    assert min(times["large"]) < 1.5 * min(times["small"]) + 0.010


async def test_slow_failures_are_three_statements_whatever_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    text = document("14_slow_failures")
    answers = [
        await client.ask(text.replace("first:50", f"first:{size}"), "carol", **WEEK)
        for client in (ask_small, ask_tenfold)
        for size in (1, 50, 100)
    ]
    assert [len(nodes(answer.data["aiInteractions"])) for answer in answers] == [1, 20, 20, 1, 50, 100]
    assert len({shapes(answer.statements) for answer in answers}) == 1
    assert is_batched((await ask(ask_world, "14_slow_failures", "jon", **QUARTER)).statements, answers[0].statements)
    ran("14_slow_failures", {"carol": answers[0].statements})


async def reads(urls: Urls) -> list[tuple[str, Any]]:
    """Who read which payloads, by the chain."""
    async with superuser(urls) as connection:
        rows = await connection.fetch(
            "SELECT e.actor_id, convert_from(p.payload, 'UTF8')::jsonb AS details FROM app.audit_events e"
            " JOIN app.audit_payloads p ON p.event_id = e.id WHERE e.action = 'payload.read' ORDER BY e.seq"
        )
    return [(row["actor_id"], orjson.loads(row["details"])) for row in rows]


# ── D4's own three questions ─────────────────────────────────────────────────────────────────────────────────────────
async def test_d4_members_may_ask_none_of_the_three_about_others(ask_world: Client) -> None:
    tiers = await ask(ask_world, "d4_people_by_tier", "erik")
    assert tiers.data == {"aiSettings": {"facets": {"byTier": [{"tier": "FREE", "count": 1}]}}}
    assert is_refused(await ask(ask_world, "d4_tokens_and_cost", "erik", **WEEK), "usageMetrics", "FORBIDDEN")
    assert is_refused(await ask(ask_world, "d4_most_active", "erik"), "usageActivity", "FORBIDDEN")


async def test_d4_people_are_counted_by_tier(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT coalesce(s.tier, 'FREE') AS tier, count(*) AS count FROM app.users u LEFT JOIN app.user_ai_settings s"
            " ON s.user_id = u.id WHERE u.organization_id = $1 GROUP BY 1",
            VROMM,
        )
    for who in ("hanna", "service:vromm"):
        found = (await ask(ask_world, "d4_people_by_tier", who)).data["aiSettings"]["facets"]["byTier"]
        assert {each["tier"]: each["count"] for each in found} == {row["tier"]: row["count"] for row in rows}


async def test_d4_tokens_and_cost_of_the_last_seven_days_equal_sqls(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        row = await connection.fetchrow(
            "SELECT sum(tokens_used) AS tokens, sum(cost_micro_usd) AS cost FROM app.ai_usage_logs"
            " WHERE organization_id = $1 AND created_at >= $2 AND created_at < $3",
            VROMM, *moments(WEEK),
        )  # fmt: skip
    dollars, rest = divmod(row["cost"], MICRO)
    answer = await ask(ask_world, "d4_tokens_and_cost", "hanna", **WEEK)
    assert answer.data["usageMetrics"]["rows"] == [{"tokens": str(row["tokens"]), "cost": f"{dollars}.{rest:06}"}]


async def test_d4_most_active_people_come_first(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT u.display_name, count(*) FROM app.ai_conversations c JOIN app.users u ON u.id = c.user_id"
            " WHERE c.organization_id = $1 GROUP BY u.id, 1 ORDER BY count(*) DESC, u.id LIMIT 10",
            VROMM,
        )
    found = (await ask(ask_world, "d4_most_active", "hanna")).data["usageActivity"]
    shown = [
        (each["user"]["displayName"], int(each["conversations"])) for each in found if each["conversations"] != "0"
    ]
    assert shown == [(row[0], row[1]) for row in rows]
    assert all(int(a["conversations"]) >= int(b["conversations"]) for a, b in pairwise(found))


@pytest.mark.parametrize("story", ["d4_people_by_tier", "d4_tokens_and_cost", "d4_most_active"])
async def test_d4_questions_run_the_same_statements_whatever_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, story: str, ran: Callable[..., None]
) -> None:
    variables = WEEK if "$f" in document(story) else {}
    answers = [await ask(client, story, "carol", **variables) for client in (ask_small, ask_tenfold, ask_world)]
    assert len({shapes(answer.statements) for answer in answers}) == 1
    assert "errors" not in answers[0].body
    ran(story, {"carol": answers[0].statements})
