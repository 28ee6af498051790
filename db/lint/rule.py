"""A rule of the lint: its name, and how the catalogue is asked for what breaks it.

Most rules are one query that returns (object, detail) per violation. `OURS` is what nearly all of them start from.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg

from db.engine import API, INGEST, MIGRATOR, OPERATOR, OWNER

Connection: TypeAlias = "asyncpg.Connection[Any]"
Found: TypeAlias = Iterable[tuple[str, str]]
Ask: TypeAlias = Callable[[Connection], Awaitable[Found]]

PEOPLE: Final = ("app_member", "app_observer", "app_admin", "app_auditor")
REQUEST_ROLES: Final = (*PEOPLE, "app_service")
DEFINERS: Final = ("app_definer", "app_finder")
LOGINS: Final = (API, INGEST, OPERATOR, MIGRATOR)
NO_LOGINS: Final = (OWNER, *DEFINERS, *REQUEST_ROLES)

# Every table and partition of ours, with the column that says whose organization a row belongs to. Alembic's is not ours.
OURS: Final = """
WITH ours AS (
    SELECT c.oid, c.relname::text AS name, c.relkind, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
        CASE c.relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END AS organization
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
)"""


class Rule(NamedTuple):
    """`ask` gives what breaks the rule: the object's name and what is wrong with it."""

    name: str
    ask: Ask


def asked(name: str, sql: str, *arguments: object) -> Rule:
    """A rule that is one query over `ours` (and whatever else), giving (object, detail)."""

    async def ask(connection: Connection) -> Found:
        rows = await connection.fetch(f"{OURS} {sql}", *arguments)
        return [(row[0], row[1]) for row in rows]

    return Rule(name, ask)
