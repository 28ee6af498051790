"""Trying a write as a principal on one row, inside a savepoint, and what came of it.

Outcomes: `done`, `nothing` (no row was there for it), or the SQLSTATE of the refusal.
"""

import uuid
from typing import Any, Final

import asyncpg

from tests.db.valid_rows import ROWS, TABLES
from tests.security import oracle
from tests.security.looking import Database, Row, acting, key_of
from tests.security.people import Principal

DONE, NOTHING, REFUSED = "done", "nothing", "42501"

# What an UPDATE sets where `column = column` would say too little.
CHANGES: Final = {
    "ai_content_searches": "selected_content_id = '00000000-0000-4000-8000-000000000009'",
    "ai_interactions": "status = 'SUCCEEDED', completed_at = created_at",
    "user_provider_keys": "hint = 'wxyz'",  # the first of its columns may not be read
}
# What makes a copied row a new one.
FRESH: Final[dict[str, dict[str, Any]]] = {
    "users": {},
    "identities": {"subject": "new"},
    "projects": {"name": "New"},
    "documents": {"content_id": str(uuid.uuid4())},
    "document_embeddings": {"chunk_index": 99, "embedding": ROWS["document_embeddings"]["embedding"]},
    "ai_tools": {"name": "new_tool"},
    "user_provider_keys": {"provider": "GOOGLE"},
    "ai_patterns": {"pattern_type": "COST_PER_UNIT_BASELINE"},
    "tool_call_payloads": {"part": "OUTCOME"},
    "idempotency_keys": {"key": "new"},
}


async def run(connection: Database, who: Principal, sql: str, *values: Any) -> str:
    """The outcome of one statement, undone whatever it is."""
    async with acting(connection, who):
        try:
            tag = await connection.execute(sql, *values)
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)
    return NOTHING if tag.endswith(" 0") else DONE


def _where(table: str, start: int = 1) -> str:
    return " AND ".join(f"{name} = ${at}" for at, name in enumerate(key_of(table), start))


def _key(table: str, row: Row) -> list[Any]:
    return [row[name] for name in key_of(table)]


async def update(connection: Database, who: Principal, table: str, row: Row) -> str:
    write = oracle.may_write("UPDATE", table, who.role)
    column = min(write.columns) if write else min(column.name for column in TABLES[table].c if column.computed is None)
    change = CHANGES.get(table, f'"{column}" = "{column}"')
    return await run(connection, who, f"UPDATE app.{table} SET {change} WHERE {_where(table)}", *_key(table, row))


async def delete(connection: Database, who: Principal, table: str, row: Row) -> str:
    return await run(connection, who, f"DELETE FROM app.{table} WHERE {_where(table)}", *_key(table, row))


async def insert(
    connection: Database, who: Principal, table: str, row: Row, columns: frozenset[str] | None = None
) -> str:
    """A new row for the organization and owner of `row`, with the columns that the role may write."""
    write = oracle.may_write("INSERT", table, who.role)
    chosen = columns or (write.columns if write else frozenset())
    chosen |= {"id", "organization_id", "user_id"} & set(TABLES[table].c.keys())
    values = {name: value for name, value in (row | fresh(table)).items() if name in chosen}
    names = ", ".join(f'"{name}"' for name in values)
    binds = ", ".join(f"${at}" for at in range(1, len(values) + 1))
    return await run(connection, who, f"INSERT INTO app.{table} ({names}) VALUES ({binds})", *values.values())


def fresh(table: str) -> dict[str, Any]:
    new = {"id": str(uuid.uuid4())} if "id" in TABLES[table].c else {}
    return new | FRESH.get(table, {})


async def column_differences(connection: Database, who: Principal, command: str) -> list[str]:
    """Columns that the role may insert or update, against the oracle; id, organization and owner go into every insert."""
    columns = [(name, column.name) for name, table in TABLES.items() for column in table.c if column.computed is None]
    rows = await connection.fetch(
        "SELECT t, c, has_column_privilege($3, 'app.' || t, c, $4) AS may FROM unnest($1::text[], $2::text[]) AS given (t, c)",
        *map(list, zip(*columns, strict=True)),
        who.db_role,
        command,
    )
    found = []
    for table, column, may in rows:
        write = oracle.may_write(command, table, who.role)
        always = {"id", "organization_id", "user_id"} if command == "INSERT" and write else set()
        if may != (write is not None and column in write.columns | always):
            found.append(f"{who} {'may' if may else 'may not'} {command} {table}.{column}")
    return found


async def differences(connection: Database, who: Principal, command: str, table: str, rows: list[Row]) -> list[str]:
    """The outcomes of a command on these rows, as far as they are not what the oracle says."""
    act = {"INSERT": insert, "UPDATE": update, "DELETE": delete}[command]
    write = oracle.may_write(command, table, who.role)
    found = []
    for row in rows:
        seen = await act(connection, who, table, row)
        if write is None:
            due = {REFUSED}
        elif command == "INSERT":
            due = {DONE} if write.allows(who, row) else {REFUSED}
        elif write.scope(who, row):
            # A row in scope that may not be changed so: unseen by the command, or refused by its check.
            due = {DONE} if write.allows(who, row) else {NOTHING, REFUSED}
        else:
            due = {NOTHING}
        if seen not in due:
            found.append(
                f"{who}: {command} {table} {_key(table, row)} gave {seen} instead of {' or '.join(sorted(due))}"
            )
    return found
