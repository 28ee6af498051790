"""A run: level by level, every field of a level over the column of its parents, then the answer from the leaves up.

All coroutines of a level are waited for together, so that loaders see a whole level; a mutation's root fields each have
a run of their own, one after the other.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Final, cast

import graphql
from graphql import ExecutionResult, GraphQLError, GraphQLResolveInfo, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues
from graphql.pyutils import is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from api.execution import errands
from api.execution.compiled import UnusualError
from api.execution.complete import FAILED
from api.execution.plan import Document, Field, Plan, Selection
from api.execution.plans import Plans
from api.execution.slots import Group, Slot
from api.execution.swift import Functions, Known, Swift

CACHED_TOKENS: Final = 50_000
# Compiling costs about as much as parsing and validation: what is asked once shall not pay for it.
COMPILED_FROM: Final = 2


class Engine:
    """Runs operations of one schema. Give it valid documents: it checks nothing that validation has checked."""

    def __init__(
        self, schema: GraphQLSchema, cached_tokens: int = CACHED_TOKENS, *, compiled_from: int = COMPILED_FROM
    ) -> None:
        self._schema = schema
        self._compiled_from = compiled_from
        self._plans = Plans(schema, cached_tokens)

    async def execute(
        self,
        ast: graphql.DocumentNode,
        digest: str,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        context: object,
    ) -> ExecutionResult:
        """The result as graphql-core would give it. `digest` stands for the document's text in the cache of plans."""
        document = self._plans.document(ast, digest, operation)
        values = document.variables.values(variables)
        if isinstance(values, list):
            return ExecutionResult(None, errors=values)
        try:
            plan = document.plan(values)
        except GraphQLError as error:  # a switch without a value
            return ExecutionResult(None, errors=[error])
        if plan.root is None:
            return await self._by_core(document, variables, context)
        run = Run(document, values, context)
        return await run.result(plan, plan.root, is_compiled=plan.uses >= self._compiled_from)

    async def _by_core(self, document: Document, variables: Mapping[str, Any], context: object) -> ExecutionResult:
        name = document.operation.name
        result = graphql.execute(
            self._schema,
            document.ast,
            context_value=context,
            variable_values=cast("dict[str, Any]", variables),
            operation_name=name.value if name else None,
        )
        return result if isinstance(result, ExecutionResult) else await result


class Run:
    """One execution of one operation."""

    def __init__(self, document: Document, variables: VariableValues, context: object) -> None:
        self.document = document
        self.schema = document.schema
        self.variables = variables
        self.context = context
        self._errors: list[GraphQLError] = []
        self._known: Known = {}
        self._nulled: set[tuple[str | int, ...]] = set()

    @property
    def config(self) -> Any:
        return self.schema._strawberry_schema.config  # type: ignore[attr-defined]

    async def result(self, plan: Plan, root: Selection, *, is_compiled: bool) -> ExecutionResult:
        data: Any = {}
        is_mutation = self.document.operation.operation is graphql.OperationType.MUTATION
        for part in plan.parts if is_mutation else (root,):
            done = await self._object(part, plan.functions if is_compiled else None)
            data = FAILED if done is FAILED else data | done
            if done is FAILED:
                break
        return ExecutionResult(None if data is FAILED else data, self._errors or None)

    async def _object(self, selection: Selection, functions: Functions | None) -> Any:
        if functions is not None:
            swift = Swift(self, functions)
            try:
                return await swift.object(selection)
            except UnusualError:
                self._known = swift.known()
                data = await self._by_slots(selection)
                self._known = {}
                return data
        return await self._by_slots(selection)

    def known(self, field: Field, sources: list[Any]) -> list[Any] | None:
        """What was awaited for these already, before something unusual was met."""
        values = self._known.get(field)
        if not values:
            return None
        return [values[id(each)] for each in sources] if all(id(each) in values for each in sources) else None

    async def _by_slots(self, selection: Selection) -> Any:
        root = Group(selection, [None], None, None)
        level, groups = [root], [root]
        while level:
            slots = await self._level(level)
            level = []
            for slot in slots:
                level += await slot.complete()
            groups += level
        has_failed = bool(self._errors)
        for group in reversed(groups):
            group.finish(has_failed=has_failed)
        data = root.results[0]
        for group in groups:
            group.release()
        return data

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
                errands.close(slot.values)
            raise
        if waiting:
            await errands.wait(waiting)
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
        self._errors.append(graphql.located_error(error, slot.field.nodes, path))

    def info(self, field: Field) -> GraphQLResolveInfo[Any]:
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


_HELPERS: Final = GraphQLResolveInfoHelpers(gather=_gathered, track=errands.close)
