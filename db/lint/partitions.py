"""Rules of the log tables: which are cut into months, by what key, and what each month must have.

A month inherits neither row-level security nor a TRUNCATE trigger, and a DEFAULT partition doubles the time of a list.
"""

import re
from typing import Final

from db import ddl, models
from db.lint.rule import OURS, Connection, Found, Rule, asked

_MONTH: Final = re.compile(
    r"FOR VALUES FROM \('(\d{4})-(\d{2})-01 00:00:00\+00'\) TO \('(\d{4})-(\d{2})-01 00:00:00\+00'\)"
)

_PARENTS: Final = f"""{OURS}
SELECT t.name, pg_catalog.pg_get_partkeydef(t.oid) AS key FROM ours AS t WHERE t.relkind = 'p'"""

_MONTHS: Final = f"""{OURS}
SELECT parent.name AS parent, child.name, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
FROM ours AS parent
JOIN pg_catalog.pg_inherits AS i ON i.inhparent = parent.oid
JOIN ours AS child ON child.oid = i.inhrelid
JOIN pg_catalog.pg_class AS c ON c.oid = child.oid
WHERE parent.relkind = 'p'"""

KEY: Final = asked(
    "partitioned_key_ends_with_created_at",
    """
SELECT t.name, coalesce('its primary key ends with ' || a.attname, 'has no primary key')
FROM ours AS t
LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND i.indisprimary
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[i.indnkeyatts - 1]
WHERE t.relkind = 'p' AND a.attname IS DISTINCT FROM 'created_at'""",
)

# Without it one id could be in two months, and a look-up by id could not skip the others.
ID_TIME: Final = asked(
    "log_id_is_of_its_time",
    """
SELECT t.name, 'no CHECK holds created_at to the time in its id'
FROM ours AS t
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attname = 'id' AND NOT a.attisdropped
WHERE t.relkind = 'p' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = t.oid AND k.contype = 'c' AND k.convalidated
        AND pg_catalog.pg_get_constraintdef(k.oid) ~ 'created_at >= \\(app\\.uuid_time\\(id\\) - .*created_at <= \\(app\\.uuid_time\\(id\\) \\+ '
)""",
)

NO_DEFAULT: Final = asked(
    "no_default_partition",
    """
SELECT t.name, 'is a DEFAULT partition' FROM ours AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
WHERE t.relispartition AND pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'""",
)

TRUNCATE: Final = asked(
    "partition_refuses_truncate",
    """
SELECT child.name, format('lacks %s of %s, or has it weaker', k.tgname, parent.name)
FROM ours AS parent
JOIN pg_catalog.pg_trigger AS k ON k.tgrelid = parent.oid AND NOT k.tgisinternal AND k.tgtype & 32 = 32
JOIN pg_catalog.pg_inherits AS i ON i.inhparent = parent.oid
JOIN ours AS child ON child.oid = i.inhrelid
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS own
    WHERE own.tgrelid = child.oid AND (own.tgname, own.tgtype, own.tgfoid, own.tgenabled) = (k.tgname, k.tgtype, k.tgfoid, k.tgenabled)
)""",
)

NO_RIGHTS: Final = asked(
    "partition_has_no_rights",
    """
SELECT t.name, 'has grants or policies of its own' FROM ours AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid
WHERE t.relispartition AND (
    EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner)
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.oid AND a.attacl IS NOT NULL)
    OR EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid)
)""",
)


async def _parents(connection: Connection) -> Found:
    """Exactly the tables that the models cut into months are cut, by created_at."""
    wanted = {table.name for table in models.metadata.sorted_tables if ddl.is_partitioned(table)}
    keys = {row["name"]: row["key"] for row in await connection.fetch(_PARENTS)}
    return [
        *((name, "is not partitioned") for name in wanted - keys.keys()),
        *((name, "is partitioned, and not among the models") for name in keys.keys() - wanted),
        *((name, f"is partitioned by {key}") for name, key in keys.items() if key != "RANGE (created_at)"),
    ]


async def _months(connection: Connection) -> Found:
    """A partition is one month of UTC and named after it; all log tables have the same months."""
    found: list[tuple[str, str]] = []
    months: dict[str, set[str]] = {row["name"]: set() for row in await connection.fetch(_PARENTS)}
    for row in await connection.fetch(_MONTHS):
        if row["bound"] == "DEFAULT":
            continue
        bound = _MONTH.fullmatch(row["bound"])
        numbers = [int(part) for part in bound.groups()] if bound else []
        if not bound or numbers[2] * 12 + numbers[3] != numbers[0] * 12 + numbers[1] + 1:
            found.append((row["name"], f"is not a month: {row['bound']}"))
        elif row["name"] != f"{row['parent']}_{bound[1]}_{bound[2]}":
            found.append((row["name"], f"is not named after its month: {row['bound']}"))
        months[row["parent"]].add(row["name"][-7:])
    every = set().union(*months.values())
    if not every:
        return [(name, "has no month") for name in months]
    return found + [(name, f"lacks {month} of the others") for name, has in months.items() for month in every - has]


RULES: Final = (
    Rule("log_tables_are_partitioned", _parents),
    KEY,
    ID_TIME,
    NO_DEFAULT,
    Rule("partition_is_a_month", _months),
    TRUNCATE,
    NO_RIGHTS,
)
