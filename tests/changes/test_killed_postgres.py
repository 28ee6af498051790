"""PostgreSQL is killed, by one process or altogether, under changes: what was acknowledged stays, the rest never was."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from db.bootstrap import bootstrap
from db.embedded import AlreadyRunningError, EmbeddedServer
from db.engine import Urls
from db.migrate import upgrade
from db.pool import CONNECTION_ERRORS
from tests.changes.changing import head, is_whole
from tests.changes.house import House
from tests.changes.interrupted import KINDS, Round, Rounds, walk
from tests.changes.wire import Link, Moment, wire_to
from tests.client import Client, client_of
from tests.databases import fast_folder
from tests.security.conftest import UNLIMITED
from tests.security.people import NORTH, uid
from tests.security.worlds import build

WRITERS: Final = 16
BEGIN: Final = """mutation($title:String!,$key:String!){
  createConversation(input:{title:$title,firstMessage:$title})@idempotent(key:$key){conversation{id title}userErrors{code}}}"""


def processes(server: EmbeddedServer) -> list[int]:
    """The postmaster and its children."""
    postmaster = (server.data / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [int(pid) for pid in (postmaster, *children)]


@dataclass
class Mortal:
    """A PostgreSQL that keeps its promises, and may be killed."""

    server: EmbeddedServer
    urls: Urls

    async def connected(self) -> "asyncpg.Connection[Any]":
        """A superuser's connection, as soon as it answers again."""
        assert self.urls.bootstrap
        async with asyncio.timeout(15):
            while True:
                with suppress(*CONNECTION_ERRORS):
                    return await asyncpg.connect(self.urls.bootstrap)
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def fall(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A connection, in the block; then wait until the postmaster has noticed a death and ended every connection."""
        connection = await self.connected()
        has_fallen = asyncio.Event()
        connection.add_termination_listener(lambda _: has_fallen.set())
        try:
            yield connection
            async with asyncio.timeout(15):
                await has_fallen.wait()
        finally:
            connection.terminate()

    async def kill_one(self) -> None:
        """Kill a backend that is in the middle of a change; the postmaster then ends all others and recovers."""
        sql = """SELECT pid FROM pg_stat_activity WHERE usename = 'minutebook_api' ORDER BY xact_start NULLS LAST LIMIT 1"""
        async with self.fall() as connection:
            os.kill(await connection.fetchval(sql), signal.SIGKILL)

    async def kill_all(self) -> None:
        """Kill every process of it, and start it again."""
        for pid in processes(self.server):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.server.stop)
        async with asyncio.timeout(15):
            while True:
                with suppress(AlreadyRunningError):  # a backend that was born meanwhile is still dying
                    return await asyncio.to_thread(self.server.start)
                await asyncio.sleep(0.01)


@dataclass
class Writers:
    """People who begin conversations, and who try again by the same key when they are told to."""

    client: Client
    prefix: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: bool = False

    async def write(self, writer: int) -> None:
        count = 0
        while not self.has_ended:
            count += 1
            title = f"{self.prefix} {writer} {count}"
            while title not in self.acknowledged:
                answer = await self.client.ask(BEGIN, "ana.north", title=title, key=title)
                if not answer.errors:
                    made = answer.data["createConversation"]["conversation"]
                    assert made["title"] == title
                    self.acknowledged[title] = made["id"]
                    self.told.set()
                    break
                self.refused[" ".join(answer.codes)] += 1
                await asyncio.sleep(0.02)

    async def suffer(self, strike: Callable[[], Awaitable[None]], times: int) -> float:
        """Write while `strike` happens so many times; the longest time from a strike to the next acknowledgement."""
        gaps = []
        async with asyncio.timeout(60), asyncio.TaskGroup() as writing:
            for writer in range(WRITERS):
                writing.create_task(self.write(writer))
            for _ in range(times):
                await asyncio.sleep(0.5)
                struck = time.monotonic()
                await strike()
                self.told.clear()
                async with asyncio.timeout(15):
                    await self.told.wait()
                gaps.append(time.monotonic() - struck)
            await asyncio.sleep(0.3)
            self.has_ended = True
        return max(gaps)

    async def agree(self, house: House, since: int) -> None:
        """What was acknowledged is what there is: each once, with its events, on a chain that verifies."""
        named = f"{self.prefix} %"
        found = await house.rows("SELECT id, title FROM app.ai_conversations WHERE title LIKE $1", named)
        assert len(found) == len(self.acknowledged) > WRITERS
        assert {row["title"] for row in found} == self.acknowledged.keys()
        said = await house.rows("SELECT id, conversation_id FROM app.ai_messages WHERE content LIKE $1", named)
        assert {row["conversation_id"] for row in said} == {row["id"] for row in found}
        events = await house.rows(
            "SELECT action, target_id FROM app.audit_events WHERE organization_id = $1 AND seq > $2", uid(NORTH), since
        )
        wanted = [("conversation.created", row["id"]) for row in found] + [("message.sent", row["id"]) for row in said]
        assert sorted((row["action"], row["target_id"]) for row in events) == sorted(wanted)
        keys = await house.rows("SELECT key FROM app.idempotency_keys WHERE key LIKE $1 AND result IS NOT NULL", named)
        assert {row["key"] for row in keys} == self.acknowledged.keys()
        assert await is_whole(house)


@pytest.fixture(scope="module")
async def mortal() -> AsyncIterator[Mortal]:
    with fast_folder() as home, EmbeddedServer(home) as server:
        urls = await bootstrap(server.bootstrap_url, database="mortal", credentials=server.credentials)
        await upgrade(urls)
        await build(urls)
        yield Mortal(server, urls)


@pytest.fixture
async def house(mortal: Mortal, tmp_path: Path) -> AsyncIterator[House]:
    async with client_of(mortal.urls, tmp_path, **{**UNLIMITED, "POOL_SIZE": str(WRITERS)}) as client:
        yield House(mortal.urls, client)


async def test_a_backend_killed_in_a_change_leaves_all_of_it_or_nothing(
    mortal: Mortal, house: House, tmp_path: Path
) -> None:
    async with wire_to(mortal.urls) as wire, client_of(wire.urls, tmp_path, **UNLIMITED) as client:

        async def kill(link: Link) -> None:
            async with mortal.fall():
                os.kill(link.backend, signal.SIGKILL)
            (await mortal.connected()).terminate()

        async def play(at: int, moment: Moment) -> Round:
            return await rounds.struck(client, at, moment, kill)

        rounds = Rounds(KINDS["createConversation"], house, wire, client, warm=client)
        await rounds.undisturbed()
        assert await walk(play, Moment, is_whole=False) >= len(Moment)


async def test_killed_backends_lose_no_acknowledged_change_and_leave_no_ghost(mortal: Mortal, house: House) -> None:
    since = await head(house)
    writers = Writers(house.client, "Backend")
    gap = await writers.suffer(mortal.kill_one, 3)
    assert {*writers.refused} == {"UNAVAILABLE"}
    assert gap <= 5
    await writers.agree(house, since)


async def test_a_killed_postgresql_loses_no_acknowledged_change_and_leaves_no_ghost(
    mortal: Mortal, house: House
) -> None:
    since = await head(house)
    writers = Writers(house.client, "Postmaster")
    gap = await writers.suffer(mortal.kill_all, 2)
    assert {*writers.refused} == {"UNAVAILABLE"}
    assert gap <= 15
    await writers.agree(house, since)
