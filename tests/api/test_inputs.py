"""Variables and arguments by functions of their types: what graphql-core and Strawberry give, and every error of theirs."""

from collections.abc import Iterator
from enum import Enum
from functools import partial
from random import Random
from typing import Annotated, Any

import graphql
import pytest
import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLSchema, OperationDefinitionNode
from graphql.execution.collect_fields import collect_fields
from graphql.execution.values import VariableValues
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.relay import GlobalID
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import convert_arguments

from api.execution import plan
from api.execution.inputs import Inputs
from api.execution.plan import Document, Field, Selection
from api.execution.plans import Plans
from api.execution.variables import MAX_COERCION_ERRORS, NO_VARIABLES, Variables
from api.scalars import JSON, SCALARS, BigInt, Date, DateTime, IPAddress, Money, Secret, Vector
from api.schema import build_schema
from tests.api.input_values import SECRET, Caller, changeable, fields_of, shown

SEEDS = range(60)


@strawberry.enum
class Way(Enum):
    UP = "up"
    DOWN = strawberry.enum_value("down", name="BELOW")


@strawberry.input
class Leaf:
    way: Way = Way.UP
    ways: list[Way | None] | None = None
    note: str | None = strawberry.UNSET
    renamed: int = strawberry.field(default=3, name="otherName")


@strawberry.input
class Tree:
    leaf: Leaf
    leaves: list[Leaf] = strawberry.field(default_factory=lambda: [Leaf()])
    grid: list[list[int]] = strawberry.field(default_factory=lambda: [[1]])
    tree: "Tree | None" = None


@strawberry.input
class Flat:
    leaf: Leaf
    inner: Annotated["Leaf | None", strawberry.argument(description="or none")] = strawberry.UNSET
    at: DateTime | None = None
    on: Date | None = None
    big: BigInt | None = None
    money: Money | None = None
    vector: Vector | None = None
    address: IPAddress | None = None
    key: Secret | None = None
    json: JSON | None = strawberry.UNSET
    ratios: list[float | None] = strawberry.field(default_factory=list)


@strawberry.input
class Picky:
    number: int

    def __post_init__(self) -> None:
        if self.number != 1:
            raise ValueError(f"{self.number} is not 1")


@strawberry.input(one_of=True)
class Either:
    one: int | None = strawberry.UNSET
    other: str | None = strawberry.UNSET


@strawberry.input
class Perhaps:
    note: strawberry.Maybe[str | None]
    leaf: strawberry.Maybe[Leaf]


def flat(flat: Flat, flats: list[Flat] | None = strawberry.UNSET, count: int = 5) -> int:
    return 0


def tree(tree: Tree, others: list[Tree | None] | None = None) -> int:
    return 0


def scalars(
    number: float,
    id: strawberry.ID,
    flag: bool = True,
    words: list[str] = ["a"],  # noqa: B006
    json: JSON = {"a": [1]},  # type: ignore[assignment] # noqa: B006
    texts: list[list[str] | None] | None = None,
) -> int:
    return 0


def picky(picky: Picky, way: Way = Way.DOWN, ways: list[Way] | None = None) -> int:
    return 0


def odd(either: Either | None, perhaps: Perhaps | None, ids: list[GlobalID] | None = None) -> int:
    return 0


@strawberry.type
class Query:
    flat: int = strawberry.field(resolver=flat)
    tree: int = strawberry.field(resolver=tree)
    scalars: int = strawberry.field(resolver=scalars)
    picky: int = strawberry.field(resolver=picky)
    odd: int = strawberry.field(resolver=odd)


ODD_SCHEMA: GraphQLSchema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=dict(SCALARS)))._schema
SCHEMAS = {"Minutebook's schema": build_schema(), "a schema of odd inputs": ODD_SCHEMA}
CASES = [
    pytest.param(schema, parent.name, name, id=f"{title}: {parent}.{name}")
    for title, schema in SCHEMAS.items()
    for parent, name in fields_of(schema)
]


def operation_of(text: str) -> OperationDefinitionNode:
    (operation,) = graphql.parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return operation


def as_core_has_them(
    schema: GraphQLSchema, operation: OperationDefinitionNode, values: dict[str, Any]
) -> VariableValues | list[GraphQLError]:
    nodes = operation.variable_definitions or ()
    return graphql.get_variable_values(schema, nodes, values, MAX_COERCION_ERRORS)


def shown_values(found: VariableValues | list[GraphQLError]) -> Any:
    if isinstance(found, list):
        return [(each.formatted, repr(each.original_error), each.nodes) for each in found]
    sources = [(name, str(each.signature.type), each.value) for name, each in found.sources.items()]
    return repr(sources), shown(found.coerced)


def field_of(schema: GraphQLSchema, parent: str, operation: OperationDefinitionNode) -> Field:
    document: Document = Plans(schema, 1)._make(graphql.DocumentNode(definitions=(operation,)), operation)
    type_: Any = schema.get_type(parent)
    found = collect_fields(schema, {}, NO_VARIABLES, type_, operation).grouped_field_set
    (field,) = Selection.of(document, NO_VARIABLES, type_, found, None).fields
    return field


def as_strawberry_has_them(field: Field, values: VariableValues) -> dict[str, Any]:
    own: Any = field.own
    given = graphql.get_argument_values(field.definition, field.nodes[0], values)
    converter = field._document.schema._strawberry_schema.schema_converter  # type: ignore[attr-defined]
    return convert_arguments(given, own.arguments, converter.scalar_registry, converter.config, None)


def outcome(call: Any) -> Any:
    try:
        return shown(call())
    except Exception as error:  # noqa: BLE001 - what is raised is what is compared
        return type(error), str(error), getattr(error, "formatted", None), repr(getattr(error, "original_error", None))


def drawn(schema: GraphQLSchema, parent: str, name: str, seed: int, *, odds: float) -> Iterator[Any]:
    """An operation of the field, and twice the values of its variables: equal, and of other objects."""
    type_: Any = schema.get_type(parent)
    for _ in range(2):
        caller = Caller(Random(f"{parent}.{name} {seed}"), odds=odds)
        text = caller.document(name, type_.fields[name])
        yield operation_of(text), caller.values


@pytest.mark.parametrize("odds", [0.0, 0.08], ids=["right values", "odd values"])
@pytest.mark.parametrize(("schema", "parent", "name"), CASES)
def test_what_is_made_of_values_is_what_graphql_core_and_strawberry_make(
    schema: GraphQLSchema, parent: str, name: str, odds: float
) -> None:
    for seed in SEEDS:
        (operation, values), (_, again) = drawn(schema, parent, name, seed, odds=odds)
        own = Variables(schema, operation, Inputs(schema))
        field = field_of(schema, parent, operation)
        wanted = as_core_has_them(schema, operation, values)
        for given in (values, again):
            found = own.values(given)
            assert shown_values(found) == shown_values(wanted)
            if isinstance(found, list) or isinstance(wanted, list):
                continue
            expected = outcome(partial(as_strawberry_has_them, field, wanted))
            assert outcome(partial(field.arguments, found, None)) == expected


@pytest.mark.parametrize(("schema", "parent", "name"), CASES)
def test_nothing_that_a_resolver_could_change_is_kept_where_the_general_way_keeps_nothing(
    schema: GraphQLSchema, parent: str, name: str
) -> None:
    for seed in SEEDS:
        (operation, values), (_, again) = drawn(schema, parent, name, seed, odds=0)
        own = Variables(schema, operation, Inputs(schema))
        field = field_of(schema, parent, operation)
        found = [own.values(values), own.values(again)]
        general = [as_core_has_them(schema, operation, values), as_core_has_them(schema, operation, again)]
        if any(isinstance(each, list) for each in found):
            continue
        try:
            ours = [changeable(field.arguments(each, None)) for each in found]  # type: ignore[arg-type]
            theirs = [changeable(as_strawberry_has_them(field, each)) for each in general]  # type: ignore[arg-type]
        except (ValueError, GraphQLError):
            continue
        assert len(ours[0].keys() & ours[1].keys()) <= len(theirs[0].keys() & theirs[1].keys())
        ours = [changeable(list(each.coerced.values())) for each in found]  # type: ignore[union-attr]
        assert ours[0].keys() & ours[1].keys() <= changeable(_defaults(schema)).keys()


def _defaults(schema: GraphQLSchema) -> list[Any]:
    """The defaults of input fields as graphql-core keeps them; Strawberry copies them into each input."""
    return [
        coerce_default_value(field)
        for type_ in schema.type_map.values()
        if isinstance(type_, GraphQLInputObjectType)
        for field in type_.fields.values()
    ]


@pytest.mark.parametrize(("parent", "name"), [case.values[1:] for case in CASES if case.values[0] is not ODD_SCHEMA])
def test_right_values_of_every_field_of_ours_are_taken_the_quick_way(
    parent: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = SCHEMAS["Minutebook's schema"]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the general way was asked")

    monkeypatch.setattr(graphql, "get_variable_values", refuse)
    monkeypatch.setattr(plan, "convert_arguments", refuse)
    for seed in SEEDS:
        (operation, values), _ = drawn(schema, parent, name, seed, odds=0)
        if SECRET in graphql.print_ast(operation):  # a default that must not be kept
            continue
        found = Variables(schema, operation, Inputs(schema)).values(values)
        assert isinstance(found, VariableValues)
        field = field_of(schema, parent, operation)
        if field._has_variables:
            field.arguments(found, None)
