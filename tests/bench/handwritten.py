"""The endpoint that a good programmer writes by hand: bare ASGI, asyncpg, orjson; no GraphQL.

Same token check (cached), transaction, role and answer as ours; `/rows/O1` formats rows here, `/sql/O1` lets SQL make the JSON.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any, Final

import jwt
import orjson

from db.actor import END, Actor, begin_sql
from db.engine import open_pool
from db.types import Role
from tests.bench import handwritten_rows, handwritten_sql
from tests.bench.world import AUDIENCE

_JSON: Final = [(b"content-type", b"application/json")]
_WRITES: Final = {"O7"}
_KNOWN_FOR_S: Final = 60
_TIMEOUT_MS: Final = 60_000
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {"rows": handwritten_rows.ANSWERS, "sql": handwritten_sql.ANSWERS}


class Endpoint:
    """The ASGI application."""

    def __init__(self) -> None:
        self._secret = os.environ["BENCH_SECRET"]
        self._known: dict[bytes, tuple[Actor, float]] = {}
        self._pool: Any = None
        self._requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, body = 200, b'{"data":null}'
        if scope["path"] != "/health/ready":
            status, body = await self._answer(scope, await _body(receive))
        headers = [*_JSON, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._pool = await open_pool(os.environ["DATABASE_URL"], max_size=10)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Any, body: bytes) -> tuple[int, bytes]:
        actor = await self._actor(scope["headers"])
        if actor is None:
            return 401, b'{"errors":[{"message":"unauthenticated"}]}'
        _, way, operation = scope["path"].split("/")
        run = WAYS[way][operation]
        self._requests += 1
        read_only = operation not in _WRITES
        begin = begin_sql(actor, read_only=read_only, request_id=f"b-{self._requests}", timeout_ms=_TIMEOUT_MS)
        async with self._pool.acquire() as connection:
            await connection.execute(begin)
            try:
                answer = await run(connection, actor, orjson.loads(body))
                if read_only:
                    await connection.execute(END)
                else:
                    await _commit(connection)
            except BaseException:
                await connection.execute("ROLLBACK")
                raise
        return 200, orjson.dumps({"data": answer}, option=orjson.OPT_UTC_Z)

    async def _actor(self, headers: list[tuple[bytes, bytes]]) -> Actor | None:
        token = next((value for name, value in headers if name == b"authorization"), b"")
        known = self._known.get(token)
        if known is None or known[1] < time.time():
            actor = await self._verified(token.removeprefix(b"Bearer ").decode())
            if actor is None:
                return None
            known = self._known[token] = actor, time.time() + _KNOWN_FOR_S
        return known[0]

    async def _verified(self, token: str) -> Actor | None:
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], audience=AUDIENCE)
        except jwt.PyJWTError:
            return None
        row = await self._pool.fetchrow("SELECT * FROM app.authenticate($1, $2, '')", claims["iss"], claims["sub"])
        return Actor(row["organization_id"], row["user_id"], row["user_id"], Role(row["role"]))


async def _commit(connection: Any) -> None:
    if await connection.execute("COMMIT") != "COMMIT":
        raise RuntimeError("not committed")
    await connection.execute("SELECT app.assert_clean()")


async def _body(receive: Any) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def main() -> None:
    """Serve on PORT with what ours is served with."""
    import uvicorn
    import uvloop

    config = uvicorn.Config(
        Endpoint(), host="127.0.0.1", port=int(os.environ["PORT"]), http="httptools", ws="none", lifespan="on",
        log_config=None, access_log=False, server_header=False,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
