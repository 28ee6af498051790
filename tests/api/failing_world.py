"""A schema with every kind of field, whose resolvers fail, give nothing or give the wrong thing by each object's seed."""

import asyncio
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum, StrEnum
from types import SimpleNamespace
from typing import Annotated, Any

import strawberry
from graphql import GraphQLSchema
from strawberry.dataloader import DataLoader
from strawberry.schema.config import StrawberryConfig

from api.execution import batched

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class BoomError(Exception):
    pass


def chance(*parts: object) -> int:
    return zlib.crc32(repr(parts).encode())


# One in so many is wrong in one of five ways.
odds = SimpleNamespace(of=30)


def whim(seed: int, name: str, good: Any, wrong: Any = ()) -> Any:
    """What a resolver gives: mostly `good`; the seed decides otherwise."""
    match chance(seed, name) % odds.of:
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
    def label(
        self, filter: FilterArgument = strawberry.UNSET, loud: bool = False, colors: list[Color] | None = None
    ) -> str:
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
        return [
            caught(each.seed, "mate", of(Alpha)(chance(each.seed, n, number)))
            for each, number in zip(parents, numbers, strict=True)
        ]

    @strawberry.field
    @batched
    @staticmethod
    async def score(parents: list["Thing"], filter: FilterArgument = None) -> list[int]:
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
        return each_of(several(self.seed, "stream", made))  # type: ignore[no-any-return]


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
        return made(n)  # type: ignore[no-any-return]

    @strawberry.mutation
    def insist(self, info: strawberry.Info, n: int = 0) -> Alpha:
        info.context.log.append(n)
        return whim(n, "insist", new(Alpha, n))  # type: ignore[no-any-return]


SCALARS: Any = {datetime: strawberry.scalar(name="Stamp", serialize=stamp, parse_value=datetime.fromisoformat)}
schema: GraphQLSchema = strawberry.Schema(
    Query, Mutation, types=[Alpha, Beta, Gamma], config=StrawberryConfig(scalar_map=SCALARS)
)._schema


def context() -> Any:
    async def load(keys: list[int]) -> list[Any]:
        await asyncio.sleep(0)
        return [caught(key, "loaded", key % 1000) for key in keys]

    async def sound(keys: list[int]) -> list[int]:
        return keys

    return SimpleNamespace(word="word", loader=DataLoader(load), sound=DataLoader(sound), log=[])
