"""The engine against graphql-core: the same operations over one schema whose resolvers fail, by the seed of each object."""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum, StrEnum
from random import Random
from types import SimpleNamespace
from typing import Annotated, Any

import orjson
import pytest
import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
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
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig

from api.execution import Engine, batched

EXAMPLES = 3_000
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

# graphql-core leaves some of its own coroutines behind when a sibling fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine '(GraphQLCoreConverter|Executor)\\."),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <coroutine object (GraphQLCoreConverter|Executor)\\."),
]


class BoomError(Exception):
    pass


def chance(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())


def whim(seed: int, name: str, good: Any, wrong: Any = ()) -> Any:
    """What a resolver gives: mostly `good`; the seed decides otherwise."""
    match chance(seed, name) % 30:
        case 0:
            raise BoomError(name)
        case 1 | 2:
            return None
        case 3:
            return BoomError(f"{name}, returned")
        case 4:
            return wrong
        case _:
            return good


@strawberry.enum
class Color(Enum):
    RED = 1
    BLUE = 2


@strawberry.enum
class Shade(StrEnum):
    DARK = "dark"
    LIGHT = "LIGHT"


def stamp(value: datetime) -> str | None:
    return None if value == NEVER else value.isoformat()


@strawberry.input
class Filter:
    least: int = 1
    colors: list[Color] | None = strawberry.UNSET
    shade: Shade | None = None
    inner: "Filter | None" = strawberry.UNSET


FilterArgument = Annotated[Filter | None, strawberry.argument(description="Any.")]


def new(kind: type[Any], seed: int) -> Any:
    """An object whose attributes go by its seed: some wrong, some missing."""
    thing = object.__new__(kind)
    thing.seed = seed
    good = {
        "id": f"id{seed % 100}", "name": "näme", "size": seed % 50, "ratio": seed % 7 / 4, "flag": seed % 2 == 0,
        "color": Color.RED, "shade": ("dark", Shade.LIGHT)[seed % 2], "at": datetime(2026, 1, 1, tzinfo=UTC),
        "sizes": (1, 2, 3), "names": ["a", "b"], "square": [[1], [], [2, 3]],
    }  # fmt: skip
    wrong = {"size": 2**40, "ratio": float("nan"), "color": 7, "shade": "none", "at": NEVER, "names": [None, "b"]}
    wrong |= {"sizes": [1, None, "x"], "square": [[1, None], None, 5, [4]], "id": 7}
    for name, value in good.items():
        with suppress(BoomError):
            setattr(thing, name, whim(seed, name, value, wrong.get(name, {})))
    return thing


def made(seed: int, *path: object) -> Any:
    seed = chance(seed, *path)
    return new((Alpha, Beta, Gamma)[seed % 3], seed)


def several(seed: int, name: str, make: Callable[[int], Any]) -> list[Any]:
    return [whim(seed, f"{name}{at}", make(chance(seed, name, at)), 5) for at in range(chance(seed, name) % 4)]


def of(kind: type[Any]) -> Callable[[int], Any]:
    return lambda seed: new(kind, seed) if seed % 17 else made(seed)


@strawberry.interface
class Thing:
    id: strawberry.ID
    name: str
    size: int
    ratio: float | None
    flag: bool | None
    color: Color
    shade: Shade | None
    at: datetime | None
    sizes: list[int] | None
    names: list[str]
    square: list[list[int] | None]
    seed: strawberry.Private[int]

    @strawberry.field
    def label(self, filter: FilterArgument = strawberry.UNSET, loud: bool = False, colors: list[Color] | None = None) -> str:  # noqa: A002, FBT001, FBT002
        return whim(self.seed, "label", f"{filter} {loud} {colors}")  # type: ignore[no-any-return]

    @strawberry.field
    def hint(root: Any, ids: list[strawberry.ID], n: int | None = 3) -> str | None:  # noqa: N805
        return whim(root.seed, "hint", f"{ids} {n}")  # type: ignore[no-any-return]

    @strawberry.field
    async def slow(self, info: strawberry.Info, at: datetime | None = None, shade: Shade = Shade.DARK) -> str:
        for _ in range(self.seed % 3):
            await asyncio.sleep(0)
        return whim(self.seed, "slow", f"{info.context.word} {at} {shade!r} {info.field_name}")  # type: ignore[no-any-return]

    @strawberry.field
    async def loaded(self, info: strawberry.Info) -> int | None:
        return await info.context.loader.load(self.seed)  # type: ignore[no-any-return]

    @strawberry.field
    @batched
    @staticmethod
    async def mate(parents: list["Thing"], info: strawberry.Info, n: int = 0) -> list["Alpha | None"]:
        numbers = await info.context.sound.load_many([each.seed % 100 for each in parents])
        return [caught(each.seed, "mate", of(Alpha)(chance(each.seed, n, number))) for each, number in zip(parents, numbers, strict=True)]

    @strawberry.field
    @batched
    @staticmethod
    async def score(parents: list["Thing"], filter: FilterArgument = None) -> list[int]:  # noqa: A002
        return [caught(each.seed, "score", each.seed % 9 + (filter.least if filter else 0)) for each in parents]

    @strawberry.field
    def alpha(self) -> "Alpha":
        return whim(self.seed, "alpha", of(Alpha)(chance(self.seed, "alpha")), 3)  # type: ignore[no-any-return]

    @strawberry.field
    async def beta(self) -> "Beta | None":
        return whim(self.seed, "beta", of(Beta)(chance(self.seed, "beta")), 3)  # type: ignore[no-any-return]

    @strawberry.field
    def alphas(self) -> "list[Alpha]":
        return whim(self.seed, "alphas", several(self.seed, "alphas", of(Alpha)), 3)  # type: ignore[no-any-return]

    @strawberry.field
    async def gammas(self) -> "list[Gamma | None] | None":
        return whim(self.seed, "gammas", tuple(several(self.seed, "gammas", of(Gamma))), "abc")  # type: ignore[no-any-return]

    @strawberry.field
    def things(self) -> "list[Thing] | None":
        return whim(self.seed, "things", several(self.seed, "things", made), 3)  # type: ignore[no-any-return]

    @strawberry.field
    def grid(self) -> "list[list[Thing | None]]":
        rows = several(self.seed, "grid", lambda seed: several(seed, "row", made))
        return whim(self.seed, "grid", rows, [3])  # type: ignore[no-any-return]

    @strawberry.field
    def either(self) -> "Annotated[Alpha | Gamma, strawberry.union('Either')] | None":
        return whim(self.seed, "either", made(self.seed, "either"), 3)  # type: ignore[no-any-return]

    @strawberry.field
    async def stream(self) -> "list[Thing | None]":
        return each_of(several(self.seed, "stream", made))  # type: ignore[return-value]


async def each_of(items: list[Any]) -> Any:
    for item in items:
        yield item


def caught(seed: int, name: str, good: Any) -> Any:
    try:
        return whim(seed, name, good)
    except BoomError as boom:
        return boom


@strawberry.type
class Alpha(Thing):
    pass


@strawberry.type
class Beta(Thing):
    only_beta: str | None = strawberry.field(resolver=lambda: "β")


@strawberry.type
class Gamma(Thing):
    @strawberry.field
    async def only_gamma(self, info: strawberry.Info) -> "Gamma":
        return new(Gamma, chance(self.seed, info.context.word))  # type: ignore[no-any-return]


@strawberry.type
class Query:
    @strawberry.field
    def thing(self, seed: int = 1) -> Thing | None:
        return made(seed)  # type: ignore[no-any-return]

    @strawberry.field
    async def many(self, seed: int = 1) -> list[Thing | None]:
        return [made(seed, at) for at in range(4)]

    @strawberry.field
    def certain(self, seed: int = 1) -> Alpha:
        return new(Alpha, seed)  # type: ignore[no-any-return]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def note(self, info: strawberry.Info, n: int = 0) -> Thing | None:
        info.context.log.append(n)
        await asyncio.sleep(0)
        info.context.log.append(-n)
        return made(n)  # type: ignore[return-value]

    @strawberry.mutation
    def insist(self, info: strawberry.Info, n: int = 0) -> Alpha:
        info.context.log.append(n)
        return whim(n, "insist", new(Alpha, n))  # type: ignore[no-any-return]


SCALARS: Any = {datetime: strawberry.scalar(name="Stamp", serialize=stamp, parse_value=datetime.fromisoformat)}
schema: GraphQLSchema = strawberry.Schema(
    Query, Mutation, types=[Alpha, Beta, Gamma], config=StrawberryConfig(scalar_map=SCALARS)
)._schema


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
        return "{ " + " ".join(self.part(on, depth) for _ in range(1 if self.spent > 10 else self.random.randint(1, 4))) + " }"

    def part(self, on: str, depth: int) -> str:
        type_, roll = schema.type_map[on], self.random.random()
        if roll < 0.08:
            return f"__typename{self.switch()}"
        fitting = [each for each in self.fragments if self.overlaps(on, each[1])]
        if roll < 0.16 and fitting:
            name, _, _ = self.random.choice(fitting)
            return f"...{name} {self.switch()}"
        if roll < 0.3 or not isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            inner = self.random.choice([each for each in (on, "Thing", "Alpha", "Beta", "Gamma") if self.overlaps(on, each)])
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
        numbers = {"Int": self.random.randint(0, 60), "Boolean": self.random.random() < 0.5, "Stamp": "2026-01-02T00:00:00"}
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


def context() -> Any:
    async def load(keys: list[int]) -> list[Any]:
        await asyncio.sleep(0)
        return [caught(key, "loaded", key % 1000) for key in keys]

    async def sound(keys: list[int]) -> list[int]:
        return keys

    return SimpleNamespace(word="word", loader=DataLoader(load), sound=DataLoader(sound), log=[])


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


engine = Engine(schema)


async def compare(text: str, ast: DocumentNode, values: dict[str, Any]) -> int:
    ours, theirs = context(), context()
    expected: Any = execute(schema, ast, context_value=theirs, variable_values=values)
    try:
        expected = expected if isinstance(expected, ExecutionResult) else await expected
    except asyncio.CancelledError:  # graphql-core cancels siblings of a failure, and with them a loader's shared future
        return 0
    (operation,) = (each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
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


def test_generated_operations_get_the_same_answers(request: pytest.FixtureRequest) -> None:
    count: int = request.config.getoption("--execution-examples", EXAMPLES)
    told = 0
    with asyncio.Runner() as loop:
        for seed in range(count):
            told += check(Author(Random(seed)), loop, is_validated=seed < 300)
    assert told > count // 4


def test_generated_operations_that_shrink_get_the_same_answers() -> None:
    with asyncio.Runner() as loop:

        @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.randoms(use_true_random=False))
        def each(random: Random) -> None:
            check(Author(random), loop, is_validated=False)

        each()
