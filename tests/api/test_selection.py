"""Columns that nobody selected are not fetched, and no field misses one that it takes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
    is_object_type,
    is_required_argument,
)

from tests.api.reach import DAYS, ROUTES, SCHEMA
from tests.client import Client

RANGE = f'{{range: {{from: "{DAYS[0]}", to: "{DAYS[1]}"}}}}'
# Who sees rows of each type, and the list in which it does.
LISTS = {
    "Conversation": ("alice", "conversations(first: 3)"),
    "Message": ("alice", "conversations(first: 2) { edges { node { messages(last: 3)"),
    "Feedback": ("alice", "feedback(first: 3)"),
    "Insight": ("alice", "insights(first: 3, filter: {dismissed: true, includeExpired: true})"),
    "Pattern": ("alice", "patterns(first: 3)"),
    "AiSettings": ("hanna", "aiSettings(first: 3)"),
    "UsageLog": ("hanna", f"usageLogs(first: 3, filter: {RANGE})"),
    "AiInteraction": ("jon", f"aiInteractions(first: 3, filter: {RANGE})"),
    "ToolCall": ("jon", "toolCalls(first: 3)"),
    "AuditEvent": ("jon", f'auditEvents(first: 3, filter: {{occurredAt: {{lt: "{DAYS[0]}"}}}})'),
    "Document": ("alice", "documents(first: 3)"),
    "DocumentChunk": ("alice", "documents(first: 2) { edges { node { chunks(first: 2)"),
    "ContentSearch": ("hanna", "contentSearches(first: 3)"),
    "CacheEntry": ("jon", "cacheEntries(first: 3)"),
    "User": ("carol", "viewer { organization { users(first: 3)"),
    "Project": ("carol", "viewer { organization { projects(first: 3)"),
    "Category": ("carol", "viewer { organization { categories(first: 3)"),
}


def test_every_type_that_is_listed_is_here() -> None:
    listed = {
        get_named_type(edge.fields["node"].type).name
        for name, edge in SCHEMA.type_map.items()
        if is_object_type(edge) and name.endswith("Edge")
    }
    assert listed == LISTS.keys()
    assert ROUTES["Message"]


def fields(kind: GraphQLObjectType) -> Iterator[tuple[str, str]]:
    for name, field in kind.fields.items():
        assert not any(is_required_argument(argument) for argument in field.args.values())
        yield name, f"{name}{below(field)}"


def below(field: GraphQLField) -> str:
    """As little as can be said of a composite value."""
    named = get_named_type(field.type)
    if not is_composite_type(named):
        return ""
    if is_object_type(named) and "pageInfo" in named.fields:
        return "(first: 2) { edges { node { id } } }"
    return " { __typename }" if "id" not in getattr(named, "fields", {}) else " { id }"


async def asked(client: Client, kind: str, selection: str) -> list[Any]:
    who, route = LISTS[kind]
    close = "}" * (route.count("{") - route.count("}"))
    answer = await client.ask(f"{{ {route} {{ edges {{ node {{ {selection} }} }} }} {close} }}", who)
    found: list[Any] = []
    waiting = [answer.data]
    while waiting:  # the innermost edges, in order
        value = waiting.pop(0)
        if isinstance(value, dict) and "edges" in value:
            nodes = [edge["node"] for edge in value["edges"]]
            inner = [each for node in nodes for each in node.values() if kind in {"Message", "DocumentChunk"}]
            nested = [each for each in inner if isinstance(each, dict) and "edges" in each]
            waiting += nested if nested and route.count("edges") else []
            if not nested:
                found += nodes
        elif isinstance(value, dict):
            waiting += value.values()
    return found


@pytest.mark.parametrize("kind", LISTS)
async def test_each_field_alone_says_what_it_says_among_all(ask_world: Client, kind: str) -> None:
    every = dict(fields(SCHEMA.type_map[kind]))  # type: ignore[arg-type]
    together = await asked(ask_world, kind, " ".join(every.values()))
    assert together, "nothing is proven about an empty list"
    for name, selection in every.items():
        alone = await asked(ask_world, kind, selection)
        assert json.dumps(alone) == json.dumps([{name: node[name]} for node in together]), name


async def test_what_nobody_selected_is_not_fetched(ask_world: Client) -> None:
    narrow = await ask_world.ask(
        "{ conversations(first: 1) { edges { node { messages(first: 1) { edges { node { id } } } } } } }"
    )
    wide = await ask_world.ask(
        "{ conversations(first: 1) { edges { node { messages(first: 1) { edges { node { id content(maxChars: 3) } } } } } } }"
    )
    assert ".content AS text" not in narrow.statements[-1]
    assert ".sources" not in wide.statements[-1]
    assert ".content AS text" in wide.statements[-1]
