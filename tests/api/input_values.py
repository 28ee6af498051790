"""Operations of one field with arguments and values for their variables, right and odd, drawn by a seed."""

from copy import deepcopy
from dataclasses import fields, is_dataclass
from enum import Enum
from random import Random
from typing import Any, Final

import graphql
from graphql import GraphQLField, GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema
from strawberry.types.maybe import Some
from strawberry.types.unset import UNSET

from api.scalars import Secret

MAX_DEPTH: Final = 3
SECRET: Final = "by-literal-61c0"
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 1.0, 0.5, 2**31 - 1, -(2**31), 2**31, 2**53, 2**53 + 1, 2**63, 10**400, float("nan"), float("inf"), "", "a", "UP", "1", "\x00", "\ud800", [],
    ["a"], [None], [[1]], {}, {"a": 1}, {"UP": None}, ["UP", 3],
)  # fmt: skip
RIGHT: Final[dict[str, tuple[Any, ...]]] = {
    "String": ("", "a", "\x00", "𝄞"), "ID": ("a", "Q29udmVyc2F0aW9uOg=="), "Boolean": (True, False),
    "Int": (0, 1, -(2**31), 2**31 - 1), "Float": (0.5, -1e300, 3, 2**53),
    "DateTime": ("2026-05-01T00:00:00Z", "2026-05-01T02:00:00.5+02:00"), "Date": ("2026-05-01",),
    "UUID": ("0190AAAA-0000-7000-8000-000000000000",), "JSON": ({"a": [1, {"b": None}]}, [1, "x"], 3, "text"),
    "BigInt": (5, "9223372036854775807"), "Money": ("1.25", "-0.000001"), "Vector": ([0.5, 1], "AAAAPw=="),
    "Secret": ("by-variable-61c0",), "IPAddress": ("::1", "10.0.0.1"), "GlobalID": ("Um93OjE=",),
}  # fmt: skip
LITERALS: Final[dict[str, tuple[str, ...]]] = {
    "Int": ("7",), "Float": ("0.5", "2"), "Boolean": ("true",), "ID": ('"x"', "5"), "BigInt": ('"5"', "5"),
    "JSON": ('{a: [1, {b: "c"}]}', "[1]"), "DateTime": ('"2026-05-01T00:00:00Z"',), "Date": ('"2026-05-01"',),
    "UUID": ('"0190aaaa-0000-7000-8000-000000000000"',), "Money": ('"1.5"',), "Vector": ("[0.5, 1]",),
    "IPAddress": ('"::1"',), "GlobalID": ('"Um93OjE="',), "String": ('"a"', '"""b"""'), "Secret": (f'"{SECRET}"',),
}  # fmt: skip


class Caller:
    """Writes a field's call and gives its variables; with `odds` above 0, not all of it is right."""

    def __init__(self, random: Random, *, odds: float) -> None:
        self.random, self.odds = random, odds
        self.declared: list[str] = []
        self.values: dict[str, Any] = {}

    def document(self, name: str, field: GraphQLField) -> str:
        arguments = []
        for argument, definition in field.args.items():
            if graphql.is_required_argument(definition) or self.chance(0.8):
                arguments.append(f"{argument}: {self.argument(definition.type)}")
        given = f"({', '.join(arguments)})" if arguments else ""
        declared = f"({', '.join(self.declared)})" if self.declared else ""
        return f"query {declared} {{ {name}{given} }}"

    def chance(self, odds: float) -> bool:
        return self.random.random() < odds

    def argument(self, type_: Any, depth: int = 0) -> str:
        """A variable, a literal, or a literal with variables in it."""
        if self.chance(0.6 if depth == 0 else 0.3):
            return self.variable(type_)
        if graphql.is_non_null_type(type_):
            type_ = type_.of_type
        elif self.chance(0.15):
            return "null"
        if graphql.is_list_type(type_):
            return f"[{', '.join(self.argument(type_.of_type, depth + 1) for _ in range(self.random.randint(0, 2)))}]"
        if isinstance(type_, GraphQLInputObjectType):
            names = self.chosen(type_, depth)
            return f"{{{', '.join(f'{each}: {self.argument(type_.fields[each].type, depth + 1)}' for each in names)}}}"
        if isinstance(type_, graphql.GraphQLEnumType):
            names = list(type_.values)
            return self.random.choice(names)
        if type_.name == "JSON" and self.chance(0.3):
            return f"{{a: {self.variable(graphql.GraphQLInt)}, b: [{self.variable(type_)}]}}"
        literal: str = self.random.choice(LITERALS[type_.name])
        return literal

    def variable(self, type_: Any) -> str:
        name = f"v{len(self.declared)}"
        is_forced = not graphql.is_non_null_type(type_) and self.chance(0.2)
        default = ""
        if self.chance(0.2):
            plain = Caller(self.random, odds=0)
            text = plain.argument(type_)
            is_wrong = plain.declared or (is_forced and text == "null" and not self.odds)
            default = "" if is_wrong else f" = {text}"
        self.declared.append(f"${name}: {type_}{'!' if is_forced else ''}{default}")
        is_required = (is_forced or graphql.is_non_null_type(type_)) and not default
        if self.chance(0.8 if not is_required else 1 - self.odds):
            self.values[name] = self.json(graphql.GraphQLNonNull(type_) if is_forced else type_)
        return f"${name}"

    def json(self, type_: Any, depth: int = 0) -> Any:
        if self.chance(self.odds):
            return deepcopy(self.random.choice(ODD))
        if graphql.is_non_null_type(type_):
            type_ = type_.of_type
        elif self.chance(0.15):
            return None
        if graphql.is_list_type(type_):
            return [self.json(type_.of_type, depth + 1) for _ in range(self.random.randint(0, 3))]
        if isinstance(type_, GraphQLInputObjectType):
            made = {each: self.json(type_.fields[each].type, depth + 1) for each in self.chosen(type_, depth)}
            if self.chance(self.odds):
                made["unheardOf"] = 1
            return made
        if isinstance(type_, graphql.GraphQLEnumType):
            return self.random.choice(list(type_.values))
        return deepcopy(self.random.choice(RIGHT[type_.name]))

    def chosen(self, type_: GraphQLInputObjectType, depth: int) -> list[str]:
        """Some of its fields, in any order, and those that it must have."""
        names = list(type_.fields)
        self.random.shuffle(names)
        if type_.is_one_of and not self.chance(self.odds):
            return names[:1]
        often = 0.6 if depth < MAX_DEPTH else 0.0
        return [
            each
            for each in names
            if self.chance(often)
            or (graphql.is_required_input_field(type_.fields[each]) and not self.chance(self.odds))
        ]


def fields_of(schema: GraphQLSchema) -> list[tuple[GraphQLObjectType, str]]:
    """Every field that takes arguments."""
    return [
        (parent, name)
        for parent in schema.type_map.values()
        if isinstance(parent, GraphQLObjectType) and not parent.name.startswith("__")
        for name, field in parent.fields.items()
        if field.args
    ]


def shown(value: Any) -> Any:
    """A value with the types of all of its parts, comparable."""
    if value is UNSET or value is None or isinstance(value, Enum):
        return repr(value)
    if isinstance(value, Secret):
        return ("Secret", value.reveal())
    if isinstance(value, Some):
        return ("Some", shown(value.value))
    if is_dataclass(value):
        return (type(value).__name__, [(each.name, shown(getattr(value, each.name))) for each in fields(value)])
    if isinstance(value, dict):
        return ("dict", [(key, shown(each)) for key, each in value.items()])
    if isinstance(value, list):
        return ("list", [shown(each) for each in value])
    return (type(value).__name__, repr(value))


def changeable(value: Any) -> dict[int, Any]:
    """Every part of a value that a resolver could change, by identity."""
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, list):
        parts = value
    elif is_dataclass(value) and not isinstance(value, Some | type):
        parts = list(vars(value).values())
    elif isinstance(value, Some):
        return changeable(value.value)
    else:
        return {}
    return {id(value): value} | {key: each for part in parts for key, each in changeable(part).items()}
