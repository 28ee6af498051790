"""Values that come written, in the engine: where they may stand, beside what fails, and who is told what is wanted."""

from types import SimpleNamespace
from typing import Any, ClassVar

import orjson
import pytest
import strawberry
from graphql import OperationDefinitionNode, execute, parse, validate

from api.execution import Engine
from api.execution.complete import Written
from api.execution.written import wanted
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


@strawberry.type
class Query:
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
    "beside what fails": "{ box { wrong parts { n } maybe { name } one { n } grid { n } } }",
}
schema: Any = strawberry.Schema(Query)._schema


async def asked(document: str, way: int) -> tuple[Any, list[Any]]:
    """The answer as it leaves, without messages, and what the resolver was told."""
    ast, context = parse(document), SimpleNamespace(told=[])
    assert not validate(schema, ast)
    (operation, *_) = (each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    result = await Engine(schema, compiled_from=way).execute(ast, document, operation, {}, context)
    body = orjson.loads(reply_of(GraphQLAnswer(data=result.data), "application/json").body)
    return (body, [each.path for each in result.errors or ()]), context.told


async def by_core(document: str) -> tuple[Any, list[Any]]:
    ast, context = parse(document), SimpleNamespace(told=[])
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
