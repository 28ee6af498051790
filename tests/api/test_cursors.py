"""Cursors: opaque, checked strictly, exact to the microsecond; and pages that give every row exactly once."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from api import cursor
from api.cursor import SortValue
from api.node import global_id
from db.engine import Urls
from tests.client import Answer, Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import HERE, IDS, PROJECT, plant
from tests.stories.story import nodes

ROW = "01940000-0000-7000-8000-000000000001"
BASE = datetime(2026, 2, 14, tzinfo=UTC)


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
async def rows(template: Urls) -> AsyncIterator[Urls]:
    """The small organization, with conversations one microsecond apart or at once, and projects of one name."""
    async with clone(template) as copy:
        await plant(copy, times=1)
        async with superuser(copy) as connection:
            await connection.execute(
                "ALTER TABLE app.ai_conversations DISABLE TRIGGER ALL; ALTER TABLE app.ai_messages DISABLE TRIGGER ALL;"
                "DELETE FROM app.ai_conversations"
            )
            for number, microseconds in enumerate((0, 1, 2, 2, 2, 3, 4)):
                await add(connection, f"Chat {number}", microseconds)
            await connection.execute(
                f"UPDATE app.ai_messages SET created_at = '{BASE}', conversation_id ="
                f" (SELECT id FROM app.ai_conversations WHERE title = 'Chat 0');"
                f"UPDATE app.ai_insights SET created_at = '{BASE}';"
                f"INSERT INTO app.projects (organization_id, name) SELECT '{HERE}', name"
                f" FROM unnest(ARRAY['Kitchen', 'kitchen', 'Küche', 'Kitchen', 'Ångström', 'a b', 'ab']) name"
            )
        yield copy


@pytest.fixture(scope="module")
async def client(rows: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with client_of(rows, tmp_path_factory.mktemp("cursors"), EMBEDDER="none") as asking:
        yield asking


async def add(connection: Any, title: str, microseconds: int) -> None:
    moment = BASE + timedelta(microseconds=microseconds)
    await connection.execute(
        "INSERT INTO app.ai_conversations (organization_id, user_id, project_id, title, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $5)",
        HERE, IDS["alice"], PROJECT, title, moment,
    )  # fmt: skip


@dataclass(frozen=True)
class List:
    """A list: its field with PAGE for the page's arguments, what it stands under, and who asks it."""

    field: str
    under: str = ""
    who: str = "alice"

    async def ask(self, client: Client, **page: Any) -> Answer:
        """The answer to a page; its list is `page`."""
        selection = "{edges{cursor node{id}}pageInfo{hasNextPage hasPreviousPage startCursor endCursor}}"
        field = "page:" + self.field.replace("PAGE", "first:$first,after:$after,last:$last,before:$before")
        text = "query($first:Int,$after:String,$last:Int,$before:String){" + self.under + field + selection
        return await client.ask(text + "}" * (self.under.count("{") - self.under.count("}") + 1), self.who, **page)

    async def page(self, client: Client, **page: Any) -> Any:
        """A page that is not refused."""
        found = (await self.ask(client, **page)).data
        while "page" not in found:
            [found] = [found["edges"][0]["node"]] if "edges" in found else found.values()
        return found["page"]


DAYS = [f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}T00:00:00Z" for days in (-60, 2)]
RECENT = f'filter:{{range:{{from:"{DAYS[0]}",to:"{DAYS[1]}"}}}}'
DIRECTED = [
    f"{{field:{field},direction:{direction}}}"
    for field in ("UPDATED_AT", "CREATED_AT")
    for direction in ("ASC", "DESC")
]
CHATS = [List(f"conversations(PAGE,orderBy:{order})") for order in DIRECTED]
INSIGHTS = [List(f"insights(PAGE,orderBy:{order.replace('UPDATED_AT', 'SEVERITY')})") for order in DIRECTED]
IN_PROJECT = f'node(id:"{global_id("Project", PROJECT)}"){{...on Project{{'
LISTS = [
    *CHATS,
    *INSIGHTS,
    List("users(PAGE)", "viewer{organization{"),
    List("projects(PAGE)", "viewer{organization{"),
    List(CHATS[0].field, IN_PROJECT),
    List(INSIGHTS[1].field, IN_PROJECT),
    List("messages(PAGE)", "conversations(first:1,orderBy:{field:UPDATED_AT,direction:ASC}){edges{node{"),
    List("chunks(PAGE)", "documents(first:1){edges{node{"),
    List("toolCalls(PAGE)"),
    List("toolCalls(PAGE,filter:{status:[ERROR]})", who="dave"),
    List("toolCalls(PAGE)", f'node(id:"{global_id("User", IDS["alice"])}"){{...on User{{', who="dave"),
    List(f"aiInteractions(PAGE,{RECENT})", who="carol"),
    List(f"usageLogs(PAGE,{RECENT})", who="dave"),
    List("auditEvents(PAGE)", who="dave"),
    List("feedback(PAGE)"),
    List("aiSettings(PAGE)", who="carol"),
]


@pytest.mark.parametrize("listing", LISTS, ids=lambda each: f"{each.under}{each.field}"[-60:])
async def test_pages_of_any_size_give_every_row_exactly_once_in_both_directions(client: Client, listing: List) -> None:
    everything = (await listing.page(client, first=100))["edges"]
    count = len(everything)
    assert count >= 3
    for size in sorted({1, 2, 3, count - 1, count, count + 1}):
        for number, pointing in (("first", ("after", "endCursor")), ("last", ("before", "startCursor"))):
            found: list[Any] = []
            place: dict[str, str] = {}
            has_more = True
            while has_more:
                page = await listing.page(client, **{number: size}, **place)
                assert 0 < len(page["edges"]) <= size
                info = page["pageInfo"]
                is_forward = number == "first"
                found = found + page["edges"] if is_forward else page["edges"] + found
                has_more = info["hasNextPage" if is_forward else "hasPreviousPage"]
                assert info["hasPreviousPage" if is_forward else "hasNextPage"] == bool(place)
                place = {pointing[0]: info[pointing[1]]}
            assert found == everything, (number, size)


@pytest.mark.parametrize(
    "listing", [CHATS[0], CHATS[1], INSIGHTS[0], LISTS[9]], ids=["chats", "chats-", "insights", "projects"]
)
async def test_two_cursors_enclose_what_is_between_them(client: Client, listing: List) -> None:
    everything = (await listing.page(client))["edges"]
    ends = {"after": everything[0]["cursor"], "before": everything[-1]["cursor"]}
    for size in ({"first": 100}, {"last": 100}, {}):
        assert (await listing.page(client, **ends, **size))["edges"] == everything[1:-1]
    assert (await listing.page(client, after=ends["before"], before=ends["after"]))["edges"] == []


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_rows_one_microsecond_apart_come_in_order(client: Client, direction: str) -> None:
    query = f"{{conversations(orderBy:{{field:UPDATED_AT,direction:{direction}}}){{edges{{node{{updatedAt}}}}}}}}"
    times = [node["updatedAt"] for node in nodes((await client.ask(query)).data["conversations"])]
    assert times == sorted(times, reverse=direction == "DESC")
    assert [time[-7:] for time in sorted(times)] == [f"00000{digit}Z" for digit in "0122234"]


@pytest.mark.parametrize("listing", CHATS, ids=DIRECTED)
@pytest.mark.parametrize("number", ["first", "last"])
async def test_rows_that_come_between_two_pages_neither_repeat_nor_hide_others(
    rows: Urls, client: Client, listing: List, number: str
) -> None:
    before = [edge["node"]["id"] for edge in (await listing.page(client))["edges"]]
    pointing, end = ("after", "endCursor") if number == "first" else ("before", "startCursor")
    found: list[str] = []
    place: dict[str, str] = {}
    try:
        for turn in range(100):
            page = await listing.page(client, **{number: 1}, **place)
            found += [edge["node"]["id"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage" if number == "first" else "hasPreviousPage"]:
                break
            place = {pointing: page["pageInfo"][end]}
            if turn < 4:
                async with superuser(rows) as connection:
                    for microseconds in (-1, 2, 9):
                        await add(connection, "Intruder", microseconds)
    finally:
        async with superuser(rows) as connection:
            await connection.execute("DELETE FROM app.ai_conversations WHERE title = 'Intruder'")
    assert len(found) == len(set(found))
    assert [each for each in found if each in before] == (before if number == "first" else before[::-1])


@pytest.mark.parametrize("way", ["cursors first", "cursors last"])
async def test_the_same_page_is_given_with_cursors_and_without_in_one_answer(client: Client, way: str) -> None:
    parts = ["with:messages(first:2){edges{cursor node{id}}}", "without:messages(first:2){edges{node{id}}}"]
    parts.append("ends:messages(first:2){edges{node{id}}pageInfo{startCursor endCursor}}")
    fields = " ".join(parts if way == "cursors first" else parts[::-1])
    query = f"{{conversations(first:1,orderBy:{{field:UPDATED_AT,direction:ASC}}){{edges{{node{{{fields}}}}}}}}}"
    [chat] = nodes((await client.ask(query)).data["conversations"])
    assert nodes(chat["with"]) == nodes(chat["without"]) == nodes(chat["ends"])
    first, last = [edge["cursor"] for edge in chat["with"]["edges"]]
    assert chat["ends"]["pageInfo"] == {"startCursor": first, "endCursor": last}
    assert first != last


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def is_refused(answer: Answer, argument: str) -> bool:
    [error] = answer.errors
    named = {"code": "BAD_USER_INPUT", "argument": argument}
    return answer.status == 200 and error["extensions"] == named


@pytest.mark.parametrize("argument", ["after", "before"])
async def test_every_flipped_byte_of_a_cursor_is_one_bad_input(client: Client, argument: str) -> None:
    listing = CHATS[0]
    good = (await listing.page(client, first=1))["edges"][0]["cursor"]
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    for at in range(len(raw)):
        flipped = raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]
        text = base64.urlsafe_b64encode(flipped).decode().rstrip("=")
        answer = await listing.ask(client, **{argument: text})
        assert is_refused(answer, argument), at
        assert not answer.statements


def kind_of(listing: List) -> tuple[str, str]:
    """What its rows are, and their order: under a parent or not, filtered or not, cursors are the same."""
    return listing.field.partition("(")[0], listing.field.partition("orderBy:")[2]


@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_cursor_of_another_list_or_order_is_one_bad_input(client: Client, argument: str) -> None:
    cursors = {listing: (await listing.page(client, first=1))["edges"][0]["cursor"] for listing in LISTS}
    refused = 0
    for listing in (CHATS[1], INSIGHTS[0], LISTS[9]):
        for other, text in cursors.items():
            if kind_of(other) != kind_of(listing):
                assert is_refused(await listing.ask(client, **{argument: text}), argument)
                refused += 1
    assert refused > 30


async def test_a_cursor_of_another_organization_is_one_bad_input(ask_world: Client) -> None:
    for listing in (CHATS[1], INSIGHTS[0], LISTS[9]):
        theirs = List(listing.field, listing.under, who="erik")
        text = (await theirs.page(ask_world, first=1))["edges"][0]["cursor"]
        assert is_refused(await listing.ask(ask_world, after=text), "after")


@pytest.mark.parametrize(
    ("listing", "tag", "value"),
    [
        (CHATS[1], "Conversation.updated_at-", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
        (CHATS[1], "Conversation.updated_at-", datetime(1, 1, 1, tzinfo=UTC)),
        (CHATS[1], "Conversation.updated_at-", datetime.fromisoformat("0001-01-01T00:00:00+23:59")),
        (CHATS[1], "Conversation.updated_at-", datetime.fromisoformat("9999-12-31T23:59:59-23:59")),
        (INSIGHTS[1], "Insight.severity_rank-", 2**15),
        (INSIGHTS[1], "Insight.severity_rank-", 2**63),
        (LISTS[13], "DocumentChunk.chunk_index+", 2**31),
        (List("auditEvents(PAGE)", who="dave"), "AuditEvent.seq-", 2**63),
        (List("auditEvents(PAGE)", who="dave"), "AuditEvent.seq-", -(2**63) - 1),
        (LISTS[9], "Project.name+", "a\x00b"),
        (LISTS[9], "Project.name+", "x" * 5_000),
    ],
)
async def test_a_cursor_made_by_hand_with_a_value_that_no_row_has_is_harmless(
    client: Client, listing: List, tag: str, value: SortValue
) -> None:
    """The check in a cursor is no signature: who knows the organization's id can make one."""
    try:
        forged = cursor.encode(tag, value, ROW, HERE)
    except (OverflowError, TypeError):  # a number of more than 64 bits, a moment of no zone
        number = value if isinstance(value, int) else 0
        forged = cursor.sealer(tag, type(value), HERE)([number.to_bytes(16, "big", signed=True) + UUID(ROW).bytes])[0]
    answer = await listing.ask(client, after=forged)
    assert answer.status == 200
    assert [error["extensions"] for error in answer.errors] in (
        [], [{"code": "BAD_USER_INPUT", "argument": "after"}],
    )  # fmt: skip
