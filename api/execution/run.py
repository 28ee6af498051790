"""A run: level by level, every field of a level over the column of its parents, then the answer from the leaves up.

All coroutines of a level are waited for together, so that loaders see a whole level; a mutation's root fields each have
a run of their own, one after the other.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping
from types import CoroutineType
from typing import Any, Final, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_variable_values,
    located_error,
)
from graphql import execute as execute_by_core
from graphql.execution import default_type_resolver
from graphql.execution.values import VariableValues
from graphql.pyutils import inspect, is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from api.execution import errands
from api.execution.complete import FAILED, Kinds, NullError, Rows, flatten, gather, is_sound, kinds_of, settle
from api.execution.plan import Document, Field, How, Plans, Selection

CACHED_TOKENS: Final = 50_000
MAX_COERCION_ERRORS: Final = 50
_NO_VARIABLES: Final = VariableValues({}, {})
_PLAIN: Final = frozenset({str, int, bool, float, type(None), list, dict})
_NO_OBJECTS: Final = frozenset({type(None), type(FAILED)})


class Engine:
    """Runs operations of one schema. Give it valid documents: it checks nothing that validation has checked."""

    def __init__(self, schema: GraphQLSchema, cached_tokens: int = CACHED_TOKENS) -> None:
        self._schema = schema
        self._plans = Plans(schema, cached_tokens)

    async def execute(
        self,
        ast: DocumentNode,
        digest: str,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        context: object,
    ) -> ExecutionResult:
        """The result as graphql-core would give it. `digest` stands for the document's text in the cache of plans."""
        document = self._plans.document(ast, digest, operation)
        values: VariableValues | list[GraphQLError] = _NO_VARIABLES
        if operation.variable_definitions:
            values = get_variable_values(
                self._schema, operation.variable_definitions, cast("dict[str, Any]", variables), MAX_COERCION_ERRORS
            )
            if isinstance(values, list):
                return ExecutionResult(None, errors=values)
        try:
            plan = document.plan(values)
        except GraphQLError as error:  # a switch without a value
            return ExecutionResult(None, errors=[error])
        if plan is None:
            return await self._by_core(document, variables, context)
        return await Run(document, values, context).result(plan)

    async def _by_core(self, document: Document, variables: Mapping[str, Any], context: object) -> ExecutionResult:
        name = document.operation.name
        result = execute_by_core(
            self._schema,
            document.ast,
            context_value=context,
            variable_values=cast("dict[str, Any]", variables),
            operation_name=name.value if name else None,
        )
        return result if isinstance(result, ExecutionResult) else await result


class Group:
    """Objects of one type under one field: rows of the columns of their fields."""

    __slots__ = ("above", "places", "results", "selection", "slots", "sources")

    def __init__(self, selection: Selection, sources: list[Any], above: "Slot | None", places: list[int] | None) -> None:
        self.selection, self.sources, self.above, self.places = selection, sources, above, places
        self.slots: list[Slot] = []
        self.results: list[Any] = []

    def path(self, row: int) -> list[str | int]:
        if self.above is None:
            return []
        return self.above.path(len(self.above.levels), self.places[row] if self.places else row)

    def finish(self, *, has_failed: bool) -> None:
        """The rows as objects, from the finished columns; FAILED where one of its fields has to be there and is not."""
        keys, columns = self.selection.keys, [slot.finish(has_failed=has_failed) for slot in self.slots]
        if not columns:
            self.results = [{} for _ in self.sources]
        elif has_failed:
            rows = zip(*columns, strict=True)
            self.results = [
                FAILED if any(each is FAILED for each in row) else dict(zip(keys, row, strict=True)) for row in rows
            ]
        else:
            self.results = [dict(zip(keys, row)) for row in zip(*columns)]  # noqa: B905 - strict costs a tenth of it


class Slot:
    """One field over the rows of one group: the column of its values and what became of it."""

    __slots__ = ("_info", "_run", "field", "flat", "group", "groups", "kinds", "levels", "values")

    def __init__(self, run: "Run", field: Field, group: Group) -> None:
        self._run, self.field, self.group = run, field, group
        self.values: list[Any] = []
        self.kinds: Kinds = set()
        self.levels: list[Rows] = []
        self.groups: list[Group] = []
        self.flat: list[Any] = []
        self._info: GraphQLResolveInfo | None = None

    @property
    def info(self) -> GraphQLResolveInfo:
        if self._info is None:
            self._info = self._run.info(self.field)
        return self._info

    def path(self, depth: int, index: int) -> list[str | int]:
        """Where the value at this flat index of this list level is in the answer."""
        indexes: list[str | int] = []
        for level in reversed(self.levels[:depth]):
            index, inner = level.place(index)
            indexes.append(inner)
        return [*self.group.path(index), self.field.key, *reversed(indexes)]

    def fail(self, index: int, error: Exception) -> None:
        """Tell what went wrong at a flat index of the innermost level so far."""
        if isinstance(error, NullError):
            name = f"{self.field.parent}.{self.field.name}"
            error = TypeError(f"Cannot return null for non-nullable field {name}.")
        self._run.fail(self, index, error)

    def resolve(self) -> None:
        """Fill the column; what has to be awaited stands in it as it is."""
        field, sources = self.field, self.group.sources
        if field.how is How.TYPENAME:
            self.values = [field.parent.name] * len(sources)
            return
        call: Any = field.call
        if field.how is How.ATTRIBUTE:
            try:
                self.values = list(map(call, sources))
            except Exception:  # noqa: BLE001 - one object is wrong: each is then read alone
                self.values = _each(call, sources, {})
            return
        try:
            arguments = self._arguments()
        except Exception as error:  # noqa: BLE001 - the same for every parent, and a field's failure for each
            self.values = [error] * len(sources)
            return
        if field.how is How.BATCH:
            self.values = [self._together(call(sources, **arguments))]
        elif field.how is How.WRAPPED:
            info = self.info
            self.values = _each(lambda source, **given: call(source, info, **given), sources, arguments)
        else:
            self.values = _each(call, sources, arguments)

    def _arguments(self) -> dict[str, Any]:
        field, run = self.field, self._run
        if field.info_name is None:
            return field.arguments(run.variables, None)
        info = run.config.info_class(_raw_info=self.info, _field=field.own)
        return {**field.arguments(run.variables, info), field.info_name: info}

    async def _together(self, coroutine: Coroutine[Any, Any, list[Any]]) -> Any:
        count = len(self.group.sources)
        try:
            values = list(await coroutine)
            if len(values) != count:
                raise ValueError(f"{self.field.key} got {len(values)} results for {count} objects")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a batch fails for all of its objects
            values = [error] * count
        self.values = values

    def waiting(self) -> list[tuple[list[Any], int]]:
        """The places that have to be awaited."""
        if self.field.how is How.TYPENAME:
            return []
        self.kinds = kinds_of(self.values)
        return _waiting(self.values, self.kinds)

    def complete_leaves(self) -> None:
        """A column of leaves without lists goes out as it is."""
        field, leaf = self.field, self.field.leaf
        if field.how is How.TYPENAME or leaf is None:
            self.flat = self.values
            return
        kinds = self.kinds or kinds_of(self.values)
        self.flat = leaf.complete(self.values, kinds, self.fail, is_non_null=field.non_null[0])

    async def complete(self) -> list[Group]:
        """From resolved values to leaves, or to the groups of the next level."""
        field, values = self.field, self.values
        kinds = self.kinds or kinds_of(values)
        for must in field.non_null[:-1]:
            values, kinds = await self._iterated(values, kinds)
            if not is_sound(kinds, is_non_null=must):
                values = settle(values, self.fail, is_non_null=must)
            level, values = flatten(values, kinds, self.fail, f"{field.parent}.{field.name}")
            self.levels.append(level)
            values, kinds = await _awaited(values, kinds_of(values))
        must = field.non_null[-1]
        if field.leaf is not None:
            self.flat = field.leaf.complete(values, kinds, self.fail, is_non_null=must)
            return []
        if not is_sound(kinds, is_non_null=must):
            values = settle(values, self.fail, is_non_null=must)
            kinds = kinds_of(values)
        return await self._objects(values, kinds)

    async def _iterated(self, values: list[Any], kinds: Kinds) -> tuple[list[Any], Kinds]:
        if any(hasattr(kind, "__aiter__") for kind in kinds):
            values = [_listed(each) if hasattr(each, "__aiter__") else each for each in values]
            return await _awaited(values, kinds_of(values))
        return values, kinds

    async def _objects(self, values: list[Any], kinds: Kinds) -> list[Group]:
        field = self.field
        if not values:
            return []
        if field.object is not None and not kinds & _NO_OBJECTS and _is_own(field.object, kinds):
            selection = self._selection(field.object, range(len(values)))
            if selection is None:
                self.flat = [FAILED] * len(values)
            else:
                self.groups.append(Group(selection, values, self, None))
            return self.groups
        places: dict[GraphQLObjectType, list[int]] = {}
        self.flat = [None] * len(values)
        for at, value in enumerate(values):
            if value is None or value is FAILED:
                self.flat[at] = value
                continue
            try:
                places.setdefault(await self._type_of(value), []).append(at)
            except Exception as error:  # noqa: BLE001 - an object of no known type nulls its own place alone
                self.flat[at] = FAILED
                self.fail(at, error)
        for type_, rows in places.items():
            selection = self._selection(type_, rows)
            if selection is not None:
                self.groups.append(Group(selection, [values[at] for at in rows], self, rows))
                continue
            for at in rows:
                self.flat[at] = FAILED
        return self.groups

    def _selection(self, type_: GraphQLObjectType, rows: Iterable[int]) -> Selection | None:
        try:
            return self.field.selection(type_)
        except GraphQLError as error:  # a switch without a value
            for at in rows:
                self.fail(at, error)
            return None

    async def _type_of(self, value: object) -> GraphQLObjectType:
        field, type_ = self.field, self.field.object
        if field.abstract is not None:
            resolve = field.abstract.resolve_type or default_type_resolver
            name: Any = resolve(value, self.info, field.abstract)
            name = await name if is_awaitable(name) else name
            type_ = _object_type(self._run.schema, field.abstract, name, field)
        assert type_ is not None  # noqa: S101 - a composite type is abstract or an object
        if type_.is_type_of and not _is_own(type_, {type(value)}):
            is_it: Any = type_.is_type_of(value, self.info)
            if not (await is_it if is_awaitable(is_it) else is_it):
                raise GraphQLError(f"Expected value of type '{type_}' but got: {inspect(value)}.", field.nodes)
        return type_

    def finish(self, *, has_failed: bool) -> list[Any]:
        """The completed column."""
        flat = self.flat
        for group in self.groups:
            if group.places is None:
                flat = group.results
            else:
                for at, result in zip(group.places, group.results, strict=True):
                    flat[at] = result
        if not self.levels and not has_failed:
            return flat
        return gather(flat, self.levels, self.field.non_null, has_failed=has_failed)


class Run:
    """One execution of one operation."""

    def __init__(self, document: Document, variables: VariableValues, context: object) -> None:
        self.document = document
        self.schema = document.schema
        self.variables = variables
        self.context = context
        self._errors: list[GraphQLError] = []
        self._nulled: set[tuple[str | int, ...]] = set()

    @property
    def config(self) -> Any:
        return self.schema._strawberry_schema.config  # type: ignore[attr-defined]

    async def result(self, plan: Selection) -> ExecutionResult:
        if self.document.operation.operation is OperationType.MUTATION:
            data = await self._serially(plan)
        else:
            data = await self._object(plan)
        return ExecutionResult(None if data is FAILED else data, self._errors or None)

    async def _serially(self, plan: Selection) -> Any:
        data: dict[str, Any] = {}
        for field in plan.fields:
            done = await self._object(Selection(plan.type, (field.key,), (field,)))
            if done is FAILED:
                return FAILED
            data |= done
        return data

    async def _object(self, selection: Selection) -> Any:
        root = Group(selection, [None], None, None)
        level, groups = [root], [root]
        while level:
            slots = await self._level(level)
            level = []
            for slot in slots:
                if slot.field.is_plain:
                    slot.complete_leaves()
                else:
                    level += await slot.complete()
            groups += level
        has_failed = bool(self._errors)
        for group in reversed(groups):
            group.finish(has_failed=has_failed)
        return root.results[0]

    async def _level(self, groups: list[Group]) -> list[Slot]:
        slots: list[Slot] = []
        waiting: list[tuple[list[Any], int]] = []
        try:
            for group in groups:
                group.slots = [Slot(self, field, group) for field in group.selection.fields]
                slots += group.slots
                for slot in group.slots:
                    slot.resolve()
                    waiting += slot.waiting()
        except BaseException:
            for slot in slots:
                _close(slot.values)
            raise
        if waiting:
            await _wait(waiting)
            for slot in slots:
                slot.kinds = set()
        return slots

    def fail(self, slot: Slot, index: int, error: Exception) -> None:
        """Keep an error, unless its place was nulled already by another."""
        path = slot.path(len(slot.levels), index)
        nulled = tuple(path[: _nulled_length(slot, len(path))])
        if any(nulled[:length] in self._nulled for length in range(len(nulled) + 1)):
            return
        self._nulled.add(nulled)
        self._errors.append(located_error(error, slot.field.nodes, path))

    def info(self, field: Field) -> GraphQLResolveInfo:
        """graphql-core's info for all parents of a field at once: `path` has no list indexes."""
        document = self.document
        return GraphQLResolveInfo(
            field.nodes[0].name.value,
            field.nodes,
            field.definition.type,
            field.parent,
            field.path,
            document.schema,
            document.definitions,
            None,
            document.operation,
            self.variables,
            self.context,
            is_awaitable,
            None,
            _HELPERS,
        )


def _each(call: Callable[..., Any], sources: list[Any], arguments: dict[str, Any]) -> list[Any]:
    """What the call gives for each, exceptions in their places."""
    column: list[Any] = []
    add = column.append
    for source in sources:
        try:
            add(call(source, **arguments))
        except Exception as error:  # noqa: BLE001, PERF203 - a resolver's failure is its own place's alone
            add(error)
    return column


def _waiting(values: list[Any], kinds: Kinds) -> list[tuple[list[Any], int]]:
    if kinds <= _PLAIN:
        return []
    awaitable = {kind for kind in kinds if hasattr(kind, "__await__")}
    return [(values, at) for at, each in enumerate(values) if type(each) in awaitable] if awaitable else []


async def _awaited(values: list[Any], kinds: Kinds) -> tuple[list[Any], Kinds]:
    waiting = _waiting(values, kinds)
    if not waiting:
        return values, kinds
    await _wait(waiting)
    return values, kinds_of(values)


async def _wait(waiting: list[tuple[list[Any], int]]) -> None:
    """Put the results of all, or their exceptions, in their places."""
    if len(waiting) > 1:
        await errands.complete([errands.Errand(_coroutine(values[at]), values, at) for values, at in waiting])
        return
    (values, at), *_ = waiting
    try:
        values[at] = await values[at]
    except Exception as error:  # noqa: BLE001 - as above
        values[at] = error


def _coroutine(awaitable: Any) -> Coroutine[Any, Any, Any]:
    return awaitable if isinstance(awaitable, CoroutineType) else _held(awaitable)


async def _held(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _listed(items: AsyncIterable[Any]) -> list[Any]:
    return [each async for each in items]


def _close(values: Iterable[Any]) -> None:
    for each in values:
        if isinstance(each, CoroutineType):
            each.close()


def _is_own(type_: GraphQLObjectType, kinds: Kinds) -> bool:
    """Whether objects of these classes are of the type without asking: it does not ask, or they are its very own class."""
    if type_.is_type_of is None:
        return True
    definition = type_.extensions.get("strawberry-definition")
    return definition is not None and definition.is_type_of is None and kinds == {definition.origin}


def _object_type(schema: GraphQLSchema, abstract: GraphQLAbstractType, name: Any, field: Field) -> GraphQLObjectType:
    """The object type of this name, which a value of the abstract type may have. Raises GraphQLError."""
    named = schema.get_type(name) if isinstance(name, str) else None
    if isinstance(named, GraphQLObjectType) and schema.is_sub_type(abstract, named):
        return named
    raise GraphQLError(
        f"Abstract type '{abstract}' was resolved to {inspect(name)} for field '{field.parent}.{field.name}',"
        " which is not one of its Object types.",
        field.nodes,
    )


def _nulled_length(slot: Slot, length: int) -> int:
    """How much of an error's path is left when its null has risen to where null is allowed."""
    depth = len(slot.levels)
    while True:
        while depth >= 0:
            if not slot.field.non_null[depth]:
                return length
            depth, length = depth - 1, length - 1
        if slot.group.above is None:
            return 0
        slot = slot.group.above
        depth = len(slot.levels)


def _gathered(values: Iterable[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return asyncio.gather(*values)


_HELPERS: Final = GraphQLResolveInfoHelpers(gather=_gathered, track=_close)
