"""What the audit chain costs: 32 writers, each change with and without its event, in one organization and over 100.

`python -m tests.bench.audit_rate [--seconds 20]`. Both sides take turns of a second, so that the machine's moods cancel.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from db.actor import END
from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Urls
from db.migrate import upgrade
from db.session import COMMIT_ON_RECORD

WRITERS: Final = 32
TURN_S: Final = 1.0
MESSAGES: Final = 64
TARGETS: Final = {1: 0.5, 100: 0.75}

_CHANGE: Final = """/* app_member */ INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating)
VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, message_id, user_id) DO UPDATE SET rating = excluded.rating"""
_PLANT: Final = """
INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES ('{o}', 'bench-{n}', 'Bench', 'TEAM', 'UTC');
INSERT INTO app.users (organization_id, id, role) SELECT '{o}', md5('{o}' || w)::uuid, 'MEMBER' FROM generate_series(0, {w}) w;
INSERT INTO app.ai_conversations (organization_id, id, user_id)
    SELECT '{o}', u.id, u.id FROM app.users u WHERE u.organization_id = '{o}';
INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content)
    SELECT '{o}', u.id, u.id, 'ASSISTANT', 'x' FROM app.users u, generate_series(1, {m}) WHERE u.organization_id = '{o}'"""


@dataclass
class Side:
    """Changes that were acknowledged, by organization, and the seconds that they took."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.acknowledged.total() / self.seconds


@dataclass
class Writer:
    """One connection that acts as one person of one organization."""

    connection: Any
    organization: str
    user: str
    messages: Any
    ratings: Any

    async def change(self, *, is_audited: bool) -> None:
        """One transaction as the API makes it."""
        connection = self.connection
        await connection.execute(
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT app.begin_request('{self.organization}', '{self.user}',"
            f" '{self.user}', 'app_member', 'bench', 5000)"
        )
        message = next(self.messages)
        await connection.execute(_CHANGE, self.organization, message, self.user, next(self.ratings))
        # Both ends fail as a whole in a transaction that was aborted, and both leave in one message.
        await connection.execute(
            COMMIT_ON_RECORD.format(events=_event(message).encode().hex()) if is_audited else f"SELECT 1; {END}"
        )


def _event(message: object) -> str:
    event = {"action": "feedback.submitted", "target_type": "Feedback", "target_id": str(message)}
    return json.dumps([event | {"details": {"columns": ["rating"]}}])


async def planted(urls: Urls, count: int) -> list[Writer]:
    """Writers over `count` new organizations, more organizations than writers being shared out in turn."""
    operator = await asyncpg.connect(urls.bootstrap)
    writers: list[Writer] = []
    organizations = [str(uuid.uuid4()) for _ in range(count)]
    for number, organization in enumerate(organizations):
        await operator.execute(f"SET app.organization_id = '{organization}'")
        people = WRITERS - 1 if count == 1 else 0
        await operator.execute(_PLANT.format(o=organization, n=f"{count}-{number}", w=people, m=MESSAGES))
    rows = await operator.fetch(
        "SELECT organization_id::text, user_id::text, array_agg(id) AS messages FROM app.ai_messages"
        " WHERE organization_id = ANY ($1::text[]::uuid[]) GROUP BY 1, 2",
        organizations,
    )
    await operator.close()
    for row in rows:
        # More organizations than writers take turns on one connection.
        connection = (
            writers[len(writers) % WRITERS].connection if len(writers) >= WRITERS else await asyncpg.connect(urls.api)
        )
        writers.append(
            Writer(connection, row[0], row[1], itertools.cycle(row[2]), itertools.cycle((1, 5)))
        )
    return writers


async def turn(writers: list[Writer], side: Side, *, is_audited: bool) -> None:
    """All connections write for a second; what they still have under way counts, and so does its time."""
    until = time.perf_counter() + TURN_S

    async def write(own: list[Writer]) -> None:
        for writer in itertools.cycle(own):
            await writer.change(is_audited=is_audited)
            side.acknowledged[writer.organization] += 1
            if time.perf_counter() >= until:
                return

    start = time.perf_counter()
    await asyncio.gather(*(write(writers[n::WRITERS]) for n in range(min(WRITERS, len(writers)))))
    side.seconds += time.perf_counter() - start


async def check(urls: Urls, writers: list[Writer], audited: Side) -> None:
    """Every acknowledged change has its event, no seq is missing or stands twice, and a chain verifies."""
    connection = await asyncpg.connect(urls.operator)
    try:
        organizations = sorted({writer.organization for writer in writers})
        rows = await connection.fetch(
            "SELECT organization_id::text AS id, count(*) AS stored, max(seq) AS last, min(seq) AS first"
            " FROM app.audit_events WHERE organization_id = ANY ($1::text[]::uuid[]) GROUP BY 1",
            organizations,
        )
        due = {(each, count, count, 1) for each, count in audited.acknowledged.items()}
        if {tuple(row) for row in rows} != due:
            raise RuntimeError("what was acknowledged is not what is stored, without a gap")
        for organization in organizations[:3]:
            await connection.execute(f"SET app.organization_id = '{organization}'")
            verdict = await connection.fetchval("SELECT verdict FROM app.verify_audit_chain(NULL, NULL)")
            if verdict != "OK":
                raise RuntimeError(f"the chain of {organization} is {verdict}")
    finally:
        await connection.close()


async def measure(urls: Urls, count: int, seconds: float) -> bool:
    """Print one line; whether the ratio is what it must be."""
    writers = await planted(urls, count)
    plain, audited, warm = Side(), Side(), Side()
    await turn(writers, warm, is_audited=False)
    for _ in range(max(1, round(seconds / TURN_S / 2))):
        await turn(writers, plain, is_audited=False)
        await turn(writers, audited, is_audited=True)
    await check(urls, writers, audited)
    for connection in {id(writer.connection): writer.connection for writer in writers}.values():
        await connection.close()
    ratio = audited.rate / plain.rate
    sys.stdout.write(
        f"{count:>4} organizations, {WRITERS} writers: {plain.rate:6.0f} changes/s without, {audited.rate:6.0f} with"
        f" their event; ratio {ratio:.2f} (at least {TARGETS[count]}), {audited.acknowledged.total()} acknowledged = stored, no gap\n"
    )
    return ratio >= TARGETS[count]


async def main(server: EmbeddedServer, seconds: float) -> int:
    urls = await bootstrap(server.bootstrap_url, credentials=server.credentials)
    await upgrade(urls)
    return 0 if all([await measure(urls, count, seconds) for count in TARGETS]) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each of the two measurements")
    parser.add_argument("--memory", type=Path, help="a folder in memory, where nothing waits for a disk")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="minutebook-bench-", dir=given.memory) as home,
        EmbeddedServer(Path(home), is_durable=given.memory is None) as running,
    ):
        sys.exit(asyncio.run(main(running, given.seconds)))
