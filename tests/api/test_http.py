import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from graphql import GraphQLError, build_schema, execute_sync
from litestar import Litestar
from structlog.testing import capture_logs

from api.documents import Documents, InvalidDocumentError
from api.errors import (
    BadUserInputError,
    ForbiddenError,
    ThrottledError,
    UnauthenticatedError,
    UnavailableError,
    as_graphql_error,
    mask,
)
from api.http import GRAPHQL_JSON, JSON, GraphQLAnswer, GraphQLEndpoint, GraphQLRequest, Headers, Reply, graphql_route
from api.limits import Limits
from db.actor import Actor
from db.commit import LostCommitError
from db.pool import PoolExhaustedError
from db.types import Role

ORGANIZATION = "11111111-1111-4111-8111-111111111111"
SERVICE = Actor(organization_id=ORGANIZATION, user_id=None, actor_id=ORGANIZATION, role=Role.SERVICE)
schema = build_schema("type Query { echo(text: String, n: Int, ids: [ID!]): String boom: String }")
documents = Documents(schema, Limits())


async def identify(headers: Headers) -> Actor | None:
    match headers.get("authorization"):
        case None:
            return None
        case "Bearer service":
            return SERVICE
        case "Bearer busy":
            raise UnavailableError
        case _:
            raise UnauthenticatedError("The token is not valid or has expired.")


async def execute(request: GraphQLRequest) -> GraphQLAnswer:
    try:
        prepared = documents.prepare(request.query, request.operation_name, request.variables)
    except InvalidDocumentError as invalid:
        return GraphQLAnswer(errors=invalid.errors)
    match request.variables.get("fail"):
        case "crash":
            raise RuntimeError("canary")
        case "throttle":
            raise ThrottledError
        case "slow":
            await asyncio.sleep(5)
        case "forbid":
            raise ForbiddenError
    root = {"echo": lambda _info, text=None, n=None, **_: text or n}
    result = execute_sync(schema, prepared.document.ast, root, variable_values=request.variables)
    errors = mask(result.errors or [], request_id=request.request_id, query=request.query)
    if result.data is None and errors and not errors[0].path:
        return GraphQLAnswer(errors=errors)
    return GraphQLAnswer(data=result.data, errors=errors)


async def page(_: Headers) -> Reply:
    return Reply(200, "text/html; charset=utf-8", b"<!doctype html>")


@asynccontextmanager
async def client_of(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    endpoint = GraphQLEndpoint(identify=identify, execute=execute, **options)
    app: Any = Litestar([graphql_route(endpoint)], openapi_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


async def post(
    body: Any, *, accept: str = GRAPHQL_JSON, limits: Limits | None = None, **headers: str
) -> httpx.Response:
    """POST /graphql; bytes go out as they are, anything else as JSON. Header names take `_` for `-`."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {
        "content-type": JSON,
        "accept": accept,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with client_of(limits=limits or Limits()) as client:
        response = await client.post("/graphql", content=content, headers={k: v for k, v in named.items() if v})
    assert response.headers["x-content-type-options"] == "nosniff"
    return response


def error_of(response: httpx.Response) -> dict[str, Any]:
    content = response.json()
    assert "data" not in content
    return dict(content["errors"][0])


@pytest.mark.parametrize("authorization", ["Bearer forged", "Basic YTpi", "Bearer", "", "Bearer a, Bearer b"])
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_a_bad_credential_is_a_401_in_the_shape_of_graphql(authorization: str, accept: str) -> None:
    async with client_of() as client:
        response = await client.post(
            "/graphql", json={"query": "{ echo }"}, headers={"authorization": authorization, "accept": accept}
        )
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert error_of(response)["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_query_is_answered_in_the_media_type_that_was_asked_for() -> None:
    for accept, expected in [
        (JSON, JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON};q=0.5, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", JSON),
        (f"{GRAPHQL_JSON};q=0, */*", JSON),
        ("text/html, */*;q=0.1", JSON),
    ]:
        response = await post({"query": '{ echo(text: "é") }'}, accept=accept)
        assert response.headers["content-type"] == f"{expected}; charset=utf-8"
        assert response.json() == {"data": {"echo": "é"}}


async def test_an_answer_that_nobody_can_read_is_refused() -> None:
    for accept in ("text/html", "image/png", f"{JSON};q=0"):
        assert (await post({"query": "{ echo }"}, accept=accept)).status_code == 406


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{ echo"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{" + "a{" * 20 + "b" + "}" * 21}, "QUERY_TOO_COMPLEX"),
        ({"query": "query ($n: Int) { echo(n: $n) }", "variables": {"n": "x"}}, "BAD_USER_INPUT"),
        ({"query": "{ echo }", "operationName": "Other"}, "BAD_USER_INPUT"),
    ],
)
async def test_a_refused_document_is_400_for_graphql_and_200_for_plain_json(body: Any, code: str) -> None:
    for accept, status in ((GRAPHQL_JSON, 400), (JSON, 200)):
        response = await post(body, accept=accept)
        assert response.status_code == status
        assert error_of(response)["extensions"]["code"] == code


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "string": b'"{ echo }"',
    "batch": b'[{"query":"{ echo }"}]',
    "empty batch": b"[]",
    "no query": b"{}",
    "query null": b'{"query":null}',
    "query list": b'{"query":["{ echo }"]}',
    "operationName number": b'{"query":"{ echo }","operationName":1}',
    "variables list": b'{"query":"{ echo }","variables":[]}',
    "variables string": b'{"query":"{ echo }","variables":"{}"}',
    "extensions number": b'{"query":"{ echo }","extensions":0}',
    "not json": b"{ echo }",
    "form": b"query=%7Becho%7D",
    "invalid utf-8": b'{"query":"{ echo(text: \\"\xff\\") }"}',
    "encoded surrogate": b'{"query":"\xed\xa0\x80"}',
    "utf-16": '{"query":"{ echo }"}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"query":"{ echo }"}',
    "nan": b'{"query":"{ echo }","variables":{"n":NaN}}',
    "infinity": b'{"query":"{ echo }","variables":{"n":-Infinity}}',
    "1e400": b'{"query":"{ echo }","variables":{"n":1e400}}',
    "5,000 digits": b'{"query":"{ echo }","variables":{"n":' + b"9" * 5_000 + b"}}",
    "5,000 digits elsewhere": b"9" * 5_000,
    "100,000 deep": b'{"query":"{ echo }","variables":{"n":' + b"[" * 100_000 + b"}}",
    "100,000 deep and closed": b'{"query":"{ echo }","variables":{"n":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "100,000 deep with a nul": b'{"a":"\\u0000","variables":' + b'{"a":' * 100_000,
    "truncated": b'{"query":"{ ec',
    "trailing": b'{"query":"{ echo }"} x',
}


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON])
async def test_a_body_that_is_no_request_is_400_and_never_500(name: str, accept: str) -> None:
    response = await post(BAD_BODIES[name], accept=accept)
    assert response.status_code == 400
    assert error_of(response)["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("variables", "argument"),
    [
        ('{"a":{"b":[1,{"c":"x\\u0000y"}]}}', "variables.a.b[1].c"),
        ('{"a":"\\ud800"}', "variables.a"),
        ('{"a":"\\uDFFF\\uD83D"}', "variables.a"),
        ('{"a":{"\\ud800":1}}', "variables.a"),
        ('{"a":[1e400]}', "variables.a[0]"),
        ('{"a":' + "1" * 500 + "}", "variables.a"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_its_place(variables: str, argument: str) -> None:
    response = await post(f'{{"query":"{{ echo }}","variables":{variables}}}'.encode())
    assert response.status_code == 400
    assert error_of(response)["extensions"] == {"code": "BAD_USER_INPUT", "argument": argument}


async def test_nul_in_the_query_is_refused_raw_and_as_an_escape() -> None:
    assert error_of(await post(b'{"query":"{ echo\\u0000 }"}'))["extensions"]["argument"] == "query"
    escaped = {"query": '{ echo(text: "a\\u0000") }'}
    assert error_of(await post(escaped))["extensions"] == {"code": "BAD_USER_INPUT", "argument": "text"}
    lone = {"query": '{ echo(text: "a\\ud800") }'}
    assert error_of(await post(lone))["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


async def test_text_and_whole_numbers_arrive_exactly() -> None:
    seen: list[dict[str, Any]] = []

    async def remember(request: GraphQLRequest) -> GraphQLAnswer:
        seen.append(request.variables)
        return GraphQLAnswer(data={})

    app: Any = Litestar([graphql_route(GraphQLEndpoint(identify=identify, execute=remember))], openapi_config=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        for variables in ({"n": 2**64 + 1}, {"t": "😀 \\u0000 \\ud800", "n": -0.0}, {"d": {"a": 1}, "f": 0.1}):
            body = json.dumps({"query": "{ echo }", "variables": variables})
            assert (await client.post("/graphql", content=body, headers={"content-type": JSON})).status_code == 200
            assert seen[-1] == variables


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql",
     "application/json; charset=utf-16", "application/json; charset=latin1", "application/jsonx"],
)  # fmt: skip
async def test_only_json_in_utf_8_is_taken(content_type: str) -> None:
    assert (await post({"query": "{ echo }"}, content_type=content_type)).status_code == 415


async def test_json_with_a_charset_is_taken() -> None:
    for content_type in ("application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        assert (await post({"query": "{ echo }"}, content_type=content_type)).status_code == 200
    assert (await post({"query": "{ echo }"}, content_encoding="gzip")).status_code == 415


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_but_post_runs_an_operation(method: str) -> None:
    async with client_of() as client:
        response = await client.request(method, "/graphql", params={"query": "mutation { boom }"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_browser_is_given_the_page_where_there_is_one() -> None:
    async with client_of(page=page) as client:
        shown = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        asked = await client.get("/graphql?query={echo}", headers={"accept": JSON})
    assert (shown.status_code, shown.text) == (200, "<!doctype html>")
    assert (asked.status_code, asked.headers["allow"]) == (405, "GET, POST")


async def test_a_person_may_send_less_than_a_service() -> None:
    limits = Limits(body_bytes=1_000, service_body_bytes=10_000)
    body = orjson.dumps({"query": "{ echo }", "variables": {"a": "x" * 2_000}})

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 300):
            yield body[start : start + 300]

    assert (await post(body, limits=limits)).status_code == 413
    assert (await post(body, limits=limits, authorization="Bearer service")).status_code == 200
    assert (await post(body + b" " * 9_000, limits=limits, authorization="Bearer service")).status_code == 413
    async with client_of(limits=limits) as client:
        assert (await client.post("/graphql", content=chunks(), headers={"content-type": JSON})).status_code == 413


async def test_a_body_that_stalls_is_given_up() -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"query":'
        await asyncio.sleep(5)

    async with client_of(limits=Limits(body_timeout_s=0.05)) as client:
        response = await client.post("/graphql", content=stalled(), headers={"content-type": JSON})
    assert (response.status_code, response.headers["connection"]) == (408, "close")


@pytest.mark.parametrize(
    ("fail", "status", "code"),
    [
        ("crash", 500, "INTERNAL"),
        ("throttle", 429, "THROTTLED"),
        ("slow", 504, "TIMEOUT"),
        ("forbid", 403, "FORBIDDEN"),
    ],
)
async def test_what_concerns_the_whole_request_has_its_own_status(fail: str, status: int, code: str) -> None:
    limits = Limits(operation_timeout_s=0.05)
    with capture_logs() as logged:
        response = await post(
            {"query": '{ echo(text: "sk-canary") }', "variables": {"fail": fail, "key": "canary"}},
            accept=JSON, limits=limits, x_request_id="abc-1",
        )  # fmt: skip
    assert response.status_code == status
    assert error_of(response)["extensions"]["code"] == code
    assert ("retry-after" in response.headers) is (code == "THROTTLED")
    assert "canary" not in response.text
    if fail == "crash":
        assert (logged[0]["request_id"], logged[0]["query"]) == ("abc-1", '{ echo(text: "") }')


async def test_a_database_that_is_busy_is_a_503_with_retry_after() -> None:
    response = await post({"query": "{ echo }"}, authorization="Bearer busy")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_a_request_id_is_taken_when_it_is_plain_and_made_otherwise() -> None:
    assert (await post({"query": "{ echo }"}, x_request_id="Trace-42")).headers["x-request-id"] == "Trace-42"
    for bad in ("a b", "x" * 65, "a;b", "'"):
        made = (await post({"query": "{ echo }"}, x_request_id=bad)).headers["x-request-id"]
        assert made != bad
        assert made.isalnum()


def test_postgresqls_errors_become_ours_by_their_state_alone() -> None:
    def code(error: Exception) -> Any:
        error.args = ("canary",)
        with capture_logs() as logged:
            shown = as_graphql_error(GraphQLError("canary", path=["a"], original_error=error), request_id="r")
        assert "canary" not in f"{shown.formatted} {logged if isinstance(error, asyncpg.PostgresError) else ''}"
        assert shown.path == ["a"]
        return (shown.extensions or {})["code"]

    named = asyncpg.CheckViolationError("x")
    named.constraint_name = "some_check"
    assert {
        code(asyncpg.CharacterNotInRepertoireError("x")),
        code(asyncpg.InvalidTextRepresentationError("x")),
        code(asyncpg.UntranslatableCharacterError("x")),
        code(named),
    } == {"BAD_USER_INPUT"}
    assert code(asyncpg.QueryCanceledError("x")) == "TIMEOUT"
    assert code(TimeoutError("x")) == "TIMEOUT"
    assert {
        code(asyncpg.CheckViolationError("x")),
        code(asyncpg.AdminShutdownError("x")),
        code(asyncpg.ConnectionDoesNotExistError("x")),
        code(asyncpg.TooManyConnectionsError("x")),
        code(asyncpg.SerializationError("x")),
        code(asyncpg.InterfaceError("x")),
        code(asyncpg.InternalClientError("x")),
        code(ConnectionRefusedError("x")),
        code(FileNotFoundError("x")),
        code(PoolExhaustedError("x")),
        code(LostCommitError("x")),
    } == {"UNAVAILABLE"}
    assert code(asyncpg.InsufficientPrivilegeError("x")) == "FORBIDDEN"
    assert {code(asyncpg.UndefinedColumnError("x")), code(KeyError("x"))} == {"INTERNAL"}


def test_our_errors_keep_their_code_and_argument_wherever_they_are_raised() -> None:
    raised = BadUserInputError("`first` must be between 1 and 100.", argument="first")
    wrapped = GraphQLError(raised.message, path=["conversations"], original_error=raised)
    assert as_graphql_error(wrapped, request_id="r").formatted == {
        "message": "`first` must be between 1 and 100.",
        "path": ["conversations"],
        "extensions": {"code": "BAD_USER_INPUT", "argument": "first"},
    }
    assert ForbiddenError().message == "Your role may not do this."
