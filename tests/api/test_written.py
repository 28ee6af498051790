"""Pages that PostgreSQL writes: byte for byte what the API makes of columns, for every list, field and role."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type, is_required_argument
from strawberry.utils.str_converters import to_camel_case

from api import paging
from db.engine import Urls
from tests.api.reach import ROUTES, SCHEMA, literal_of, valid
from tests.api.test_statements import LISTS, WHO
from tests.bench.operations import DOCUMENTS
from tests.client import Answer, Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import plant

ROLES: Final = ("alice", "jon", "carol", "dave", "olga", "service:northwind")
RANDOM_SELECTIONS: Final = 6
IS_WRITTEN: Final = "}' AS json"
# Columns of types that `api/json_text.py` does not know.
UNKNOWN: Final = {("AuditEvent", "hash"), ("AuditEvent", "prevHash")}
# Whoever reads these adds an event to the very list that is compared.
ON_RECORD: Final = {("AuditEvent", "details")}
# What these lists must not lose: computed fields and nodes of other tables that are written as well.
BELOW: Final = {
    "Message": ("sources { kind title }", "sources { t: title }", "myFeedback { id rating text createdAt }"),
    "ToolCall": ("user { id displayName role isErased }",),
    "Insight": ("project { id name }",),
}


@contextmanager
def by_columns() -> Iterator[None]:
    """Nothing is written by PostgreSQL."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(paging, "writing_of", lambda *_: None)
        yield


def fields_of(type_name: str) -> Any:
    kind: Any = SCHEMA.type_map[type_name]
    return kind.fields


def list_of(parent: str, name: str, below: str, size: str = "first:100") -> str:
    field = fields_of(parent)[name]
    given = [f"{each}:{literal_of(valid(a.type), a.type)}" for each, a in field.args.items() if is_required_argument(a)]
    route = ROUTES[parent]
    return f"{{{route}{name}({','.join([*given, size])}){below}{'}' * (route.count('{') - route.count('}'))}}}"


def node_of(parent: str, name: str) -> GraphQLObjectType:
    connection: Any = get_named_type(fields_of(parent)[name].type)
    edge: Any = get_named_type(connection.fields["edges"].type)
    node: GraphQLObjectType = get_named_type(edge.fields["node"].type)
    return node


async def both(client: Client, document: str, who: str) -> tuple[Answer, Answer]:
    """The answer as it is, and of columns alone."""
    written = await client.ask(document, who)
    with by_columns():
        return written, await client.ask(document, who)


def is_written(answer: Answer) -> bool:
    return any(IS_WRITTEN in sql for sql in answer.statements)


def leaves_of(node: GraphQLObjectType) -> list[str]:
    """The node's leaves, with an argument or without, but for those whose reading changes what is compared."""
    leaves = [each for each, field in node.fields.items() if is_leaf_type(get_named_type(field.type))]
    return [each for each in leaves if (node.name, each) not in ON_RECORD]


def written_leaves(node: GraphQLObjectType) -> list[str]:
    """Those that PostgreSQL has to write: all that are a column, the id and the content of a message."""
    fields = {each.name: each for each in node.extensions["strawberry-definition"].fields}
    names = {to_camel_case(name): each for name, each in fields.items()}
    plain = [each for each in leaves_of(node) if names[each].base_resolver is None or each in {"id", "content"}]
    return [each for each in plain if (node.name, each) not in UNKNOWN]


@pytest.mark.parametrize(("parent", "name"), LISTS, ids=[".".join(each) for each in LISTS])
async def test_a_list_is_the_same_written_and_made_of_columns(ask_world: Client, parent: str, name: str) -> None:
    who, node = WHO.get(f"{parent}.{name}", "jon"), node_of(parent, name)
    fields = [*written_leaves(node), *BELOW.get(node.name, ())]
    random = Random(f"{parent}.{name}")
    for selection in (all_of(fields), *(below(random, fields) for _ in range(RANDOM_SELECTIONS))):
        document = list_of(parent, name, selection, f"{random.choice(['first', 'last'])}:{random.choice([1, 3, 100])}")
        written, plain = await both(ask_world, document, who)
        assert written.raw == plain.raw, document
        assert is_written(written), document
        assert not is_written(plain)
        assert len(written.statements) <= len(plain.statements), document
    for field in set(leaves_of(node)) - set(fields):
        answer = await ask_world.ask(list_of(parent, name, f"{{edges{{node{{{field}}}}}}}"), who)
        assert not is_written(answer), f"{field} is written after all: say so"


def all_of(fields: list[str]) -> str:
    parts = " ".join(f"f{at}: {each}" for at, each in enumerate(fields))
    return f"{{ edges {{ node {{ {parts} }} cursor }} }}"


def below(random: Random, fields: list[str]) -> str:
    """Edges with some of these fields, aliases, type names, switches and cursors in any order; and the page's ends."""
    chosen = [random.choice(fields) for _ in range(random.randint(1, 6))]
    parts = [
        f"f{at}: {each}" if random.random() < 0.5 or chosen.count(each) > 1 else each for at, each in enumerate(chosen)
    ]
    parts = [
        f"{each} @include(if: {random.choice(['true', 'false'])})"
        if "{" not in each and random.random() < 0.1
        else each
        for each in parts
    ]
    parts += ["__typename"] * (random.random() < 0.3)
    random.shuffle(parts)
    edge = [f"{random.choice(['', 'n: '])}node {{ id {' '.join(parts)} }}"]
    edge += [random.choice(["cursor", "place: cursor"])] * (random.random() < 0.5)
    edge += ["t: __typename"] * (random.random() < 0.2)
    random.shuffle(edge)
    page = [f"edges {{ {' '.join(edge)} }}"]
    page += ["pageInfo { startCursor endCursor hasNextPage hasPreviousPage }"] * (random.random() < 0.5)
    page += ["totalCount { value }"] * (random.random() < 0.2)
    return f"{{ {' '.join(page)} }}"


# O5 has its people from the one statement, O4 its facets and its total.
STATEMENTS: Final = {"O1": 1, "O2": 2, "O3": 1, "O4": 1, "O5": 1}


@pytest.mark.parametrize("who", ROLES)
@pytest.mark.parametrize("operation", ["O1", "O2", "O3", "O4", "O5"])
async def test_every_role_is_shown_the_same(ask_world: Client, operation: str, who: str) -> None:
    found = await ask_world.ask("{ conversations(first: 1) { edges { node { id } } } }", who)
    edges = (found.body["data"]["conversations"] or {"edges": []})["edges"]
    variables = {
        "id": edges[0]["node"]["id"]
        if edges
        else "Q29udmVyc2F0aW9uOjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMA=="
    }
    given = variables if operation == "O3" else {}
    written = await ask_world.ask(DOCUMENTS[operation], who, **given)
    with by_columns():
        plain = await ask_world.ask(DOCUMENTS[operation], who, **given)
    masked = re.compile(rb'"requestId":"\w+"')
    assert masked.sub(b"", written.raw) == masked.sub(b"", plain.raw)
    assert not any(IS_WRITTEN in sql for sql in plain.statements)
    if who == ("dave" if operation == "O5" else "alice"):
        assert is_written(written)
        assert len(written.statements) == STATEMENTS[operation]


async def test_the_next_page_begins_where_a_written_one_ended(ask_world: Client) -> None:
    page = "conversations(first: 3%s) { edges { cursor node { id } } pageInfo { endCursor hasNextPage } }"
    ids: list[str] = []
    after = ""
    for _ in range(10):
        answer = await ask_world.ask(f"{{ {page % after} }}", "alice")
        assert is_written(answer)
        found = answer.data["conversations"]
        ids += [each["node"]["id"] for each in found["edges"]]
        assert found["pageInfo"] == {"endCursor": found["edges"][-1]["cursor"], "hasNextPage": True}
        after = f', after: "{found["pageInfo"]["endCursor"]}"'
    whole = await ask_world.ask("{ conversations(first: 30) { edges { node { id } } } }", "alice")
    assert ids == [each["node"]["id"] for each in whole.data["conversations"]["edges"]]


HARD: Final = "a \"quoted\" \\ back\tslash\nnew line \x01\x1f\x7f é 漢字 😀 \u2028 100% {} 'single' $1 :name"


async def test_texts_and_moments_of_every_kind_come_out_the_same(template: Urls, tmp_path: Path) -> None:
    async with clone(template) as copy, client_of(copy, tmp_path, EMBEDDER="none") as client:
        await plant(copy, times=1)
        await spoil(
            copy,
            "UPDATE app.ai_messages SET content = $1",
            HARD,
        )
        await spoil(copy, "UPDATE app.ai_conversations SET title = $1, updated_at = '2026-02-03 04:05:06Z'", HARD)
        await spoil(copy, "UPDATE app.ai_messages SET sources = $1::text::jsonb", SOURCES)
        document = (
            "{ conversations(first: 3) { edges { cursor node { title updatedAt"
            " messages(first: 100) { edges { node { content createdAt sources { title kind } } } } } } } }"
        )
        written, plain = await both(client, document, "alice")
        assert written.raw == plain.raw
        node = written.data["conversations"]["edges"][0]["node"]
        assert node["title"] == HARD
        assert node["updatedAt"] == "2026-02-03T04:05:06.000000Z"
        message = node["messages"]["edges"][0]["node"]
        assert message["content"] == HARD
        assert message["sources"] == [{"title": None, "kind": ""}] * 5 + [
            {"title": 'ti"tle\\ 漢', "kind": "document"},
            {"title": None, "kind": ""},
        ]
        alone = "{ conversations(first: 9) { edges { cursor node { title updatedAt } } } }"
        written, plain = await both(client, alone, "alice")
        assert is_written(written)
        assert written.raw == plain.raw


SOURCES: Final = (
    '[1, "text", null, [{"kind": "document"}], {}, {"kind": "document", "title": "ti\\"tle\\\\ 漢"},'
    ' {"kind": {"a": 1}, "title": 7}]'
)


AT_THE_ROOT: Final = "{ conversations(first: 2) { edges { cursor node { id messageCount } } pageInfo { endCursor } } }"
UNDER_PARENTS: Final = """{ viewer { organization { projects(first: 2) { edges { node {
  name conversations(first: 2) { edges { node { id messageCount } cursor } pageInfo { startCursor } } } } } } } }"""


@pytest.mark.parametrize("document", [AT_THE_ROOT, UNDER_PARENTS], ids=["at the root", "under parents"])
async def test_what_cannot_be_written_is_read_again_and_said_as_ever(
    template: Urls, tmp_path: Path, document: str
) -> None:
    """A count that no Int can carry."""
    async with clone(template) as copy, client_of(copy, tmp_path, EMBEDDER="none") as client:
        await plant(copy, times=1)
        before, plain = await both(client, document, "alice")
        assert is_written(before)
        assert before.data == plain.data
        assert len(before.statements) == len(plain.statements)
        await spoil(copy, "UPDATE app.ai_conversations SET message_count = 3000000000")
        written, plain = await both(client, document, "alice")
        assert is_written(written)
        assert len(written.statements) == len(plain.statements) + 1
        assert written.body["data"] == plain.body["data"]
        assert [each["path"] for each in written.errors] == [each["path"] for each in plain.errors]
        assert {each["path"][-1] for each in written.errors} == {"messageCount"}


async def spoil(urls: Urls, sql: str, *arguments: Any) -> None:
    """As a superuser, past all rules."""
    async with superuser(urls) as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql, *arguments)


async def test_edges_around_the_same_nodes_do_not_share_their_keys(ask_world: Client) -> None:
    edges = (
        "cursor node { id }", "x: cursor node { id }", "node { id } cursor", "cursor n: node { id }", "node { id } y: cursor __typename",
        "node { id }", "n: node { id }", "t: __typename node { id }",
    )  # fmt: skip
    lists = " ".join(f"m{at}: messages(first: 2) {{ edges {{ {each} }} }}" for at, each in enumerate(edges))
    written, plain = await both(
        ask_world, f"{{ conversations(first: 2) {{ edges {{ node {{ {lists} }} }} }} }}", "alice"
    )
    assert is_written(written)
    assert written.raw == plain.raw


async def test_merged_fragments_and_switches_are_written_as_they_are_wanted(ask_world: Client) -> None:
    document = """query ($yes: Boolean!, $no: Boolean!) {
      conversations(first: 3) { ...P edges @include(if: $yes) { node { updatedAt } } edges { ...E node @skip(if: $no) { title } } }
    }
    fragment P on ConversationConnection { edges { cursor @include(if: $no) node { id ... on Node { id } ...N @skip(if: $yes) } } }
    fragment E on ConversationEdge { node { messageCount createdAt @include(if: $no) } place: cursor @include(if: $yes) }
    fragment N on Conversation { modelUsed }"""
    for yes, no in ((True, False), (False, True), (True, True)):
        written = await ask_world.ask(document, "alice", yes=yes, no=no)
        with by_columns():
            plain = await ask_world.ask(document, "alice", yes=yes, no=no)
        assert is_written(written) or (yes and no)  # then there are two cursors
        assert written.raw == plain.raw


async def test_two_selections_of_one_list_do_not_share_their_texts(ask_world: Client) -> None:
    document = """{ conversations(first: 3) { edges { node {
      a: messages(first: 2) { edges { node { id } } } b: messages(first: 2) { edges { node { role c: content } } }
      c: messages(first: 2) { edges { node { role content } cursor } } d: messages(first: 2) { edges { node { id } } }
    } } } }"""
    written, plain = await both(ask_world, document, "alice")
    assert written.raw == plain.raw
    assert sum(IS_WRITTEN in sql for sql in written.statements) == 3  # `a` and `d` are one


async def test_an_organization_is_written_nothing_of_another(ask_world: Client) -> None:
    """The same document by two people of two organizations: the texts are of their own rows."""
    document = "{ conversations(first: 100) { edges { node { databaseId } } } insights(first: 100) { edges { node { databaseId } } } }"
    found = []
    for who in ("alice", "jon", "alice"):
        answer = await ask_world.ask(document, who)
        assert sum(IS_WRITTEN in sql for sql in answer.statements) == 2
        found.append({each["node"]["databaseId"] for page in answer.data.values() for each in page["edges"]})
    assert found[0] == found[2]
    assert found[0]
    assert not found[0] & found[1]
