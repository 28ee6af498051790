"""An organization with an audit chain: to act in it by role, and to meddle with it as its owner could."""

import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

TOOL = "create_task"


@dataclass(frozen=True)
class House:
    urls: Any
    organization: str
    user: str

    @asynccontextmanager
    async def acting(self, role: str) -> AsyncIterator[Any]:
        login = {"app_service": self.urls.ingest, "none": self.urls.operator}.get(role, self.urls.api)
        user = "" if role in {"app_service", "none"} else self.user
        connection = await asyncpg.connect(login)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(
                    f"SELECT app.begin_request('{self.organization}', '{user}', '{self.user}', '{role}', 'req-1', 30000)"
                )
                yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def meddling(self, *tables: str) -> AsyncIterator[Any]:
        """The owner with its guards taken off: what a superuser could do."""
        connection = await asyncpg.connect(self.urls.migrator)
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE minutebook_owner")
                for name in tables:
                    await connection.execute(f"ALTER TABLE app.{name} DISABLE TRIGGER USER")
                    await connection.execute(f"ALTER TABLE app.{name} NO FORCE ROW LEVEL SECURITY")
                yield connection
        finally:
            await connection.close()

    async def append(self, *events: dict[str, Any], role: str = "app_member") -> int | None:
        """The seq of the last of these events."""
        async with self.acting(role) as connection:
            seq: int | None = await connection.fetchval("SELECT app.audit_append($1::jsonb)", json.dumps(events))
            return seq

    async def verify(self, first: int | None = None, last: int | None = None, role: str = "app_auditor") -> Any:
        async with self.acting(role) as connection:
            return await connection.fetchrow("SELECT * FROM app.verify_audit_chain($1, $2)", first, last)

    async def events(self) -> list[Any]:
        async with self.acting("none") as connection:
            return list(
                await connection.fetch(
                    "SELECT e.*, p.salt, p.payload FROM app.audit_events e"
                    " LEFT JOIN app.audit_payloads p ON p.organization_id = e.organization_id AND p.event_id = e.id"
                    " WHERE e.organization_id = $1 ORDER BY e.seq",
                    self.organization,
                )
            )

    async def record_tool_call(self) -> str:
        """A completed tool call with its two events; returns its id."""
        call, salt = str(uuid.uuid4()), bytes(range(32))
        params, outcome = b'{"params": {"title": "Order lumber"}}', b'{"result": {"ok": true}, "errorDetails": null}'
        async with self.acting("app_service") as connection:
            recorded = await connection.fetchval(
                "WITH c AS (INSERT INTO app.tool_calls (organization_id, id, user_id, session_id, tool_name,"
                " ai_confidence, timestamp, payload_hash) VALUES ($1, $2, $3, gen_random_uuid(), $4, 0.9, now(), $5)"
                " RETURNING *) SELECT app.tool_call_digest(c::app.tool_calls) FROM c",
                self.organization, call, self.user, TOOL, hashlib.sha256(salt + params).digest(),
            )  # fmt: skip
            completed = await connection.fetchval(
                "WITH o AS (INSERT INTO app.tool_call_outcomes (organization_id, tool_call_id, user_id, status, timestamp,"
                " completed_at, payload_hash, created_at) SELECT organization_id, id, user_id, 'SUCCESS', timestamp,"
                " clock_timestamp(), $3, created_at FROM app.tool_calls WHERE organization_id = $1 AND id = $2"
                " RETURNING *) SELECT app.tool_call_outcome_digest(o::app.tool_call_outcomes) FROM o",
                self.organization, call, hashlib.sha256(salt + outcome).digest(),
            )  # fmt: skip
            for part, payload in (("CALL", params), ("OUTCOME", outcome)):
                await connection.execute(
                    "INSERT INTO app.tool_call_payloads (organization_id, tool_call_id, part, user_id, salt, payload,"
                    " created_at) SELECT organization_id, id, $3, user_id, $4, $5, created_at FROM app.tool_calls"
                    " WHERE organization_id = $1 AND id = $2",
                    self.organization, call, part, salt, payload,
                )  # fmt: skip
            events = [
                {"action": action, "target_type": "ToolCall", "target_id": call, "target_digest": digest.hex()}
                for action, digest in (("tool_call.recorded", recorded), ("tool_call.completed", completed))
            ]
            await connection.execute("SELECT app.audit_append($1::jsonb)", json.dumps(events))
        return call


async def found(urls: Any, slug: str) -> House:
    organization, user = str(uuid.uuid4()), str(uuid.uuid4())
    connection = await asyncpg.connect(urls.operator)
    try:
        await connection.execute(
            f"INSERT INTO app.organizations (id, slug, name, kind, timezone)"
            f" VALUES ('{organization}', '{slug}', '{slug}', 'TEAM', 'UTC');"
            f"INSERT INTO app.users (organization_id, id, role) VALUES ('{organization}', '{user}', 'ADMIN');"
            f"INSERT INTO app.ai_tools (organization_id, name) VALUES ('{organization}', '{TOOL}')"
        )
    finally:
        await connection.close()
    return House(urls, organization, user)


def happened(name: str, **details: Any) -> dict[str, Any]:
    event = {"action": f"thing.{name}", "target_type": "Thing", "target_id": str(uuid.uuid4())}
    return event | ({"details": details} if details else {})
