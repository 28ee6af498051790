"""The demo world many times over, by set-based SQL: for benchmarks.

Copies 2 … n/2 + 1 of an organization go into one more (`northwind-002`), which becomes large; each further copy
is an organization of its own. An id's copy keeps its form: version 7 from the shifted time, or version 4.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

import orjson

from db.actor import operator_context_sql
from db.seed import load
from db.seed.tables import (
    CacheRow,
    CacheStatsRow,
    ChunkRow,
    ConversationRow,
    DocumentRow,
    FeedbackRow,
    IdentityRow,
    InsightRow,
    InteractionPayloadRow,
    InteractionRow,
    MessageRow,
    NameRow,
    OutcomeRow,
    PatternRow,
    SearchRow,
    ToolCallRow,
    ToolPayloadRow,
    ToolRow,
    UsageLogRow,
    UserRow,
    sql_type,
)  # fmt: skip
from db.seed.usage import SettingsRow
from db.seed.world import ORGANIZATIONS, Organization

_MINUTES_APART: Final = 37
_HUGE_BYTES: Final = 1_000_000
# Tables whose rows an organization has once; they come with its first copy.
_ONCE: Final[tuple[tuple[str, Any], ...]] = (
    ("users", UserRow), ("identities", IdentityRow), ("projects", NameRow), ("budget_categories", NameRow), ("ai_tools", ToolRow),
    ("ai_patterns", PatternRow), ("user_ai_settings", SettingsRow), ("ai_cache_stats", CacheStatsRow),
)  # fmt: skip
_EACH: Final[tuple[tuple[str, Any], ...]] = (
    ("documents", DocumentRow), ("document_embeddings", ChunkRow), ("ai_conversations", ConversationRow), ("ai_messages", MessageRow), ("ai_feedback", FeedbackRow),
    ("ai_insights", InsightRow), ("ai_interactions", InteractionRow), ("ai_interaction_payloads", InteractionPayloadRow), ("ai_usage_logs", UsageLogRow), ("ai_cache", CacheRow),
    ("tool_calls", ToolCallRow), ("tool_call_outcomes", OutcomeRow), ("tool_call_payloads", ToolPayloadRow), ("ai_content_searches", SearchRow),
)  # fmt: skip
# Ids that belong to the organization, and so are the same in all copies that it takes.
_HOME_COLUMNS: Final = {"user_id", "project_id", "category_id", "dismissed_by"}

Copy = Callable[[str], Awaitable[int]]


def home_of(copy: int, scale: int) -> int:
    """The number of the organization that takes a copy: 2 for the first half, then one each."""
    return 2 if copy <= scale // 2 + 1 else copy


def copied_id(column: str, key: int) -> str:
    """SQL for the id of that copy: the same input gives the same id, whichever row it stands in."""
    text, digest = f"r.{column}::text", f"md5(r.{column}::text || ':{key}')"
    stamp = f"lpad(to_hex(('x' || translate(left({text}, 13), '-', ''))::bit(48)::bigint - {_shift_ms(key)}), 12, '0')"
    tail = f"substr({digest}, 1, 3) || '8' || substr({digest}, 4, 15)"
    return f"(CASE substr({text}, 15, 1) WHEN '7' THEN {stamp} || '7' || {tail} ELSE substr({digest}, 20, 12) || '4' || {tail} END)::uuid"


def copied_organization_id(organization: Organization, home: int) -> str:
    """`00000001-<organization>-4002-…` and so on: fixed like the demo's own."""
    return f"{organization.id[:15]}{home:03x}{organization.id[18:]}"


def _shift_ms(key: int) -> int:
    return (key - 1) * _MINUTES_APART * 60_000


def _value(table: str, column: str, organization_id: str, home: int, copy: int) -> str:
    kind, own = sql_type(column), f'r."{column}"'
    if column == "organization_id":
        return f"'{organization_id}'::uuid"
    if column in _HOME_COLUMNS or (column == "id" and table in {name for name, _ in _ONCE}):
        return copied_id(column, home)
    if kind == "uuid":
        return copied_id(column, copy)
    if kind == "timestamptz":
        return f"{own} - interval '{_shift_ms(copy)} milliseconds'"
    if column == "cache_key":
        return f"{own} || ':{copy}'"
    if column == "subject":
        return f"{own} || '-{home:03}'"
    return own


def copy_sql(table: str, shape: Any, organization: Organization, home: int, copy: int) -> str:
    """INSERT … SELECT of the organization's demo rows into a copy; the one huge payload stays alone."""
    names: Sequence[str] = shape._fields
    columns = ", ".join(f'"{name}"' for name in names)
    target = copied_organization_id(organization, home)
    values = ", ".join(_value(table, name, target, home, copy) for name in names)
    where = f"r.organization_id = '{organization.id}'"
    if table in {"ai_interactions", "ai_interaction_payloads"}:
        key = "id" if table == "ai_interactions" else "interaction_id"
        where += (
            f" AND r.{key} NOT IN (SELECT h.id FROM app.ai_interactions AS h WHERE h.organization_id = '{organization.id}'"
            f" AND h.request_bytes > {_HUGE_BYTES})"
        )
    return f"INSERT INTO app.{table} ({columns}) SELECT {values} FROM app.{table} AS r WHERE {where}"


async def multiply(connections: Sequence[Any], scale: int, progress: Callable[[str, int, int], None]) -> Counter[str]:
    """Adds scale - 1 copies of each demo organization, one transaction each, and returns numbers of rows.

    Connections take the organizations in turn: it is PostgreSQL's work, on as many cores as there are connections.
    """
    counts: Counter[str] = Counter()
    for copy in range(2, scale + 1):
        waiting = iter(reversed(ORGANIZATIONS))  # the largest is the last but one: begun early, it ends with the rest
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_copy_each(connection, waiting, copy, scale, counts))
        progress("copies", copy - 1, scale - 1)
    return counts


async def _copy_each(
    connection: Any, organizations: Iterator[Organization], copy: int, scale: int, counts: Counter[str]
) -> None:
    home = home_of(copy, scale)
    for organization in organizations:
        async with connection.transaction():
            await connection.execute(load.USE_INDEXES)
            counts.update(await _copy(connection, organization, home, copy, is_first=copy in {2, home}))


async def _copy(connection: Any, organization: Organization, home: int, copy: int, *, is_first: bool) -> dict[str, int]:
    target = copied_organization_id(organization, home)
    await connection.execute(operator_context_sql(target))
    made: dict[str, int] = {}
    if is_first:
        made["organizations"] = await _rows(
            connection,
            "INSERT INTO app.organizations (id, slug, name, kind, timezone, embedding_model, created_at)"
            f" SELECT '{target}'::uuid, slug || '-{home:03}', name || ' {home}', kind, timezone, embedding_model, created_at"
            f" FROM app.organizations WHERE id = '{organization.id}'",
        )
    for table, shape in (*(_ONCE if is_first else ()), *_EACH):
        made[table] = await _rows(connection, copy_sql(table, shape, organization, home, copy))
    event = {
        "action": "demo.scaled", "target_type": "Organization", "target_id": target, "actor_role": "OPERATOR",
        "details": {"copy": copy, "rows": made},
    }  # fmt: skip
    await connection.execute("SELECT count(*) FROM app.audit_append($1::jsonb)", orjson.dumps([event]).decode())
    return made | {"audit_events": 1}


async def _rows(connection: Any, statement: str) -> int:
    tag: str = await connection.execute(statement)
    return int(tag.rpartition(" ")[2])
