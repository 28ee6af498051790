"""The application: routes, what starts and stops with it, health, and the page for browsers."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from litestar import Litestar, Response, get
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from api.auth import Authenticator, directory_of
from api.context import Context
from api.documents import Documents
from api.http import PATH, GraphQLAnswer, GraphQLEndpoint, GraphQLRequest, Headers, graphql_route
from api.operation import Operations
from api.page import page_of, page_routes
from api.schema import build_schema
from api.settings import Settings
from db.actor import Actor
from db.doctor import head_is
from db.embedder import Embedder, from_name
from db.engine import Urls, check_ready, open_pools
from db.migrate import head
from db.pool import CONNECTION_ERRORS, DatabaseUnavailableError
from db.session import Limits
from db.types import Role

CORS_AGE_S: Final = 86_400
COLLECT_AFTER: Final = (20_000, 20, 50)


class App(Litestar):
    """Litestar, but for a plain POST to the endpoint: no layer has anything to do there, and together they cost a thirtieth."""

    at_once: GraphQLEndpoint | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        endpoint = self.at_once
        if endpoint is not None and scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Service:
    """What requests need, opened when the application starts and closed when it stops."""

    def __init__(self, settings: Settings, urls: Urls, hooks: dict[str, Any]) -> None:
        self.settings = settings
        self.urls = urls
        self.schema = build_schema()
        self._hooks = hooks
        self._running: tuple[Authenticator, Operations] | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Open pools and load the embedder; close the pools when requests have ended."""
        settings, thresholds = self.settings, gc.get_threshold()
        pools = await open_pools(
            self.urls, api_size=settings.pool_size, ingest_size=settings.ingest_pool_size, pooler=settings.pooler
        )
        try:
            limits = Limits(acquire_s=settings.pool_timeout_s, statement_ms=settings.statement_timeout_ms)
            directory = directory_of(pools.api, pools.ingest, acquire_s=settings.pool_timeout_s)
            operations = Operations(
                schema=self.schema,
                documents=Documents(self.schema, settings.limits, has_introspection=settings.introspection != "off"),
                pools=pools,
                limits=limits,
                embedder=embedder_of(settings),
                keyring=settings.sealing_keys(),
                may_introspect=self._may_introspect,
                may_inspect=self._may_inspect,
                **self._hooks,
            )
            self._running = Authenticator(settings.auth_config(), directory), operations
            # What exists now stays: the collector need not walk the schema and the statements again and again.
            gc.collect()
            gc.freeze()
            # A page makes some thousand objects and no cycle: looking for one among them took a tenth of its time.
            gc.set_threshold(*COLLECT_AFTER)
            yield
        finally:
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            self._running = None
            await pools.close()

    def _may_introspect(self, actor: Actor | None) -> bool:
        return self.settings.introspection == "on" or actor is not None

    def _may_inspect(self, actor: Actor) -> bool:
        return self.settings.is_dev or actor.role is Role.ADMIN

    @property
    def running(self) -> tuple[Authenticator, Operations]:
        if self._running is None:
            raise DatabaseUnavailableError("the application has not started")
        return self._running

    async def identify(self, headers: Headers) -> Actor | None:
        return await self.running[0](headers)

    async def execute(self, request: GraphQLRequest) -> GraphQLAnswer:
        return await self.running[1].execute(request)

    async def readiness(self) -> tuple[bool, dict[str, str]]:
        """Whether requests can be served, and what was looked at."""
        try:
            pools = self.running[1].pools
            await check_ready(pools)
            async with pools.api.acquire() as connection:
                migrated = await head_is(connection, head())
        except DatabaseUnavailableError as error:
            return False, {"database": str(error)}
        except CONNECTION_ERRORS as error:  # it went away in between
            return False, {"database": type(error).__name__}
        return migrated.passed, {"database": "reachable", "migrations": migrated.detail}


def embedder_of(settings: Settings) -> Embedder | None:
    """The configured embedder; None where there is none."""
    given = settings.embedder
    return from_name(given.kind, url=given.url, model=given.model, dimensions=given.dimensions, api_key=given.api_key)


def create_app(
    settings: Settings,
    urls: Urls,
    *,
    clock: Callable[[], datetime] | None = None,
    watch: Callable[[Context], None] | None = None,
) -> Litestar:
    """The application over one database. `clock` and `watch` are for tests: a fixed now, and each finished context."""
    hooks = {name: hook for name, hook in (("clock", clock), ("watch", watch)) if hook is not None}
    service = Service(settings, urls, hooks)

    @get("/health/live", sync_to_thread=False, include_in_schema=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, str]]:
        is_ready, found = await service.readiness()
        status = HTTP_200_OK if is_ready else HTTP_503_SERVICE_UNAVAILABLE
        return Response({"status": "ready" if is_ready else "not ready", **found}, status_code=status)

    page = page_of(settings) if settings.graphiql else None
    endpoint = GraphQLEndpoint(service.identify, service.execute, settings.limits, page)
    app = App(
        [graphql_route(endpoint), live, ready, *(page_routes(settings) if settings.graphiql else ())],
        lifespan=[service.lifespan],
        cors_config=_cors_of(settings.allowed_origins),
        openapi_config=None,
        logging_config=None,
        state=State({"service": service}),
    )
    if not settings.allowed_origins:  # else Litestar adds what other origins' browsers want to know
        app.at_once = endpoint
    return app


def _cors_of(origins: tuple[str, ...]) -> CORSConfig | None:
    """Browsers on these origins may ask, with a bearer token; cookies play no part, so credentials stay off."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-organization", "x-request-id"],
        expose_headers=["x-request-id"],
        max_age=CORS_AGE_S,
    )
