"""`minutebook run` and `serve`: one process, one event loop, stopped by Ctrl-C or SIGTERM with exit code 0.

`run` prepares everything it may; `serve` prepares nothing and refuses a database that is not safe to serve from.
"""

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from api.cli import database as databases
from api.cli.connections import Database, connected, has_server, opened, run_async
from api.cli.tokens import mint_token
from api.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from db.doctor import Finding
    from db.engine import Urls

DRAIN_S: Final = 8


@click.command()
def run() -> None:
    """Start everything: an embedded PostgreSQL unless a connection is given, migrations, a demo world, the API."""
    with stopping_cleanly():
        settings = load()
        settings.check_serving()
        with listening(settings) as listener, opened(settings, preparing=True) as database:
            settings.auth_config()
            databases.prepare(database)
            if database.is_embedded and settings.is_dev:
                databases.fill_if_empty(settings, database)
            serve_until_stopped(settings, database.urls, listener, signing(settings, database))


@click.command()
def serve() -> None:
    """Serve a migrated database, and nothing else: refuses one that is not safe, changes none."""
    with stopping_cleanly():
        settings = load()
        settings.check_serving()
        if not has_server(settings):
            raise SettingsError("DATABASE_URL", "is required by serve; minutebook run starts a server of its own")
        with listening(settings) as listener, opened(settings) as database:
            settings.auth_config()
            run_async(refuse_what_is_unsafe(database))
            serve_until_stopped(settings, database.urls, listener)


async def refuse_what_is_unsafe(database: Database) -> None:
    """ClickException for the first condition that does not hold; a line on stderr for a month without partitions."""
    from db import doctor
    from db.migrate import head

    wanted = head()
    for login in ("api", "ingest"):
        async with connected(database.url(login)) as connection:
            for finding in await doctor.refusals(connection, login, wanted):
                if not finding.passed:
                    raise click.ClickException(f"refusing to serve: not so that {_sentence(finding)}")
            if login == "api":
                months = await doctor.partitions_are_ready(connection)
                if not months.passed:
                    click.echo(f"minutebook: warning: not so that {_sentence(months)}", err=True)


def _sentence(finding: "Finding") -> str:
    return f"{finding.name} ({finding.detail})"


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The server's socket, bound before anything is started, so that a taken port costs a second and not a minute."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            problem = (
                f"{settings.port} on {settings.host} cannot be listened on: {(error.strerror or 'unknown').lower()}"
            )
            raise SettingsError("PORT", f"{problem}; choose another, such as PORT={settings.port + 1}") from None
        yield listener


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the block from wherever it is, and what it opened is closed in order."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # the first one is enough; a second would cut the cleaning short
        raise KeyboardInterrupt

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, stop) for each in wanted}
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def signing(settings: Settings, database: Database) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """What signs the audit chains beside the API, as the operator; a line on stderr where nothing can."""
    from db.audit.checkpoints import Signer
    from db.audit.keeper import keep_signing
    from db.audit.notes import Notes

    key, url = settings.audit_key(), database.urls.operator
    if key is None or not url:
        lacking = "OPERATOR_DATABASE_URL" if key else "AUDIT_SIGNING_KEY"
        click.echo(f"minutebook: warning: no checkpoint is signed: {lacking} is not set", err=True)
        return None
    signer = Signer(key, Notes(settings.checkpoint_file))
    return lambda: keep_signing(url, signer)


def serve_until_stopped(
    settings: Settings,
    urls: "Urls",
    listener: socket.socket,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve on `listener` until a signal, with `beside` as a task; requests under way get eight seconds to end."""
    import uvicorn
    import uvloop

    from api.app import create_app

    app = create_app(settings, urls)
    configure_logging(settings)  # after the app, which brings a configuration of its own
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing is decided by what a proxy says
            limit_concurrency=settings.limits.connections,
            timeout_graceful_shutdown=DRAIN_S,
        )
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_announced(server, settings, listener, beside))
    if not server.started:
        raise click.ClickException("the server did not start; the reason stands above")


async def _announced(
    server: Any,
    settings: Settings,
    listener: socket.socket,
    beside: Callable[[], Coroutine[Any, Any, None]] | None,
) -> None:
    tasks = [asyncio.create_task(_announce(server, settings, listener))]
    if beside is not None:
        tasks.append(asyncio.create_task(beside()))
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in tasks:
            task.cancel()


async def _announce(server: Any, settings: Settings, listener: socket.socket) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has a flag, not an event
        await asyncio.sleep(0.02)
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"\nMinutebook listens on {address}/graphql")
    if settings.is_dev:
        click.echo(_how_to_ask(settings, address))


def _how_to_ask(settings: Settings, address: str) -> str:
    token = mint_token(settings, "alice", None)
    command = "minutebook" if shutil.which("minutebook") else os.path.relpath(sys.argv[0])
    return f"""
A token for a person of the demo world, or for a service:
  {command} token alice
  {command} token service --organization northwind

A first question, as alice:
  curl -s {address}/graphql -H 'Content-Type: application/json' \\
    -H 'Authorization: Bearer {token}' \\
    -d '{{"query": "{{ viewer {{ user {{ displayName }} role }} }}"}}'

Ctrl-C stops everything."""


def configure_logging(settings: Settings) -> None:
    """One line an event on stderr: text for people in dev, JSON for machines elsewhere."""
    import structlog

    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(level=max(level, logging.WARNING), format="%(levelname)s %(name)s %(message)s", force=True)
    is_json = settings.log_format == "json"
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if is_json else []),
            structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
