"""Stories of the frontend developer: inbox, chat, insights, settings."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import superuser
from tests.stories.small_world import IDS, KINDS, PROJECT, plant
from tests.stories.story import ask, document, is_batched, is_refused, nodes, shapes

INVENTED = "01940000-0000-7000-8000-00000000beef"
ROLES = ("alice", "carol", "dave", "olga", "service:northwind")


async def the_conversation(client: Client, who: str = "alice") -> str:
    answer = await client.ask("{conversations(first:1){edges{node{id}}}}", who)
    return str(nodes(answer.data["conversations"])[0]["id"])


# ── 1 Inbox ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_inbox_shows_nothing_of_a_colleague_or_another_organization(ask_world: Client) -> None:
    seen = {
        who: {node["id"] for node in nodes((await ask(ask_world, "01_inbox", who)).data["conversations"])}
        for who in ("alice", "bob", "erik", "pia")
    }
    assert all(seen.values())
    assert sum(map(len, seen.values())) == len(set().union(*seen.values()))
    refused = await ask(ask_world, "01_inbox", "dave")
    assert is_refused(refused, "conversations", "FORBIDDEN")
    assert not refused.statements


async def test_an_inbox_costs_two_statements_whatever_the_page_and_the_rows(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    text = document("01_inbox")
    answers = [await ask_small.ask(text.replace("first:20", f"first:{size}")) for size in (1, 20, 100)]
    answers += [await ask_tenfold.ask(text.replace("first:20", f"first:{size}")) for size in (1, 20, 100)]
    answers += [await ask_world.ask(text.replace("first:20", f"first:{size}")) for size in (1, 20, 100)]
    assert [len(nodes(answer.data["conversations"])) for answer in answers] == [1, 3, 3, 1, 20, 30, 1, 20, 100]
    assert len({shapes(answer.statements) for answer in answers}) == 1
    assert len(answers[0].statements) == 2
    after = answers[4].data["conversations"]["pageInfo"]["endCursor"]
    second = [await ask(client, "01_inbox", "alice", after=after) for client in (ask_tenfold, ask_small)]
    assert second[0].statements == second[1].statements
    ran("01_inbox", {"alice": answers[0].statements, "alice, the next page": second[0].statements})


async def test_a_page_of_conversations_alone_costs_one_statement(ask_world: Client) -> None:
    answer = await ask_world.ask("{conversations(first:20){edges{node{id title updatedAt messageCount}}}}")
    assert len(nodes(answer.data["conversations"])) == 20
    assert len(answer.statements) == 1


async def test_the_inbox_shows_the_last_message_of_each_conversation(ask_world: Client, world: Urls) -> None:
    answer = await ask(ask_world, "01_inbox", "alice")
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT c.title, c.message_count, m.role, left(m.content, 120) AS content FROM app.ai_conversations c"
            " JOIN LATERAL (SELECT * FROM app.ai_messages m WHERE m.conversation_id = c.id"
            "   ORDER BY m.created_at DESC, m.id DESC LIMIT 1) m ON true"
            " WHERE c.user_id = $1 AND c.deleted_at IS NULL ORDER BY c.updated_at DESC, c.id DESC LIMIT 20",
            IDS["alice"],
        )
    assert [
        (node["title"], node["messageCount"], *(nodes(node["messages"])[0][name] for name in ("role", "content")))
        for node in nodes(answer.data["conversations"])
    ] == [tuple(row) for row in rows]


async def test_a_cursor_of_another_order_is_refused(ask_world: Client) -> None:
    other = "{conversations(first:1,orderBy:{field:CREATED_AT,direction:DESC}){pageInfo{endCursor}}}"
    cursor = (await ask_world.ask(other)).data["conversations"]["pageInfo"]["endCursor"]
    answer = await ask(ask_world, "01_inbox", "alice", after=cursor)
    assert is_refused(answer, "conversations", "BAD_USER_INPUT")
    assert answer.errors[0]["extensions"]["argument"] == "after"


# ── 2 Open a chat and scroll up ──────────────────────────────────────────────────────────────────────────────────────
async def test_foreign_colleagues_and_invented_chats_are_byte_equal_nulls(ask_world: Client) -> None:
    foreign = await the_conversation(ask_world, "erik")
    colleagues = await the_conversation(ask_world, "bob")
    invented = global_id("Conversation", INVENTED)
    answers = [await ask(ask_world, "02_open_a_chat", "alice", id=each) for each in (foreign, colleagues, invented)]
    assert {answer.raw for answer in answers} == {b'{"data":{"node":null}}'}
    assert len({answer.statements for answer in answers}) == 1


async def test_a_chat_reads_feedback_along_with_its_messages_and_each_kind_of_source_at_once(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    answers = [
        await ask(client, "02_open_a_chat", "alice", id=await the_conversation(client))
        for client in (ask_small, ask_tenfold, ask_world)
    ]
    small, tenfold, world = answers
    assert [len(nodes(answer.data["node"]["messages"])) for answer in answers] == [6, 50, 50]
    assert shapes(small.statements) == shapes(tenfold.statements)
    assert len(small.statements) == 2 + len(KINDS)
    assert is_batched(world.statements, small.statements)
    messages = nodes(tenfold.data["node"]["messages"])
    assert all(source["node"] for message in messages for source in message["sources"])
    assert {message["myFeedback"]["thumb"] for message in messages if message["role"] == "ASSISTANT"} == {"UP"}
    ran("02_open_a_chat", {"alice": small.statements})


async def test_scrolling_up_shows_every_message_once(ask_world: Client, world: Urls) -> None:
    async with superuser(world) as connection:
        longest = await connection.fetchrow(
            "SELECT id, message_count FROM app.ai_conversations WHERE user_id = $1 AND deleted_at IS NULL"
            " ORDER BY message_count DESC LIMIT 1",
            IDS["alice"],
        )
    seen: list[str] = []
    before: str | None = None
    for turn in count():
        assert turn < 20
        answer = await ask(
            ask_world, "02_open_a_chat", "alice", id=global_id("Conversation", longest["id"]), before=before
        )
        page = answer.data["node"]["messages"]
        seen = [node["id"] for node in nodes(page)] + seen
        before = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
    assert longest["message_count"] > 50
    assert len(seen) == len(set(seen)) == longest["message_count"]


@pytest.mark.parametrize(
    "sources",
    ['[{"kind": "document", "id": "no-uuid"}]', '[{"kind": "document", "id": 7}]', '[{"kind": "document", "id": {"a": 1}}]',
     '[{"kind": ["document"], "title": {"a": 1}, "id": null}]', '[1, "x", null, []]', "[{}]", '[{"kind": null, "title": 7}]'],
)  # fmt: skip
async def test_a_source_that_the_backend_wrote_amiss_spoils_nothing(urls: Urls, tmp_path: Path, sources: str) -> None:
    await plant(urls, times=1)
    async with superuser(urls) as connection:
        await connection.execute("ALTER TABLE app.ai_messages DISABLE TRIGGER ALL")
        await connection.execute(
            f"UPDATE app.ai_messages SET sources = '{sources}' || sources WHERE role = 'ASSISTANT'"
        )
    async with client_of(urls, tmp_path, EMBEDDER="none") as client:
        answer = await ask(client, "02_open_a_chat", "alice", id=await the_conversation(client))
    messages = [node for node in nodes(answer.data["node"]["messages"]) if node["role"] == "ASSISTANT"]
    assert messages
    for message in messages:
        assert [source["node"] is not None for source in message["sources"][-4:]] == [True] * 4
        assert all(source["node"] is None for source in message["sources"][:-4])


# ── 5 Insight badge ──────────────────────────────────────────────────────────────────────────────────────────────────
async def test_insights_of_another_organizations_project_are_none(ask_world: Client) -> None:
    theirs = global_id("Project", PROJECT.replace("-0001-", "-0002-"))
    answer = await ask(ask_world, "05_insight_badge", "alice", p=theirs)
    assert answer.data == {
        "insights": {"edges": [], "facets": {"bySeverity": []}, "totalCount": {"value": 0, "isEstimate": False}}
    }


async def test_an_insight_badge_hides_dismissed_and_expired_and_counts_like_sql(ask_world: Client, world: Urls) -> None:
    answer = await ask(ask_world, "05_insight_badge", "alice", p=global_id("Project", PROJECT))
    async with superuser(world) as connection:
        rows = await connection.fetch(
            "SELECT severity, count(*) FILTER (WHERE is_dismissed OR expires_at <= now()) AS hidden, count(*) FILTER"
            " (WHERE NOT is_dismissed AND (expires_at IS NULL OR expires_at > now())) AS shown"
            " FROM app.ai_insights WHERE project_id = $1 GROUP BY severity ORDER BY min(severity_rank) DESC",
            PROJECT,
        )
    assert sum(row["hidden"] for row in rows) > 0
    insights = answer.data["insights"]
    assert insights["facets"]["bySeverity"] == [
        {"severity": row["severity"], "count": row["shown"]} for row in rows if row["shown"]
    ]
    loud = sum(row["shown"] for row in rows if row["severity"] != "INFO")
    assert insights["totalCount"] == {"value": loud, "isEstimate": False}
    assert {node["severity"] for node in nodes(insights)} <= {"WARNING", "CRITICAL"}
    assert len(insights["edges"]) == min(10, loud)


async def test_insights_are_counted_only_when_that_is_selected(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    project = global_id("Project", PROJECT)
    answers = [
        await ask(client, "05_insight_badge", "alice", p=project) for client in (ask_small, ask_tenfold, ask_world)
    ]
    assert len({shapes(answer.statements) for answer in answers}) == 1
    uncounted = await ask_world.ask(document("05_insight_badge").split("facets")[0] + "}}", p=project)
    assert "errors" not in uncounted.body
    assert [len(each.statements) for each in (uncounted, *answers)] == [1] * 4
    assert ["count(" in each.statements[0] for each in (uncounted, *answers)] == [False, True, True, True]
    ran("05_insight_badge", {"alice": answers[0].statements})


# ── 9 Settings page ──────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_settings_page_shows_each_role_what_it_may_read(
    ask_world: Client, ask_small: Client, ran: Callable[..., None]
) -> None:
    answers = {who: await ask(ask_small, "09_settings_page", who) for who in ROLES}
    viewers = {who: answer.data["viewer"] for who, answer in answers.items()}
    assert [viewer["role"] for viewer in viewers.values()] == ["MEMBER", "ADMIN", "AUDITOR", "OBSERVER", "SERVICE"]
    defaults = {"tier": "FREE", "preferredProvider": "OPENAI"}  # nobody here has a row of settings
    assert [viewer["aiSettings"] for viewer in viewers.values()] == [
        {**defaults, "keys": []}, {**defaults, "keys": []}, {**defaults, "keys": None}, None, None,
    ]  # fmt: skip
    budgets = [len(viewer["usage"]["budgets"]) for viewer in viewers.values()]
    assert budgets == [12, 12, 12, 6, 6]
    worldly = {who: (await ask(ask_world, "09_settings_page", who)).statements for who in ROLES}
    assert worldly == {who: answer.statements for who, answer in answers.items()}
    ran("09_settings_page", worldly)


async def test_settings_show_keys_by_their_hint_alone(ask_world: Client) -> None:
    settings = (await ask(ask_world, "09_settings_page", "freja")).data["viewer"]["aiSettings"]
    assert settings["tier"] == "BYOK"
    assert settings["keys"]
    assert all(set(key) == {"provider", "hint", "setAt"} and len(key["hint"]) <= 4 for key in settings["keys"])


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        ("2026-03-28T22:59:59.999999", "2026-03-28T23:00:00", "2026-03-31T22:00:00"),
        ("2026-03-29T00:30:00", "2026-03-29T22:00:00", "2026-03-31T22:00:00"),
        ("2026-03-29T01:00:00", "2026-03-29T22:00:00", "2026-03-31T22:00:00"),
        ("2026-03-29T22:00:00", "2026-03-30T22:00:00", "2026-03-31T22:00:00"),
        ("2026-10-24T22:00:00", "2026-10-25T23:00:00", "2026-10-31T23:00:00"),
        ("2026-10-25T00:30:00", "2026-10-25T23:00:00", "2026-10-31T23:00:00"),
        ("2026-10-25T01:30:00", "2026-10-25T23:00:00", "2026-10-31T23:00:00"),
        ("2026-10-25T22:59:59.999999", "2026-10-25T23:00:00", "2026-10-31T23:00:00"),
    ],
)
async def test_budgets_reset_at_the_next_local_midnight_when_the_clock_changes(
    small: Urls, tmp_path: Path, now: str, day: str, month: str
) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    async with client_of(small, tmp_path, clock=lambda: moment, EMBEDDER="none") as client:
        answer = await ask(client, "09_settings_page", "alice")
    resets = {(b["window"], b["resetsAt"], b["timezone"]) for b in answer.data["viewer"]["usage"]["budgets"]}
    zone = "Europe/Stockholm"
    assert resets == {("DAY", f"{day}.000000Z", zone), ("MONTH", f"{month}.000000Z", zone)}
