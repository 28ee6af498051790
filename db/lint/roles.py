"""Rules of roles, ownership and grants: who can become whom, who owns, and what nobody is ever given."""

from typing import Final

from db.engine import API, INGEST, MIGRATOR, OPERATOR, OWNER
from db.lint.rule import DEFINERS, LOGINS, NO_LOGINS, PEOPLE, REQUEST_ROLES, Connection, Found, Rule, asked

# (role, member): the member may SET ROLE to it, and never inherits from it.
MEMBERSHIPS: Final = frozenset(
    {
        *((role, API) for role in PEOPLE),
        ("app_service", INGEST),
        (OWNER, MIGRATOR),
        *((role, OWNER) for role in DEFINERS),
    }
)

ATTRIBUTES: Final = asked(
    "role_is_harmless",
    """
SELECT w.name, CASE
    WHEN r.oid IS NULL THEN 'does not exist'
    WHEN r.rolcanlogin <> w.is_login THEN CASE WHEN w.is_login THEN 'cannot log in' ELSE 'can log in' END
    WHEN r.rolinherit THEN 'is INHERIT'
    ELSE 'is SUPERUSER, BYPASSRLS, CREATEROLE, CREATEDB or REPLICATION'
END
FROM (SELECT unnest($1::text[]), true UNION ALL SELECT unnest($2::text[]), false) AS w (name, is_login)
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = w.name
WHERE r.oid IS NULL OR r.rolcanlogin <> w.is_login OR r.rolinherit
    OR r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication""",
    LOGINS,
    NO_LOGINS,
)

OWNERSHIP: Final = asked(
    "owner_owns_every_relation",
    """
SELECT c.relname::text, format('belongs to %s', c.relowner::regrole) FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'app'::regnamespace AND c.relkind NOT IN ('i', 'I') AND c.relowner <> $1::text::regrole
UNION ALL
SELECT 'schema app', format('belongs to %s', n.nspowner::regrole) FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = 'app' AND n.nspowner <> $1::text::regrole""",
    OWNER,
)

# CREATE on the schema is lent to a definer while its functions are made, and taken back in the same transaction.
NEVER_GRANTED: Final = asked(
    "never_granted",
    """
SELECT c.relname::text, format('%s to %s%s', g.privilege_type, coalesce(r.rolname, 'PUBLIC'), CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END)
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL (
    SELECT e.* FROM pg_catalog.aclexplode(c.relacl) AS e
    UNION ALL
    SELECT e.* FROM pg_catalog.pg_attribute AS a CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid
) AS g
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
WHERE c.relnamespace = 'app'::regnamespace AND g.grantee <> c.relowner
    AND (g.grantee = 0 OR g.is_grantable OR g.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
UNION ALL
SELECT 'schema app', format('%s to %s', g.privilege_type, coalesce(r.rolname, 'PUBLIC'))
FROM pg_catalog.pg_namespace AS n CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS g
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
WHERE n.nspname = 'app' AND g.grantee <> n.nspowner AND (g.grantee = 0 OR g.privilege_type <> 'USAGE')""",
)

WRITES: Final = asked(
    "writes_list_columns",
    """
SELECT c.relname::text, format('%s of every column to %s', g.privilege_type, g.grantee::regrole)
FROM pg_catalog.pg_class AS c CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS g
WHERE c.relnamespace = 'app'::regnamespace AND g.privilege_type IN ('INSERT', 'UPDATE') AND g.grantee <> c.relowner
    AND g.grantee <> $1::text::regrole""",
    OPERATOR,
)

# ON CONFLICT, RETURNING and UPDATE … WHERE fail, or silently find nothing, for who may write and not read.
READS: Final = asked(
    "writer_reads_what_it_matches",
    """
SELECT t.name, format('%s may write, and %s', r.oid::regrole, CASE
    WHEN NOT p.commands @> ARRAY['r'] THEN 'has no policy to read' ELSE format('not read %s', k.columns) END)
FROM ours AS t
CROSS JOIN LATERAL (
    SELECT p.polroles[1] AS role, array_agg(p.polcmd::text) AS commands
    FROM pg_catalog.pg_policy AS p WHERE p.polrelid = t.oid GROUP BY 1
) AS p
JOIN pg_catalog.pg_roles AS r ON r.oid = p.role
CROSS JOIN LATERAL (
    SELECT string_agg(DISTINCT a.attname::text, ', ') AS columns
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = t.oid AND (i.indisprimary OR i.indisunique AND p.commands @> ARRAY['a'])
        AND NOT pg_catalog.has_column_privilege(r.oid, t.oid, a.attnum, 'SELECT')
) AS k
WHERE p.commands && ARRAY['a', 'w', 'd'] AND (NOT p.commands @> ARRAY['r'] OR k.columns IS NOT NULL)""",
)

VIEWS: Final = asked(
    "view_is_its_callers",
    """
SELECT c.relname::text, CASE c.relkind WHEN 'v' THEN 'is not security_invoker' ELSE 'keeps rows beside their policies' END
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'app'::regnamespace AND (
    c.relkind = 'm'
    OR c.relkind = 'v' AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
)""",
)

_MEMBERS: Final = """
SELECT m.roleid::regrole::text AS role, m.member::regrole::text AS member, m.inherit_option AS inherits, m.set_option AS sets
FROM pg_catalog.pg_auth_members AS m
WHERE m.roleid::regrole::text = ANY ($1::text[]) AND (m.inherit_option OR m.set_option)"""


async def _memberships(connection: Connection) -> Found:
    """Who can become whom. A bootstrap login without superuser keeps ADMIN alone, which is neither SET nor INHERIT."""
    rows = await connection.fetch(_MEMBERS, [*NO_LOGINS, *LOGINS])
    found = {(row["role"], row["member"]) for row in rows}
    return [
        *((member, f"can become {role}") for role, member in found - MEMBERSHIPS),
        *((member, f"cannot become {role}") for role, member in MEMBERSHIPS - found),
        *((row["member"], f"inherits from {row['role']}") for row in rows if row["inherits"]),
    ]


RULES: Final = (
    ATTRIBUTES,
    Rule("role_reaches_its_own", _memberships),
    OWNERSHIP,
    NEVER_GRANTED,
    WRITES,
    READS,
    VIEWS,
)

__all__ = ["MEMBERSHIPS", "REQUEST_ROLES", "RULES"]
