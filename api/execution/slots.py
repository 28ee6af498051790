"""Slots: one field over the rows of one group of objects, from the resolver's call to the completed column."""

from collections.abc import AsyncIterable, Iterable
from typing import Any, Final, Protocol

from graphql import GraphQLAbstractType, GraphQLError, GraphQLObjectType, GraphQLSchema
from graphql.execution import default_type_resolver
from graphql.pyutils import inspect, is_awaitable

from api.execution import errands
from api.execution.columns import Column, Execution
from api.execution.compiled import is_own
from api.execution.complete import FAILED, Kinds, NullError, Rows, Written, flatten, gather, is_sound, kinds_of, settle
from api.execution.plan import Field, How, Selection

_NO_OBJECTS: Final = frozenset({type(None), type(FAILED), Written})


class Failing(Execution, Protocol):
    """What a slot asks of it besides."""

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
            self.results = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


class Slot(Column):
    """A column on its way to the answer: the values, their lists, the groups of objects in them, what became of it."""

    __slots__ = ("_failing", "flat", "group", "groups", "levels")

    def __init__(self, run: Failing, field: Field, group: Group) -> None:
        super().__init__(run, field, group.sources)
        self._failing = run
        self.group = group
        self.levels: list[Rows] = []
        self.groups: list[Group] = []
        self.flat: list[Any] = []

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
        self._failing.fail(self, index, error)

    async def complete(self) -> list[Group]:
        """From resolved values to leaves, or to the groups of the next level."""
        field, values = self.field, self.values
        if field.how is How.TYPENAME:
            self.flat = values
            return []
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
        if field.object is not None and not kinds & _NO_OBJECTS and is_own(field.object, kinds):
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
            if type(value) is Written:
                self.flat[at] = value.answer
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
        if type_.is_type_of and not is_own(type_, {type(value)}):
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


async def _listed(items: AsyncIterable[Any]) -> list[Any]:
    return [each async for each in items]


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
