"""GraphQL over HTTP: negotiation, statuses and guards around one injected coroutine; it knows nothing of the schema.

`POST` with JSON alone, so that no form of another origin can send it. Who calls is settled before the body is read:
a service's may be larger. Errors come in masked or are masked here, so nothing leaves as a bare 500.
"""

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from graphql import GraphQLError
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from api.body import parameters_of
from api.deadline import Deadline
from api.errors import ApiError, BadUserInputError, UnauthenticatedError, as_graphql_error, code_of
from api.limits import Limits
from db.actor import Actor
from db.types import Role

PATH: Final = "/graphql"
JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
NO_DATA: Final[Any] = object()

Headers: TypeAlias = Mapping[str, str]
"""Names in lower case; a header sent twice is joined by a comma."""

_CLOSE: Final = (b"connection", b"close")
_ALWAYS_TOLD: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept, authorization, x-organization"),
)
_RANDOM: Final = random.Random()  # noqa: S311
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_WHOLE_REQUEST: Final = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "THROTTLED": 429,
    "UNAVAILABLE": 503,
    "TIMEOUT": 504,
    "INTERNAL": 500,
}


class GraphQLRequest(NamedTuple):
    """One well-formed request. `actor` is None when it carries no credential."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    extensions: dict[str, Any]
    actor: Actor | None
    headers: Headers
    request_id: str


@dataclass(slots=True)
class GraphQLAnswer:
    """`data` stays NO_DATA when nothing was executed: then, and only then, the status tells the caller so."""

    data: Any = NO_DATA
    errors: Sequence[GraphQLError] = ()
    extensions: Mapping[str, Any] | None = None


class Reply(NamedTuple):
    """What goes out, before the headers that every answer has."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


Identify: TypeAlias = Callable[[Headers], Awaitable[Actor | None]]
Execute: TypeAlias = Callable[[GraphQLRequest], Awaitable[GraphQLAnswer]]
Page: TypeAlias = Callable[[Headers], Awaitable[Reply]]


class RefusedError(Exception):
    """A request that HTTP itself refuses: 405, 406, 408, 413, 415."""

    def __init__(self, status: int, error: ApiError, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(status)
        self.status = status
        self.error = error
        self.headers = headers


@dataclass(frozen=True, slots=True)
class GraphQLEndpoint:
    """An ASGI application for one path. `page` answers a browser's GET; without it GET is refused."""

    identify: Identify
    execute: Execute
    limits: Limits = field(default_factory=Limits)
    page: Page | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await send({"type": "websocket.close", "code": 4400, "reason": "not served here"})
            return
        headers = headers_of(scope)
        request_id = request_id_of(headers)
        reply = await self._reply(scope.get("method", ""), headers, receive, request_id)
        told = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(reply.body)),
            (b"x-request-id", request_id.encode()),
            *_ALWAYS_TOLD,
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": told})
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _reply(self, method: str, headers: Headers, receive: Receive, request_id: str) -> Reply:
        media_type = JSON
        query = ""
        is_reading = False
        try:
            if method == "GET" and self.page is not None and _wants_page(headers):
                return await self.page(headers)
            self._refuse_method(method)
            media_type = negotiate(headers.get("accept"))
            _refuse_content(headers.get("content-type", ""), headers.get("content-encoding", "identity"))
            limits = self.limits
            with Deadline(limits.body_timeout_s) as deadline:
                actor = await self.identify(headers)
                is_service = actor is not None and actor.role is Role.SERVICE
                most = limits.service_body_bytes if is_service else limits.body_bytes
                is_reading = True
                deadline.move(limits.body_timeout_s)
                body = await read_body(headers, receive, most)
                is_reading = False
                try:
                    parameters = parameters_of(body)
                except BadUserInputError as error:
                    raise RefusedError(400, error) from None
                query = parameters.query
                request = GraphQLRequest(*parameters, actor=actor, headers=headers, request_id=request_id)
                deadline.move(limits.operation_timeout_s)
                return reply_of(await self.execute(request), media_type)
        except RefusedError as refused:
            return reply_of(GraphQLAnswer(errors=[refused.error]), media_type, refused.status, refused.headers)
        except Exception as error:  # noqa: BLE001 the outermost mask: whatever it is, the caller gets a typed error
            if is_reading and isinstance(error, TimeoutError):
                late = BadUserInputError("The body did not arrive in time.")
                return reply_of(GraphQLAnswer(errors=[late]), media_type, 408, (_CLOSE,))
            masked = as_graphql_error(error, request_id=request_id, query=query)
            return reply_of(GraphQLAnswer(errors=[masked]), media_type)

    def _refuse_method(self, method: str) -> None:
        if method != "POST":
            allowed = b"GET, POST" if self.page is not None else b"POST"
            raise RefusedError(405, BadUserInputError("GraphQL is asked by POST."), (b"allow", allowed))


def graphql_route(endpoint: GraphQLEndpoint, path: str = PATH) -> ASGIRouteHandler:
    """The endpoint as a Litestar handler."""

    async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    return asgi(path, copy_scope=True)(graphql)


def headers_of(scope: Scope) -> dict[str, str]:
    """The request's headers; two `Authorization` headers become one that no scheme accepts."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def request_id_of(headers: Headers) -> str:
    given = headers.get("x-request-id")
    # It is to be told apart, not to be kept secret: the system's random bytes would cost a fiftieth of a page.
    return given if given and _REQUEST_ID.match(given) else f"{_RANDOM.getrandbits(128):032x}"


@lru_cache(64)
def negotiate(accept: str | None) -> str:
    """The media type of the answer: the one with the higher q; JSON where the caller does not care."""
    weights = {JSON: 0.0, GRAPHQL_JSON: 0.0}
    named: set[str] = set()
    for part in (accept or "*/*").lower().split(","):
        name, _, parameters = part.strip().partition(";")
        name, weight = name.strip(), _weight(parameters)
        if name in weights:
            weights[name] = weight
            named.add(name)
        elif name in {"*/*", "application/*"}:
            weights.update({each: max(known, weight) for each, known in weights.items() if each not in named})
    best = GRAPHQL_JSON if weights[GRAPHQL_JSON] > weights[JSON] else JSON
    if accept and GRAPHQL_JSON in named and weights[GRAPHQL_JSON] == weights[JSON]:
        best = _first_named(accept.lower())
    if not weights[best]:
        message = f"The answer can be {GRAPHQL_JSON} or {JSON}."
        raise RefusedError(406, BadUserInputError(message, argument="Accept"))
    return best


async def read_body(headers: Headers, receive: Receive, most: int) -> bytes:
    """The whole body. Raises RefusedError: 413 beyond `most` bytes, 400 when it ends before its end."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > most):
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, BadUserInputError("The body did not arrive."))
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, BadUserInputError(f"The body may take {most} bytes."), _CLOSE)


def reply_of(
    answer: GraphQLAnswer, media_type: str, status: int | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Reply:
    """The answer in bytes and the status that the specification gives it."""
    content: dict[str, Any] = {}
    if answer.errors:
        content["errors"] = [error.formatted for error in answer.errors]
    if answer.data is not NO_DATA:
        content["data"] = answer.data
    if answer.extensions:
        content["extensions"] = answer.extensions
    if answer.data is NO_DATA and answer.errors:
        first = answer.errors[0]
        status = status or _status(code_of(first), media_type)
        if code_of(first) == UnauthenticatedError.code:
            headers = (*headers, (b"www-authenticate", b'Bearer realm="minutebook", error="invalid_token"'))
        if retry_after := _retry_after(first):
            headers = (*headers, (b"retry-after", str(retry_after).encode()))
    return Reply(status or 200, f"{media_type}; charset=utf-8", orjson.dumps(content, option=orjson.OPT_UTC_Z), headers)


def _status(code: str, media_type: str) -> int:
    """What concerns the request as a whole has its status under either type; the rest is 400, or 200 as plain JSON."""
    return _WHOLE_REQUEST.get(code) or (400 if media_type == GRAPHQL_JSON else 200)


def _retry_after(error: GraphQLError) -> int | None:
    cause = error if isinstance(error, ApiError) else error.original_error
    return cause.retry_after_s if isinstance(cause, ApiError) else None


@lru_cache(64)
def _refuse_content(given_type: str, encoding: str) -> None:
    content_type, _, parameters = given_type.lower().partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", parameters)
    if content_type.strip() != JSON or (charset and charset[1] not in {"utf-8", "utf8"}):
        raise RefusedError(415, BadUserInputError(f"The body must be {JSON} in UTF-8.", argument="Content-Type"))
    if encoding.lower() != "identity":
        raise RefusedError(415, BadUserInputError("The body must not be compressed.", argument="Content-Encoding"))


def _wants_page(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "").lower()


def _weight(parameters: str) -> float:
    found = re.search(r"(?:^|;)\s*q\s*=\s*([0-9.]{1,6})", parameters)
    if not found:
        return 1.0
    try:
        return min(float(found[1]), 1.0)
    except ValueError:
        return 0.0


def _first_named(accept: str) -> str:
    at = {name: accept.find(name) for name in (JSON, GRAPHQL_JSON) if name in accept}
    return min(at, key=lambda name: at[name])
