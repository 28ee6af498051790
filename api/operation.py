"""One operation from a well-formed request to its answer: document, transaction, execution, record, mask.

A query reads one snapshot in one READ ONLY transaction that ends before the answer leaves. What a person was shown of
payloads is then appended to the audit chain; if that fails, the answer does not leave.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, execute

from api.context import Context
from api.documents import Documents, InvalidDocumentError, Prepared
from api.errors import UnauthenticatedError, UnavailableError, as_graphql_error, mask
from api.http import GraphQLAnswer, GraphQLRequest
from db.actor import Actor
from db.embedder import Embedder
from db.engine import Pools
from db.session import Limits, act_as

PAYLOAD_READ: Final = "payload.read"


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Operations:
    """Runs operations against one schema and one database. `watch` sees each finished context (tests, tracing)."""

    schema: GraphQLSchema
    documents: Documents
    pools: Pools
    limits: Limits
    embedder: Embedder | None = None
    clock: Callable[[], datetime] = _wall_clock
    may_introspect: Callable[[Actor | None], bool] = lambda _actor: True
    watch: Callable[[Context], None] = field(default=lambda _context: None)

    async def execute(self, request: GraphQLRequest) -> GraphQLAnswer:
        """The answer to a request. Raises nothing of its own: every error is masked and typed."""
        try:
            prepared = self.documents.prepare(
                request.query,
                request.operation_name,
                request.variables,
                may_introspect=self.may_introspect(request.actor),
            )
        except InvalidDocumentError as refused:
            return GraphQLAnswer(errors=mask(refused.errors, request_id=request.request_id, query=request.query))
        if request.actor is None:
            if prepared.operation.is_introspection_only:
                return self._masked(request, self._introspect(prepared, request))
            return GraphQLAnswer(errors=[UnauthenticatedError()])
        try:
            return self._masked(request, await self._query(prepared, request, request.actor))
        except Exception as error:  # noqa: BLE001 - the mask: a transaction that could not begin, end or be recorded
            return GraphQLAnswer(errors=[as_graphql_error(error, request_id=request.request_id, query=request.query)])

    async def _query(self, prepared: Prepared, request: GraphQLRequest, actor: Actor) -> ExecutionResult:
        now = self.clock()
        async with act_as(self.pools, actor, request_id=request.request_id, limits=self.limits, now=now) as session:
            context = Context(actor, session, request.request_id, self.embedder)
            result = self._execute(prepared, request.variables, context)
            result = result if isinstance(result, ExecutionResult) else await result
        self.watch(context)
        if context.reads:
            await self._record(context)
        return result

    def _execute(self, prepared: Prepared, variables: Mapping[str, Any], context: Context | None) -> Any:
        name = prepared.node.name
        return execute(
            self.schema,
            prepared.document.ast,
            context_value=context,
            variable_values=cast("dict[str, Any]", variables),
            operation_name=name.value if name else None,
        )

    def _introspect(self, prepared: Prepared, request: GraphQLRequest) -> ExecutionResult:
        return cast("ExecutionResult", self._execute(prepared, request.variables, None))

    async def _record(self, context: Context) -> None:
        """Append what was read to the chain of the caller's organization. Raises UnavailableError when that fails."""
        details = {name: sorted(ids) for name, ids in sorted(context.reads.items())}
        events = orjson.dumps([{"action": PAYLOAD_READ, "details": details}]).decode()
        try:
            async with act_as(
                self.pools, context.actor, read_only=False, request_id=context.request_id, limits=self.limits
            ) as session:
                await session.fetch_text("SELECT seq FROM app.audit_append($1::jsonb)", events)
        except Exception as error:
            raise UnavailableError from error

    def _masked(self, request: GraphQLRequest, result: ExecutionResult) -> GraphQLAnswer:
        errors: list[GraphQLError] = mask(result.errors or (), request_id=request.request_id, query=request.query)
        if result.data is None and errors and all(error.path is None for error in errors):
            return GraphQLAnswer(errors=errors)
        return GraphQLAnswer(data=result.data, errors=errors)
