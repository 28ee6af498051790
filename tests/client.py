"""A GraphQL client inside the process: asks the whole application, keeps the data statements of each operation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
from litestar import Litestar

from api.app import create_app
from api.auth import mint
from api.context import Context
from api.settings import OWN_AUDIENCE, Settings, load
from db.engine import Urls


@dataclass(frozen=True)
class Answer:
    """What came back: the parsed body, the HTTP status, and the data statements that PostgreSQL was sent."""

    status: int
    body: dict[str, Any]
    raw: bytes
    statements: tuple[str, ...]

    @property
    def data(self) -> Any:
        """The data of an answer that must be without errors."""
        assert "errors" not in self.body, self.body["errors"]
        return self.body["data"]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return list(self.body.get("errors", ()))

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


@dataclass
class Client:
    """Asks as a person of the demo world (`alice`), or as a service (`service:northwind`)."""

    http: httpx.AsyncClient
    settings: Settings
    seen: list[Context] = field(default_factory=list)

    async def ask(
        self, query: str, who: str | None = "alice", /, *, organization: str | None = None, **variables: Any
    ) -> Answer:
        """The answer to one operation."""
        return await self.post({"query": query, "variables": variables}, who, organization=organization)

    async def post(self, body: Any, who: str | None = "alice", *, organization: str | None = None) -> Answer:
        """The answer to any JSON body."""
        headers = {} if who is None else {"Authorization": f"Bearer {self.token(who)}"}
        if organization is not None:
            headers["X-Organization"] = organization
        self.seen.clear()
        response = await self.http.post("/graphql", json=body, headers=headers)
        statements = tuple(sql for context in self.seen for sql in context.session.statements)
        return Answer(response.status_code, response.json(), response.content, statements)

    def token(self, who: str) -> str:
        """A token of our own issuer."""
        subject, _, organization = who.partition(":")
        secret = self.settings.own_secret().encode()
        if subject == "service":
            return mint(secret, subject=who, audience=OWN_AUDIENCE, organization=organization, service=True)
        return mint(secret, subject=subject, audience=OWN_AUDIENCE)


@asynccontextmanager
async def _started(app: Litestar) -> AsyncIterator[None]:
    """The lifespan in a task of its own: anyio wants it left by the task that entered it, and a fixture ends in another."""
    is_up, is_done = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        try:
            async with app.lifespan():
                is_up.set()
                await is_done.wait()
        finally:
            is_up.set()

    living = asyncio.create_task(live())
    await is_up.wait()
    try:
        yield
    finally:
        is_done.set()
        await living


@asynccontextmanager
async def client_of(
    urls: Urls, home: Path, *, clock: Callable[[], datetime] | None = None, **environment: str
) -> AsyncIterator[Client]:
    """The application over `urls`, started and stopped around the block."""
    settings = load(
        {"MINUTEBOOK_HOME": str(home), "ENVIRONMENT": "dev", "POOL_SIZE": "4", "INGEST_POOL_SIZE": "2", **environment}
    )
    seen: list[Context] = []
    app = create_app(settings, urls, clock=clock, watch=seen.append)
    async with (
        _started(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=cast("Any", app)), base_url="http://minutebook.test"
        ) as http,
    ):
        yield Client(http, settings, seen)
