"""The page for browsers over HTTP: what is served to whom, and under which policy."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import graphql
import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.auth.tokens import OWN_ISSUER, mint
from api.graphiql import build
from api.graphiql.node import NodeError
from api.page import SOURCES, page_of, page_routes
from api.schema import build_schema
from api.settings import load
from db.engine import Urls
from tests.client import Client, client_of

HERE = {"Host": "127.0.0.1:8000"}
HTML = {"Accept": "text/html"}
SECRET = "s" * 32
PROD: Any = {"ENVIRONMENT": "prod", "JWT_SECRET": SECRET, "JWT_ISSUER": OWN_ISSUER, "JWT_AUDIENCE": "us"}
INSPECT = {"X-Minutebook-Inspect": "1"}


@asynccontextmanager
async def asking(app: Litestar, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=cast("Any", app), client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
        yield http


def app_of(home: Path, **environment: str) -> Litestar:
    return create_app(load({"MINUTEBOOK_HOME": str(home), **environment}), Urls("", "", "", ""))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": ""},
        {"Host": "["},
        {**HERE, "Origin": "http://127.0.0.1:8001"},
        {**HERE, "Origin": "null"},
        {**HERE, "Sec-Fetch-Site": "cross-site"},
        {**HERE, "Sec-Fetch-Site": "same-site"},
        {**HERE, "X-Forwarded-For": "203.0.113.7"},
    ],
)
async def test_the_personas_tokens_leave_this_machine_for_nobody(tmp_path: Path, headers: Mapping[str, str]) -> None:
    async with asking(app_of(tmp_path, ENVIRONMENT="dev")) as http:
        answer = await http.get("/graphql/personas", headers=headers)
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "eyJ" not in answer.text


async def test_another_machine_is_given_no_personas(tmp_path: Path) -> None:
    async with asking(app_of(tmp_path, ENVIRONMENT="dev"), peer="203.0.113.7") as http:
        answer = await http.get("/graphql/personas", headers=HERE)
    assert answer.status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize(
    "environment",
    [
        {**PROD, "GRAPHIQL": "on"},
        {"ENVIRONMENT": "dev", "DATABASE_URL": "postgresql://db/x", "INGEST_DATABASE_URL": "postgresql://db/x"},
        {"ENVIRONMENT": "dev", "BOOTSTRAP_DATABASE_URL": "postgresql://db/x"},
        {"ENVIRONMENT": "dev", "GRAPHIQL": "off"},
    ],
)
async def test_there_are_personas_only_in_the_demo(tmp_path: Path, environment: dict[str, str]) -> None:
    async with asking(app_of(tmp_path, **environment)) as http:
        answer = await http.get("/graphql/personas", headers=HERE)
        page = await http.get("/graphql", headers=HTML)
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert 'content="demo"' not in page.text


async def test_the_demos_page_is_told_its_people_and_services(ask_world: Client) -> None:
    answer = await ask_world.http.get("/graphql/personas", headers={**HERE, "Sec-Fetch-Site": "same-origin"})
    assert answer.headers["cache-control"] == "no-store"
    people = {each["name"]: each for each in answer.json()["personas"]}
    assert {"alice", "olga", "vera", "service of Taskline"} < people.keys()
    assert sum(each["role"] == "SERVICE" for each in people.values()) == 3
    for each in people.values():
        bearer = {"Authorization": f"Bearer {each['token']}"}
        found = await ask_world.http.post(
            "/graphql", json={"query": "{viewer{role user{displayName} organization{name}}}"}, headers=bearer
        )
        viewer = found.json()["data"]["viewer"]
        assert (viewer["role"], viewer["organization"]["name"]) == (each["role"], each["organization"])
        assert viewer["user"] == (None if each["role"] == "SERVICE" else {"displayName": each["displayName"]})


async def test_the_page_runs_scripts_of_ours_alone(tmp_path: Path) -> None:
    async with asking(app_of(tmp_path, ENVIRONMENT="dev")) as http:
        page = await http.get("/graphql", headers=HTML)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"
    assert {"unsafe-eval", "http:", "https:", "*"}.isdisjoint(" ".join(policy.values()).replace("'", "").split())
    assert "<script>" not in page.text
    assert "https://" not in page.text


async def test_without_a_build_a_plain_page_says_how_to_ask(tmp_path: Path) -> None:
    settings = load({"MINUTEBOOK_HOME": str(tmp_path), "PORT": "8642"})
    reply = await page_of(settings, tmp_path / "nothing")({})
    assert b"curl -s http://127.0.0.1:8642/graphql" in reply.body
    assert b"curl" in reply.body
    assert b"make page" in reply.body
    assert b"<script" not in reply.body


async def test_assets_are_those_of_the_build_and_kept_where_their_name_is_a_version(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not an asset")
    folder = tmp_path / "assets"
    folder.mkdir()
    for name, text in {
        "index.html": "page",
        "main-DG7PgPVt.js": "1",
        "main-DG7PgPVt.js.gz": "2",
        ".stamp": "3",
    }.items():
        (folder / name).write_text(text)
    settings = load({"MINUTEBOOK_HOME": str(tmp_path)})
    async with asking(Litestar(page_routes(settings, folder), openapi_config=None)) as http:
        plain = await http.get("/graphql/assets/main-DG7PgPVt.js", headers={"Accept-Encoding": "identity"})
        packed = await http.head("/graphql/assets/main-DG7PgPVt.js")
        assert (plain.text, plain.headers["content-type"]) == ("1", "text/javascript; charset=utf-8")
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.status_code == httpx.codes.METHOD_NOT_ALLOWED
        for name in (
            "index.html",
            ".stamp",
            "main-DG7PgPVt.js.gz",
            "other.js",
            "..%2fsecret",
            "%2e%2e/secret",
            "../secret",
        ):
            answer = await http.get(f"/graphql/assets/{name}")
            assert answer.status_code == httpx.codes.NOT_FOUND, name


async def test_what_an_operation_cost_is_told_to_the_demo_when_it_asks(ask_world: Client) -> None:
    body = {"query": "{ insights(first: 1) { edges { node { title } } } }"}
    bearer = {"Authorization": f"Bearer {ask_world.token('alice')}"}
    silent = await ask_world.http.post("/graphql", json=body, headers=bearer)
    told = await ask_world.http.post("/graphql", json=body, headers={**bearer, **INSPECT})
    assert silent.json().keys() == {"data"}
    assert told.json()["data"] == silent.json()["data"]
    assert told.json()["extensions"].keys() == {"sql", "ms"}
    assert told.json()["extensions"]["sql"] == 1
    assert told.json()["extensions"]["ms"] > 0


async def test_elsewhere_what_an_operation_cost_is_told_to_admins_alone(world: Urls, tmp_path: Path) -> None:
    async with client_of(world, tmp_path, **PROD) as client:
        for who, keys in (("alice", {"data"}), ("dave", {"data"}), ("carol", {"data", "extensions"})):
            bearer = {"Authorization": f"Bearer {mint(SECRET.encode(), subject=who, audience='us')}"}
            answer = await client.http.post("/graphql", json={"query": "{viewer{role}}"}, headers={**bearer, **INSPECT})
            assert answer.json().keys() == keys, who


def test_every_story_of_the_page_is_valid() -> None:
    schema = build_schema()
    stories = sorted(SOURCES.glob("stories/*.graphql"))
    assert len(stories) > 10
    assert [graphql.validate(schema, graphql.parse(each.read_text())) for each in stories] == [[]] * len(stories)


def test_a_build_that_cannot_run_says_so_and_waits_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(stamp: str) -> None:
        raise NodeError(f"no registry for {stamp[:0]}this")

    monkeypatch.setattr(build, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(build, "_build", fail)
    assert build.main([]) == 0
    assert "no registry for this" in capsys.readouterr().err
    assert build.main([]) == 0
    assert capsys.readouterr().err == ""
    assert build.main(["--now"]) == 1


def test_no_lock_names_a_registry() -> None:
    root = SOURCES.parents[1]
    for folder in (SOURCES, root / "tests" / "bench" / "peer", root / "tests" / "clients"):
        assert '"resolved"' not in (folder / "package-lock.json").read_text(), folder
