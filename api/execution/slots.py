"""Slots: one field over the rows of one group of objects, from the resolver's call to the completed column."""

from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol, cast

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema
from graphql.execution import default_type_resolver
from graphql.execution.values import VariableValues
from graphql.pyutils import inspect, is_awaitable

from api.execution import errands
from api.execution.complete import FAILED, Kinds, NullError, Rows, flatten, gather, is_sound, kinds_of, settle
from api.execution.plan import Field, How, Selection
from api.rowwise import dictionaries

_NO_OBJECTS: Final = frozenset({type(None), type(FAILED)})


class Execution(Protocol):
    """What a slot asks of the run that it is part of."""

    schema: GraphQLSchema
    variables: VariableValues

    @property
    def config(self) -> Any: ...

    def info(self, field: Field) -> "GraphQLResolveInfo[Any]": ...

    def fail(self, slot: "Slot", index: int, error: Exception) -> None: ...


class Group:
    """Objects of one type under one field: rows of the columns of their fields."""

    __slots__ = ("above", "places", "results", "selection", "slots", "sources")

    def __init__(
        self, selection: Selection, sources: list[Any], above: "Slot | None", places: list[int] | None
    ) -> None:
        self.selection, self.sources, self.above, self.places = selection, sources, above, places
        self.slots: list[Slot] = []
        self.results: list[Any] = []

    def path(self, row: int) -> list[str | int]:
        if self.above is None:
            return []
        return self.above.path(len(self.above.levels), self.places[row] if self.places else row)

    def release(self) -> None:
        """Let go of the slots, and they of their groups: in circles, only the collector would free all that was read."""
        for slot in self.slots:
            slot.groups = []
        self.slots = []

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
            self.results = dictionaries(keys)(zip(*columns))  # noqa: B905 - strict costs a tenth of it


class Slot:
    """One field over the rows of one group: the column of its values and what became of it."""

    __slots__ = ("_info", "_run", "field", "flat", "group", "groups", "kinds", "levels", "values")

    def __init__(self, run: Execution, field: Field, group: Group) -> None:
        self._run, self.field, self.group = run, field, group
        self.values: list[Any] = []
        self.kinds: Kinds = set()
        self.levels: list[Rows] = []
        self.groups: list[Group] = []
        self.flat: list[Any] = []
        self._info: GraphQLResolveInfo[Any] | None = None

    @property
    def info(self) -> GraphQLResolveInfo[Any]:
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
            self.values = [self._together(arguments)]
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

    async def _together(self, arguments: dict[str, Any]) -> None:
        sources, call = self.group.sources, cast("Callable[..., Any]", self.field.call)
        count = len(sources)
        try:
            values = list(await call(sources, **arguments))
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
        return errands.waiting(self.values, self.kinds)

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
            values, kinds = await errands.awaited(values, kinds_of(values))
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
            return await errands.awaited(values, kinds_of(values))
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


def _each(call: Callable[..., Any], sources: list[Any], arguments: dict[str, Any]) -> list[Any]:
    """What the call gives for each, exceptions in their places."""
    column: list[Any] = []
    calls = map(partial(call, **arguments) if arguments else call, sources)
    while True:
        try:
            column.extend(calls)
        except Exception as error:  # noqa: BLE001 - a resolver's failure is its own place's alone; the rest goes on
            column.append(error)
        else:
            if len(column) == len(sources):
                return column
            column.append(RuntimeError("a resolver raised StopIteration"))


async def _listed(items: AsyncIterable[Any]) -> list[Any]:
    return [each async for each in items]


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
