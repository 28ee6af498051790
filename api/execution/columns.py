"""Columns: what one field gives for each of the objects that it is asked of."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

from graphql import GraphQLResolveInfo, GraphQLSchema
from graphql.execution.values import VariableValues

from api.execution import errands
from api.execution.complete import Kinds, kinds_of
from api.execution.plan import Field, How


class Execution(Protocol):
    """What a column asks of the run that it is part of."""

    schema: GraphQLSchema
    variables: VariableValues

    @property
    def config(self) -> Any: ...

    def info(self, field: Field) -> "GraphQLResolveInfo[Any]": ...

    def known(self, field: Field, sources: list[Any]) -> list[Any] | None: ...


class Column:
    """One field over its parents: the values as they were resolved."""

    __slots__ = ("_info", "_run", "field", "kinds", "sources", "values")

    def __init__(self, run: Execution, field: Field, sources: list[Any]) -> None:
        self._run, self.field, self.sources = run, field, sources
        self.values: list[Any] = []
        self.kinds: Kinds = set()
        self._info: GraphQLResolveInfo[Any] | None = None

    @property
    def info(self) -> "GraphQLResolveInfo[Any]":
        if self._info is None:
            self._info = self._run.info(self.field)
        return self._info

    def resolve(self) -> None:
        """Fill the column; what has to be awaited stands in it as it is."""
        field, sources = self.field, self.sources
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
            arguments = self.arguments()
        except Exception as error:  # noqa: BLE001 - the same for every parent, and a field's failure for each
            self.values = [error] * len(sources)
            return
        known = None if field.is_sync else self._run.known(field, sources) or _resolved(field, sources)
        if known is not None:
            self.values = known
        elif field.how is How.BATCH:
            self.values = [self._together(arguments)]
        elif field.how is How.WRAPPED:
            info = self.info
            self.values = _each(lambda source, **given: call(source, info, **given), sources, arguments)
        else:
            self.values = _each(call, sources, arguments)

    def arguments(self) -> dict[str, Any]:
        """What the resolver is called with. Raises what a wrong value raises."""
        field, run = self.field, self._run
        if field.info_name is None:
            return field.arguments(run.variables, None)
        info = run.config.info_class(_raw_info=self.info, _field=field.own)
        info.lasting = field.lasting
        info.planned = field
        return {**field.arguments(run.variables, info), field.info_name: info}

    async def _together(self, arguments: dict[str, Any]) -> None:
        sources, call = self.sources, cast("Callable[..., Any]", self.field.call)
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


def _resolved(field: Field, sources: list[Any]) -> list[Any] | None:
    """What all of these have had resolved already."""
    if not field.may_have_resolved or field.own is None:
        return None
    name = field.own.python_name
    return [each.resolved[name] for each in sources] if all(name in each.resolved for each in sources) else None


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
