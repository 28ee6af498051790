"""Literal arguments: decided once for a plan, made anew for every execution, and a secret never kept."""

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, parse, validate
from strawberry.schema.config import StrawberryConfig

from api.execution import Engine, batched
from api.execution.plan import Field, Selection
from api.scalars import JSON, SCALARS, Secret

SLOTS, COMPILED = 2**31, 1
SECRETS = "by-literal-7f3a"


@strawberry.input
class Part:
    words: list[str]
    inner: "Part | None" = strawberry.UNSET
    parts: "list[Part] | None" = strawberry.UNSET
    note: str | None = strawberry.UNSET


@strawberry.input
class Locked:
    words: list[str]
    key: Secret | None = None
    inner: "Locked | None" = None


def spoil(part: Part) -> list[Any]:
    """What the part holds; after that, no part of it is as it was."""
    below = [part.inner] if part.inner else []
    below += part.parts or []
    found = [part.note, *part.words, *(each for inner in below for each in spoil(inner))]
    part.words.append("spoiled")
    part.note, part.inner = "spoiled", None
    if part.parts:
        part.parts.clear()
    return found


@strawberry.type
class Row:
    n: int

    @strawberry.field
    def lists(self, info: strawberry.Info, grid: list[list[int]], words: list[str] | None = None) -> bool:
        info.context.given.append([*map(list, grid), words and list(words)])
        grid[0].append(99)
        grid.append([99])
        if words:
            words.clear()
        return True

    @strawberry.field
    async def part(self, info: strawberry.Info, part: Part) -> bool:
        info.context.given.append(spoil(part))
        return True

    @strawberry.field
    @batched
    @staticmethod
    async def together(parents: list["Row"], info: strawberry.Info, parts: list[Part]) -> list[bool]:
        info.context.given.append([spoil(each) for each in parts])
        parts.clear()
        return [True] * len(parents)

    @strawberry.field
    def json(self, info: strawberry.Info, value: JSON) -> bool:
        info.context.given.append(str(value))
        value["a"].append(99)  # type: ignore[index]
        value.clear()  # type: ignore[attr-defined]
        return True

    @strawberry.field
    def rows(self) -> list["Row"]:
        return [Row(n=self.n), Row(n=self.n)]


@strawberry.type
class Query:
    @strawberry.field
    def rows(self, count: int = 1) -> list[Row]:
        return [Row(n=n) for n in range(count)]

    @strawberry.field
    def locked(self, info: strawberry.Info, key: Secret, words: list[str]) -> int:
        info.context.given.append((key.reveal(), *words))
        words.append("spoiled")
        return len(words)

    @strawberry.field
    def ring(self, info: strawberry.Info, keys: list[Secret]) -> int:
        info.context.given.append(tuple(each.reveal() for each in keys))
        keys.append(keys[0])
        return len(keys)

    @strawberry.field
    def within(self, info: strawberry.Info, given: Locked) -> int:
        inner = given.inner
        info.context.given.append(
            (given.key and given.key.reveal(), inner and inner.key and inner.key.reveal(), *given.words)
        )
        given.words.append("spoiled")
        given.key = None
        return len(given.words)


schema: GraphQLSchema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=dict(SCALARS)))._schema
PART = '{words: ["a", "b"], note: "n", inner: {words: ["c"], parts: [{words: []}, {words: ["d"]}]}, parts: [{words: ["e"]}]}'
SPOILT = {
    'lists(grid: [[1], [2, 3]], words: ["a"])': [[1], [2, 3], ["a"]],
    f"part(part: {PART})": ["n", "a", "b", strawberry.UNSET, "c", strawberry.UNSET, strawberry.UNSET, "d", strawberry.UNSET, "e"],
    f"together(parts: [{PART}, {{words: []}}])": [
        ["n", "a", "b", strawberry.UNSET, "c", strawberry.UNSET, strawberry.UNSET, "d", strawberry.UNSET, "e"], [strawberry.UNSET],
    ],
    "json(value: {a: [1, {b: 2}]})": "{'a': [1, {'b': 2}]}",
}  # fmt: skip


async def ask(text: str, engine: Engine, **variables: Any) -> tuple[ExecutionResult, list[Any]]:
    """The result, and what the resolvers say that they were given."""
    ast = parse(text)
    assert not validate(schema, ast)
    operation = next(each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    context = SimpleNamespace(given=[])
    result = await engine.execute(ast, text, operation, variables, context)
    assert result.errors is None
    return result, context.given


@pytest.fixture(params=[SLOTS, 2, COMPILED], ids=["by slots", "compiled from the second", "compiled"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(schema, compiled_from=request.param)


@pytest.mark.parametrize("call", SPOILT, ids=lambda call: call.partition("(")[0])
async def test_what_a_resolver_does_to_a_literal_is_not_seen_by_the_next_execution(engine: Engine, call: str) -> None:
    for _ in range(4):
        _, given = await ask(f"{{ rows {{ {call} }} }}", engine)
        assert given == [SPOILT[call]]


@pytest.mark.parametrize("call", SPOILT, ids=lambda call: call.partition("(")[0])
async def test_what_a_resolver_does_to_a_literal_is_not_seen_by_the_same_literal_elsewhere(
    engine: Engine, call: str
) -> None:
    for _ in range(3):
        _, given = await ask(
            f"{{ rows {{ a: {call} b: {call} rows {{ __typename }} }} again: rows {{ {call} }} }}", engine
        )
        assert given == [SPOILT[call]] * 3


async def test_literals_beside_variables_are_made_anew_too(engine: Engine) -> None:
    text = "query ($n: [Int!]!) { rows { lists(grid: [[1], $n]) } }"
    for n in (5, 6):
        _, given = await ask(text, engine, n=[n])
        assert given == [[[1], [n], None]]


def fields_of(selection: Selection) -> list[Field]:
    below = [fields_of(each) for field in selection.fields for each in field._selections.values()]
    return [*selection.fields, *(field for fields in below for field in fields)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f'{{ locked(key: "{SECRETS}", words: ["a"]) }}', (SECRETS, "a")),
        (f'{{ ring(keys: ["{SECRETS}"]) }}', (SECRETS,)),
        (f'{{ within(given: {{words: ["a"], key: "{SECRETS}"}}) }}', (SECRETS, None, "a")),
        (f'{{ within(given: {{words: ["a"], inner: {{words: [], key: "{SECRETS}"}}}}) }}', (None, SECRETS, "a")),
    ],
    ids=["an argument", "in a list", "in an input", "in an input's input"],
)
async def test_a_literal_secret_is_given_each_time_and_never_kept(
    engine: Engine, text: str, wanted: tuple[Any, ...]
) -> None:
    for _ in range(3):
        result, given = await ask(text, engine)
        assert given == [wanted]
        assert list((result.data or {}).values()) == [2]
    (document, _) = next(iter(engine._plans._kept.values()))
    (plan,) = document.plans.values()
    assert plan.root is not None
    assert [field._anew for field in fields_of(plan.root)] == [None]
    del result
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is Secret and each.reveal() == SECRETS] == []


@pytest.mark.parametrize(
    "text",
    [
        f'query ($w: String!) {{ locked(key: "{SECRETS}", words: [$w]) }}',
        f'query ($w: String!, $key: Secret! = "{SECRETS}") {{ locked(key: $key, words: [$w]) }}',
        f'query ($w: String!) {{ locked: within(given: {{key: "{SECRETS}", words: [$w]}}) }}',
    ],
    ids=["a literal", "a default", "a literal in an input"],
)
async def test_a_secret_beside_variables_is_given_each_time_and_never_kept(engine: Engine, text: str) -> None:
    for _ in range(3):
        result, given = await ask(text, engine, w="a")
        assert [each for each in given[0] if each is not None] == [SECRETS, "a"]
        assert result.data == {"locked": 2}
    del result
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is Secret and each.reveal() == SECRETS] == []
