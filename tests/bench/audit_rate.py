"""What the audit chain costs: 32 writers, with and without the event of each change, on 1 organization and on 100.

`python -m tests.bench.audit_rate [--seconds 60]`: the transaction alone; with `--mutations` all that the API does for a
client's mutation, in process. A transaction alone has a connection for each writer; mutations share as many as a server opens.
Both sides take turns of a second, so that the machine's moods cancel.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import asyncpg
import strawberry

from api.change import Change
from api.changes.feedback import SubmitFeedbackInput, submit
from api.documents import Documents
from api.entities.feedback import Thumb
from api.http import GraphQLRequest
from api.limits import Limits
from api.node import global_id
from api.operation import Operations
from api.schema import build_schema
from api.settings import Settings
from db.actor import Actor
from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Pools, Urls, open_pools
from db.migrate import upgrade
from db.session import Limits as SessionLimits
from db.session import Session, act_as
from db.types import Role

WRITERS: Final = 32
TURN_S: Final = 1.0
MESSAGES: Final = 64
TARGETS: Final = {1: 0.5, 100: 0.75}

_MUTATION: Final = """mutation ($message: ID!, $thumb: Thumb!) {
  submitFeedback(input: {messageId: $message, thumb: $thumb}) { feedback { id rating } userErrors { code } }
}"""
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
    """One person who rates answers, over and over; by whole mutations where `operations` run them."""

    pools: Pools
    actor: Actor
    given: Iterator[SubmitFeedbackInput]
    operations: Operations | None

    async def change(self) -> None:
        """SubmitFeedback as the API does it."""
        given = next(self.given)
        if self.operations is None:
            async with act_as(self.pools, self.actor, read_only=False) as session:
                change = Change(session)
                await submit(change, given)
                await session.commit_with(change.events)
            return
        variables = {"message": given.message_id, "thumb": given.thumb.value}
        answer = await self.operations.execute(GraphQLRequest(_MUTATION, None, variables, {}, self.actor, {}, "bench"))
        if answer.errors or answer.data["submitFeedback"]["userErrors"]:
            raise RuntimeError(f"a change was refused: {answer}")


async def _without_event(_session: Session, _events: Sequence[Mapping[str, Any]]) -> None:
    """In place of `Session.commit_with`: the transaction ends as one that has nothing to put on record."""


async def planted(urls: Urls, pools: Pools, count: int, operations: Operations | None) -> list[Writer]:
    """Writers over `count` new organizations: all in the one, or one in each of many."""
    superuser = await asyncpg.connect(urls.bootstrap)
    organizations = [str(uuid.uuid4()) for _ in range(count)]
    for number, organization in enumerate(organizations):
        people = WRITERS - 1 if count == 1 else 0
        await superuser.execute(f"SET app.organization_id = '{organization}'")
        await superuser.execute(_PLANT.format(o=organization, n=f"{count}-{number}", w=people, m=MESSAGES))
    await superuser.execute("ANALYZE")
    rows = await superuser.fetch(
        "SELECT organization_id::text, user_id::text, array_agg(id::text) AS messages FROM app.ai_messages"
        " WHERE organization_id = ANY ($1::text[]::uuid[]) GROUP BY 1, 2",
        organizations,
    )
    await superuser.close()
    return [
        Writer(pools, Actor(organization, user, user, Role.MEMBER), _ratings(messages), operations)
        for organization, user, messages in rows
    ]


def _ratings(messages: list[str]) -> Iterator[SubmitFeedbackInput]:
    """Up and down in turn, over all messages."""
    thumbs = itertools.cycle((Thumb.UP, Thumb.DOWN, Thumb.UP))
    for message, thumb in zip(itertools.cycle(messages), thumbs, strict=False):
        yield SubmitFeedbackInput(message_id=strawberry.ID(global_id("Message", message)), thumb=thumb)


async def turn(writers: list[Writer], side: Side, *, is_audited: bool) -> None:
    """Everybody writes for a second, on record or not; what is still under way then counts, and so does its time."""
    until = time.perf_counter() + TURN_S

    async def write(own: list[Writer]) -> None:
        for writer in itertools.cycle(own):
            await writer.change()
            side.acknowledged[writer.actor.organization_id] += 1
            if time.perf_counter() >= until:
                return

    start = time.perf_counter()
    with nullcontext() if is_audited else patch.object(Session, "commit_with", _without_event):
        await asyncio.gather(*(write(writers[n::WRITERS]) for n in range(WRITERS)))
    side.seconds += time.perf_counter() - start


async def check(urls: Urls, audited: Side) -> None:
    """Every acknowledged change has its event, no seq is missing or stands twice, and a chain verifies."""
    connection = await asyncpg.connect(urls.operator)
    try:
        organizations = sorted(audited.acknowledged)
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


async def measure(urls: Urls, pools: Pools, count: int, seconds: float, operations: Operations | None) -> bool:
    """Print one line; whether the ratio is what it must be."""
    writers = await planted(urls, pools, count, operations)
    plain, audited = Side(), Side()
    await turn(writers, Side(), is_audited=False)
    for _ in range(max(1, round(seconds / TURN_S / 2))):
        await turn(writers, plain, is_audited=False)
        await turn(writers, audited, is_audited=True)
    await check(urls, audited)
    ratio = audited.rate / plain.rate
    sys.stdout.write(
        f"{count:>4} organizations, {WRITERS} writers: {plain.rate:6.0f} changes/s without, {audited.rate:6.0f} with"
        f" their event; ratio {ratio:.2f} (at least {TARGETS[count]}), {audited.acknowledged.total()} acknowledged = stored, no gap\n"
    )
    sys.stdout.flush()
    return ratio >= TARGETS[count]


async def main(server: EmbeddedServer, seconds: float, *, is_whole: bool) -> int:
    urls = await bootstrap(server.bootstrap_url, credentials=server.credentials)
    await upgrade(urls)
    size = Settings().pool_size if is_whole else WRITERS
    pools = await open_pools(urls, api_size=size, ingest_size=1)
    operations = None
    if is_whole:
        schema = build_schema()
        operations = Operations(schema, Documents(schema, Limits()), pools, SessionLimits())
    try:
        return 0 if all([await measure(urls, pools, count, seconds, operations) for count in TARGETS]) else 1
    finally:
        await pools.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two measurements")
    parser.add_argument("--memory", type=Path, help="a folder in memory, where nothing waits for a disk")
    parser.add_argument("--mutations", action="store_true", help="whole mutations instead of their transactions")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="minutebook-bench-", dir=given.memory) as home,
        EmbeddedServer(Path(home), is_durable=given.memory is None) as running,
    ):
        sys.exit(asyncio.run(main(running, given.seconds, is_whole=given.mutations)))
