"""Rules of tables, columns and keys: every key begins with the organization, and nothing points across.

A single-column foreign key let one organization attach a row to another's, under forced row-level security.
"""

import re
from typing import Final

from db import models
from db.lint.rule import OURS, Connection, Found, Rule, asked

ORGANIZATION_COLUMN: Final = asked(
    "organization_id_not_null",
    """
SELECT t.name, 'has no organization_id uuid NOT NULL' FROM ours AS t
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = t.oid AND a.attname = t.organization AND a.atttypid = 'uuid'::regtype AND a.attnotnull
)""",
)

PRIMARY_KEY: Final = asked(
    "primary_key_begins_with_organization",
    """
SELECT t.name, coalesce('its primary key begins with ' || a.attname, 'has no primary key')
FROM ours AS t
LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND i.indisprimary
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
WHERE a.attname IS DISTINCT FROM t.organization""",
)

# An organization's slug is unique everywhere: it is what tokens and command lines name it by.
UNIQUE: Final = asked(
    "unique_begins_with_organization",
    """
SELECT t.name, format('%s begins with %s', i.indexrelid::regclass, coalesce(a.attname, 'an expression'))
FROM ours AS t
JOIN pg_catalog.pg_index AS i ON i.indrelid = t.oid AND i.indisunique AND NOT i.indisprimary
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
WHERE a.attname IS DISTINCT FROM t.organization AND (t.name, a.attname) IS DISTINCT FROM ('organizations', 'slug')""",
)

FOREIGN_KEY: Final = asked(
    "foreign_key_begins_with_organization",
    """
SELECT t.name, format('%s: %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid))
FROM ours AS t
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
JOIN pg_catalog.pg_attribute AS mine ON mine.attrelid = k.conrelid AND mine.attnum = k.conkey[1]
JOIN pg_catalog.pg_attribute AS its ON its.attrelid = k.confrelid AND its.attnum = k.confkey[1]
LEFT JOIN ours AS other ON other.oid = k.confrelid
WHERE mine.attname <> t.organization OR its.attname IS DISTINCT FROM other.organization""",
)

FOREIGN_KEY_ACTION: Final = asked(
    "foreign_key_action",
    """
SELECT t.name, format('%s: %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid))
FROM ours AS t
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
WHERE k.confdeltype NOT IN ('a', 'c') OR k.confupdtype <> 'a' OR k.condeferrable OR NOT k.convalidated""",
)

# The owner of a personal row stands in the key to its parent, so that it cannot drift from the parent's.
OWNER_IN_KEY: Final = asked(
    "foreign_key_carries_the_owner",
    """
, owned AS (
    SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute AS a WHERE a.attname = 'user_id' AND a.attnotnull
)
SELECT t.name, format('%s leaves user_id out', k.conname)
FROM ours AS t
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
JOIN owned AS mine ON mine.attrelid = k.conrelid
JOIN owned AS its ON its.attrelid = k.confrelid
WHERE NOT (mine.attnum = ANY (k.conkey) AND its.attnum = ANY (k.confkey))""",
)

COLUMN_TYPE: Final = asked(
    "column_type",
    """
SELECT format('%s.%s', t.name, a.attname), pg_catalog.format_type(y.oid, NULL)
FROM ours AS t
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
WHERE y.typtype = 'e' OR y.oid = ANY (ARRAY['numeric', 'money', 'timestamp']::regtype[])""",
)

# An identity column cannot be added to a distributed table, and a sequence is one place for all of them.
NO_SEQUENCE: Final = asked(
    "no_sequence",
    """
SELECT c.relname::text, 'is a sequence' FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'app'::regnamespace AND c.relkind = 'S'""",
)

_KEYS: Final = f"""{OURS}
SELECT k.conname::text AS name, t.name AS child, k.conrelid::regclass::text AS from_table, k.confrelid::regclass::text AS to_table,
    array_agg(pg_catalog.quote_ident(mine.attname) ORDER BY pair.at) AS mine,
    array_agg(pg_catalog.quote_ident(its.attname) ORDER BY pair.at) AS its
FROM ours AS t
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'f' AND k.conparentid = 0
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS pair (mine, its, at)
JOIN pg_catalog.pg_attribute AS mine ON mine.attrelid = k.conrelid AND mine.attnum = pair.mine
JOIN pg_catalog.pg_attribute AS its ON its.attrelid = k.confrelid AND its.attnum = pair.its
WHERE pg_catalog.pg_relation_size(t.oid) > 0
    OR EXISTS (SELECT FROM pg_catalog.pg_partition_tree(t.oid) AS part WHERE pg_catalog.pg_relation_size(part.relid) > 0)
GROUP BY k.oid, t.name"""

_CHECKS: Final = f"""{OURS}
SELECT t.name AS table, pg_catalog.pg_get_constraintdef(k.oid) AS text
FROM ours AS t JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.oid AND k.contype = 'c'"""


async def _dangling(connection: Connection) -> Found:
    """FORCE blinds the owner: ADD FOREIGN KEY and VALIDATE succeed over rows that point at nothing."""
    questions = [
        f"SELECT '{key['child']}', '{key['name']}', count(*) FROM {key['from_table']} AS c"
        f" WHERE ({', '.join(f'c.{column}' for column in key['mine'])}) IS NOT NULL"
        f" AND NOT EXISTS (SELECT FROM {key['to_table']} AS p WHERE "
        + " AND ".join(f"p.{its} = c.{mine}" for mine, its in zip(key["mine"], key["its"], strict=True))
        + ") HAVING count(*) > 0"
        for key in await connection.fetch(_KEYS)
    ]
    if not questions:
        return []
    rows = await connection.fetch("\nUNION ALL ".join(questions))
    return [(row[0], f"{row[1]}: {row[2]} rows point at nothing") for row in rows]


async def _unchecked(connection: Connection) -> Found:
    """A vocabulary is text with a CHECK that lists exactly what the wire knows."""
    checks = [(row["table"], row["text"]) for row in await connection.fetch(_CHECKS)]
    found = []
    for table in models.metadata.sorted_tables:
        for wanted in (constraint.info for constraint in table.constraints if "vocabulary" in constraint.info):
            column, words = wanted["column"], {str(word) for word in wanted["vocabulary"]}
            shape = re.compile(rf'CHECK \(\("?{column}"? = ANY \(ARRAY\[([^\]]*)\]\)\)\)\Z')
            lists = [shape.match(text) for name, text in checks if name == table.name]
            if words not in [set(re.findall(r"'(\w+)'", match[1])) for match in lists if match]:
                found.append((f"{table.name}.{column}", f"no CHECK that it is one of {', '.join(sorted(words))}"))
    return found


RULES: Final = (
    ORGANIZATION_COLUMN,
    PRIMARY_KEY,
    UNIQUE,
    FOREIGN_KEY,
    FOREIGN_KEY_ACTION,
    OWNER_IN_KEY,
    Rule("foreign_key_holds", _dangling),
    COLUMN_TYPE,
    Rule("vocabulary_is_checked", _unchecked),
    NO_SEQUENCE,
)
