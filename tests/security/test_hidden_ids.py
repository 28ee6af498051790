"""What exists behind a wall answers like what never existed: the same bytes, or an empty list."""

import json
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, get_named_type

from api import cursor
from api.node import global_id
from api.schema import build_schema
from tests.client import Answer
from tests.security.conftest import House
from tests.security.people import (
    AT,
    NEVER_ISSUED,
    NORTH,
    PRINCIPALS,
    SOUTH,
    WANDA,
    Principal,
    principal,
    timed,
    uid,
    user_id,
)
from tests.security.routes import RANGE, TYPES, view_of

NORTHERN = [who for who in PRINCIPALS if who.slug == NORTH]
each_principal = pytest.mark.parametrize("who", NORTHERN, ids=str)
each_type = pytest.mark.parametrize("type_name", sorted(TYPES))
NEVER_TIMED = timed(AT, "nowhere", "never issued")


def bytes_of(answer: Answer) -> bytes:
    """`data` and `errors` as they were sent, the request's own id aside."""
    errors = [{**error, "extensions": {**error["extensions"], "requestId": None}} for error in answer.errors]
    return json.dumps({"data": answer.body.get("data"), "errors": errors}, sort_keys=True).encode()


async def ask(house: House, who: Principal, text: str, **variables: Any) -> Answer:
    return await house.client.ask(text, who.who, organization=who.slug, **variables)


async def hidden(house: House, who: Principal, type_name: str) -> tuple[list[str], list[str]]:
    """Ids of this type that are foreign, and those inside the organization that this principal may not see."""
    view = view_of(await house.dump(), who)
    shown = view.shown(type_name) or {}
    rows = view.dump["users" if type_name == "AiSettings" else TYPES[type_name].table]
    behind = [row for row in rows if row["id"] not in shown]
    is_ours = [row.get("organization_id", row["id"]) == who.organization_id for row in behind]
    foreign, private = (
        [row["id"] for row, ours in zip(behind, is_ours, strict=True) if ours == side] for side in (False, True)
    )
    return foreign, private


# ── by id ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@each_type
@each_principal
async def test_a_foreign_id_answers_like_one_that_was_never_issued(
    house: House, who: Principal, type_name: str
) -> None:
    foreign, private = await hidden(house, who, type_name)
    assert foreign
    never = [await _node(house, who, type_name, each) for each in (NEVER_ISSUED, NEVER_TIMED)]
    assert never[0] == never[1] == bytes_of(Answer(200, {"data": {"node": None}}, b"", ()))
    for database_id in (foreign[0], foreign[-1], *private[:1], *private[-1:]):
        assert await _node(house, who, type_name, database_id) == never[0]


async def _node(house: House, who: Principal, type_name: str, database_id: str) -> bytes:
    text = f"query($id: ID!) {{node(id: $id) {{__typename id ... on {type_name} {{id}}}}}}"
    return bytes_of(await ask(house, who, text, id=global_id(type_name, database_id)))


@each_type
async def test_foreign_ids_among_many_answer_like_none(house: House, type_name: str) -> None:
    who = principal(NORTH, "ana")
    foreign, private = await hidden(house, who, type_name)
    behind = [*foreign, *private][:50]
    text = "query($ids: [ID!]!) {nodes(ids: $ids) {id}}"
    answers = [
        await ask(house, who, text, ids=[global_id(type_name, each) for each in ids])
        for ids in (behind, [NEVER_ISSUED] * len(behind))
    ]
    assert bytes_of(answers[0]) == bytes_of(answers[1])
    assert answers[0].data == {"nodes": [None] * len(behind)}


async def test_an_id_of_another_type_finds_nothing_under_that_type(house: House) -> None:
    who = principal(NORTH, "ana")
    for type_name in TYPES:
        own = uid(NORTH, "conversation", "ana", "live")
        seen = await _node(house, who, type_name, own)
        assert (seen == await _node(house, who, type_name, NEVER_ISSUED)) == (type_name != "Conversation")


async def test_a_person_of_two_organizations_sees_only_the_one_it_asks_in(house: House) -> None:
    for asked, other in ((NORTH, SOUTH), (SOUTH, NORTH)):
        who = principal(asked, "wanda")
        own, behind = (uid(slug, "conversation", "wanda", "live") for slug in (asked, other))
        assert await _node(house, who, "Conversation", behind) == await _node(house, who, "Conversation", NEVER_ISSUED)
        assert await _node(house, who, "Conversation", own) != await _node(house, who, "Conversation", NEVER_ISSUED)


# ── by filter ────────────────────────────────────────────────────────────────────────────────────────────────────────
FOUND = "edges{node{id}} pageInfo{hasNextPage endCursor} totalCount{value}"
# By place in the schema: the argument as an error names it, its type, who may ask, and the whole question.
FILTERS: dict[str, tuple[str, str, str, str]] = {
    "ConversationFilter.projectId": ("projectId", "Project", "ana", f"conversations(filter: {{projectId: $id}}) {{{FOUND}}}"),
    "InsightFilter.projectId": ("projectId", "Project", "ana", f"insights(filter: {{projectId: $id}}) {{{FOUND} facets{{byType{{count}}}}}}"),
    "DocumentFilter.projectId": ("projectId", "Project", "ana", f"documents(filter: {{projectId: $id}}) {{{FOUND}}}"),
    "PatternFilter.categoryId": ("categoryId", "Category", "ana", f"patterns(filter: {{categoryId: $id}}) {{{FOUND}}}"),
    "FeedbackFilter.userId": ("userId", "User", "carol", f"feedback(filter: {{userId: $id}}) {{{FOUND}}}"),
    "ToolCallFilter.userId": ("userId", "User", "carol", f"toolCalls(filter: {{userId: $id}}) {{{FOUND}}}"),
    "ContentSearchFilter.userId": ("userId", "User", "carol", f"contentSearches(filter: {{userId: $id}}) {{{FOUND}}}"),
    "UsageLogFilter.userId": ("userId", "User", "carol", f"usageLogs(filter: {{{RANGE}, userId: $id}}) {{{FOUND}}}"),
    "InteractionFilter.userId": ("userId", "User", "carol", f"aiInteractions(filter: {{{RANGE}, userId: $id}}) {{{FOUND}}}"),
    "MetricFilter.userId": ("userId", "User", "carol", f"aiMetrics({RANGE}, groupBy: [USER], filter: {{userId: $id}}) {{rows{{count}}}}"),
    "AuditEventFilter.actorId": ("actorId", "User", "dave", f"auditEvents(filter: {{actorId: $id}}) {{{FOUND}}}"),
    "AuditEventFilter.targetId": ("targetId", "Document", "dave", f"auditEvents(filter: {{targetId: $id}}) {{{FOUND}}}"),
    "DocumentSearchInput.projectId": (
        "projectId", "Project", "ana", 'searchDocuments(input: {text: "lumber", projectId: $id}) {edges{node{id}}}',
    ),
    "DocumentSearchInput.documentIds": (
        "documentIds", "Document", "ana", 'searchDocuments(input: {text: "lumber", documentIds: [$id]}) {edges{node{id}}}',
    ),
}  # fmt: skip
FOREIGN = {
    "Project": uid(SOUTH, "project", "kitchen"),
    "Category": uid(SOUTH, "category", "lumber"),
    "User": user_id(SOUTH, "ana"),
    "Document": uid(SOUTH, "document", "plan"),
}
each_filter = pytest.mark.parametrize("place", sorted(FILTERS))


def test_every_argument_that_takes_an_id_stands_in_these_tests() -> None:
    schema = build_schema()
    found = _ids_of_inputs(schema) | _ids_of_arguments(schema)
    # The proof of an audit event is asked for in tests/api/test_audit_proof.py.
    assert found == set(FILTERS) | {"Query.node.id", "Query.nodes.ids", "Query.auditProof.id"}


def _ids_of_inputs(schema: GraphQLSchema) -> set[str]:
    """Those of queries: a mutation's are tried role by role in tests/changes/test_matrix.py."""
    mutation = schema.mutation_type.fields.values() if schema.mutation_type else ()
    changing = {get_named_type(argument.type).name for field in mutation for argument in field.args.values()}
    inputs = [
        named
        for named in schema.type_map.values()
        if isinstance(named, GraphQLInputObjectType) and named.name not in changing
    ]
    return {
        f"{named.name}.{name}"
        for named in inputs
        for name, field in named.fields.items()
        if get_named_type(field.type).name == "ID"
    }


def _ids_of_arguments(schema: GraphQLSchema) -> set[str]:
    objects = [named for named in schema.type_map.values() if isinstance(named, GraphQLObjectType)]
    return {
        f"{named.name}.{field_name}.{name}"
        for named in objects
        if not named.name.startswith("__")
        for field_name, field in named.fields.items()
        for name, argument in field.args.items()
        if get_named_type(argument.type).name == "ID"
    }


@each_filter
async def test_a_filter_by_a_foreign_id_finds_nothing(house: House, place: str) -> None:
    _, type_name, name, field = FILTERS[place]
    who = principal(NORTH, name)
    text = f"query($id: ID!) {{it: {field}}}"
    answers = [
        await ask(house, who, text, id=global_id(type_name, each)) for each in (FOREIGN[type_name], NEVER_ISSUED)
    ]
    assert bytes_of(answers[0]) == bytes_of(answers[1])
    found = answers[0].data["it"]
    assert not (found["rows"] if "rows" in found else found["edges"])
    assert found.get("totalCount", {"value": 0}) == {"value": 0}


@each_filter
async def test_a_filter_by_an_id_of_another_type_names_its_argument(house: House, place: str) -> None:
    argument, type_name, name, field = FILTERS[place]
    who = principal(NORTH, name)
    own = global_id("Insight", uid(NORTH, "insight", "open"))
    malformed = [
        "",
        "x",
        "1",
        uid(NORTH),
        f"{type_name}:{uid(NORTH)}",
        own[:-4],
        "é",
        "A" * 100_000,
        global_id(type_name, "1"),
        global_id(type_name, uid(NORTH).upper()),
    ]
    # An audit event may be about anything: there an id of any type is one.
    for value in (*malformed, *([] if argument == "targetId" else [own])):
        answer = await ask(house, who, f"query($id: ID!) {{it: {field}}}", id=value)
        assert answer.codes == ["BAD_USER_INPUT"], value[:50]
        assert answer.errors[0]["extensions"]["argument"].split(".")[0] == argument
        assert value[:20] not in answer.errors[0]["message"] or len(value) < 2


@pytest.mark.parametrize("field", ["feedback", "toolCalls", "contentSearches"])
async def test_a_colleague_as_a_filter_finds_nothing_of_its_own(house: House, field: str) -> None:
    who = principal(NORTH, "ana")
    text = f"query($id: ID!) {{it: {field}(filter: {{userId: $id}}) {{{FOUND}}}}}"
    people = (user_id(NORTH, "ben"), WANDA, user_id(SOUTH, "ana"), NEVER_ISSUED)
    answers = {bytes_of(await ask(house, who, text, id=global_id("User", each))) for each in people}
    assert len(answers) == 1
    own = await ask(house, who, text, id=global_id("User", user_id(NORTH, "ana")))
    assert own.data["it"]["edges"]


# ── by cursor ────────────────────────────────────────────────────────────────────────────────────────────────────────
LISTS = [(name, listed.text) for name, route in TYPES.items() for listed in route.lists]


def _listing(text: str) -> str:
    return f"query($after: String) {{it: {text % 'first: 2, after: $after'} {{edges{{cursor node{{id}}}} pageInfo{{hasNextPage}}}}}}"


@pytest.mark.parametrize("text", [text for _, text in LISTS])
async def test_a_foreign_cursor_answers_like_a_made_up_one(house: House, text: str) -> None:
    name = "ana" if text.startswith(("conversations", "insights", "patterns", "documents")) else "carol"
    page = await ask(house, principal(SOUTH, name), _listing(text), after=None)
    foreign = page.data["it"]["edges"][0]["cursor"]
    answers = [
        await ask(house, principal(NORTH, name), _listing(text), after=each)
        for each in (foreign, "bWFkZSB1cA", foreign[:-2])
    ]
    assert len({bytes_of(answer) for answer in answers}) == 1
    assert (answers[0].codes, answers[0].errors[0]["extensions"]["argument"]) == (["BAD_USER_INPUT"], "after")


async def test_a_colleagues_cursor_leads_only_through_ones_own_rows(house: House) -> None:
    ana, ben = principal(NORTH, "ana"), principal(NORTH, "ben")
    text = _listing("conversations(%s, filter: {state: ALL})")
    theirs = (await ask(house, ben, text, after=None)).data["it"]["edges"][0]["cursor"]
    hidden_id = uid(NORTH, "conversation", "ben", "live")
    made_up = [
        cursor.encode("Conversation.updated_at-", AT, each, ana.organization_id) for each in (hidden_id, NEVER_ISSUED)
    ]
    own = {row["id"] for row in (await house.dump())["ai_conversations"] if row["user_id"] == ana.user_id}
    for after in (theirs, *made_up):
        answer = await ask(house, ana, text, after=after)
        assert {edge["node"]["id"] for edge in answer.data["it"]["edges"]} <= {
            global_id("Conversation", each) for each in own
        }


async def test_no_answer_to_a_hidden_id_repeats_it(house: House) -> None:
    who = principal(NORTH, "ana")
    for type_name in TYPES:
        for database_id in (await hidden(house, who, type_name))[0][:1]:
            answer = await ask(house, who, "query($id: ID!) {node(id: $id) {id}}", id=global_id(type_name, database_id))
            assert database_id.encode() not in answer.raw
            assert global_id(type_name, database_id).encode() not in answer.raw
