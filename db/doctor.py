"""Is this database safe to serve from: one finding per condition, asked of PostgreSQL's own catalogues.

`serve` refuses on `refusals`, `minutebook doctor` prints everything. All of it can be read by any login.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg

from db.crypto import Keyring
from db.keys import used_keys, uses
from db.pool import CONNECTION_ERRORS

Connection: TypeAlias = "asyncpg.Connection[Any]"

MONTHS_AHEAD: Final = 3
UNSIGNED_AT_MOST: Final = timedelta(hours=1)
MIN_POSTGRES: Final = 160_000
MIN_PGVECTOR: Final = (0, 8, 4)
DOCUMENT_TABLES: Final = ("user_ai_settings", "ai_conversations", "ai_usage_logs", "ai_content_searches")
VERSION_TABLE: Final = "alembic_version"

_SUPERUSER: Final = """
SELECT current_user AS login, session_user <> current_user AS changed, rolsuper, rolbypassrls,
       ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles r
             WHERE r.rolname <> current_user AND (r.rolsuper OR r.rolbypassrls)
               AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') ORDER BY 1) AS powers,
       ARRAY(SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
             WHERE c.relnamespace = pg_catalog.to_regnamespace('app') AND c.relkind IN ('r', 'p')
               AND pg_catalog.pg_has_role(session_user, c.relowner, 'MEMBER') ORDER BY 1) AS owners
FROM pg_catalog.pg_roles WHERE rolname = current_user"""

_BARE_TABLES: Final = """
SELECT c.relname::text AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
       c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid) AS has_policy
FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.to_regnamespace('app') AND c.relkind IN ('r', 'p') AND c.relname <> $1
ORDER BY 1"""

_PARTITIONS: Final = """
SELECT parent.relname::text AS name, pg_catalog.pg_get_expr(child.relpartbound, child.oid) AS bounds
FROM pg_catalog.pg_class parent
LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = parent.oid
LEFT JOIN pg_catalog.pg_class child ON child.oid = i.inhrelid
WHERE parent.relnamespace = pg_catalog.to_regnamespace('app') AND parent.relkind = 'p'
ORDER BY 1"""

# D4 asks `table_schema = 'public' AND table_name LIKE 'ai_%' OR table_name = …`: AND binds tighter than OR, so that names
# user_ai_settings of any schema, and `_` matches any letter. Here both are meant as they read, and the schema is app.
_TABLES: Final = r"""
SELECT c.relname::text FROM pg_catalog.pg_class c
WHERE c.relnamespace = pg_catalog.to_regnamespace('app') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND (c.relname LIKE 'ai\_%' OR c.relname = 'user_ai_settings') ORDER BY 1"""
_INDEXES: Final = """
SELECT tablename::text AS name, count(*) FROM pg_catalog.pg_indexes
WHERE schemaname = 'app' AND tablename = ANY ($1::text[]) GROUP BY 1"""
_POLICIES: Final = """
SELECT tablename::text AS name, count(*) FROM pg_catalog.pg_policies
WHERE schemaname = 'app' AND tablename = ANY ($1::text[]) GROUP BY 1"""

# The age of each chain's last checkpoint. Late is one with an event beyond it, when both are older than that.
_SIGNED: Final = """
SELECT o.slug, clock_timestamp() - last.created_at AS age,
       h.seq > coalesce(last.tree_size, 0)
           AND coalesce(greatest(e.occurred_at, last.created_at) < clock_timestamp() - $1::interval, true) AS is_late
FROM app.audit_heads h
JOIN app.organizations o ON o.id = h.organization_id
LEFT JOIN LATERAL (
    SELECT k.tree_size, k.created_at FROM app.audit_checkpoints k
    WHERE k.organization_id = h.organization_id ORDER BY k.tree_size DESC LIMIT 1
) AS last ON true
LEFT JOIN app.audit_events e ON e.organization_id = h.organization_id AND e.seq = coalesce(last.tree_size, 0) + 1
WHERE h.seq > 0 ORDER BY is_late DESC, last.created_at NULLS FIRST, o.slug"""

_BOUND: Final = re.compile(r"FROM \('(\d{4}-\d{2}-\d{2})[^']*'\) TO \('(\d{4}-\d{2}-\d{2})")


class Finding(NamedTuple):
    """One condition: whether it holds, and what was seen."""

    name: str
    passed: bool
    detail: str


async def refusals(connection: Connection, login: str, head: str | None) -> list[Finding]:
    """The conditions under which nothing may be served, as the login that would serve. `login`: api or ingest."""
    return [
        await login_is_harmless(connection, login),
        await roles_are_apart(connection, login),
        await tables_are_guarded(connection),
        await head_is(connection, head),
    ]


async def login_is_harmless(connection: Connection, login: str) -> Finding:
    """Neither superuser nor BYPASSRLS nor owner, and not a member of one."""
    row = await connection.fetchrow(_SUPERUSER)
    if row is None:
        return Finding(f"the {login} login is harmless", passed=False, detail="it has no role")
    faults = [
        *(["is a superuser"] if row["rolsuper"] else []),
        *(["has BYPASSRLS"] if row["rolbypassrls"] else []),
        *([f"can become {', '.join(row['powers'])}"] if row["powers"] and not row["rolsuper"] else []),
        *([f"owns tables as {', '.join(row['owners'])}"] if row["owners"] and not row["rolsuper"] else []),
    ]
    detail = " and ".join(faults) or "no superuser, no BYPASSRLS, owns nothing"
    return Finding(f"the {login} login is harmless", not faults, f"{row['login']}: {detail}")


async def roles_are_apart(connection: Connection, login: str) -> Finding:
    """People's login cannot become a service, the services' login nobody else."""
    rows = await connection.fetch(
        r"SELECT rolname::text AS name FROM pg_catalog.pg_roles WHERE rolname LIKE 'app\_%'"
        " AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1"
    )
    wanted = ["app_service"] if login == "ingest" else ["app_admin", "app_auditor", "app_member", "app_observer"]
    found = [row["name"] for row in rows]
    return Finding(f"the {login} login reaches its own roles alone", found == wanted, ", ".join(found) or "none")


async def tables_are_guarded(connection: Connection) -> Finding:
    """Row-level security is enabled and forced on every table, and a policy stands on it or on its parent."""
    rows = await connection.fetch(_BARE_TABLES, VERSION_TABLE)
    faults = [
        f"{row['name']} lacks {lack}"
        for row in rows
        for key, lack in (("enabled", "ENABLE"), ("forced", "FORCE"), ("has_policy", "a policy"))
        if not row[key]
    ]
    if not rows:
        faults = ["schema app has no table"]
    return Finding("every table has row-level security", not faults, _some(faults) or f"{len(rows)} tables")


async def head_is(connection: Connection, head: str | None) -> Finding:
    """The database stands at this code's last migration."""
    try:
        found = await connection.fetchval(f"SELECT version_num FROM app.{VERSION_TABLE}")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        found = None
    except asyncpg.InsufficientPrivilegeError:
        return Finding("migrations are at head", passed=False, detail=f"this login may not read app.{VERSION_TABLE}")
    return Finding("migrations are at head", found == head and head is not None, f"database {found}, code {head}")


async def partitions_are_ready(connection: Connection, today: date | None = None) -> Finding:
    """Every partitioned table has a partition for this month and the next three."""
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL timezone = 'UTC'")  # bounds are printed in the session's zone
        rows = await connection.fetch(_PARTITIONS)
    covered: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        bounds = _BOUND.search(row["bounds"] or "")
        covered.setdefault(row["name"], []).extend([(bounds[1], bounds[2])] if bounds else [])
    missing = [
        f"{table} for {month:%Y-%m}"
        for table, spans in covered.items()
        for month in months(today or datetime.now(UTC).date(), MONTHS_AHEAD)
        if not any(start <= month.isoformat() < end for start, end in spans)
    ]
    detail = f"missing: {_some(missing)}; run minutebook maintain" if missing else f"{len(covered)} tables"
    return Finding(f"partitions reach {MONTHS_AHEAD} months ahead", bool(covered) and not missing, detail)


def months(today: date, ahead: int) -> list[date]:
    """The first days of this month and of `ahead` more."""
    first = today.year * 12 + today.month - 1
    return [date((first + n) // 12, (first + n) % 12 + 1, 1) for n in range(ahead + 1)]


async def versions(connection: Connection) -> list[Finding]:
    """PostgreSQL and the extensions, each at least as new as what was tried."""
    number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    text = await connection.fetchval("SELECT current_setting('server_version')")
    found = dict(await connection.fetch("SELECT extname::text, extversion FROM pg_catalog.pg_extension"))
    vector = found.get("vector")
    parts = tuple(int(part) for part in re.findall(r"\d+", vector or "0"))
    return [
        Finding("PostgreSQL is 16 or newer", number >= MIN_POSTGRES, text),
        Finding("pgvector is 0.8.4 or newer", parts >= MIN_PGVECTOR, vector or "not installed"),
        Finding("btree_gin is installed", "btree_gin" in found, found.get("btree_gin", "not installed")),
    ]


async def document_tables(connection: Connection) -> list[Finding]:
    """D4's three validation queries, asked of schema app."""
    tables = [row[0] for row in await connection.fetch(_TABLES)]
    lacking = [name for name in DOCUMENT_TABLES if name not in tables]
    findings = [
        Finding("D4: its tables exist", not lacking, f"lacking {', '.join(lacking)}" if lacking else _some(tables))
    ]
    for what, query in (("indexed", _INDEXES), ("under policies", _POLICIES)):
        counts: dict[str, int] = dict(await connection.fetch(query, list(DOCUMENT_TABLES)))
        detail = ", ".join(f"{name} {counts.get(name, 0)}" for name in DOCUMENT_TABLES)
        findings.append(
            Finding(f"D4: its tables are {what}", all(counts.get(name) for name in DOCUMENT_TABLES), detail)
        )
    return findings


async def sealing_keys_are_known(connection: Connection, keyring: Keyring | None) -> Finding:
    """The keyring has every key that wraps a provider key; as the operator, for all organizations."""
    found = uses(await used_keys(connection), keyring)
    name = "the keyring opens every provider key"
    if found.lacking:
        lost = [f"{key_id} ({count:,})" for key_id, count in found.lacking.items()]
        return Finding(
            name, passed=False, detail=f"KEYRING lacks {_some(lost)}: until it is back they must be set again"
        )
    kept = f"{sum(found.known.values()):,} of them, wrapped by {len(found.known)}"
    return Finding(name, passed=True, detail=kept if keyring else "KEYRING is not set: nobody can set one")


async def chains_are_signed(connection: Connection) -> Finding:
    """No audit chain has waited for its checkpoint for an hour; as the operator, for all organizations."""
    rows = await connection.fetch(_SIGNED, UNSIGNED_AT_MOST)
    ages = [f"{row['slug']} {_age(row['age'])}" for row in rows]
    late = [age for age, row in zip(ages, rows, strict=True) if row["is_late"]]
    detail = f"late: {_some(late)}; run minutebook maintain" if late else _some(ages) or "no organization has events"
    return Finding("audit chains have recent checkpoints", not late, detail)


def _age(age: timedelta | None) -> str:
    if age is None:
        return "never"
    minutes = int(age.total_seconds() // 60)
    return (
        f"{minutes} min ago"
        if minutes < 120
        else f"{minutes // 60} h ago"
        if minutes < 2880
        else f"{age.days} days ago"
    )


async def examine(name: str, question: Callable[[], Awaitable[Sequence[Finding]]]) -> Sequence[Finding]:
    """Ask; a connection or a question that PostgreSQL refuses is a finding, not an end."""
    try:
        return await question()
    except CONNECTION_ERRORS as error:
        return [Finding(name, passed=False, detail=" ".join(str(error).split()) or type(error).__name__)]


def _some(items: Sequence[str], most: int = 6) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
