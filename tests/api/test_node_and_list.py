"""A node and the list below it: in one statement what two have given, for every list, argument and role."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from api.node import global_id
from api.paging import Pager
from db.engine import Urls
from tests.client import Answer, Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import plant

ROLES: Final = ("alice", "bob", "jon", "carol", "dave", "olga", "service:northwind")
NOBODYS: Final = "00000000-0000-4000-8000-000000000000"
MESSAGES: Final = "messages(%s) { edges { cursor node { id role content createdAt myFeedback { rating } } } %s }"
PAGE: Final = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
CONVERSATION: Final = "id title updatedAt messageCount"
# What is asked of a conversation; two of them ask for more, which needs another statement.
WAYS: Final = {
    "the last ones": f"{CONVERSATION} {MESSAGES % ('last: 3', PAGE)}",
    "the first ones": f"{MESSAGES % ('first: 2', PAGE)} {CONVERSATION}",
    "all of them": MESSAGES % ("first: 100", ""),
    "under another key": f"said: {MESSAGES % ('last: 2', PAGE)} __typename name: title",
    "some of them": MESSAGES % ("first: 5, filter: {role: [USER]}", PAGE),
    "tool calls": "title toolCalls(first: 2) { edges { node { id toolName } } }",
    "a count": f"id {MESSAGES % ('first: 1', 'totalCount { value isEstimate }')}",
    "a person": f"id user {{ displayName }} {MESSAGES % ('first: 1', '')}",
}
MORE: Final = {"a count", "a person"}
# What is read as ever.
APART: Final = {
    "two lists": f"{MESSAGES % ('first: 1', '')} toolCalls(first: 1) {{ edges {{ node {{ id }} }} }}",
    "one list twice": f"a: {MESSAGES % ('first: 1', '')} b: {MESSAGES % ('first: 2', '')}",
    "no list": CONVERSATION,
    "the ends alone": f"messages(first: 1) {{ {PAGE} }} viewerCanUpdate",
    "a count alone": "id messages(first: 1) { totalCount { value } }",
    "what cannot be written": "id messages(first: 2) { edges { node { content(maxChars: 5) } } }",
}
WRONG: Final = {
    "no size": "first: 0",
    "two sizes": "first: 1, last: 1",
    "no cursor": 'first: 1, after: "here"',
    "an unknown range": 'first: 1, filter: {createdAt: {gte: "yesterday"}}',
}


def conversation(database_id: str, below: str) -> str:
    return f'{{ node(id: "{global_id("Conversation", database_id)}") {{ ... on Conversation {{ {below} }} }} }}'


@contextmanager
def apart() -> Iterator[None]:
    """The node by itself, and its list after it."""

    async def none(*_: object) -> list[Any]:
        return []

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("api.schema.node_and_list", none)
        yield


async def both(client: Client, document: str, who: str) -> tuple[Answer, Answer]:
    """The answer as it is, compiled, and apart."""
    first = await client.ask(document, who)
    together = await client.ask(document, who)
    with apart():
        alone = await client.ask(document, who)
    masked = re.compile(rb'"requestId":"\w+"')
    assert masked.sub(b"", first.raw) == masked.sub(b"", together.raw) == masked.sub(b"", alone.raw), document
    assert first.statements == together.statements
    return together, alone


async def ids_of(client: Client, who: str) -> list[str]:
    answer = await client.ask("{ conversations(first: 5) { edges { node { databaseId } } } }", who)
    return [edge["node"]["databaseId"] for edge in (answer.body["data"]["conversations"] or {"edges": []})["edges"]]


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("way", [*WAYS, *APART])
async def test_everybody_is_told_what_two_statements_tell(ask_world: Client, way: str, who: str) -> None:
    own, others = await ids_of(ask_world, "alice"), await ids_of(ask_world, "jon")
    assert own
    assert others
    for database_id in (own[0], own[-1], others[0], NOBODYS):
        text = conversation(database_id, {**WAYS, **APART}[way])
        together, alone = await both(ask_world, text, who)
        node = together.body["data"]["node"]
        if database_id in {*others, NOBODYS} and who != "jon":
            assert node is None
        if who == "alice" and node is None and way in WAYS:
            assert len(together.statements) == 1
        if who == "alice" and node:
            assert len(alone.statements) == len(together.statements) + (way in WAYS), text
            assert len(together.statements) == 1 + (way in MORE) if way in WAYS else True


async def test_every_page_of_a_conversation_follows_the_one_before(ask_world: Client) -> None:
    (database_id, *_), found, after = await ids_of(ask_world, "alice"), list[str](), ""
    for _ in range(99):
        text = conversation(database_id, MESSAGES % (f"first: 3{after}", PAGE))
        together, _ = await both(ask_world, text, "alice")
        page = together.data["node"]["messages"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = f', after: "{page["pageInfo"]["endCursor"]}"'
    whole = await ask_world.ask(conversation(database_id, MESSAGES % ("first: 100", "")), "alice")
    assert found == [edge["node"]["id"] for edge in whole.data["node"]["messages"]["edges"]]
    assert len(found) > 3


@pytest.mark.parametrize("way", WRONG)
async def test_a_wrong_argument_is_the_lists_own_error(ask_world: Client, way: str) -> None:
    (database_id, *_) = await ids_of(ask_world, "alice")
    together, alone = await both(ask_world, conversation(database_id, f"id {MESSAGES % (WRONG[way], '')}"), "alice")
    assert together.errors
    assert [each["extensions"]["code"] for each in together.errors] == ["BAD_USER_INPUT"]
    assert together.statements == alone.statements


async def test_several_nodes_are_read_together_as_ever(ask_world: Client) -> None:
    one, other, *_ = await ids_of(ask_world, "alice")
    parts = [
        f'n{at}: node(id: "{global_id("Conversation", each)}") {{ id ... on Conversation {{ {MESSAGES % ("first: 1", "")} }} }}'
        for at, each in enumerate((one, other, one))
    ]
    for text in (f"{{ {' '.join(parts)} }}", f"{{ ...F }} fragment F on Query {{ {' '.join(parts)} }}"):
        together, alone = await both(ask_world, text, "alice")
        assert together.statements == alone.statements
        assert len(together.statements) == 2


async def test_arguments_of_the_list_are_taken_from_variables(ask_world: Client) -> None:
    (database_id, *_) = await ids_of(ask_world, "alice")
    text = """query ($id: ID!, $size: Int = 2, $after: String, $more: Boolean = true) { node(id: $id) { ... on Conversation {
      title @include(if: $more) messages(first: $size, after: $after) { edges { cursor node { id } } totalCount @skip(if: $more) { value } } } } }"""
    given: dict[str, Any] = {"id": global_id("Conversation", database_id)}
    pages = []
    for variables in ({}, {"size": 3}, {"size": 1}, {"size": 1, "more": False}, {"size": 0}, {"after": "nowhere"}):
        for _ in range(2):
            together = await ask_world.ask(text, "alice", **given, **variables)
            with apart():
                alone = await ask_world.ask(text, "alice", **given, **variables)
            assert together.body.get("data") == alone.body.get("data")
            assert together.codes == alone.codes
        pages.append(together)
    assert [len(each.data["node"]["messages"]["edges"]) for each in pages[:4]] == [2, 3, 1, 1]
    assert [len(each.statements) for each in pages[:4]] == [1, 1, 1, 2]
    after = pages[1].data["node"]["messages"]["edges"][0]["cursor"]
    following = await ask_world.ask(text, "alice", **given, after=after)
    assert following.data["node"]["messages"]["edges"] == pages[1].data["node"]["messages"]["edges"][1:]


async def test_a_projects_documents_come_with_it(ask_world: Client) -> None:
    answer = await ask_world.ask(
        "{ viewer { organization { projects(first: 9) { edges { node { id } } } } } }", "alice"
    )
    found = 0
    for edge in answer.data["viewer"]["organization"]["projects"]["edges"]:
        text = f"""{{ node(id: "{edge["node"]["id"]}") {{ ... on Project {{
          name documents(first: 3) {{ edges {{ node {{ id title }} }} {PAGE} }} }} }} }}"""
        together, alone = await both(ask_world, text, "alice")
        assert (len(together.statements), len(alone.statements)) == (1, 2)
        found += len(together.data["node"]["documents"]["edges"])
    assert found


async def test_one_document_asks_for_nodes_of_several_types(ask_world: Client) -> None:
    text = f"""query ($id: ID!) {{ node(id: $id) {{ id
      ... on Project {{ name documents(first: 3) {{ edges {{ node {{ title }} }} }} }}
      ... on Conversation {{ title {MESSAGES % ("first: 2", "")} }}
    }} }}"""
    answer = await ask_world.ask(
        "{ viewer { organization { projects(first: 1) { edges { node { id } } } } } }", "alice"
    )
    (project,) = answer.data["viewer"]["organization"]["projects"]["edges"]
    (database_id, *_) = await ids_of(ask_world, "alice")
    for _ in range(2):
        for node_id in (project["node"]["id"], global_id("Conversation", database_id), global_id("User", NOBODYS)):
            together = await ask_world.ask(text, "alice", id=node_id)
            with apart():
                assert (await ask_world.ask(text, "alice", id=node_id)).raw == together.raw
            assert len(together.statements) == 1


async def test_an_empty_conversation_has_an_empty_page_and_a_deleted_one_is_none(
    template: Urls, tmp_path: Path
) -> None:
    async with clone(template) as copy, client_of(copy, tmp_path, EMBEDDER="none") as client:
        await plant(copy, times=1)
        empty, deleted, *_ = await ids_of(client, "alice")
        async with superuser(copy) as connection:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute("DELETE FROM app.ai_messages WHERE conversation_id = $1", empty)
            await connection.execute("UPDATE app.ai_conversations SET deleted_at = now() WHERE id = $1", deleted)
        together, alone = await both(client, conversation(empty, WAYS["the last ones"]), "alice")
        assert together.data["node"]["messages"] == {
            "edges": [],
            "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        }
        assert (len(together.statements), len(alone.statements)) == (1, 2)
        together, _ = await both(client, conversation(deleted, WAYS["the last ones"]), "alice")
        assert together.data == {"node": None}


async def test_a_list_that_cannot_be_written_is_read_by_columns(
    ask_world: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (database_id, *_) = await ids_of(ask_world, "alice")
    text = conversation(database_id, WAYS["the last ones"])
    before, _ = await both(ask_world, text, "alice")
    read = Pager.read
    monkeypatch.setattr(Pager, "read", lambda pager, rows: None if pager.writing else read(pager, rows))
    after, _ = await both(ask_world, text, "alice")
    assert after.raw == before.raw
    assert len(after.statements) == 3  # with its node, by itself, by columns
