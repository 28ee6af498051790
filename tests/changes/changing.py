"""Asking for a change as one of the world's people, and looking at what it left behind."""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from api.node import global_id
from tests.changes.house import House
from tests.client import Answer, Client
from tests.databases import superuser
from tests.db.valid_rows import TABLES
from tests.security.looking import Row
from tests.security.people import NEVER_ISSUED, NORTH, Principal, principal, uid

Hashes: TypeAlias = dict[tuple[str, str], str]
OWNERS = {name: "organization_id" if "organization_id" in table.c else "id" for name, table in TABLES.items()}
ERRORS = "userErrors { code field message retryAt }"
ANA, BEN, CAROL, DAVE, OLGA, SERVICE = (
    principal(NORTH, name) for name in ("ana", "ben", "carol", "dave", "olga", "service")
)


@dataclass(frozen=True)
class Change:
    """An answer to one mutation field, taken apart."""

    answer: Answer
    payload: dict[str, Any]

    @property
    def refusals(self) -> list[tuple[str, list[str] | None]]:
        return [(error["code"], error["field"]) for error in self.payload["userErrors"]]

    def __getitem__(self, name: str) -> Any:
        return self.payload[name]


async def asked(
    client: Client, who: Principal, mutation: str, selection: str, given: dict[str, Any], *, key: str | None = None
) -> Answer:
    """The answer to one mutation field, whatever it is."""
    kind = mutation[0].upper() + mutation[1:]
    once = "" if key is None else f"@idempotent(key: {json.dumps(key)})"
    query = f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {once} {{ {selection} {ERRORS} }} }}"
    return await client.ask(query, who.who, organization=who.slug, input=given)


async def change(
    house: House, who: Principal, mutation: str, selection: str = "", *, key: str | None = None, **given: Any
) -> Change:
    """The answer to one mutation field that must be without errors of the request."""
    answer = await asked(house.client, who, mutation, selection, given, key=key)
    return Change(answer, answer.data[mutation])


def invented(type_name: str) -> str:
    return global_id(type_name, NEVER_ISSUED)


async def hashes(house: House, *, but: str | None = None) -> Hashes:
    """The sha256 of the rows of every table and organization; `but` leaves out those of one organization."""
    every = " UNION ALL ".join(
        f"SELECT '{name}', {owner}, encode(sha256(convert_to(string_agg(t::text, '' ORDER BY t::text COLLATE \"C\"), 'UTF8')), 'hex')"
        f" FROM app.{name} AS t GROUP BY {owner}"
        for name, owner in OWNERS.items()
    )
    async with superuser(house.urls) as connection:
        await connection.execute("SET jit = off")
        found = await connection.fetch(every)
    return {(row[0], row[1]): row[2] for row in found if row[1] != but}


def changes(before: Hashes, after: Hashes, *, but: str | None = None) -> set[str]:
    """The tables that differ; `but` leaves out the rows of one organization."""
    keys = before.keys() | after.keys()
    return {key[0] for key in keys if key[1] != but and before.get(key) != after.get(key)}


async def rows(house: House, sql: str, *values: Any) -> list[Row]:
    """What a superuser sees."""
    async with superuser(house.urls) as connection:
        return [dict(row) for row in await connection.fetch(sql, *values)]


async def run(house: House, sql: str, *values: Any) -> None:
    """Change something behind everybody's back."""
    async with superuser(house.urls) as connection:
        await connection.execute(sql, *values)


async def head(house: House, slug: str = NORTH) -> int:
    """How many events the organization's chain has."""
    [row] = await rows(house, "SELECT seq FROM app.audit_heads WHERE organization_id = $1", uid(slug))
    return int(row["seq"])


async def events(house: House, since: int, slug: str = NORTH) -> list[Row]:
    """The organization's events after that many, in the chain's order, with their details."""
    found = await rows(
        house,
        "SELECT e.action, e.actor_id, e.actor_role, e.target_type, e.target_id, convert_from(p.payload, 'UTF8') AS details"
        " FROM app.audit_events AS e LEFT JOIN app.audit_payloads AS p"
        " ON p.organization_id = e.organization_id AND p.event_id = e.id"
        " WHERE e.organization_id = $1 AND e.seq > $2 ORDER BY e.seq",
        uid(slug), since,
    )  # fmt: skip
    return [row | {"details": row["details"] and json.loads(row["details"])} for row in found]


async def is_whole(house: House, who: Principal = CAROL) -> bool:
    """Whether the organization's chain verifies."""
    answer = await house.client.ask("{ verifyAuditChain { ok } }", who.who, organization=who.slug)
    return bool(answer.data["verifyAuditChain"]["ok"])


async def refused_alike(
    house: House, who: Principal, mutation: str, selection: str = "", *ids: dict[str, Any]
) -> Change:
    """The one answer to all these inputs, byte for byte; nothing in any table changed."""
    before = await hashes(house)
    found = [await change(house, who, mutation, selection, **given) for given in ids]
    assert len({each.answer.raw for each in found}) == 1, [each.payload for each in found]
    assert found[0].refusals
    assert await hashes(house) == before
    return found[0]
