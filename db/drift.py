"""Drift: where the database's policies and grants are not what the matrix declares, in words.

PostgreSQL is asked, not a parser: each declared policy and grant is made on a temporary table like the real one, and
its own account of both is compared. Of the live tables only ACCESS SHARE is taken, and all is rolled back.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import asyncpg

from db.engine import OWNER
from db.policies import POLICIES
from db.policy import TablePolicy

Connection: TypeAlias = "asyncpg.Connection[Any]"
# (table, policy) → its parts
Policies: TypeAlias = dict[tuple[str, str], dict[str, str | None]]

_TABLES: Final = """
SELECT relname::text AS name FROM pg_catalog.pg_class
WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"""

_POLICIES: Final = """
SELECT tablename::text AS table, policyname::text AS policy, cmd AS command, permissive, roles::text AS roles, qual AS using,
    with_check AS check
FROM pg_catalog.pg_policies WHERE schemaname = $1 AND tablename = ANY ($2::text[])"""

# The owner's own rights come with the table. A grant of every column shows none.
_GRANTS: Final = """
SELECT c.relname::text AS table, coalesce(r.rolname, 'PUBLIC')::text AS role, g.privilege_type::text AS command, g.column, g.is_grantable
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL (
    SELECT e.grantee, e.privilege_type, e.is_grantable, '' AS column FROM pg_catalog.aclexplode(c.relacl) AS e
    UNION ALL
    SELECT e.grantee, e.privilege_type, e.is_grantable, a.attname::text
    FROM pg_catalog.pg_attribute AS a CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid
) AS g
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
WHERE c.relnamespace = $1::text::regnamespace AND c.relname = ANY ($2::text[]) AND g.grantee <> c.relowner"""


async def drift(connection: Connection) -> list[str]:
    """What is missing, what is too much and what differs; empty when database and matrix agree.

    The connection is the migrator's or a superuser's: making a temporary table is the owner's right alone.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"SET LOCAL ROLE {OWNER}; SET LOCAL search_path = ''")
        there = {row["name"] for row in await connection.fetch(_TABLES)}
        blocks = {name: block for name, block in POLICIES.items() if name in there}
        await connection.execute("\n".join(_declared_sql(name, block) for name, block in blocks.items()))
        temporary = await connection.fetchval("SELECT pg_catalog.pg_my_temp_schema()::regnamespace::text")
        return [
            *(f"{name}: the table is missing" for name in sorted(POLICIES.keys() - there)),
            *(f"{name}: the table is not declared" for name in sorted(there - POLICIES.keys())),
            *_of_policies(await _policies(connection, temporary, blocks), await _policies(connection, "app", blocks)),
            *_of_grants(await _grants(connection, temporary, blocks), await _grants(connection, "app", blocks)),
        ]
    finally:
        await transaction.rollback()


def _declared_sql(name: str, block: TablePolicy) -> str:
    """The table's columns under another roof, with what the matrix says about it."""
    rules = [(rule, role) for role, rules in block.rules.items() for rule in rules.values()]
    texts = [
        text for rule, role in rules for text in (rule.policy_sql(block.table, role), rule.grant_sql(block.table, role))
    ]
    likeness = f"CREATE TEMPORARY TABLE {name} (LIKE app.{name}) ON COMMIT DROP;"
    return "\n".join([likeness, *(text.replace(f" ON app.{name}", f" ON pg_temp.{name}", 1) for text in texts)])


async def _policies(connection: Connection, schema: str, blocks: Mapping[str, TablePolicy]) -> Policies:
    rows = await connection.fetch(_POLICIES, schema, list(blocks))
    return {(row["table"], row["policy"]): dict(list(row.items())[2:]) for row in rows}


def _of_policies(declared: Policies, found: Policies) -> list[str]:
    return [
        *(f"{table}: policy {name} is missing" for table, name in sorted(declared.keys() - found.keys())),
        *(f"{table}: policy {name} is not declared" for table, name in sorted(found.keys() - declared.keys())),
        *(
            f"{table}: policy {name}: {part} is {found[table, name][part]}, declared is {value}"
            for table, name in sorted(declared.keys() & found.keys())
            for part, value in declared[table, name].items()
            if found[table, name][part] != value
        ),
    ]


async def _grants(connection: Connection, schema: str, blocks: Mapping[str, TablePolicy]) -> set[str]:
    rows = await connection.fetch(_GRANTS, schema, list(blocks))
    return {
        f"{row['table']}: {row['command']}{_of_column(row)} to {row['role']}"
        + (" with grant option" if row["is_grantable"] else "")
        for row in rows
    }


def _of_column(row: asyncpg.Record) -> str:
    return f" ({row['column']})" if row["column"] else ""


def _of_grants(declared: set[str], found: set[str]) -> list[str]:
    return [
        *(f"{grant} is not granted" for grant in sorted(declared - found)),
        *(f"{grant} is granted and not declared" for grant in sorted(found - declared)),
    ]
