"""Rules of row-level security: forced everywhere, and policies of the one shape that PostgreSQL and Citus both keep."""

import re
from typing import Final

from db.actor import CONTEXT_ORGANIZATION
from db.engine import OPERATOR
from db.lint.rule import DEFINERS, asked

# As PostgreSQL prints CONTEXT_ORGANIZATION.
_SETTING: Final = re.findall(r"'app[.]\w+'", CONTEXT_ORGANIZATION)[0]
_COMMAND: Final = (
    "CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' END"
)
_POLICIES: Final = f""", policies AS (
    SELECT t.name, t.organization, p.oid, p.polname::text AS policy, p.polrelid, p.polcmd, {_COMMAND} AS command,
        p.polpermissive, p.polroles, r.rolname::text AS role, e.kind, e.tree,
        pg_catalog.pg_get_expr(e.tree, p.polrelid) AS expression
    FROM ours AS t
    JOIN pg_catalog.pg_policy AS p ON p.polrelid = t.oid
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.polroles[1]
    CROSS JOIN LATERAL (VALUES ('USING', p.polqual), ('WITH CHECK', p.polwithcheck)) AS e (kind, tree)
)"""

FORCED: Final = asked(
    "row_level_security_is_forced",
    """
SELECT t.name, concat_ws(' and ', CASE WHEN NOT t.relrowsecurity THEN 'lacks ENABLE' END, CASE WHEN NOT t.relforcerowsecurity THEN 'lacks FORCE' END)
FROM ours AS t WHERE NOT (t.relrowsecurity AND t.relforcerowsecurity)""",
)

COVERED: Final = asked(
    "table_has_a_policy",
    """
SELECT t.name, 'has no policy' FROM ours AS t
WHERE NOT t.relispartition AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid)""",
)

SHAPE: Final = asked(
    "policy_is_permissive_for_one_role",
    f"""{_POLICIES}
SELECT DISTINCT p.name, format('%s %s', p.policy, CASE
    WHEN NOT p.polpermissive THEN 'is RESTRICTIVE' WHEN 0 = ANY (p.polroles) THEN 'is for PUBLIC'
    WHEN p.command IS NULL THEN 'is for every command' ELSE 'is for several roles' END)
FROM policies AS p
WHERE NOT p.polpermissive OR 0 = ANY (p.polroles) OR p.command IS NULL OR cardinality(p.polroles) <> 1""",
)

# A table's policies have different names, so this also means one per command and role.
NAMED: Final = asked(
    "policy_name",
    f"""{_POLICIES}
SELECT DISTINCT p.name, format('%s is not <table>_<command>_<role>', p.policy)
FROM policies AS p
WHERE p.command IS NOT NULL AND NOT 0 = ANY (p.polroles) AND cardinality(p.polroles) = 1
    AND p.policy <> format('%s_%s_%s', p.name, p.command, regexp_replace(p.role, '^(app|minutebook)_', ''))""",
)

# PostgreSQL records in pg_depend every function that is not its own.
PLAIN: Final = asked(
    "policy_reads_nothing_else",
    f"""{_POLICIES}
SELECT DISTINCT p.name, format('%s %s', p.policy, CASE WHEN p.tree::text LIKE '%{{SUBLINK %' THEN 'has a sub-select' ELSE 'calls a function of ours' END)
FROM policies AS p
WHERE p.tree::text LIKE '%{{SUBLINK %' OR EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_catalog.pg_proc'::regclass
)""",
)

# The test stands first and under no OR: PostgreSQL prints `((test) AND …)`, and an OR would close another bracket before.
SCOPED: Final = asked(
    "policy_tests_the_organization",
    f"""{_POLICIES}, wanted AS (
    SELECT p.*, format('(%s = %s)', p.organization, $1::text) AS test,
        p.role = ANY ($2::text[]) AND p.expression = 'true' AS is_open FROM policies AS p
)
SELECT w.name, format('%s %s: %s', w.policy, w.kind, coalesce(w.expression, 'nothing'))
FROM wanted AS w
WHERE w.command IS NOT NULL AND NOT w.is_open
    AND (w.kind = 'USING' AND w.command <> 'insert' OR w.kind = 'WITH CHECK' AND w.command IN ('insert', 'update'))
    AND NOT coalesce(w.expression = w.test OR starts_with(w.expression, '(' || w.test || ' AND '), false)""",
    f"(NULLIF(current_setting({_SETTING}::text, true), ''::text))::uuid",
    [OPERATOR, *DEFINERS],
)

RULES: Final = (FORCED, COVERED, SHAPE, NAMED, PLAIN, SCOPED)
