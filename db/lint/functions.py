"""Rules of functions and triggers: with whose rights they run, and what a distributed database could not run.

What a body does is read from its text, comments taken out, so a statement put together at run time is not seen.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from db.engine import OPERATOR, OWNER
from db.lint.rule import DEFINERS, Connection, Found, Rule, asked

_FUNCTIONS: Final = """, functions AS (
    SELECT p.oid, p.oid::regprocedure::text AS name, p.prosecdef, p.proconfig, p.proowner, w.rolname::text AS owner,
        p.proname::text AS short, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_roles AS w ON w.oid = p.proowner
    WHERE p.pronamespace = 'app'::regnamespace
)"""

# The owner itself runs what makes tables, for the operator alone. app_finder sees every organization's chunks.
DEFINER: Final = asked(
    "definer_function_has_a_fitting_owner",
    f"""{_FUNCTIONS}
SELECT f.name, format('runs as %s%s', f.owner, CASE WHEN f.owner = $2 THEN ', and not for the operator alone' END)
FROM functions AS f
WHERE CASE
    WHEN NOT f.prosecdef THEN f.owner NOT IN ($2, 'app_definer')
    WHEN f.owner = $2 THEN EXISTS (
        SELECT FROM pg_catalog.aclexplode(f.acl) AS g WHERE g.grantee NOT IN (0, f.proowner, $3::text::regrole))
    WHEN f.owner = 'app_finder' THEN f.short <> 'search_chunks_text'
    ELSE f.owner <> ALL ($1::text[])
END""",
    DEFINERS,
    OWNER,
    OPERATOR,
)

SEARCH_PATH: Final = asked(
    "definer_function_has_no_search_path",
    f"""{_FUNCTIONS}
SELECT f.name, 'lacks SET search_path = '''''
FROM functions AS f WHERE f.prosecdef AND NOT coalesce('search_path=""' = ANY (f.proconfig), false)""",
)

EXECUTE: Final = asked(
    "no_execute_for_public",
    f"""{_FUNCTIONS}
SELECT f.name, 'may be executed by PUBLIC'
FROM functions AS f WHERE EXISTS (SELECT FROM pg_catalog.aclexplode(f.acl) AS g WHERE g.grantee = 0)
UNION ALL
SELECT w.name, 'what it creates may be executed by PUBLIC'
FROM unnest(array_append($1::text[], $2)) AS w (name)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_default_acl AS d
    WHERE d.defaclrole = w.name::regrole AND d.defaclnamespace = 0 AND d.defaclobjtype = 'f'
        AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(d.defaclacl) AS g WHERE g.grantee = 0)
)""",
    DEFINERS,
    OWNER,
)

_BODIES: Final = """
SELECT p.oid::regprocedure::text AS name, pg_catalog.pg_get_functiondef(p.oid) AS text,
    p.prorettype = 'trigger'::regtype AS is_trigger,
    EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS k WHERE k.tgfoid = p.oid AND NOT k.tgisinternal AND k.tgtype & 1 = 1
    ) AS is_row_trigger
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'app'::regnamespace AND p.prokind IN ('f', 'p')"""

_UPSERT: Final = re.compile(r"\bdo\s+update\s+set\b(.*?)(?:;|\breturning\b|\$\w*\$|\Z)", re.DOTALL)
_CALL: Final = re.compile(r"\b([a-z_][\w.]*)\s*\(|\b(current_(?:timestamp|date|time)|localtime(?:stamp)?)\b")
_NOT_CALLS: Final = frozenset(
    {
        "and",
        "any",
        "case",
        "coalesce",
        "else",
        "greatest",
        "in",
        "least",
        "nullif",
        "or",
        "row",
        "set",
        "then",
        "when",
        "where",
    }
)
_SET: Final = re.compile(
    r"\bupdate\s+[\w.\"]+(?:\s+as)?(?:\s+\w+)?\s+set\b(.*?)(?:\bfrom\b|\bwhere\b|;|\$\w*\$|\Z)", re.DOTALL
)
_VOLATILE: Final = re.compile(r"\b(clock_timestamp|timeofday|random|gen_random_uuid|uuidv[47]|nextval)\s*\(")
_READS: Final = re.compile(r"\b(?:from|join|into|update)\s+(app\.\w+)")
_NOTIFY: Final = re.compile(r"\bpg_notify\s*\(|\bnotify\s+\w")
_MERGE: Final = re.compile(r"\bmerge\s+into\b")


def upserts(text: str) -> list[str]:
    """Functions called in the SET of an ON CONFLICT DO UPDATE."""
    calls = [call[0] or call[1] for found in _UPSERT.findall(text) for call in _CALL.findall(found)]
    return [f"ON CONFLICT DO UPDATE calls {call}" for call in calls if call not in _NOT_CALLS]


def volatile_updates(text: str) -> list[str]:
    """Volatile functions in the SET of an UPDATE."""
    return [f"UPDATE sets {call}()" for found in _SET.findall(text) for call in _VOLATILE.findall(found)]


def bodies(name: str, find: Callable[[str], Iterable[str]], where: str | None = None) -> Rule:
    """A rule about the text of functions: of all, or of those for which the column `where` is true."""

    async def ask(connection: Connection) -> Found:
        rows = await connection.fetch(_BODIES)
        texts = {
            row["name"]: re.sub(r"--[^\n]*", "", row["text"]).lower() for row in rows if where is None or row[where]
        }
        return [(function, detail) for function, text in texts.items() for detail in find(text)]

    return Rule(name, ask)


RULES: Final = (
    DEFINER,
    SEARCH_PATH,
    EXECUTE,
    bodies("upsert_without_functions", upserts),
    bodies("update_without_volatile_functions", volatile_updates),
    bodies("no_merge", lambda text: ["uses MERGE" for _ in _MERGE.findall(text)]),
    bodies("trigger_does_not_notify", lambda text: ["uses NOTIFY" for _ in _NOTIFY.findall(text)], "is_trigger"),
    bodies(
        "row_trigger_reads_no_table",
        lambda text: [f"touches {name}" for name in _READS.findall(text)],
        "is_row_trigger",
    ),
)
