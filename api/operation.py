"""One operation from a well-formed request to its answer: document, transaction, execution, record, mask.

A query reads one snapshot in one READ ONLY transaction. What a person was shown of payloads is then appended to the
audit chain; if that fails, the answer does not leave.
"""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import graphql
from graphql import ExecutionResult, GraphQLError, GraphQLSchema

from api.context import Context
from api.documents import Documents, InvalidDocumentError, Prepared
from api.errors import UnauthenticatedError, UnavailableError, as_graphql_error, mask
from api.execution import Engine
from api.http import GraphQLAnswer, GraphQLRequest
from db.actor import Actor
from db.crypto import Keyring
from db.embedder import Embedder
from db.engine import Pools
from db.session import Limits, Session, act_as

PAYLOAD_READ: Final = "payload.read"
INSPECT: Final = "x-minutebook-inspect"


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
    keyring: Keyring | None = None
    clock: Callable[[], datetime] = _wall_clock
    may_introspect: Callable[[Actor | None], bool] = lambda _actor: True
    may_inspect: Callable[[Actor], bool] = lambda _actor: False
    watch: Callable[[Context], None] = field(default=lambda _context: None)

    def __post_init__(self) -> None:
        self._engine = Engine(self.schema)

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
        started = time.perf_counter()
        context = self._context(request, actor)
        try:
            result = await self._engine.execute(
                prepared.document.ast, prepared.document.digest, prepared.node, request.variables, context
            )
        except BaseException:
            await context.session.finish(failed=True)
            raise
        finally:
            context.close()
        await context.session.finish(failed=False)
        self.watch(context)
        if context.reads:
            await self._record(context)
        if request.headers.get(INSPECT) == "1" and self.may_inspect(actor):
            ms = round((time.perf_counter() - started) * 1000, 1)
            result.extensions = {**(result.extensions or {}), "sql": len(context.session.statements), "ms": ms}
        return result

    def _context(self, request: GraphQLRequest, actor: Actor) -> Context:
        now, request_id, limits = self.clock(), request.request_id, self.limits

        def open_session() -> Session:
            return Session(self.pools, actor, read_only=True, request_id=request_id, limits=limits, now=now)

        def writing(then: Session) -> AbstractAsyncContextManager[Session]:
            return act_as(self.pools, actor, read_only=False, request_id=request_id, limits=limits, now=now, then=then)

        return Context(actor, open_session(), request.request_id, open_session, writing, self.embedder, self.keyring)

    def _introspect(self, prepared: Prepared, request: GraphQLRequest) -> ExecutionResult:
        name = prepared.node.name
        return graphql.execute_sync(
            self.schema,
            prepared.document.ast,
            variable_values=request.variables,
            operation_name=name.value if name else None,
        )

    async def _record(self, context: Context) -> None:
        """Append what was read to the chain of the caller's organization. Raises UnavailableError when that fails."""
        details = {name: sorted(ids) for name, ids in sorted(context.reads.items())}
        try:
            async with act_as(
                self.pools, context.actor, read_only=False, request_id=context.request_id, limits=self.limits
            ) as session:
                await session.commit_with([{"action": PAYLOAD_READ, "details": details}])
        except Exception as error:
            raise UnavailableError from error

    def _masked(self, request: GraphQLRequest, result: ExecutionResult) -> GraphQLAnswer:
        errors: list[GraphQLError] = mask(result.errors or (), request_id=request.request_id, query=request.query)
        if result.data is None and errors and all(error.path is None for error in errors):
            return GraphQLAnswer(errors=errors)
        return GraphQLAnswer(data=result.data, errors=errors, extensions=result.extensions)
