"""Stories of what people change: a chat on a flaky network, a thumb, insights put aside, an undo, a click."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Answer, Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import HERE, IDS, plant
from tests.stories.story import ask, document, nodes

INVENTED = "01940000-0000-7000-8000-00000000beef"
CONTENT = "0194aa00-0000-4000-8000-00000000beef"


@dataclass(frozen=True)
class Homes:
    """The small organization and the one with ten times the rows, for these stories alone to change."""

    small: Client
    tenfold: Client
    urls: Urls

    @property
    def both(self) -> tuple[Client, Client]:
        return self.small, self.tenfold


@pytest.fixture(scope="module")
async def homes(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Homes]:
    """Two databases of this file's own."""
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        places: list[Urls] = []
        for times in (1, 10):
            urls = await stack.enter_async_context(clone(template))
            await plant(urls, times=times)
            async with superuser(urls) as connection:
                await connection.execute(
                    "INSERT INTO app.ai_content_searches (organization_id, user_id, query, content_type, results_count)"
                    " SELECT organization_id, id, 'parking ' || n, 'EXERCISE', n FROM app.users,"
                    f" generate_series(1, 3 * {times}) n WHERE display_name IN ('Alice', 'Bob')"
                )
            home = tmp_path_factory.mktemp("changes")
            clients.append(await stack.enter_async_context(client_of(urls, home, EMBEDDER="none")))
            places.append(urls)
        yield Homes(clients[0], clients[1], places[0])


def codes(answer: Answer) -> list[str]:
    [payload] = answer.data.values()
    return [error["code"] for error in payload["userErrors"]]


async def first(client: Client, listing: str, who: str = "alice") -> list[dict[str, Any]]:
    """The nodes of a root list."""
    [connection] = (await client.ask(f"{{{listing}}}", who)).data.values()
    return nodes(connection)


async def message_of(client: Client, role: str, who: str = "alice") -> str:
    listed = f"messages(first:1,filter:{{role:[{role}]}}){{edges{{node{{id}}}}}}"
    [conversation] = await first(client, f"conversations(last:1){{edges{{node{{{listed}}}}}}}", who)
    return str(nodes(conversation["messages"])[0]["id"])


# ── 3 Start a chat safely on a flaky network ─────────────────────────────────────────────────────────────────────────
async def test_ten_retries_at_once_begin_one_chat_and_are_answered_alike(homes: Homes) -> None:
    count = "SELECT count(*) FROM app.ai_conversations WHERE title = 'Kitchen budget' AND user_id = $1"
    async with superuser(homes.urls) as connection:
        before = await connection.fetchval(count, IDS["alice"])
        answers = await asyncio.gather(*(ask(homes.small, "03_start_a_chat", "alice", key="flaky") for _ in range(10)))
        assert await connection.fetchval(count, IDS["alice"]) == before + 1
    assert len({answer.raw for answer in answers}) == 1
    made = answers[0].data["createConversation"]
    assert made["userErrors"] == []
    assert nodes(made["conversation"]["messages"]) == [{"role": "USER", "content": "Why is lumber over?"}]


async def test_another_title_under_the_same_key_is_a_mismatch(homes: Homes) -> None:
    await ask(homes.small, "03_start_a_chat", "alice", key="mismatch")
    other = document("03_start_a_chat").replace("Kitchen budget", "Bathroom budget")
    assert codes(await homes.small.ask(other, "alice", key="mismatch")) == ["IDEMPOTENCY_MISMATCH"]


async def test_a_chat_begins_in_the_same_statements_whatever_there_is(homes: Homes, ran: Callable[..., None]) -> None:
    began = [await ask(client, "03_start_a_chat", "alice", key="stated") for client in homes.both]
    again = [await ask(client, "03_start_a_chat", "alice", key="stated") for client in homes.both]
    assert [answer.raw for answer in again] == [answer.raw for answer in began]
    for pair in (began, again):
        assert pair[0].statements == pair[1].statements
    ran("03_start_a_chat", {"alice": began[0].statements, "alice, once more": again[0].statements})


# ── 4 Thumb down, then change mind ───────────────────────────────────────────────────────────────────────────────────
async def test_a_question_and_a_colleagues_answer_are_not_rated(homes: Homes) -> None:
    question, answer = [await message_of(homes.small, role) for role in ("USER", "ASSISTANT")]
    assert codes(await ask(homes.small, "04_thumb_down", "alice", m=question)) == ["INVALID"]
    colleagues, invented = [
        await ask(homes.small, "04_thumb_down", "bob", m=id_) for id_ in (answer, global_id("Message", INVENTED))
    ]
    assert codes(colleagues) == ["NOT_FOUND"]
    assert colleagues.raw == invented.raw


async def test_a_thumb_goes_down_and_up_again_in_the_same_statements(homes: Homes, ran: Callable[..., None]) -> None:
    up = document("04_thumb_down").replace("DOWN", "UP")
    stated = []
    for client in homes.both:
        message = await message_of(client, "ASSISTANT")
        down = await ask(client, "04_thumb_down", "alice", m=message)
        assert down.data["submitFeedback"]["message"] == {"feedbackSummary": {"up": 0, "down": 1}}
        other = await client.ask(up, "alice", m=message)
        ratings = [answer.data["submitFeedback"]["feedback"] for answer in (down, other)]
        assert [rating["rating"] for rating in ratings] == [1, 5]
        assert ratings[0]["id"] == ratings[1]["id"]
        assert down.statements == other.statements
        stated.append(down.statements)
    assert stated[0] == stated[1]
    ran("04_thumb_down", {"alice": stated[0]})


# ── 6 Dismiss several ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_observer_dismisses_nothing(homes: Homes) -> None:
    ids = [
        node["id"] for node in await first(homes.small, "insights(filter:{dismissed:null}){edges{node{id}}}", "olga")
    ]
    answer = await ask(homes.small, "06_dismiss_several", "olga", ids=ids)
    assert (codes(answer), answer.data["dismissInsights"]["insights"]) == (["FORBIDDEN"], [])


async def test_several_are_dismissed_whatever_one_of_them_is_and_the_first_dismisser_stays(
    homes: Homes, ran: Callable[..., None]
) -> None:
    stated = []
    for client in homes.both:
        ids = [node["id"] for node in await first(client, "insights(filter:{dismissed:null}){edges{node{id}}}")]
        ids.insert(2, global_id("Insight", INVENTED))
        answer = await ask(client, "06_dismiss_several", "alice", ids=ids)
        found = answer.data["dismissInsights"]
        assert [(error["code"], error["field"]) for error in found["userErrors"]] == [("NOT_FOUND", ["ids", "2"])]
        assert [node["id"] for node in found["insights"]] == [id_ for id_ in ids if id_ != ids[2]]
        assert {(node["isDismissed"], node["dismissedBy"]["displayName"]) for node in found["insights"]} == {
            (True, "Alice")
        }
        assert (await ask(client, "06_dismiss_several", "bob", ids=ids)).raw == answer.raw
        stated.append(answer.statements)
    assert stated[0] == stated[1]
    ran("06_dismiss_several", {"alice": stated[0]})


# ── 8 Delete and undo ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_colleagues_chat_is_deleted_like_an_invented_one(homes: Homes) -> None:
    [chat] = await first(homes.small, "conversations(first:1){edges{node{id}}}")
    for story in ("08_delete", "08_undo"):
        answers = [
            await ask(homes.small, story, "bob", c=id_) for id_ in (chat["id"], global_id("Conversation", INVENTED))
        ]
        assert answers[0].raw == answers[1].raw
        assert codes(answers[0]) == ["NOT_FOUND"]


async def test_a_chat_is_deleted_and_brought_back_with_its_feedback(homes: Homes, ran: Callable[..., None]) -> None:
    stated = []
    for client in homes.both:
        chat = (await first(client, "conversations(last:1){edges{node{id}}}"))[0]["id"]
        look = (
            f'{{node(id:"{chat}"){{id}} conversations(last:100){{edges{{node{{id}}}}}} found:conversations(last:100,filter:'
            '{search:"Lumber"}){edges{node{id}}}}'
        )
        rated = "feedback(first:100){edges{node{id}}}"
        before, feedback = (await client.ask(look)).data, await first(client, rated)
        assert chat in {node["id"] for node in nodes(before["found"])}
        deleted = await ask(client, "08_delete", "alice", c=chat)
        assert deleted.data["deleteConversation"] == {"deletedId": chat, "userErrors": []}
        gone = (await client.ask(look)).data
        assert gone["node"] is None
        assert chat not in {node["id"] for name in ("conversations", "found") for node in nodes(gone[name])}
        listed = await first(client, "conversations(filter:{state:DELETED}){edges{node{id}}}")
        assert [node["id"] for node in listed] == [chat]
        assert await first(client, rated) == feedback
        restored = await ask(client, "08_undo", "alice", c=chat)
        assert restored.data["restoreConversation"] == {
            "conversation": {"id": chat, "deletedAt": None},
            "userErrors": [],
        }
        after = (await client.ask(look)).data
        assert {node["id"] for node in nodes(after["found"])} == {node["id"] for node in nodes(before["found"])}
        stated.append((deleted.statements, restored.statements))
    assert stated[0] == stated[1]
    ran("08_delete", {"alice": stated[0][0]})
    ran("08_undo", {"alice": stated[0][1]})


# ── 12 Record the click ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_click_is_its_persons_and_recorded_once(homes: Homes, ran: Callable[..., None]) -> None:
    stated = []
    for client in homes.both:
        [search] = await first(client, "contentSearches(first:1){edges{node{id}}}")
        colleagues, invented = [
            await ask(client, "12_record_the_click", "bob", s=id_, c=CONTENT)
            for id_ in (search["id"], global_id("ContentSearch", INVENTED))
        ]
        assert colleagues.raw == invented.raw
        assert codes(colleagues) == ["NOT_FOUND"]
        clicked = await ask(client, "12_record_the_click", "alice", s=search["id"], c=CONTENT)
        assert codes(clicked) == []
        assert clicked.data["selectSearchResult"]["search"]["selectedContentId"] == CONTENT
        again = await ask(client, "12_record_the_click", "alice", s=search["id"], c=INVENTED)
        assert codes(again) == ["IMMUTABLE"]
        assert again.data["selectSearchResult"]["search"] == clicked.data["selectSearchResult"]["search"]
        stated.append((clicked.statements, again.statements))
    assert stated[0] == stated[1]
    ran("12_record_the_click", {"alice": stated[0][0], "alice, a second time": stated[0][1]})


# ── what all of them leave ───────────────────────────────────────────────────────────────────────────────────────────
async def test_every_change_is_on_the_chain_and_the_chain_verifies(homes: Homes) -> None:
    began = datetime.now(UTC)
    await ask(homes.small, "03_start_a_chat", "alice", key="on record")
    async with superuser(homes.urls) as connection:
        actions = await connection.fetch(
            "SELECT action, actor_id, actor_role FROM app.audit_events WHERE organization_id = $1 AND occurred_at > $2"
            " ORDER BY seq", HERE, began,
        )  # fmt: skip
    by_alice = (IDS["alice"], "MEMBER")
    assert [tuple(row) for row in actions] == [("conversation.created", *by_alice), ("message.sent", *by_alice)]
    found = await homes.small.ask("{verifyAuditChain{ok verdict}}", "dave")
    assert found.data["verifyAuditChain"] == {"ok": True, "verdict": "OK"}
