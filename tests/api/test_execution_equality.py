"""The engine against graphql-core: the same operations over one schema whose resolvers fail, by the seed of each object."""

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
import pytest
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    do_types_overlap,
    execute,
    get_named_type,
    is_composite_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.execution import Engine
from tests.api.failing_world import chance, context, odds, schema
from tests.full import is_full

EXAMPLES, MANY = 5_000, 30_000

# graphql-core leaves some of its own coroutines behind when a sibling fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine '(GraphQLCoreConverter|Executor)\\."),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object (GraphQLCoreConverter|Executor)\\."),
]


class Author:
    """Writes one valid operation with its variables."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.declared: dict[str, str] = {}
        self.values: tuple[dict[str, Any], ...] = ({}, {})
        self.spent = 0
        self.fragments: list[tuple[str, str, str]] = []
        for name in "ABC"[: random.randint(0, 3)]:
            on = random.choice(["Thing", "Alpha", "Beta", "Gamma"])
            self.fragments.append((name, on, f"fragment {name} on {on} {self.selection(on, 2)}"))

    def document(self) -> str:
        kind = "mutation" if self.random.random() < 0.1 else "query"
        body = self.selection(kind.title(), 4)
        used = {name for name, _, _ in self.fragments if f"...{name} " in body}
        for name, _, text in reversed(self.fragments):
            used |= {other for other, _, _ in self.fragments if name in used and f"...{other} " in text}
        texts = [text for name, _, text in self.fragments if name in used]
        everything = " ".join([body, *texts])
        kept = [text for name, text in self.declared.items() if f"${name} " in everything]
        declared = f"({', '.join(kept)})" if kept else ""
        return f"{kind} {declared} {body}\n" + "\n".join(texts)

    def selection(self, on: str, depth: int) -> str:
        return (
            "{ "
            + " ".join(self.part(on, depth) for _ in range(1 if self.spent > 10 else self.random.randint(1, 4)))
            + " }"
        )

    def part(self, on: str, depth: int) -> str:
        type_, roll = schema.type_map[on], self.random.random()
        if roll < 0.08:
            return f"__typename{self.switch()}"
        fitting = [each for each in self.fragments if self.overlaps(on, each[1])]
        if roll < 0.16 and fitting:
            name, _, _ = self.random.choice(fitting)
            return f"...{name} {self.switch()}"
        if roll < 0.3 or not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            inner = self.random.choice(
                [each for each in (on, "Thing", "Alpha", "Beta", "Gamma") if self.overlaps(on, each)]
            )
            return f"... on {inner}{self.switch()} {self.selection(inner, depth)}"
        return self.field(type_, depth)

    def overlaps(self, one: str, other: str) -> bool:
        return do_types_overlap(schema, schema.type_map[one], schema.type_map[other])  # type: ignore[arg-type]

    def field(self, type_: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        leafs = {name: each for name, each in type_.fields.items() if not is_composite_type(get_named_type(each.type))}
        self.spent += 1
        pool = leafs if (depth <= 0 or self.spent > 8) and leafs else type_.fields
        name = self.random.choice(sorted(pool))
        field = type_.fields[name]
        given = " ".join(
            f"{key}: {self.value(each.type)}"
            for key, each in field.args.items()
            if (is_non_null_type(each.type) and not each.default_value) or self.random.random() < 0.4
        )
        args = f"({given} )" if given else ""
        alias = f"{name}{chance(args)}: " if given or self.random.random() < 0.1 else ""
        inner = get_named_type(field.type)
        below = f" {self.selection(inner.name, depth - 1)}" if is_composite_type(inner) else ""
        return f"{alias}{name}{args}{self.switch()}{below}"

    def switch(self) -> str:
        if self.random.random() < 0.85:
            return ""
        name = self.random.choice(["skip", "include"])
        flag = self.random.random() < 0.5
        value = self.random.choice(["true", "false", self.variable("Boolean!", flag, not flag)])
        return f" @{name}(if: {value} )"

    def variable(self, type_: str, *values: Any) -> str:
        """A new variable, and what it is in the first and in the second execution."""
        name = f"v{len(self.declared)}"
        self.declared[name] = f"${name}: {type_}"
        for kept, value in zip(self.values, values, strict=True):
            kept[name] = orjson.loads(orjson.dumps(value))
        return f"${name} "

    def value(self, type_: Any) -> str:
        if self.random.random() < 0.3:
            return self.variable(str(type_), self.plain(type_), self.plain(type_))
        return literal(self.plain(type_))

    def plain(self, type_: Any) -> Any:
        if is_non_null_type(type_):
            type_ = type_.of_type
        elif self.random.random() < 0.2:
            return None
        if is_list_type(type_):
            return [self.plain(type_.of_type) for _ in range(self.random.randint(0, 2))]
        if isinstance(type_, GraphQLInputObjectType):
            names = [each for each in type_.fields if self.random.random() < 0.4]
            return {name: self.plain(type_.fields[name].type) for name in names}
        if is_enum_type(type_):
            return Name(self.random.choice(list(type_.values)))
        numbers = {
            "Int": self.random.randint(0, 60),
            "Boolean": self.random.random() < 0.5,
            "Stamp": "2026-01-02T00:00:00",
        }
        return numbers.get(type_.name, "text")


class Name(str):
    __slots__ = ()


def literal(value: Any) -> str:
    match value:
        case dict():
            return "{" + " ".join(f"{key}: {literal(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + " ".join(map(literal, value)) + "]"
        case Name():
            return str(value)
        case _:
            return orjson.dumps(value).decode()


def nulls(result: ExecutionResult) -> Iterator[tuple[Any, ...]]:
    """Where each error became a null in the data."""
    for error in result.errors or ():
        here: Any = result.data
        path: tuple[Any, ...] = ()
        for key in error.path or ():
            if here is None:
                break
            here, path = here[key], (*path, key)
        assert here is None, (error, path)
        yield path


# What the second meets of the unusual it runs by slots as well: alone, slots are asked a third of the operations.
by_slots, compiled = Engine(schema, compiled_from=2**31), Engine(schema, compiled_from=1)


async def compare(text: str, ast: DocumentNode, values: dict[str, Any]) -> int:
    theirs = context()
    expected: Any = execute(schema, ast, context_value=theirs, variable_values=values)
    try:
        expected = expected if isinstance(expected, ExecutionResult) else await expected
    except asyncio.CancelledError:  # graphql-core cancels siblings of a failure, and with them a loader's shared future
        return 0
    (operation,) = (each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    engines = (compiled, by_slots) if chance(text) % 3 == 0 else (compiled,)
    return sum([await judge(engine, ast, text, operation, values, expected, theirs) for engine in engines])


async def judge(
    engine: Engine,
    ast: DocumentNode,
    text: str,
    operation: OperationDefinitionNode,
    values: dict[str, Any],
    expected: ExecutionResult,
    theirs: Any,
) -> int:
    ours = context()
    result = await engine.execute(ast, text, operation, values, ours)
    assert orjson.dumps(result.data) == orjson.dumps(expected.data)
    assert ours.log == theirs.log
    found, wanted = list(nulls(result)), list(nulls(expected))
    assert set(found) == set(wanted)
    if len(found) == len(wanted) == 1:
        (mine,), (other,) = result.errors or [], expected.errors or []
        if mine.path == other.path:
            assert mine.locations == other.locations
            assert mine.message == other.message or "Abstract type" in mine.message
    return len(found)


def check(author: Author, loop: asyncio.Runner, *, is_validated: bool) -> int:
    text = author.document()
    ast = parse(text)
    if is_validated:
        assert not validate(schema, ast), text
    told = 0
    for values in author.values:
        declared = {name: value for name, value in values.items() if f"${name} " in text}
        try:
            told += loop.run(compare(text, ast, declared))
        except AssertionError as error:
            raise AssertionError(f"{text}\n{declared}\n{error}") from error
        if not declared:
            break
    return told


def test_generated_operations_get_the_same_answers(pytestconfig: pytest.Config) -> None:
    count = MANY if is_full(pytestconfig) else EXAMPLES
    told = 0
    with asyncio.Runner() as loop:
        for seed in range(count):
            odds.of = 30 if seed % 2 else 600
            told += check(Author(Random(seed)), loop, is_validated=seed < 300)
    assert told > count // 4


def test_generated_operations_that_shrink_get_the_same_answers() -> None:
    with asyncio.Runner() as loop:

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.randoms(use_true_random=False))
        def each(random: Random) -> None:
            check(Author(random), loop, is_validated=False)

        each()
