"""What the API and PostgreSQL say to each other, one flight after another, so that either can be struck between any two.

A flight is what a client sends before it waits for an answer: a simple query, or messages up to a Flush or a Sync.
"""

import asyncio
import re
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from db.engine import Urls

PORT: Final = 5432  # names the socket; nothing listens on a network
_QUERY, _SYNC, _FLUSH, _SASL = b"Q", b"S", b"H", b"p"
_ENDS_FLIGHT: Final = (_QUERY, _SYNC, _FLUSH, _SASL)
# The message that completes PostgreSQL's answer: ReadyForQuery, or after a Flush what a Describe is told.
_REQUEST: Final = re.compile(r"(?: SELECT)? app\.begin_request.*")
_EVENTS: Final = re.compile(r"'\[[^']*\]'")
_COMPLETES: Final = {_FLUSH: b"TnE", _SASL: b"RE"}


class Moment(Enum):
    """When to strike: before the flight reaches PostgreSQL, while it does, or when its answer is there and nobody read it."""

    UNSENT = "unsent"
    UNDERWAY = "under way"
    UNREAD = "unread"


@dataclass
class Link:
    """One connection through the wire. `backend` is the process id of its PostgreSQL."""

    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    backend: int = 0
    withheld: bytes = b""
    is_counted: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self) -> None:
        for _, writer in (self.client, self.server):
            writer.close()


Strike = Callable[[Link], Coroutine[Any, Any, None]]


class Wire:
    """A socket in front of PostgreSQL's. Armed, it counts flights, and strikes once, at one of them."""

    def __init__(self, urls: Urls, folder: Path) -> None:
        query = parse_qs(urlsplit(urls.api).query)
        self._target = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        self.path = folder / f".s.PGSQL.{PORT}"
        self.urls = replace(urls, api=_through(urls.api, folder), ingest=_through(urls.ingest, folder))
        self.flights: list[str] = []
        self.is_struck = False
        self._aim: tuple[int, Moment, Strike] | None = None
        self._since = ""
        self._striking: asyncio.Future[None] | None = None
        self._links: dict[asyncio.Task[None], Link] = {}

    def arm(self, at: int, moment: Moment, strike: Strike, *, since: str = "") -> None:
        """Strike at the flight of this number. A connection's count from the next one on that begins with `since`."""
        self._since = since
        for link in self._links.values():
            link.is_counted = False
        self.flights.clear()
        self.is_struck = False
        self._aim = (at, moment, strike)

    def disarm(self) -> None:
        self._aim = None

    async def settled(self) -> None:
        """Wait until a strike that was begun is over."""
        if self._striking is not None:
            await self._striking
            self._striking = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end is gone."""
        task = asyncio.current_task()
        assert task is not None
        try:
            server = await asyncio.open_unix_connection(self._target)
        except OSError:  # PostgreSQL is down: so are we
            writer.close()
            return
        link = self._links[task] = Link((reader, writer), server)
        ways = [asyncio.ensure_future(way(link)) for way in (self._forth, self._back)]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            link.close()
            await asyncio.gather(*ways, return_exceptions=True)
            del self._links[task]

    async def close(self) -> None:
        """Cut every connection."""
        for link in self._links.values():
            link.close()
        if self._links:
            await asyncio.wait(tuple(self._links))

    async def _forth(self, link: Link) -> None:
        reader, writer = link.client[0], link.server[1]
        with suppress(OSError, asyncio.IncompleteReadError):
            start = await reader.readexactly(4)
            writer.write(start + await reader.readexactly(struct.unpack("!I", start)[0] - 4))
            flight = b""
            text = ""
            while True:
                kind, message = await _message(reader)
                flight += message
                text = text or _text(kind, message)
                if kind in _ENDS_FLIGHT:
                    if not await self._sends(link, kind, flight, text):
                        return
                    flight, text = b"", ""
                elif kind == b"X":
                    writer.write(flight)
                    flight = b""

    async def _sends(self, link: Link, kind: bytes, flight: bytes, text: str) -> bool:
        """Whether the connection goes on after this flight."""
        link.is_counted = link.is_counted or text.startswith(self._since)
        if self._aim is None or not link.is_counted:
            link.server[1].write(flight)
            return True
        self.flights.append(text)
        at, moment, strike = self._aim
        if len(self.flights) != at:
            link.server[1].write(flight)
            return True
        self.disarm()
        if moment is Moment.UNREAD:
            link.withheld = _COMPLETES.get(kind, b"Z")
        if moment is not Moment.UNSENT:
            link.server[1].write(flight)
        if moment is Moment.UNREAD:
            await link.answered.wait()
        assert link.backend
        self.is_struck = True
        self._striking = asyncio.ensure_future(strike(link))  # the connection may be gone before it is over
        await asyncio.shield(self._striking)
        while await link.client[0].read(65_536):  # nothing more is sent; whoever was struck ends the connection
            pass
        return False

    async def _back(self, link: Link) -> None:
        reader, writer = link.server[0], link.client[1]
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, message = await _message(reader)
                if kind == b"K":
                    [link.backend] = struct.unpack("!I", message[5:9])
                if not link.withheld:
                    writer.write(message)
                elif kind in link.withheld:
                    link.withheld = b""
                    link.answered.set()


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


def _text(kind: bytes, message: bytes) -> str:
    """The SQL of a Query or a Parse, without what differs from request to request; else the kind of the message."""
    if kind == _QUERY:
        return _EVENTS.sub("…", _REQUEST.sub("", message[5:-1].decode()))
    if kind == b"P":
        return message[5:].split(b"\0")[1].decode()
    return kind.decode()


def _through(url: str, folder: Path) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return f"{parts.scheme}://{login}@{parts.path}?host={quote(str(folder))}&port={PORT}"


@asynccontextmanager
async def wire_to(urls: Urls) -> AsyncIterator[Wire]:
    """A wire to the server of `urls`: whoever connects by its own `urls` goes through it."""
    # The system's own folder: a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="minutebook-", dir="/tmp"))
    wire = Wire(urls, folder)
    try:
        async with await asyncio.start_unix_server(wire.serve, wire.path):
            yield wire
            await wire.close()
    finally:
        shutil.rmtree(folder)
