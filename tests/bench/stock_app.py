# mypy: disallow-untyped-decorators=False, disable-error-code="untyped-decorator"
"""Stock Strawberry's write and its own ASGI view: a session and a transaction per operation, as the caller's role."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import orjson
import strawberry
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from strawberry.asgi import GraphQL
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from db.actor import Actor
from db.types import Role
from tests.bench import stock_tables as tables
from tests.bench import stock_types as types
from tests.bench.stock import Query
from tests.bench.stock_loaders import Request
from tests.bench.stock_types import Info
from tests.bench.world import AUDIENCE

_KNOWN_FOR_S = 60


@strawberry.input
class SubmitFeedbackInput:
    message_id: strawberry.ID
    thumb: types.Thumb
    text: str | None = None


@strawberry.type
class UserError:
    code: str


@strawberry.type
class SubmitFeedbackPayload:
    feedback: types.Feedback | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def submit_feedback(self, info: Info, input: SubmitFeedbackInput) -> SubmitFeedbackPayload:
        actor, session = info.context.actor, info.context.session
        message_id = types.database_id(input.message_id)
        message, talk, row = tables.Message, tables.Conversation, tables.Feedback
        mine = (
            message.organization_id == actor.organization_id,
            message.user_id == actor.user_id,
            message.id == message_id,
        )
        live = (
            talk.organization_id == message.organization_id,
            talk.id == message.conversation_id,
            talk.deleted_at.is_(None),
        )
        found = await session.scalar(
            select(message.role)
            .where(*mine)
            .join(talk, live[0] & live[1] & live[2])
            .with_for_update(key_share=True, of=talk)
        )
        if found != "ASSISTANT":
            return SubmitFeedbackPayload(feedback=None, user_errors=[UserError(code="NOT_FOUND")])
        values = {"organization_id": actor.organization_id, "message_id": message_id, "user_id": actor.user_id}
        put = insert(row).values(**values, rating=input.thumb.value, feedback_text=input.text)
        changed = {"rating": put.excluded.rating, "feedback_text": put.excluded.feedback_text}
        put = put.on_conflict_do_update(index_elements=["organization_id", "message_id", "user_id"], set_=changed)
        feedback = (await session.execute(put.returning(row))).scalar_one()
        event: dict[str, Any] = {"action": "feedback.submitted", "target_type": "Feedback", "target_id": feedback.id}
        event["details"] = {"message": message_id, "rating": input.thumb.value, "changed": ["feedback_text", "rating"]}
        await session.execute(
            text("SELECT count(*) FROM app.audit_append(CAST(:events AS jsonb))"),
            {"events": orjson.dumps([event]).decode()},
        )
        return SubmitFeedbackPayload(feedback=types.Feedback.of(feedback), user_errors=[])


class Transaction(SchemaExtension):
    """One session and transaction an operation: a query reads one snapshot."""

    async def on_operation(self) -> AsyncIterator[None]:
        request: Request = self.execution_context.context
        is_write = (self.execution_context.query or "").lstrip().startswith("mutation")
        options = {} if is_write else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with request.session as session, session.begin():
            _ = await session.connection(execution_options=options)
            actor = request.actor
            who = (actor.organization_id, actor.user_id, actor.actor_id, actor.db_role)
            await session.execute(select(func.app.begin_request(*who, "b", 60_000)))
            yield


class View(GraphQL[Request, None]):
    """The stock view, with a cached check of the token."""

    def __init__(self, schema: strawberry.Schema) -> None:
        super().__init__(schema, graphql_ide=None)
        url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
        self._engine = create_async_engine(url, pool_size=10, max_overflow=0)
        self._known: dict[str, tuple[Actor, float]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/health/ready":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)

    async def get_context(self, request: Any, response: Any) -> Request:  # noqa: ARG002 - the view's signature
        """The caller behind the token, and a session that begins with the operation."""
        token = request.headers["authorization"].removeprefix("Bearer ")
        known = self._known.get(token)
        if known is None or known[1] < time.time():
            known = self._known[token] = await self._verified(token), time.time() + _KNOWN_FOR_S
        return Request(known[0], AsyncSession(self._engine, expire_on_commit=False))

    async def _verified(self, token: str) -> Actor:
        claims = jwt.decode(token, os.environ["BENCH_SECRET"], algorithms=["HS256"], audience=AUDIENCE)
        asked = text("SELECT organization_id::text, user_id::text, role FROM app.authenticate(:issuer, :subject, '')")
        async with self._engine.connect() as connection:
            row = (await connection.execute(asked, {"issuer": claims["iss"], "subject": claims["sub"]})).one()
        return Actor(row[0], row[1], row[1], Role(row[2]))


def main() -> None:
    """Serve on PORT with what ours is served with."""
    import uvicorn
    import uvloop

    config_of_scalars = StrawberryConfig(scalar_map=types.SCALARS)
    schema = strawberry.Schema(Query, Mutation, config=config_of_scalars, extensions=[Transaction])
    config = uvicorn.Config(
        View(schema), host="127.0.0.1", port=int(os.environ["PORT"]), http="httptools", ws="none", lifespan="off",
        log_config=None, access_log=False, server_header=False,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
