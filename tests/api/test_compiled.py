"""Compiled selections: what they answer alone, what they leave to slots without asking anything twice, what they keep."""

import asyncio
import gc
import itertools
import re
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import strawberry
from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, parse, validate
from strawberry.schema.config import StrawberryConfig

from api.execution import Engine, batched
from api.execution.run import Run
from api.http import GraphQLAnswer, reply_of
from api.scalars import SCALARS
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import HERE, plant

MOMENT = datetime(2026, 2, 14, 12, 30, 15, 123_450, tzinfo=UTC)
MOMENTS = {
    "exact": MOMENT,
    "whole": MOMENT.replace(microsecond=0),
    "east": MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30))),
    "wholeWest": MOMENT.replace(microsecond=0).astimezone(timezone(timedelta(hours=-3))),
}
WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
SLOTS, COMPILED = 2**31, 1
BOTH_WAYS = pytest.mark.parametrize("way", [SLOTS, COMPILED], ids=["by slots", "compiled"])


class BoomError(Exception):
    pass


@strawberry.enum
class Color(Enum):
    RED = 1
    BLUE = 2


@strawberry.interface
class Thing:
    n: int

    @strawberry.field
    def name(self) -> str:
        return f"{type(self).__name__} {self.n}"


@strawberry.type
class Owner(Thing):
    @strawberry.field
    def label(self, info: strawberry.Info, loud: bool = False) -> str:
        info.context.calls.append(f"label {self.n}")
        return f"Owner {self.n}{'!' if loud else ''}"

    @strawberry.field
    async def greeting(self, info: strawberry.Info) -> str:
        info.context.calls.append(f"greeting {self.n}")
        await asyncio.sleep(0)
        return f"Hello {self.n}"


@strawberry.type
class Item(Thing):
    ratio: float | None = None
    flag: bool | None = None
    color: Color = Color.BLUE
    shades: list[Color | None] | None = None
    words: list[str] = strawberry.field(default_factory=lambda: ["a", "b"])
    at: datetime = MOMENT
    since: datetime | None = None

    @strawberry.field
    def items(self, count: int = 2) -> list["Item"]:
        return [Item(n=self.n + at) for at in range(count)]

    @strawberry.field
    def gaps(self) -> list["Item | None"] | None:
        return [None, Item(n=self.n, ratio=0.5, flag=True, shades=[Color.RED, None])] if self.n else None

    @strawberry.field
    def grid(self) -> list[list["Item"]]:
        return [[Item(n=1)], [], [Item(n=2), Item(n=3)]]

    @strawberry.field
    def things(self) -> list[Thing]:
        return [Owner(n=1), Item(n=2), Owner(n=3)]

    @strawberry.field
    async def later(self, info: strawberry.Info, by: int = 1) -> "Item":
        info.context.calls.append(f"later {self.n}")
        await asyncio.sleep(0)
        return Item(n=self.n + by)

    @strawberry.field
    @batched
    @staticmethod
    async def owner(parents: list["Item"], info: strawberry.Info) -> list[Owner | None]:
        """Two owners for all, and none for every third."""
        info.context.calls.append(f"owner {len(parents)}")
        owners = [Owner(n=0), Owner(n=1)]
        return [None if each.n % 3 == 2 else owners[each.n % 2] for each in parents]

    @strawberry.field
    def fails(self) -> str | None:
        if self.n % 2:
            raise BoomError("odd")
        return "fine"

    @strawberry.field
    def missing(self) -> str:
        return None  # type: ignore[return-value]


@strawberry.type
class Query:
    @strawberry.field
    def item(self, n: int = 0) -> Item:
        return Item(n=n)

    @strawberry.field
    def thing(self, is_owner: bool = False) -> Thing | None:
        return Owner(n=7) if is_owner else Item(n=7)

    @strawberry.field
    async def slow(self, info: strawberry.Info) -> list[Item]:
        info.context.calls.append("slow")
        await asyncio.sleep(0)
        return [Item(n=1), Item(n=2)]

    @strawberry.field
    def nothing(self) -> Item | None:
        return None


@strawberry.type
class Moments:
    exact: datetime
    whole: datetime
    east: datetime
    whole_west: datetime

    @strawberry.field
    def all(self) -> list[datetime | None]:
        return [*MOMENTS.values(), None]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def step(self, info: strawberry.Info, n: int) -> Item:
        info.context.calls.append(f"step {n}")
        await asyncio.sleep(0)
        return Item(n=n)

    @strawberry.mutation
    def leap(self, info: strawberry.Info, n: int) -> Item:
        info.context.calls.append(f"leap {n}")
        return Item(n=n)


@strawberry.type
class Clock:
    @strawberry.field
    def moments(self) -> Moments:
        return Moments(**{("whole_west" if name == "wholeWest" else name): each for name, each in MOMENTS.items()})


def schema_of(query: type[Any], mutation: type[Any] | None = None) -> GraphQLSchema:
    config = StrawberryConfig(scalar_map=dict(SCALARS))
    return strawberry.Schema(query, mutation, types=[Owner, Item], config=config)._schema


schema = schema_of(Query, Mutation)
GOOD = [
    "{ item { n name ratio flag color words shades at since __typename } }",
    "{ item(n: 1) { items(count: 3) { n items { n gaps { n ratio flag shades } } } gaps { color } } nothing { n } }",
    "{ item(n: 2) { grid { n words later { n } } things { __typename name ... on Owner { label(loud: true) } ... on Item { color } } } }",
    "{ a: thing { ...T } b: thing(isOwner: true) { ...T } } fragment T on Thing { n ... on Item { owner { n label } } ... on Owner { greeting } }",
    "{ slow { n owner { n greeting label } later(by: 3) { n later { n owner { name } } } } }",
    "mutation { a: step(n: 1) { n owner { label } } leap(n: 2) { n items { n } } b: step(n: 3) { later { n } } }",
]


def context() -> Any:
    return SimpleNamespace(calls=[])


async def ask(text: str, engine: Engine, given: Any = None, on: GraphQLSchema = schema) -> ExecutionResult:
    ast = parse(text)
    assert not validate(on, ast)
    operation = next(each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    return await engine.execute(ast, text, operation, {}, given or context())


def sent(result: ExecutionResult) -> bytes:
    """The answer as it leaves."""
    return reply_of(GraphQLAnswer(data=result.data), "application/json").body


async def by_slots(text: str, given: Any = None) -> ExecutionResult:
    return await ask(text, Engine(schema, compiled_from=SLOTS), given)


async def compiled(text: str, monkeypatch: pytest.MonkeyPatch, given: Any = None) -> ExecutionResult:
    """By what is compiled alone."""
    with monkeypatch.context() as patch:

        async def never(_run: Run, _selection: Any) -> Any:
            raise AssertionError("slots were asked")

        patch.setattr(Run, "_by_slots", never)
        return await ask(text, Engine(schema, compiled_from=COMPILED), given)


# ── what it answers alone ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("text", GOOD)
async def test_an_answer_without_an_error_needs_no_slots_and_is_the_same(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = await by_slots(text)
    ours = await compiled(text, monkeypatch)
    assert theirs.errors is ours.errors is None
    assert sent(ours) == sent(theirs)


async def test_a_selection_deeper_than_python_nests_blocks_is_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = 30
    text = f"{{ item {{ {'items(count: 1) { ' * depth} n gaps {{ n }} {'} ' * depth} }} }}"
    ours = await compiled(text, monkeypatch)
    assert ours == await by_slots(text)
    inner = (ours.data or {})["item"]
    for _ in range(depth):
        (inner,) = inner["items"]
    assert inner == {"n": 0, "gaps": None}


@pytest.mark.parametrize(
    "alias",
    ["__a", "None", "class", "v1", "k1", "made", "objects", "bind", "Unusual", "Written", "a1", "pk1", "add_made"],
)
async def test_a_key_that_means_something_to_python_or_to_the_function_is_a_key(
    alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = f"{alias}: n k2: name v2: later {{ {alias}: n }} later(by: 5) {{ {alias}: items(count: 1) {{ {alias}: color }} }}"
    text = f"{{ {alias}: item(n: 4) {{ {inner} }} }}"
    ours = await compiled(text, monkeypatch)
    assert ours == await by_slots(text)
    wanted = {alias: 4, "k2": "Item 4", "v2": {alias: 5}, "later": {alias: [{alias: "BLUE"}]}}
    assert ours.data == {alias: wanted}


async def test_an_object_that_stands_in_many_places_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{ item { items(count: 9) { n owner { n label greeting } again: owner { shout: label(loud: true) } } } }"
    given = context()
    ours = await compiled(text, monkeypatch, given)
    assert ours == await by_slots(text)
    items = (ours.data or {})["item"]["items"]
    wanted = [
        None if n % 3 == 2 else {"n": n % 2, "label": f"Owner {n % 2}", "greeting": f"Hello {n % 2}"} for n in range(9)
    ]
    assert [each["owner"] for each in items] == wanted
    assert [each["again"] for each in items] == [each and {"shout": f"{each['label']}!"} for each in wanted]
    assert sorted(given.calls) == [
        "greeting 0", "greeting 1", *["label 0"] * 2, *["label 1"] * 2, "owner 9", "owner 9",
    ]  # fmt: skip


# ── where something is unusual ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("wrong", ["fails", "missing"])
async def test_what_was_awaited_before_a_failure_is_not_asked_again(wrong: str) -> None:
    text = f"{{ slow {{ n owner {{ n }} later {{ later {{ owner {{ n greeting }} later {{ n {wrong} }} }} }} }} }}"
    ours, theirs = context(), context()
    told = await ask(text, Engine(schema, compiled_from=COMPILED), ours)
    wanted = await by_slots(text, theirs)
    assert told.data == wanted.data
    assert [error.path for error in told.errors or []] == [error.path for error in wanted.errors or []] != []
    assert sorted(ours.calls) == sorted(theirs.calls)
    assert ours.calls.count("slow") == 1
    assert len([each for each in ours.calls if each.startswith("later")]) == 6


@pytest.mark.parametrize("field", ["step", "leap"])
@pytest.mark.parametrize("wrong", ["fails", "later { fails }", "later { later { missing } }"])
async def test_a_change_whose_answer_has_an_error_happens_once(field: str, wrong: str) -> None:
    text = f"mutation {{ a: {field}(n: 1) {{ n }} b: {field}(n: 3) {{ n {wrong} again: fails }} c: {field}(n: 5) {{ n }} }}"
    ours, theirs = context(), context()
    told = await ask(text, Engine(schema, compiled_from=COMPILED), ours)
    wanted = await by_slots(text, theirs)
    assert told.data == wanted.data
    assert told.errors
    assert ours.calls == theirs.calls
    for n in (1, 3):
        assert ours.calls.count(f"{field} {n}") == 1


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_document_is_compiled_when_it_comes_the_second_time() -> None:
    engine, text = Engine(schema), "{ slow { n owner { n } later { n } } }"
    (first, kept, second) = (await ask(text, engine), len(functions_of(engine)), await ask(text, engine))
    assert first == second == await by_slots(text)
    assert kept == 0
    made = functions_of(engine)
    assert made
    await ask(text, engine)
    assert functions_of(engine) == made


def functions_of(engine: Engine) -> list[Any]:
    plans = [plan for document, _ in engine._plans._kept.values() for plan in document.plans.values()]
    return [function for plan in plans for function in plan.functions.values()]


async def test_what_is_compiled_leaves_with_its_plan() -> None:
    engine = Engine(schema, cached_tokens=30, compiled_from=COMPILED)
    await ask("{ slow { n owner { n } } }", engine)
    made = [weakref.ref(each) for each in functions_of(engine)]
    assert len(made) == 3
    for n in range(5):
        await ask(f"{{ item(n: {n}) {{ n }} }}", engine)
    gc.collect()
    assert [each() for each in made] == [None] * 3


async def test_each_set_of_switches_has_functions_of_its_own_which_leave_when_there_are_too_many() -> None:
    engine = Engine(schema, compiled_from=COMPILED)
    names = "abcde"
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: n @include(if: ${name})" for name in names)
    text = f"query ({declared}) {{ item {{ at {fields} }} }}"
    ast = parse(text)
    operation = next(each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    for values in itertools.product((False, True), repeat=len(names)):
        given = dict(zip(names, values, strict=True))
        result = await engine.execute(ast, text, operation, given, context())
        assert set((result.data or {})["item"]) == {"at", *(name for name, is_in in given.items() if is_in)}
    assert len(functions_of(engine)) <= 16


# ── moments ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@BOTH_WAYS
async def test_a_moment_of_any_zone_goes_out_in_utc_with_six_digits(way: int) -> None:
    clock = schema_of(Clock)
    result = await ask("{ moments { exact whole east wholeWest all } }", Engine(clock, compiled_from=way), on=clock)
    assert result.errors is None
    found = orjson.loads(sent(result))["data"]["moments"]
    exact, whole = "2026-02-14T12:30:15.123450Z", "2026-02-14T12:30:15.000000Z"
    texts = [exact, whole, exact, whole]
    assert found == {**dict(zip(MOMENTS, texts, strict=True)), "all": [*texts, None]}


@pytest.fixture(scope="module")
async def moments(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A small organization whose projects were made at odd and even times."""
    async with clone(template) as copy:
        await plant(copy, times=1)
        async with superuser(copy) as connection:
            await connection.execute(
                "INSERT INTO app.projects (organization_id, name, created_at) SELECT $1, 'A ' || n,"
                " timestamptz '2026-02-14 12:30:15+05:30' + n * interval '0.00012 s' FROM generate_series(0, 2) n",
                HERE,
            )
        async with client_of(copy, tmp_path_factory.mktemp("moments"), EMBEDDER="none") as client:
            yield client


async def test_moments_of_the_database_are_the_same_texts_at_the_first_and_at_later_times(moments: Client) -> None:
    text = "{viewer{organization{projects(first:3){edges{node{name createdAt}}}} usage{budgets{windowStart resetsAt}}}}"
    answers = [await moments.ask(text) for _ in range(3)]
    assert len({answer.raw for answer in answers}) == 1
    viewer = answers[0].data["viewer"]
    assert [edge["node"]["createdAt"] for edge in viewer["organization"]["projects"]["edges"]] == [
        "2026-02-14T07:00:15.000000Z", "2026-02-14T07:00:15.000120Z", "2026-02-14T07:00:15.000240Z",
    ]  # fmt: skip
    assert all(WRITTEN.match(each) for budget in viewer["usage"]["budgets"] for each in budget.values())
