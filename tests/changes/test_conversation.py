"""Changing conversations: whose, what is left out, who was first, and what a deletion leaves."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.changes.house import House, gid, hidden, refusals
from tests.databases import superuser
from tests.security.people import NORTH, SOUTH, uid

LIVE, DELETED = (gid("Conversation", "conversation", "ana", state) for state in ("live", "deleted"))
ID = uid(NORTH, "conversation", "ana", "live")
KITCHEN = gid("Project", "project", "kitchen")
STATE = "conversation{id title project{name} updatedAt deletedAt messageCount}"
# Each change of one conversation: the input's field that names it, and what else the input needs.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "updateConversation": ("id", {"title": "Mine"}),
    "deleteConversation": ("id", {}),
    "restoreConversation": ("id", {}),
    "sendMessage": ("conversationId", {"content": "Mine"}),
}
EACH = pytest.mark.parametrize("field", CHANGES)


def given(field: str, id_: str) -> dict[str, Any]:
    name, more = CHANGES[field]
    return {name: id_, **more}


@EACH
async def test_conversations_that_do_not_exist_for_the_caller_are_refused_alike(house: House, field: str) -> None:
    ids = hidden("Conversation", "conversation", "ana", "live")
    people = ["ana.north", "ben.north", "carol.north"]
    asked = [(ids[0], people), (ids[1], ["ana.north", "carol.north"]), (ids[2], [*people, "service:north"])]
    if field != "sendMessage":
        asked.append((ids[0], ["service:north"]))
    async with house.untouched():
        answers = [await house.change(field, given(field, id_), STATE, who) for id_, all_ in asked for who in all_]
    if field == "sendMessage":  # a service sends nothing, whatever exists
        assert refusals(answers.pop()) == [("FORBIDDEN", None)]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("NOT_FOUND", [CHANGES[field][0]])]


async def test_observers_and_auditors_change_no_conversation(house: House) -> None:
    ids = [gid("Conversation", "conversation", who, "live") for who in ("olga", "dave", "ana")]
    ids += hidden("Conversation", "conversation", "ana", "live")
    people = ["olga.north", "dave.north"]
    for field in CHANGES:
        async with house.untouched():
            answers = [await house.change(field, given(field, id_), STATE, who) for id_ in ids for who in people]
        assert len({answer.raw for answer in answers}) == 1
        assert (field, refusals(answers[0])) == (field, [("FORBIDDEN", None)])


async def test_whoever_has_no_conversations_begins_none(house: House) -> None:
    async with house.untouched():
        for who in ("olga.north", "dave.north", "service:north"):
            answer = await house.change("createConversation", {"title": "Mine"}, STATE, who)
            assert refusals(answer) == [("FORBIDDEN", None)]


async def test_a_foreign_project_is_refused_like_an_invented_one(house: House) -> None:
    ids = hidden("Project", "project", "kitchen")
    async with house.untouched():
        created = [
            await house.change("createConversation", {"title": "T", "firstMessage": "Why?", "projectId": id_}, STATE)
            for id_ in ids
        ]
        moved = [
            await house.change("updateConversation", {"id": LIVE, "title": "T", "projectId": id_}, STATE) for id_ in ids
        ]
    for answers in (created, moved):
        assert len({answer.raw for answer in answers}) == 1
        assert refusals(answers[0]) == [("NOT_FOUND", ["projectId"])]


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"title": "x" * 256}, ("PAYLOAD_TOO_LARGE", ["title"])),
        ({"title": " "}, ("INVALID", ["title"])),
        ({"firstMessage": "x" * 32_769}, ("PAYLOAD_TOO_LARGE", ["firstMessage"])),
        ({"firstMessage": "\n"}, ("INVALID", ["firstMessage"])),
    ],
)
async def test_texts_that_are_blank_or_too_long_begin_nothing(
    house: House, more: dict[str, str], refusal: tuple[str, list[str]]
) -> None:
    async with house.untouched():
        answer = await house.change("createConversation", {"title": "T", "firstMessage": "Why?", **more}, STATE)
    assert refusals(answer) == [refusal]


async def test_a_conversation_begins_with_what_is_said_first(house: House) -> None:
    asked = {"title": "Kitchen", "projectId": KITCHEN, "firstMessage": "Why?", "metadata": {"tab": 1}}
    select = "conversation{id databaseId title project{name} metadata messageCount user{displayName} messages(first:2){edges{node{databaseId role content}}}}"
    answer = await house.change("createConversation", asked, select)
    made = answer.data["createConversation"]["conversation"]
    [message] = [edge["node"] for edge in made["messages"]["edges"]]
    assert (message["role"], message["content"], made["messageCount"]) == ("USER", "Why?", 1)
    assert (made["title"], made["project"], made["metadata"]) == ("Kitchen", {"name": "kitchen"}, {"tab": 1})
    assert made["user"] == {"displayName": "ana"}
    assert await house.events() == [
        ("conversation.created", made["databaseId"], None), ("message.sent", message["databaseId"], None),
    ]  # fmt: skip


async def test_what_is_left_out_stays_and_null_empties(house: House) -> None:
    seen = []
    for more in ({"title": "New"}, {"projectId": None}, {"title": None}, {"projectId": KITCHEN}):
        answer = await house.change("updateConversation", {"id": LIVE, **more}, STATE)
        found = answer.data["updateConversation"]["conversation"]
        seen.append((found["title"], found["project"]))
    kitchen = {"name": "kitchen"}
    assert seen == [("New", kitchen), ("New", None), (None, None), (None, kitchen)]
    changed = [details["changed"] for _, _, details in await house.events()]
    assert changed == [["title"], ["project_id"], ["title"], ["project_id"]]
    async with house.untouched():
        nothing = await house.change("updateConversation", {"id": LIVE}, STATE)
    assert nothing.data["updateConversation"]["conversation"]["project"] == kitchen


async def test_a_change_of_what_changed_meanwhile_is_a_conflict_with_the_current_node(house: House) -> None:
    first = await house.change("updateConversation", {"id": LIVE, "title": "One"}, STATE)
    before = first.data["updateConversation"]["conversation"]
    expecting = {"id": LIVE, "expectedUpdatedAt": before["updatedAt"]}
    second = await house.change("updateConversation", {**expecting, "title": "Two"}, STATE)
    assert refusals(second) == []
    current = second.data["updateConversation"]["conversation"]
    assert current["updatedAt"] > before["updatedAt"]
    async with house.untouched():
        late = await house.change("updateConversation", {**expecting, "title": "Three"}, STATE)
    assert refusals(late) == [("CONFLICT", ["expectedUpdatedAt"])]
    assert late.data["updateConversation"]["conversation"] == current


async def test_of_two_editors_one_wins_every_round_and_no_change_is_lost(house: House) -> None:
    read = f'{{node(id:"{LIVE}"){{... on Conversation{{title updatedAt}}}}}}'
    rounds, title = 40, None
    for turn in range(rounds):
        now = (await house.client.ask(read, "ana.north")).data["node"]
        assert title in {None, now["title"]}
        titles = [f"{turn} {editor}" for editor in "ab"]
        asked = [{"id": LIVE, "expectedUpdatedAt": now["updatedAt"], "title": each} for each in titles]
        answers = await asyncio.gather(*(house.change("updateConversation", each, STATE) for each in asked))
        won = [each for each, answer in zip(titles, answers, strict=True) if not refusals(answer)]
        assert sorted(map(refusals, answers)) == [[], [("CONFLICT", ["expectedUpdatedAt"])]]
        [title] = won
        assert {answer.data["updateConversation"]["conversation"]["title"] for answer in answers} == {title}
    assert len(await house.events()) == rounds


async def test_a_deleted_conversation_is_gone_from_everywhere_but_the_list_of_deleted(house: House) -> None:
    question, answer = (gid("Message", kind, "ana", "live") for kind in ("question", "answer"))
    look = (
        f'{{node(id:"{LIVE}"){{id}} nodes(ids:["{question}","{answer}"]){{id}} active:conversations{{edges{{node{{id}}}}}}'
        ' found:conversations(filter:{search:"lumber"}){edges{node{id}}}'
        " deleted:conversations(filter:{state:DELETED}){edges{node{id}}}"
        " all:conversations(filter:{state:ALL},orderBy:{field:CREATED_AT,direction:ASC}){edges{node{id}}} feedback{edges{node{id message{id}}}}}"
    )
    before = (await house.client.ask(look, "ana.north")).data
    deleted = await house.change("deleteConversation", {"id": LIVE}, f"deletedId {STATE}")
    assert deleted.data["deleteConversation"]["deletedId"] == LIVE
    assert deleted.data["deleteConversation"]["conversation"]["deletedAt"] is not None
    gone = (await house.client.ask(look, "ana.north")).data
    ids = {
        name: {edge["node"]["id"] for edge in gone[name]["edges"]}
        for name in ("active", "found", "deleted", "all", "feedback")
    }
    assert (gone["node"], gone["nodes"]) == (None, [None, None])
    assert (ids["active"], ids["found"]) == (set(), set())
    assert ids["deleted"] == ids["all"] == {LIVE, DELETED}
    assert ids["feedback"] == {gid("Feedback", "feedback", "ana", state) for state in ("live", "deleted")}
    assert {edge["node"]["message"] for edge in gone["feedback"]["edges"] if edge["node"]["message"]} == set()
    restored = await house.change("restoreConversation", {"id": LIVE}, STATE)
    assert restored.data["restoreConversation"]["conversation"]["deletedAt"] is None
    assert (await house.client.ask(look, "ana.north")).data == before
    assert [event[:2] for event in await house.events()] == [
        ("conversation.deleted", ID),
        ("conversation.restored", ID),
    ]


async def test_deleting_and_restoring_twice_is_once(house: House) -> None:
    first = await house.change("deleteConversation", {"id": LIVE}, f"deletedId {STATE}")
    async with house.untouched():
        again = await house.change("deleteConversation", {"id": LIVE}, f"deletedId {STATE}")
    assert again.raw == first.raw
    first = await house.change("restoreConversation", {"id": LIVE}, STATE)
    async with house.untouched():
        again = await house.change("restoreConversation", {"id": LIVE}, STATE)
    assert again.raw == first.raw


@EACH
async def test_only_restoring_reaches_a_deleted_conversation(house: House, field: str) -> None:
    answer = await house.change(field, given(field, DELETED), STATE)
    expected = [] if field in {"deleteConversation", "restoreConversation"} else [("NOT_FOUND", [CHANGES[field][0]])]
    assert refusals(answer) == expected


@pytest.mark.parametrize(
    ("age", "is_kept"), [(timedelta(days=30, minutes=-1), True), (timedelta(days=30, minutes=1), False)]
)
async def test_a_conversation_is_restored_for_thirty_days(house: House, age: timedelta, *, is_kept: bool) -> None:
    await house.rows(
        "UPDATE app.ai_conversations SET deleted_at = $2 WHERE id = $1", uid(NORTH, "conversation", "ana", "deleted"),
        datetime.now(UTC) - age,
    )  # fmt: skip
    answer = await house.change("restoreConversation", {"id": DELETED}, STATE)
    invented = await house.change("restoreConversation", {"id": gid("Conversation", "invented")}, STATE)
    assert (answer.raw != invented.raw) is is_kept
    assert len(await house.events()) == int(is_kept)


async def test_what_is_sent_is_the_persons_and_the_last_of_the_list(house: House) -> None:
    sent = await house.change(
        "sendMessage", {"conversationId": LIVE, "content": " Why? "},
        "message{id role content user{displayName}} messageEdge{cursor node{id}} conversation{messageCount lastMessageAt}",
    )  # fmt: skip
    payload = sent.data["sendMessage"]
    assert (payload["message"]["role"], payload["message"]["content"]) == ("USER", " Why? ")
    assert payload["message"]["user"] == {"displayName": "ana"}
    assert payload["conversation"]["messageCount"] == 3
    page = "{cursor node{id}}"
    listed = f'{{node(id:"{LIVE}"){{... on Conversation{{messages(last:1){{edges{page}}}}}}}}}'
    [edge] = (await house.client.ask(listed, "ana.north")).data["node"]["messages"]["edges"]
    assert edge == payload["messageEdge"]
    before = (
        f'{{node(id:"{LIVE}"){{... on Conversation{{messages(last:9,before:"{edge["cursor"]}"){{edges{page}}}}}}}}}'
    )
    assert len((await house.client.ask(before, "ana.north")).data["node"]["messages"]["edges"]) == 2


@pytest.mark.parametrize(
    ("content", "code"), [("x" * 32_769, "PAYLOAD_TOO_LARGE"), ("", "INVALID"), ("\t ", "INVALID")]
)
async def test_nothing_and_too_much_are_not_sent(house: House, content: str, code: str) -> None:
    async with house.untouched():
        answer = await house.change("sendMessage", {"conversationId": LIVE, "content": content})
    assert refusals(answer) == [(code, ["content"])]


async def test_what_is_sent_waits_for_a_deletion_under_way(house: House) -> None:
    async with superuser(house.urls) as connection:
        async with connection.transaction():
            await connection.execute("UPDATE app.ai_conversations SET deleted_at = now() WHERE id = $1", ID)
            sending = asyncio.ensure_future(house.change("sendMessage", {"conversationId": LIVE, "content": "Why?"}))
            await asyncio.wait([sending], timeout=0.3)
            assert not sending.done()
        assert refusals(await sending) == [("NOT_FOUND", ["conversationId"])]


async def test_messages_at_the_same_moment_are_all_counted(house: House) -> None:
    asked = {"conversationId": LIVE, "content": "Why?"}
    answers = await asyncio.gather(*(house.change("sendMessage", asked, "message{id}") for _ in range(12)))
    assert len({answer.data["sendMessage"]["message"]["id"] for answer in answers}) == 12
    assert await house.rows("SELECT message_count FROM app.ai_conversations WHERE id = $1", ID) == [
        {"message_count": 14}
    ]
    assert [action for action, *_ in await house.events()] == ["message.sent"] * 12


async def test_the_record_holds_no_title_and_nothing_said(house: House) -> None:
    await house.change("createConversation", {"title": "SECRET", "firstMessage": "SECRET", "metadata": {"a": "SECRET"}})
    await house.change("updateConversation", {"id": LIVE, "title": "SECRET"})
    await house.change("sendMessage", {"conversationId": LIVE, "content": "SECRET"})
    events = await house.events()
    assert len(events) == 4
    assert "SECRET" not in str(events)


async def test_the_other_organization_is_as_it_was(house: House) -> None:
    async def theirs() -> list[dict[str, Any]]:
        names = ("ai_conversations", "ai_messages", "audit_events", "audit_heads", "ai_feedback", "ai_insights")
        tables = " UNION ALL ".join(
            f"SELECT to_jsonb(t)::text AS row FROM app.{name} t WHERE organization_id = $1" for name in names
        )
        return sorted(await house.rows(tables, uid(SOUTH)), key=str)

    before = await theirs()
    await house.change("createConversation", {"title": "T", "firstMessage": "Why?"}, STATE, "wanda", key="both")
    for field in CHANGES:
        await house.change(field, given(field, LIVE), STATE)
    assert await theirs() == before
