"""A world that a test may change: asking for a change, and looking at what it left."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from api.node import global_id
from db.engine import Urls
from tests.client import Answer, Client
from tests.databases import superuser
from tests.security.looking import Row, dump
from tests.security.people import NEVER_ISSUED, NORTH, SOUTH, uid


def gid(type_name: str, *names: object, slug: str = NORTH) -> str:
    """The global id of a thing of a world, by the names under which it was built."""
    return global_id(type_name, uid(slug, *names))


def hidden(type_name: str, *names: object) -> list[str]:
    """What does not exist for Ana of the north: the other organization's, Ben's (where it is a person's), an invented one."""
    bens = [gid(type_name, names[0], "ben", *names[2:])] if names[1:2] == ("ana",) else []
    return [gid(type_name, *names, slug=SOUTH), *bens, global_id(type_name, NEVER_ISSUED)]


@dataclass(frozen=True)
class House:
    """A world of its own, and a client of the API over it."""

    urls: Urls
    client: Client

    async def change(
        self, field: str, given: dict[str, Any], select: str = "", who: str = "ana.north", *, key: str | None = None
    ) -> Answer:
        """The answer to one mutation. What `given` leaves out is absent on the wire."""
        named, declared, more = (
            ("", "", {}) if key is None else ("@idempotent(key:$key)", ",$key:String!", {"key": key})
        )
        kind = f"{field[0].upper()}{field[1:]}Input"
        text = f"mutation($input:{kind}!{declared}){{{field}(input:$input){named}{{{select} userErrors{{code field message}}}}}}"
        return await self.client.ask(text, who, input=given, **more)

    async def rows(self, sql: str, *values: object) -> list[Row]:
        """What a superuser reads, or writes."""
        async with superuser(self.urls) as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    async def events(self) -> list[tuple[str, str | None, Any]]:
        """Action, target and details of what the test's changes put on record, in order."""
        rows = await self.rows(
            "SELECT e.action, e.target_id, convert_from(p.payload, 'UTF8') AS details FROM app.audit_events e"
            " LEFT JOIN app.audit_payloads p ON p.organization_id = e.organization_id AND p.event_id = e.id"
            " WHERE e.action <> 'tool_call.recorded' ORDER BY e.organization_id, e.seq"
        )
        return [(row["action"], row["target_id"], json.loads(row["details"] or "null")) for row in rows]

    @asynccontextmanager
    async def untouched(self) -> AsyncIterator[None]:
        """No table changes in the block, those of the audit chain included."""
        async with superuser(self.urls) as connection:
            before = await dump(connection)
            yield
            assert await dump(connection) == before


def refusals(answer: Answer) -> list[tuple[str, list[str] | None]]:
    """Codes and paths of the userErrors of the one mutation that was asked for."""
    [payload] = answer.data.values()
    return [(error["code"], error["field"]) for error in payload["userErrors"]]
