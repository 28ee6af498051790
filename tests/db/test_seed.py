"""The demo world: large enough, consistent, and the same for the same anchor."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from db.actor import operator_context_sql
from db.embedder import MiniLm
from db.engine import Urls
from db.seed import SEED, SeedError, seed
from db.seed.asides import cache
from db.seed.build import HERO_TITLE, build
from db.seed.clock import Clock
from db.seed.scale import multiply
from db.seed.vectors import demo_texts, shipped
from db.seed.world import EMBEDDING_MODEL, NORTHWIND, ORGANIZATIONS, PIA, VROMM
from tests.databases import clone

ANCHOR = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
LEAST = {
    "ai_conversations": 2_000, "ai_messages": 30_000, "ai_interactions": 5_000, "tool_calls": 5_000, "ai_insights": 500,
    "document_embeddings": 2_000, "ai_feedback": 1_000, "ai_content_searches": 1_000, "ai_usage_logs": 5_000, "ai_patterns": 40,
    "ai_cache": 100, "ai_cache_stats": 100, "user_ai_settings": 5, "user_provider_keys": 2, "usage_ledger": 1_000,
}  # fmt: skip


@asynccontextmanager
async def operator(urls: Urls) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(urls.operator)
    try:
        yield connection
    finally:
        await connection.close()


async def broken(urls: Urls, statement: str) -> list[Any]:
    async with operator(urls) as connection:
        rows: list[Any] = await connection.fetch(statement)
        return rows


async def verdicts(urls: Urls) -> dict[str, str]:
    found = {}
    async with operator(urls) as connection:
        for home in await connection.fetch("SELECT id::text, slug FROM app.organizations"):
            async with connection.transaction():
                await connection.execute(operator_context_sql(home["id"]))
                row = await connection.fetchrow("SELECT * FROM app.verify_audit_chain(NULL, NULL)")
                found[home["slug"]] = f"{row['verdict']} {row['reason'] or ''}".strip()
    return found


async def test_no_row_points_into_another_organization_by_a_link_without_a_key(world: Urls) -> None:
    assert not await broken(
        world,
        """SELECT 'call', c.id FROM app.tool_calls c WHERE c.interaction_id IS NOT NULL AND NOT EXISTS (
               SELECT FROM app.ai_interactions i WHERE i.organization_id = c.organization_id AND i.id = c.interaction_id)
           UNION ALL
           SELECT 'log', l.id FROM app.ai_usage_logs l WHERE l.interaction_id IS NOT NULL AND NOT EXISTS (
               SELECT FROM app.ai_interactions i WHERE i.organization_id = l.organization_id AND i.id = l.interaction_id)
           UNION ALL
           SELECT 'click', s.id FROM app.ai_content_searches s WHERE s.selected_content_id IS NOT NULL AND NOT EXISTS (
               SELECT FROM app.documents d WHERE d.organization_id = s.organization_id
               AND s.selected_content_id = coalesce(d.content_id, d.id) AND d.content_type = s.content_type)""",
    )


async def test_the_world_is_large_enough_to_page_through(world: Urls) -> None:
    async with operator(world) as connection:
        for table, least in LEAST.items():
            assert await connection.fetchval(f"SELECT count(*) FROM app.{table}") >= least, table


async def test_every_audit_chain_verifies(world: Urls) -> None:
    assert await verdicts(world) == {home.slug: "OK" for home in ORGANIZATIONS}


async def test_rollups_equal_a_recount(world: Urls) -> None:
    assert not await broken(
        world,
        """SELECT c.id FROM app.ai_conversations c LEFT JOIN (
               SELECT organization_id, conversation_id, count(*) AS n, coalesce(sum(tokens_used), 0) AS t,
                      coalesce(sum(cost_micro_usd), 0) AS u, max(created_at) AS at
               FROM app.ai_messages GROUP BY 1, 2) m ON (m.organization_id, m.conversation_id) = (c.organization_id, c.id)
           WHERE (c.message_count, c.tokens_used, c.cost_micro_usd, c.last_message_at) IS DISTINCT FROM (m.n, m.t, m.u, m.at)
              OR c.updated_at < c.last_message_at""",
    )


async def test_budgets_equal_their_ledger_and_the_figures_of_the_three_learners(world: Urls) -> None:
    assert not await broken(
        world,
        """SELECT b.id FROM app.usage_budgets b WHERE b.used <> (
               SELECT coalesce(sum(l.amount), 0) FROM app.usage_ledger l WHERE l.organization_id = b.organization_id
               AND l.budget_id = b.id AND l.kind = 'SETTLE' AND l.window_start = b.window_start)""",
    )
    async with operator(world) as connection:
        rows = await connection.fetch(
            """SELECT s.tier, b.budget_window, b.used, b.limit_value FROM app.usage_budgets b
               JOIN app.user_ai_settings s ON (s.organization_id, s.user_id) = (b.organization_id, b.subject_id)
               WHERE b.organization_id = $1 AND b.metric = 'REQUESTS' AND b.subject_id::text LIKE '00000000-0000-0000-%'
               ORDER BY b.subject_id, b.budget_window""",
            VROMM.id,
        )
    assert [tuple(row) for row in rows] == [
        ("FREE", "DAY", 5, 10), ("FREE", "MONTH", 120, None),
        ("BYOK", "DAY", 50, None), ("BYOK", "MONTH", 1200, None),
        ("PREMIUM", "DAY", 30, 100), ("PREMIUM", "MONTH", 850, None),
    ]  # fmt: skip


async def test_insights_show_every_type_severity_and_state(world: Urls) -> None:
    async with operator(world) as connection:
        kinds = await connection.fetch(
            "SELECT DISTINCT insight_type, severity FROM app.ai_insights WHERE organization_id = $1", NORTHWIND.id
        )
        states = await connection.fetchrow(
            """SELECT count(*) FILTER (WHERE is_dismissed), count(*) FILTER (WHERE expires_at < now()),
                      count(*) FILTER (WHERE NOT is_dismissed AND coalesce(expires_at, 'infinity') > now()),
                      count(*) FILTER (WHERE created_at > now() - interval '1 day') FROM app.ai_insights""",
        )
    assert {row["insight_type"] for row in kinds} == {
        "COST_PATTERN",
        "SCHEDULE_RISK",
        "EFFICIENCY",
        "ANOMALY",
        "RECOMMENDATION",
    }
    assert {row["severity"] for row in kinds} == {"INFO", "WARNING", "CRITICAL"}
    assert min(states) >= 8


async def test_there_are_slow_failures_errors_pending_calls_and_one_huge_payload(world: Urls) -> None:
    async with operator(world) as connection:
        calls = await connection.fetchrow(
            """SELECT count(*) FILTER (WHERE o.status = 'ERROR')::float8 / count(*), count(*) FILTER (WHERE o.status IS NULL)
               FROM app.tool_calls c LEFT JOIN app.tool_call_outcomes o ON (o.organization_id, o.tool_call_id, o.created_at) = (c.organization_id, c.id, c.created_at)"""
        )
        slow = await connection.fetchval(
            "SELECT count(*) FROM app.ai_interactions WHERE status = 'FAILED' AND latency_ms > 5000 AND created_at > now() - interval '14 days'"
        )
        huge = await connection.fetch("SELECT status FROM app.ai_interactions WHERE request_bytes > 5000000")
        keys = await connection.fetchval("SELECT count(*) FROM app.user_provider_keys WHERE needs_reentry")
    assert 0.04 < calls[0] < 0.08
    assert 3 <= calls[1] < 100
    assert slow >= 20
    assert [row["status"] for row in huge] == ["FAILED"]
    assert keys == 1


async def test_searches_touch_the_six_kinds_and_the_newest_waits_for_a_click(world: Urls) -> None:
    async with operator(world) as connection:
        kinds = await connection.fetch(
            "SELECT DISTINCT content_type FROM app.ai_content_searches WHERE organization_id = $1", VROMM.id
        )
        newest = await connection.fetchrow(
            "SELECT user_id::text, selected_content_id FROM app.ai_content_searches ORDER BY created_at DESC LIMIT 1"
        )
    assert {row[0] for row in kinds} == {"ROUTE", "LEARNING_PATH", "EXERCISE", "SCHOOL", "EVENT", "INSTRUCTOR"}
    assert tuple(newest) == (VROMM.person("erik").id, None)


async def test_a_page_of_conversations_shows_twenty_different_titles(world: Urls) -> None:
    async with operator(world) as connection:
        for person in (NORTHWIND.person("alice"), VROMM.person("freja"), PIA.person("pia")):
            rows = await connection.fetch(
                """SELECT title FROM app.ai_conversations WHERE user_id = $1 AND deleted_at IS NULL AND title IS NOT NULL
                   ORDER BY updated_at DESC LIMIT 20""",
                person.id,
            )
            assert len({row["title"] for row in rows}) == 20
        long = await connection.fetchval("SELECT message_count FROM app.ai_conversations WHERE title = $1", HERO_TITLE)
    assert long > 50


async def test_the_question_about_wood_finds_lumber_by_its_meaning(world: Urls) -> None:
    (vector,) = await MiniLm().embed(["why is wood so expensive"])
    async with operator(world) as connection:
        rows = await connection.fetch(
            """SELECT chunk_text FROM app.document_embeddings WHERE organization_id = $1 AND model = $2
               ORDER BY embedding OPERATOR(ext.<=>) $3::text::ext.vector LIMIT 5""",
            NORTHWIND.id, EMBEDDING_MODEL, str(vector),
        )  # fmt: skip
    assert all("umber" in row["chunk_text"] or "wood" in row["chunk_text"].lower() for row in rows)


async def test_a_second_seed_is_refused(world: Urls) -> None:
    with pytest.raises(SeedError, match="already"):
        await seed(world.operator)


async def test_an_interrupted_seed_leaves_nothing(urls: Urls) -> None:
    class Interrupted(Exception):  # noqa: N818 - it is one
        pass

    def interrupt(step: str, _done: int, _total: int) -> None:
        if step.startswith("vromm"):
            raise Interrupted

    with pytest.raises(Interrupted):
        await seed(urls.operator, anchor=ANCHOR, progress=interrupt)
    async with operator(urls) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.organizations") == 0


def test_the_same_anchor_gives_the_same_rows() -> None:
    first, second = (build(VROMM, ANCHOR, SEED) for _ in range(2))
    assert first == second


def test_days_are_counted_once_where_a_clock_was_turned_back() -> None:
    """Late in the evening sixty days of 24 hours ago is not sixty dates ago."""
    for organization in ORGANIZATIONS:
        for hours in range(24 * 75):
            anchor = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(hours=hours, minutes=26)
            clock = Clock(anchor, ZoneInfo(organization.timezone), works_weekends=False, hours=(8, 17))
            _, stats = cache(organization, clock, [], SEED)
            days = [row.day for row in stats]
            assert len(set(days)) == len(days), (organization.slug, anchor)


@pytest.mark.parametrize("anchor", [datetime(2026, 3, 1, 0, 4, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, tzinfo=UTC)])
def test_nothing_lies_after_the_anchor(anchor: datetime) -> None:
    for organization in ORGANIZATIONS:
        built = build(organization, anchor, SEED)
        for table, rows in built.tables.items():
            assert all(getattr(row, "created_at", anchor) <= anchor for row in rows), table


def test_the_chunks_are_of_readable_length_and_all_different() -> None:
    texts = demo_texts(SEED)
    assert len(set(texts)) == len(texts)
    assert all(40 <= len(text.split()) <= 120 for text in texts)


async def test_the_shipped_vectors_are_the_embedders() -> None:
    texts = demo_texts(SEED)
    vectors = shipped(EMBEDDING_MODEL, texts)
    assert None not in vectors
    some = range(0, len(texts), 190)
    for n, own in zip(some, await MiniLm().embed([texts[n] for n in some]), strict=True):
        known = [float(value) for value in str(vectors[n])[1:-1].split(",")]
        assert sum(a * b for a, b in zip(own, known, strict=True)) > 0.995


async def test_a_scaled_world_has_copies_in_organizations_of_their_own(seeded: Urls) -> None:
    async with clone(seeded) as urls:
        async with operator(urls) as one, operator(urls) as other:
            counts = await multiply((one, other), 2, lambda _step, _done, _total: None)
        async with operator(urls) as connection:
            slugs = [
                row[0]
                for row in await connection.fetch(
                    "SELECT slug FROM app.organizations WHERE kind = 'BUILDER' ORDER BY slug"
                )
            ]
            messages = await connection.fetch(
                "SELECT count(*) FROM app.ai_messages GROUP BY organization_id ORDER BY organization_id"
            )
            subjects = await connection.fetchval("SELECT count(*) FROM app.identities WHERE subject = 'alice-002'")
        assert slugs == ["northwind", "northwind-002"]
        assert len(messages) == 8
        assert sum(row[0] for row in messages) == 2 * counts["ai_messages"] >= 60_000
        assert subjects == 1
        assert set((await verdicts(urls)).values()) == {"OK"}
        assert not await broken(
            urls,
            """SELECT c.id FROM app.ai_conversations c WHERE c.message_count <> (
                   SELECT count(*) FROM app.ai_messages m WHERE (m.organization_id, m.conversation_id) = (c.organization_id, c.id))""",
        )
        assert not await broken(
            urls,
            """SELECT c.id FROM app.tool_calls c WHERE c.interaction_id IS NOT NULL AND NOT EXISTS (
                   SELECT FROM app.ai_interactions i WHERE i.organization_id = c.organization_id AND i.id = c.interaction_id)""",
        )
