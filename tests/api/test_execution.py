"""What the engine does by itself: calls per level, errors, cancellation, what it leaves to graphql-core, its cache."""

import asyncio
import contextvars
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, GraphQLSchema, OperationDefinitionNode, parse
from strawberry.dataloader import DataLoader

from api.execution import Engine, batched

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


class BoomError(Exception):
    pass


@strawberry.input
class Wish:
    words: list[str]


@strawberry.type
class Leaf:
    n: int
    must: int | None = None

    @strawberry.field
    @batched
    @staticmethod
    async def doubled(parents: list["Leaf"], info: strawberry.Info, by: int = 2) -> list[int]:
        info.context.calls.append(len(parents))
        await asyncio.sleep(0)
        return [each.n * by for each in parents]

    @strawberry.field
    @batched
    @staticmethod
    async def short(parents: list["Leaf"]) -> list[int | None]:
        return [1 for _ in parents[1:]]

    @strawberry.field
    async def loaded(self, info: strawberry.Info) -> int:
        return await info.context.loader.load(self.n)  # type: ignore[no-any-return]

    @strawberry.field
    async def hasty(self) -> str:
        try:
            async with asyncio.timeout(0.01 if self.n == 1 else 5):
                await asyncio.sleep(0.05)
        except TimeoutError:
            return "late"
        return "in time"

    @strawberry.field
    async def me(self) -> str:
        who.set(f"{who.get()}{self.n}")
        await asyncio.sleep(0)
        return who.get()

    @strawberry.field
    async def grouped(self) -> int:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, self.n))
        return task.result()

    @strawberry.field
    async def forever(self, info: strawberry.Info) -> int:
        info.context.calls.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            info.context.calls.append("ended")
        return 0

    @strawberry.field
    async def cancelled(self) -> int:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    @strawberry.field
    async def turns(self, info: strawberry.Info) -> int:
        async with info.context.lock:
            await asyncio.sleep(0.001)
        return self.n

    @strawberry.field
    def one(self) -> int:
        raise BoomError("one")

    @strawberry.field
    async def other(self) -> int:
        raise BoomError("other")

    @strawberry.field
    def wish(self, wish: Wish) -> list[str]:
        wish.words.append("more")
        return wish.words


@strawberry.type
class Query:
    @strawberry.field
    def leaves(self, count: int = 3) -> list[Leaf]:
        return [Leaf(n=n) for n in range(count)]

    @strawberry.field
    def rows(self) -> list[list[Leaf | None]]:
        return [[Leaf(n=0)], [], [None, Leaf(n=1)]]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def step(self, info: strawberry.Info, n: int) -> int:
        info.context.calls.append(n)
        await asyncio.sleep(0)
        if n < 0:
            raise BoomError("step")
        info.context.calls.append(n)
        return n


schema: GraphQLSchema = strawberry.Schema(Query, Mutation)._schema


def context() -> Any:
    calls: list[Any] = []

    async def load(keys: list[int]) -> list[int]:
        calls.append(len(keys))
        return keys

    return SimpleNamespace(calls=calls, loader=DataLoader(load), lock=asyncio.Lock())


@pytest.fixture(autouse=True, params=[2**31, 1], ids=["by slots", "compiled"])
def in_both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every engine of this file runs in one way, and once more in the other."""
    monkeypatch.setitem(globals(), "Engine", partial(Engine, compiled_from=request.param))


async def ask(text: str, given: Any = None, engine: Engine | None = None, **variables: Any) -> ExecutionResult:
    ast = parse(text)
    operation = next(each for each in ast.definitions if isinstance(each, OperationDefinitionNode))
    return await (engine or Engine(schema)).execute(ast, text, operation, variables, given or context())


async def test_a_batch_resolver_is_called_once_for_a_level() -> None:
    given = context()
    result = await ask("{ rows { doubled(by: 3) } }", given)
    assert result == ExecutionResult({"rows": [[{"doubled": 0}], [], [None, {"doubled": 3}]]}, None)
    assert given.calls == [2]


async def test_loaders_see_a_whole_level() -> None:
    given = context()
    result = await ask("{ leaves(count: 50) { loaded } }", given)
    assert result.data == {"leaves": [{"loaded": n} for n in range(50)]}
    assert given.calls == [50]


async def test_a_batch_of_another_length_fails_for_each_parent() -> None:
    result = await ask("{ leaves { short } }")
    assert result.data == {"leaves": [{"short": None}] * 3}
    assert [error.path for error in result.errors or []] == [["leaves", n, "short"] for n in range(3)]


async def test_one_error_explains_a_place_that_several_siblings_null() -> None:
    result = await ask("{ rows { x: one other } }")
    assert result.data == {"rows": [[None], [], [None, None]]}
    assert [error.path for error in result.errors or []] == [["rows", 0, 0, "x"], ["rows", 2, 1, "x"]]


async def test_a_timeout_ends_its_own_resolver_alone() -> None:
    result = await ask("{ leaves { hasty } }")
    assert result.data == {"leaves": [{"hasty": "in time"}, {"hasty": "late"}, {"hasty": "in time"}]}


async def test_resolvers_have_contexts_of_their_own() -> None:
    result = await ask("{ leaves { me grouped } }")
    assert result.data == {"leaves": [{"me": f"nobody{n}", "grouped": n} for n in range(3)]}


async def test_resolvers_that_wait_for_each_other_go_on() -> None:
    result = await ask("{ leaves(count: 20) { turns } }")
    assert result.data == {"leaves": [{"turns": n} for n in range(20)]}


async def test_a_cancelled_operation_leaves_nothing_running() -> None:
    given = context()
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(ask("{ leaves { forever loaded } }", given))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given.calls == ["begun"] * 3 + [3] + ["ended"] * 3
    assert asyncio.all_tasks() == before


async def test_a_resolver_that_is_cancelled_ends_the_operation_and_its_siblings() -> None:
    given = context()
    with pytest.raises(asyncio.CancelledError):
        await ask("{ leaves { forever cancelled } }", given)
    assert given.calls == ["begun"] * 3 + ["ended"] * 3


async def test_mutations_run_one_after_the_other_and_stop_where_data_is_lost() -> None:
    given = context()
    result = await ask("mutation { a: step(n: 1) b: step(n: -2) c: step(n: 3) }", given)
    assert result.data is None
    assert [error.path for error in result.errors or []] == [["b"]]
    assert given.calls == [1, 1, -2]


async def test_what_a_resolver_does_to_its_arguments_is_gone_in_the_next_execution() -> None:
    engine = Engine(schema)
    for _ in range(2):
        result = await ask('{ leaves(count: 1) { wish(wish: {words: ["a"]}) } }', engine=engine)
        assert result.data == {"leaves": [{"wish": ["a", "more"]}]}


async def test_introspection_and_wrong_variables_are_answered_as_by_graphql_core() -> None:
    result = await ask("{ __schema { queryType { name } } leaves(count: 1) { n } }")
    assert result.data == {"__schema": {"queryType": {"name": "Query"}}, "leaves": [{"n": 0}]}
    result = await ask("query ($n: Int!) { leaves(count: $n) { n } }", n="x")
    assert result.data is None
    assert "$n" in (result.errors or [])[0].message


async def test_plans_are_dropped_when_there_are_too_many() -> None:
    engine = Engine(schema, cached_tokens=30)
    for n in range(10):
        result = await ask(f"{{ leaves(count: {n}) {{ n }} }}", engine=engine)
        assert result.data == {"leaves": [{"n": each} for each in range(n)]}
    assert len(engine._plans._kept) <= 3


async def test_a_plan_keeps_no_value_of_a_caller_but_its_switches() -> None:
    engine = Engine(schema)
    text = "query ($n: Int!, $yes: Boolean!) { leaves(count: $n) { n @include(if: $yes) must @skip(if: $yes) } }"
    for n, yes in ((1, True), (2, False), (0, True)):
        result = await ask(text, engine=engine, n=n, yes=yes)
        wanted = [{"n": each} if yes else {"must": None} for each in range(n)]
        assert result.data == {"leaves": wanted}
    (document, _) = next(iter(engine._plans._kept.values()))
    assert sorted(document.plans) == [(False,), (True,)]
    selection = document.plans[(True,)].root
    assert selection is not None
    assert set(selection.fields[0]._switches.coerced) == {"yes"}
