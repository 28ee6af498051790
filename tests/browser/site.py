"""The application on a port of its own, for a browser: in this process, over the demo world."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from api.app import create_app
from api.settings import load
from db.engine import Urls


class Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Site:
    origin: str

    @property
    def page(self) -> str:
        return f"{self.origin}/graphql"


@asynccontextmanager
async def site_of(urls: Urls, home: Path, **environment: str) -> AsyncIterator[Site]:
    """The site, up; it is stopped when the block ends."""
    settings = load({"MINUTEBOOK_HOME": str(home), "POOL_SIZE": "4", "INGEST_POOL_SIZE": "2", **environment})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(settings, urls)
        server = Server(uvicorn.Config(app, ws="none", lifespan="on", log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn offers a flag, no event
            await asyncio.sleep(0.02)
        try:
            yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def somebody_elses() -> AsyncIterator[Site]:
    """A page on another origin."""
    body = b"<!doctype html><title>elsewhere</title>"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield Site(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
