"""The benchmark's world: an embedded PostgreSQL, the demo world (or more of it), a million model calls, who asks.

A folder that is given is used again as it is, so that a large world is loaded once.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg

from api.auth import OWN_ISSUER, mint
from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Urls
from db.migrate import upgrade
from db.seed import seed
from tests.bench.ports import free_port

AUDIENCE: Final = "minutebook-bench"
TOKEN_LIFE_S: Final = 24 * 3_600
DAYS: Final = 90
PEER_SQL: Final = Path(__file__).with_name("peer") / "functions.sql"
_ANSWERS: Final = 512


@dataclass(frozen=True)
class Person:
    """Somebody who asks, with a token of a day."""

    id: str
    organization_id: str
    role: str
    token: str


@dataclass(frozen=True)
class World:
    """One database and what is asked for in it. `since` and `until` hold all of the interactions."""

    scale: int
    urls: Urls
    secret: str
    member: Person
    auditor: Person
    admin: Person
    conversation: str
    answers: list[str]
    interactions: int
    messages: int
    since: str
    until: str

    @staticmethod
    def global_id(type_name: str, database_id: str) -> str:
        """The API's id of a row."""
        return base64.b64encode(f"{type_name}:{database_id}".encode()).decode()


@contextmanager
def postgres(home: Path) -> Iterator[EmbeddedServer]:
    """The server of `home`, over TCP as the peer's driver wants it; durable, as in production."""
    with EmbeddedServer(home, tcp_port=free_port()) as server:
        yield server


async def load_world(server: EmbeddedServer, scale: int, interactions: int, say: Any) -> World:
    """The world of that scale, loaded unless it is there."""
    urls = over_tcp(await _database(server, f"bench_{scale}", scale, interactions, say), server.port)
    assert urls.bootstrap is not None
    async with connected(urls.bootstrap) as connection:
        await connection.execute(PEER_SQL.read_text(encoding="utf-8"))
        return await _facts(connection, urls, scale, _secret(server.home / "bench-secret"))


def over_tcp(urls: Urls, port: int) -> Urls:
    """The same logins on 127.0.0.1."""

    def moved(url: str) -> str:
        login, _, rest = url.partition("@")
        return f"{login}@127.0.0.1:{port}/{rest.partition('?')[0].rpartition('/')[2]}"

    assert urls.bootstrap is not None
    return Urls(
        api=moved(urls.api),
        ingest=moved(urls.ingest),
        operator=moved(urls.operator),
        migrator=moved(urls.migrator),
        bootstrap=moved(urls.bootstrap),
    )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection that gives uuids as text."""
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str)
        yield connection
    finally:
        await connection.close()


async def _database(server: EmbeddedServer, name: str, scale: int, interactions: int, say: Any) -> Urls:
    urls = await bootstrap(server.bootstrap_url, database=name, credentials=server.credentials)
    await upgrade(urls)
    assert urls.bootstrap is not None
    async with connected(urls.bootstrap) as connection:
        if await connection.fetchval("SELECT count(*) FROM app.organizations") == 0:
            say(f"loading the demo world × {scale}")
            report = await seed(urls.operator, scale=scale)
            say(f"{report.counts['ai_messages']:,} messages in {report.seconds:.0f} s")
        wanted = interactions - await connection.fetchval(
            "SELECT count(*) FROM app.ai_interactions WHERE organization_id = $1",
            await _organization(connection, "taskline", scale),
        )
        if wanted > 0:
            say(f"adding {wanted:,} interactions")
            await _add_interactions(connection, await _organization(connection, "taskline", scale), wanted)
            await connection.execute("VACUUM (ANALYZE)")
    return urls


async def _organization(connection: Any, slug: str, scale: int) -> str:
    """The demo's own at scale 1, else the copy that holds half of all copies."""
    found: str = await connection.fetchval(
        "SELECT id FROM app.organizations WHERE slug = $1", slug if scale == 1 else f"{slug}-002"
    )
    return found


async def _add_interactions(connection: Any, organization_id: str, count: int) -> None:
    """Copies of the organization's interactions over the last 90 days, without what they belong to."""
    like = "FROM app.ai_interactions WHERE organization_id = $1 AND status <> 'PENDING'"
    total = await connection.fetchval(f"SELECT count(*) {like}", organization_id)
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")  # nothing is referenced
        await connection.execute(
            f"""
            INSERT INTO app.ai_interactions (organization_id, id, user_id, type, model_name, provider, tier, tokens_used,
                request_bytes, response_bytes, latency_ms, status, cost_micro_usd, created_at, completed_at)
            SELECT $1, gen_random_uuid(), user_id, type, model_name, provider, tier, tokens_used + n % 97,
                request_bytes, response_bytes, latency_ms + (n % 211)::int, status, cost_micro_usd + n % 31, at, at + interval '1 s'
            FROM (
                SELECT i.*, n, now() - interval '1 minute' - (n::float8 / $2::bigint) * interval '{DAYS - 1} days' AS at
                FROM generate_series(0, $2::bigint - 1) AS n
                JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place {like}) AS i ON i.place = n * 7919 % $3::bigint
            ) AS drawn""",
            organization_id,
            count,
            total,
        )


async def _facts(connection: Any, urls: Urls, scale: int, secret: str) -> World:
    member = await _person(connection, secret, "alice", scale)
    admin = await _person(connection, secret, "jon", scale)
    conversation = await connection.fetchval(
        "SELECT c.id FROM app.ai_conversations AS c WHERE c.organization_id = $1 AND c.user_id = $2 AND c.deleted_at IS NULL"
        " ORDER BY c.message_count DESC, c.id LIMIT 1",
        member.organization_id, member.id,
    )  # fmt: skip
    answers = await connection.fetch(
        "SELECT m.id FROM app.ai_messages AS m JOIN app.ai_conversations AS c ON c.organization_id = m.organization_id"
        " AND c.id = m.conversation_id AND c.deleted_at IS NULL WHERE m.organization_id = $1 AND m.user_id = $2"
        " AND m.role = 'ASSISTANT' ORDER BY m.id LIMIT $3",
        member.organization_id, member.id, _ANSWERS,
    )  # fmt: skip
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = newest - timedelta(days=DAYS)
    interactions = await connection.fetchval(
        "SELECT count(*) FROM app.ai_interactions WHERE organization_id = $1 AND created_at >= $2",
        admin.organization_id,
        since,
    )
    return World(
        scale=scale, urls=urls, secret=secret, member=member, auditor=await _person(connection, secret, "vera", scale), admin=admin,
        conversation=conversation, answers=[row[0] for row in answers], interactions=interactions,
        messages=await connection.fetchval("SELECT count(*) FROM app.ai_messages"),
        since=since.isoformat(), until=(newest + timedelta(hours=1)).isoformat(),
    )  # fmt: skip


def _secret(file: Path) -> str:
    """What signs the tokens of this folder's runs."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48), encoding="ascii")
    return file.read_text(encoding="ascii")


async def _person(connection: Any, secret: str, slug: str, scale: int) -> Person:
    subject = slug if scale == 1 else f"{slug}-002"
    row = await connection.fetchrow(
        "SELECT u.id, u.organization_id, u.role FROM app.users AS u JOIN app.identities AS i"
        " ON i.organization_id = u.organization_id AND i.user_id = u.id WHERE i.issuer = $1 AND i.subject = $2",
        OWN_ISSUER, subject,
    )  # fmt: skip
    token = mint(secret.encode(), subject=subject, audience=AUDIENCE, ttl_s=TOKEN_LIFE_S)
    return Person(row["id"], row["organization_id"], row["role"], token)
