"""Real server processes over one database, started in no time, to be killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from api.settings import load
from db.engine import Urls
from tests.client import Client

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A process that serves, and a client of it."""

    pid: int
    client: Client
    is_alive: bool = True

    def kill(self) -> None:
        """As the kernel does when memory runs out: at once, whatever it was doing."""
        if self.is_alive:
            self.is_alive = False
            os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        self.kill()
        await self.client.http.aclose()


class Servers:
    """Forks servers off one process. The next one starts when the last one is dead, while others look at what it left."""

    def __init__(self, forker: asyncio.subprocess.Process, environment: dict[str, str]) -> None:
        self._forker = forker
        self._settings = load(environment)
        self._next: asyncio.Future[Server] | None = None

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Server]:
        """A server that nobody has asked yet; it has ended when the block ends."""
        server = await self._prepared()
        self._next = None
        try:
            yield server
        finally:
            await server.end()

    def kill(self, server: Server) -> None:
        """Kill it, and begin to start the next."""
        server.kill()
        self._next = self._prepared()

    async def close(self) -> None:
        if self._next is not None:
            await (await self._next).end()

    def _prepared(self) -> "asyncio.Future[Server]":
        if self._next is None:
            self._next = asyncio.ensure_future(self._start())
        return self._next

    async def _start(self) -> Server:
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.write(b"another\n")
        pid = 0
        while line := (await self._forker.stdout.readline()).decode():
            word, _, rest = line.strip().partition(" ")
            if word == "pid":
                pid = int(rest)
            elif " listens on " in line:
                origin = line.strip().rpartition(" ")[2].removesuffix("/graphql")
                return Server(pid, Client(httpx.AsyncClient(base_url=origin, timeout=20), self._settings))
        raise RuntimeError("no server was forked; its log says why")


@asynccontextmanager
async def servers_of(urls: Urls, home: Path, **environment: str) -> AsyncIterator[Servers]:
    """Servers over `urls`, whose home and log are in `home`."""
    environment = {"MINUTEBOOK_HOME": str(home), "ENVIRONMENT": "dev", "POOL_SIZE": "4", **environment}
    with (home / "servers.log").open("wb") as log:
        forker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.changes.forker",
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip
    assert forker.stdin
    given = {"environment": environment, "urls": asdict(urls)}
    forker.stdin.write(json.dumps(given).encode() + b"\n")
    servers = Servers(forker, environment)
    try:
        yield servers
        await servers.close()
    finally:
        forker.stdin.close()
        await forker.wait()
