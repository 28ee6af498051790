"""Every argument of the schema, by introspection: where its field stands, and a valid value for whatever it needs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
)

from api.node import global_id
from api.schema import build_schema

SCHEMA: Final = build_schema()
DAYS: Final = [(datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z") for days in (-30, 2)]
SOMEBODY: Final = global_id("User", "00000002-0003-4000-8000-000000000001")

# How to come to an object of a type; a type with arguments that is not here fails the tests.
ROUTES: Final = {
    "Query": "",
    "Organization": "viewer{organization{",
    "User": "viewer{user{",
    "Project": "viewer{organization{projects(first:1){edges{node{",
    "Category": "viewer{organization{categories(first:1){edges{node{",
    "Conversation": "conversations(first:1){edges{node{",
    "Message": "conversations(first:1){edges{node{messages(first:1){edges{node{",
    "AiInteraction": f'aiInteractions(first:1,filter:{{range:{{from:"{DAYS[0]}",to:"{DAYS[1]}"}}}}){{edges{{node{{',
    "Document": "documents(first:1){edges{node{",
    "DocumentChunk": "documents(first:1){edges{node{chunks(first:1){edges{node{",
}
# What an input needs beside its required fields.
ENOUGH: Final[dict[str, dict[str, Any]]] = {"DocumentSearchInput": {"text": "wood"}}
VALID: Final[dict[str, Any]] = {"ID": SOMEBODY, "String": "wood", "Int": 1, "BigInt": "1"}


@dataclass(frozen=True)
class Place:
    """One argument, or one field inside an input object, and what its value is of."""

    parent: str
    field: str
    argument: str
    path: tuple[str, ...]
    type: GraphQLInputType

    @property
    def name(self) -> str:
        return (self.argument, *self.path)[-1]

    @property
    def kind(self) -> str:
        return get_named_type(self.type).name

    @property
    def is_list(self) -> bool:
        return isinstance(bare(self.type), GraphQLList)

    def __str__(self) -> str:
        return f"{self.parent}.{self.field}({'.'.join((self.argument, *self.path))})"


def bare(given: Any) -> Any:
    """The type without its non-null."""
    return given.of_type if isinstance(given, GraphQLNonNull) else given


def fields_with_arguments() -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    """Those of the read side, the introspection's own left out; changes are asked in databases of their own."""
    for kind in SCHEMA.type_map.values():
        is_ours = not kind.name.startswith("__") and kind is not SCHEMA.mutation_type
        if isinstance(kind, GraphQLObjectType) and is_ours:
            yield from ((kind, name, field) for name, field in kind.fields.items() if field.args)


def places() -> Iterator[Place]:
    """Every argument and every field of every input object under it."""
    for kind, field_name, field in fields_with_arguments():
        for name, argument in field.args.items():
            yield from _below(Place(kind.name, field_name, name, (), argument.type))


def _below(place: Place) -> Iterator[Place]:
    yield place
    named = get_named_type(place.type)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from _below(Place(place.parent, place.field, place.argument, (*place.path, name), field.type))


def valid(kind: GraphQLInputType) -> Any:
    """A value of this type with no more than it needs."""
    named = bare(kind)
    if isinstance(named, GraphQLList):
        return [valid(named.of_type)]
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    if not isinstance(named, GraphQLInputObjectType):
        return VALID[named.name]
    if named.name == "TimeRange":
        return dict(zip(("from", "to"), DAYS, strict=True))
    needed = {name: valid(field.type) for name, field in named.fields.items() if is_required_input_field(field)}
    return ENOUGH.get(named.name, {}) | needed


def with_value(place: Place, value: Any) -> Any:
    """The argument's value in which `value` stands at the place, and all that it needs beside."""
    argument = SCHEMA.type_map[place.parent].fields[place.field].args[place.argument]  # type: ignore[attr-defined]
    return _with(argument.type, place.path, value)


def _with(kind: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    named = bare(kind)
    inner = _with(named.fields[path[0]].type, path[1:], value)
    return valid(named) | {path[0]: inner}


def operation(place: Place, literal: str | None = None) -> str:
    """A document with the argument as a variable of its own name, or as this literal."""
    kind: Any = SCHEMA.type_map[place.parent]
    field: GraphQLField = kind.fields[place.field]
    argument: GraphQLArgument = field.args[place.argument]
    others = [
        f"{name}:{literal_of(valid(other.type), other.type)}"
        for name, other in field.args.items()
        if is_required_argument(other) and name != place.argument
    ]
    given = ",".join([*others, f"{place.argument}:{'$' + place.argument if literal is None else literal}"])
    head = f"query(${place.argument}:{argument.type})" if literal is None else "query"
    route = ROUTES[place.parent]
    closing = "}" * (route.count("{") - route.count("}"))
    return f"{head}{{{route}{place.field}({given}){selection_of(field.type)}{closing}}}"


def selection_of(kind: Any) -> str:
    """What must be selected for the field to do its work."""
    named = get_named_type(kind)
    if not is_composite_type(named):
        return ""
    return "{edges{node{__typename}}pageInfo{hasNextPage}}" if named.name.endswith("Connection") else "{__typename}"


def literal_of(value: Any, kind: Any) -> str:
    """A value as GraphQL writes it: enums bare, keys without quotes; what does not fit the type as JSON writes it."""
    named = bare(kind)
    if isinstance(value, list):
        inner = named.of_type if isinstance(named, GraphQLList) else named
        return f"[{','.join(literal_of(each, inner) for each in value)}]"
    if isinstance(named, GraphQLList):
        return literal_of(value, named.of_type)
    if isinstance(value, dict):
        fields = getattr(named, "fields", {})
        inside = ",".join(
            f"{name}:{literal_of(each, fields[name].type if name in fields else None)}" for name, each in value.items()
        )
        return f"{{{inside}}}"
    if isinstance(named, GraphQLEnumType) and isinstance(value, str) and value.isidentifier():
        return value
    return json.dumps(value)
