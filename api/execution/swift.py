"""A run by compiled functions: from await to await, whole parts of the answer at once.

It gives an answer without an error, or raises UnusualError; what it has awaited until then is known and not asked again.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from graphql import GraphQLError, GraphQLObjectType

from api.execution import errands
from api.execution.columns import Column, Execution
from api.execution.compiled import Hole, UnusualError, compiled, leaves
from api.execution.complete import Rows, Written
from api.execution.plan import Field, Selection

Functions: TypeAlias = dict[Selection, Callable[..., Any]]
Known: TypeAlias = dict[Field, dict[int, Any]]


class Swift:
    """One execution of one selection."""

    __slots__ = ("_columns", "_functions", "_holes", "_run")

    def __init__(self, run: Execution, functions: Functions) -> None:
        self._run, self._functions = run, functions
        self._holes: list[Hole] = []
        self._columns: list[Column] = []

    async def object(self, selection: Selection) -> dict[str, Any]:
        """The selection of the root object. Raises UnusualError."""
        (root,) = self._made(selection, [None])
        while self._holes:
            holes, self._holes = self._holes, []
            for (field, _, _, waiting), values in zip(holes, await self._values(holes), strict=True):
                key = field.key
                for each, value in zip(waiting, self._completed(field, values), strict=True):
                    each[key] = value
        return root

    def known(self) -> Known:
        """By field and parent, what was awaited. It holds for as long as this object lives: it keeps the parents."""
        found: Known = {}
        for column in self._columns:
            found.setdefault(column.field, {}).update(zip(map(id, column.sources), column.values, strict=True))
        return found

    def _made(self, selection: Selection, objects: list[Any]) -> list[dict[str, Any]]:
        try:
            function = self._functions.get(selection)
            if function is None:
                function = self._functions[selection] = compiled(selection)
            made, holes = function(objects, self._bind)
        except Exception as error:  # whatever it is: slots meet it again, where it has its place
            raise UnusualError from error
        self._holes += [hole for hole in holes if hole[2]]
        return made

    def _bind(self, field: Field) -> dict[str, Any]:
        return Column(self._run, field, []).arguments()

    async def _values(self, holes: list[Hole]) -> list[list[Any]]:
        values: list[list[Any]] = []
        columns: list[Column] = []
        waiting: errands.Places = []
        try:
            for field, is_there, found, _ in holes:
                if not is_there:
                    column = Column(self._run, field, found)
                    columns.append(column)
                    column.resolve()
                    waiting += column.waiting()
        except BaseException:
            for column in columns:
                errands.close(column.values)
            raise
        if waiting:
            await errands.wait(waiting)
        self._columns += columns
        resolved = iter(columns)
        for _, is_there, found, _ in holes:
            values.append(found if is_there else next(resolved).values)
        return values

    def _completed(self, field: Field, values: list[Any], depth: int = 0) -> list[Any]:
        must = field.non_null[depth]
        if depth < len(field.non_null) - 1:
            return self._lists(field, values, depth)
        if field.leaf is not None:
            return leaves(field.leaf, values, is_non_null=must)
        if must and None in values:
            raise UnusualError
        present = [each for each in values if each is not None and type(each) is not Written]
        made = self._objects(field, present)
        if len(present) == len(values):
            return made
        results = iter(made)
        return [None if each is None else each.answer if type(each) is Written else next(results) for each in values]

    def _lists(self, field: Field, values: list[Any], depth: int) -> list[Any]:
        lengths: list[Any] = []
        flat: list[Any] = []
        for each in values:
            if type(each) is list:
                lengths.append(len(each))
                flat += each
            elif each is None and not field.non_null[depth]:
                lengths.append(None)
            elif type(each) is Written:
                lengths.append(each.answer)
            else:
                raise UnusualError
        return Rows(lengths).gather(self._completed(field, flat, depth + 1))

    def _objects(self, field: Field, values: list[Any]) -> list[Any]:
        try:
            if field.object is not None:
                return self._alike(field.selection(field.object), values) if values else []
            places: dict[GraphQLObjectType, list[int]] = {}
            info = Column(self._run, field, []).info
            for at, value in enumerate(values):
                places.setdefault(self._type_of(field, value, info), []).append(at)
            selections = [field.selection(type_) for type_ in places]
        except GraphQLError as error:  # a switch without a value
            raise UnusualError from error
        done: list[Any] = [None] * len(values)
        for selection, those in zip(selections, places.values(), strict=True):
            for at, made in zip(those, self._made(selection, [values[at] for at in those]), strict=True):
                done[at] = made
        return done

    def _alike(self, selection: Selection, values: list[Any]) -> list[Any]:
        """Of an object that stands in many places (the user of a hundred calls) one dictionary is made, for all of them."""
        distinct = dict(zip(map(id, values), values, strict=True))
        if len(distinct) == len(values):
            return self._made(selection, values)
        made = dict(zip(distinct, self._made(selection, list(distinct.values())), strict=True))
        return [made[id(each)] for each in values]

    def _type_of(self, field: Field, value: Any, info: Any) -> GraphQLObjectType:
        abstract, schema = field.abstract, self._run.schema
        assert abstract is not None  # noqa: S101 - a composite type is abstract or an object
        if isinstance(value, Exception) or abstract.resolve_type is None:
            raise UnusualError
        try:
            name: Any = abstract.resolve_type(value, info, abstract)
        except Exception as error:  # as above
            raise UnusualError from error
        errands.close([name])
        type_ = schema.get_type(name) if isinstance(name, str) else None
        if not isinstance(type_, GraphQLObjectType) or not schema.is_sub_type(abstract, type_):
            raise UnusualError
        return type_
