"""What comes written or resolved, in the engine: where it may stand, beside what fails, and who is told what is wanted."""

from types import SimpleNamespace
from typing import Any, ClassVar

import orjson
import pytest
import strawberry
from graphql import OperationDefinitionNode, execute, parse, validate

from api.execution import Engine
from api.execution.complete import Written
from api.execution.written import wanted, wanted_here
from api.http import GraphQLAnswer, reply_of

SLOTS, COMPILED = 2**31, 1
BOTH_WAYS = pytest.mark.parametrize("way", [SLOTS, COMPILED], ids=["by slots", "compiled"])


@strawberry.type
class Part:
    may_come_written: ClassVar[bool] = True
    n: int

    @strawberry.field
    def name(self) -> str:
        return f"part {self.n}"


def written(info: strawberry.Info, field: str, parts: list[Part], *, is_list: bool = True) -> Any:
    """These parts as the resolver of a table would give them: as text where it is told what is wanted."""
    selection = wanted(info, field)
    info.context.told.append(selection and [each.key for each in selection.fields])
    if selection is None:
        return parts if is_list else parts[0]
    rows = [
        {each.key: {"n": part.n, "name": f"part {part.n}"}[each.name] for each in selection.fields} for part in parts
    ]
    return Written(orjson.dumps(rows if is_list else rows[0]).decode())


@strawberry.type
class Box:
    may_come_written: ClassVar[bool] = False
    parts: list[Part]
    maybe: list[Part] | None = None
    grid: list[list[Part]] = strawberry.field(default_factory=list)
    one: Part | None = None

    @strawberry.field
    def wrong(self) -> str | None:
        raise ValueError("wrong")


def given(info: strawberry.Info, n: int) -> Any:
    """A part that an awaited resolver of one object gives."""
    selection = wanted_here(info)
    info.context.told.append(selection and [each.key for each in selection.fields])
    if selection is None:
        return Part(n=n)
    return Written(
        orjson.dumps({each.key: {"n": n, "name": f"part {n}"}[each.name] for each in selection.fields}).decode()
    )


@strawberry.type
class Shelf:
    may_have_resolved: ClassVar[bool] = True
    name: str
    resolved: strawberry.Private[dict[str, Any]]
    asked: strawberry.Private[list[str]]

    def _of(self, name: str, otherwise: Any) -> Any:
        self.asked.append(f"{self.name} {name}")
        return self.resolved.get(name, otherwise)

    @strawberry.field
    async def best_part(self) -> Part | None:
        return self._of("best_part", Part(n=7))  # type: ignore[no-any-return]

    @strawberry.field
    async def parts(self) -> list[Part]:
        return self._of("parts", [Part(n=8)])  # type: ignore[no-any-return]

    @strawberry.field
    async def size(self) -> int:
        return self._of("size", 9)  # type: ignore[no-any-return]

    @strawberry.field
    async def grid(self) -> list[list[int]]:
        return self._of("grid", [[1], []])  # type: ignore[no-any-return]

    @strawberry.field
    async def color(self) -> str:
        return self._of("color", "red")  # type: ignore[no-any-return]


@strawberry.type
class Query:
    @strawberry.field
    async def part(self, info: strawberry.Info) -> Part:
        return given(info, 1)  # type: ignore[no-any-return]

    @strawberry.field
    async def part_or_none(self, info: strawberry.Info, n: int | None = None) -> Part | None:
        return None if n is None else given(info, n)

    @strawberry.field
    def shelves(self, info: strawberry.Info) -> list[Shelf]:
        known: dict[str, Any] = {"best_part": Part(n=1), "parts": [Part(n=2), Part(n=3)], "size": 4, "grid": [[5, 6]]}
        if "painted" in info.context.flags:
            return [Shelf(name=each, resolved={"color": each}, asked=info.context.told) for each in ("blue", "green")]
        some: list[dict[str, Any]] = [{}, {"best_part": None, "size": 0}, {"parts": []}, known, {"size": "no number"}]
        return [
            Shelf(name=str(at), resolved=each, asked=info.context.told)
            for at, each in enumerate(some[: 5 if "wrong" in info.context.flags else 4])
        ]

    @strawberry.field
    async def box(self, info: strawberry.Info) -> Box:
        parts = [Part(n=1), Part(n=2)]
        return Box(
            parts=written(info, "parts", parts),
            maybe=written(info, "maybe", parts[:1]),
            grid=[written(info, "grid", parts), [Part(n=3)], []] if wanted(info, "grid") else [parts, [Part(n=3)], []],
            one=written(info, "one", parts, is_list=False),
        )

    @strawberry.field
    def boxes(self) -> list[Box | None]:
        return [Box(parts=[Part(n=5)]), None]


# `n` under `name` everywhere: what is wanted has an order.
DOCUMENTS = {
    "a list": "{ box { parts { name n } } }",
    "a list that may be null": "{ box { maybe { n } } boxes { maybe { n } parts { n } } }",
    "lists of lists": "{ box { grid { n name } } }",
    "an object": "{ box { one { name } } boxes { one { n } } }",
    "aliases of the parts": "{ box { parts { a: n b: name c: n } } }",
    "two places": "{ box { a: parts { n } b: parts { name } } other: box { parts { name } } }",
    "a fragment": "{ box { ...F parts { n } } } fragment F on Box { parts { name } }",
    "an awaited object": "{ part { name n } maybe: partOrNone(n: 2) { n } none: partOrNone { n } }",
    "beside what fails": "{ box { wrong parts { n } maybe { name } one { n } grid { n } } }",
}
schema: Any = strawberry.Schema(Query)._schema


async def asked(document: str, way: int, *flags: str) -> tuple[Any, list[Any]]:
    """The answer as it leaves, without messages, and what the resolver was told."""
    ast, context = parse(document), SimpleNamespace(told=[], flags=flags)
    assert not validate(schema, ast)
    (operation, *_) = (each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    result = await Engine(schema, compiled_from=way).execute(ast, document, operation, {}, context)
    body = orjson.loads(reply_of(GraphQLAnswer(data=result.data), "application/json").body)
    return (body, [each.path for each in result.errors or ()]), context.told


async def by_core(document: str, *flags: str) -> tuple[Any, list[Any]]:
    ast, context = parse(document), SimpleNamespace(told=[], flags=flags)
    result: Any = execute(schema, ast, context_value=context)
    result = await result
    return ({"data": result.data}, [each.path for each in result.errors or ()]), context.told


@BOTH_WAYS
@pytest.mark.parametrize("what", DOCUMENTS)
async def test_what_comes_written_is_the_answer_of_objects(what: str, way: int) -> None:
    ours, told = await asked(DOCUMENTS[what], way)
    theirs, nothing = await by_core(DOCUMENTS[what])
    assert ours == theirs
    assert set(nothing) <= {None}
    assert any(told) or what == "two places"


async def test_what_is_wanted_is_told_in_order_and_under_its_keys() -> None:
    _, told = await asked("{ box { parts { b: name n a: n } } }", COMPILED)
    assert told == [["b", "n", "a"], None, None]


async def test_two_selections_of_one_field_are_told_as_none() -> None:
    _, told = await asked("{ box { a: parts { n } b: parts { name } } }", COMPILED)
    assert told == [None, None, None]


SHELVES = "{ shelves { a: bestPart { n } size name b: bestPart { name } parts { n name } grid } }"


@BOTH_WAYS
@pytest.mark.parametrize("flags", [(), ("wrong",)], ids=["all right", "beside what fails"])
async def test_what_was_resolved_already_is_what_its_resolver_gives(way: int, flags: tuple[str, ...]) -> None:
    ours, _ = await asked(SHELVES, way, *flags)
    theirs, _ = await by_core(SHELVES, *flags)
    assert ours == theirs
    assert bool(ours[1]) == bool(flags)


async def test_what_was_resolved_already_is_not_asked_for() -> None:
    _, told = await asked("{ shelves { bestPart { n } size parts { n } } }", COMPILED)
    assert sorted(told) == ["0 best_part", "0 parts", "0 size", "1 parts", "2 best_part", "2 size"]
    for way in (COMPILED, SLOTS):
        ours, told = await asked("{ shelves { color } }", way, "painted")
        assert ours == ({"data": {"shelves": [{"color": "blue"}, {"color": "green"}]}}, [])
        assert told == []
    _, told = await asked("{ shelves { grid } }", COMPILED)
    assert sorted(told) == [f"{at} grid" for at in range(4)]  # lists of lists are for slots
