"""Organizations: the tenants.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0004_organization"
down_revision = "0003_windows"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.organizations (
    id UUID DEFAULT app.uuidv7() NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    timezone TEXT NOT NULL,
    embedding_model TEXT DEFAULT 'all-MiniLM-L6-v2' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_organizations PRIMARY KEY (id),
    CONSTRAINT uq_organizations_slug UNIQUE (slug),
    CONSTRAINT ck_organizations_kind CHECK (kind IN ('BUILDER', 'TEAM', 'PERSONAL')),
    CONSTRAINT ck_organizations_slug CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT ck_organizations_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    CONSTRAINT ck_organizations_timezone_length CHECK (char_length(timezone) BETWEEN 1 AND 64),
    CONSTRAINT ck_organizations_embedding_model_length CHECK (char_length(embedding_model) BETWEEN 1 AND 200)
);
ALTER TABLE app.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.organizations FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.organizations', 'id');
CREATE POLICY organizations_select_member ON app.organizations
    FOR SELECT TO app_member
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_select_observer ON app.organizations
    FOR SELECT TO app_observer
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_select_admin ON app.organizations
    FOR SELECT TO app_admin
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_update_admin ON app.organizations
    FOR UPDATE TO app_admin
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_select_auditor ON app.organizations
    FOR SELECT TO app_auditor
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_select_service ON app.organizations
    FOR SELECT TO app_service
    USING (id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY organizations_select_definer ON app.organizations
    FOR SELECT TO app_definer
    USING (true);
CREATE POLICY organizations_select_operator ON app.organizations
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY organizations_insert_operator ON app.organizations
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY organizations_update_operator ON app.organizations
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY organizations_delete_operator ON app.organizations
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.organizations TO app_member;
GRANT SELECT ON app.organizations TO app_observer;
GRANT SELECT ON app.organizations TO app_admin;
GRANT UPDATE (name, timezone) ON app.organizations TO app_admin;
GRANT SELECT ON app.organizations TO app_auditor;
GRANT SELECT ON app.organizations TO app_service;
GRANT SELECT ON app.organizations TO app_definer;
GRANT SELECT ON app.organizations TO minutebook_operator;
GRANT INSERT ON app.organizations TO minutebook_operator;
GRANT UPDATE ON app.organizations TO minutebook_operator;
GRANT DELETE ON app.organizations TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.organizations;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
