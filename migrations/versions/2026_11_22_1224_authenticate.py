"""Who a verified token stands for.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0025_authenticate"
down_revision = "0024_rollups"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: who a verified token stands for, and which organizations a person may choose among.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: definer functions that look across organizations return only what the caller may know; the role is the one
-- in users, never a token's. app_definer needs SELECT USING (true) on identities, users and organizations.

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- organization: a slug or an id; NULL or '' = all of the identity's, so that the API can say "ambiguous". No row = 401.
CREATE OR REPLACE FUNCTION app.authenticate(issuer text, subject text, organization text)
    RETURNS TABLE (organization_id uuid, user_id uuid, role text, epoch bigint, slug text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
    SELECT u.organization_id, u.id, u.role, u.epoch, o.slug
    FROM app.identities AS i
    JOIN app.users AS u ON u.organization_id = i.organization_id AND u.id = i.user_id
    JOIN app.organizations AS o ON o.id = i.organization_id
    WHERE i.issuer = $1 AND i.subject = $2 AND u.erased_at IS NULL
        AND (coalesce($3, '') = '' OR o.slug = $3 OR o.id::text = lower($3))
    ORDER BY o.slug
    $body$;

-- For a service token, which names one organization by slug or id: its canonical id, or no row.
CREATE OR REPLACE FUNCTION app.authenticate_service(organization text)
    RETURNS TABLE (organization_id uuid, slug text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
    SELECT o.id, o.slug FROM app.organizations AS o WHERE o.slug = $1 OR o.id::text = lower($1)
    $body$;

-- The context user's organizations: its own, and those where the same issuer and subject has a user. A service: its own.
CREATE OR REPLACE FUNCTION app.my_organizations()
    RETURNS TABLE (organization_id uuid, slug text, name text, kind text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
    WITH mine AS (
        SELECT app.organization_id() AS organization_id, app.user_id() AS user_id
        UNION
        SELECT other.organization_id, other.user_id
        FROM app.identities AS own
        JOIN app.identities AS other ON other.issuer = own.issuer AND other.subject = own.subject
        WHERE own.organization_id = app.organization_id() AND own.user_id = app.user_id()
    )
    SELECT o.id, o.slug, o.name, o.kind, coalesce(u.role, 'SERVICE')
    FROM mine
    JOIN app.organizations AS o ON o.id = mine.organization_id
    LEFT JOIN app.users AS u ON u.organization_id = mine.organization_id AND u.id = mine.user_id
    WHERE u.id IS NOT NULL AND u.erased_at IS NULL
        OR mine.user_id IS NULL AND current_setting('role') = 'app_service'
    ORDER BY o.slug
    $body$;

REVOKE ALL ON FUNCTION app.authenticate(text, text, text), app.authenticate_service(text), app.my_organizations()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.authenticate(text, text, text) TO minutebook_api;
GRANT EXECUTE ON FUNCTION app.authenticate_service(text) TO minutebook_ingest;
GRANT EXECUTE ON FUNCTION app.my_organizations() TO app_member, app_observer, app_admin, app_auditor, app_service;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
"""

DOWNGRADE = r"""
DROP FUNCTION app.my_organizations();
DROP FUNCTION app.authenticate_service(text);
DROP FUNCTION app.authenticate(text, text, text);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
