"""Projects.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0006_project"
down_revision = "0005_user"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.projects (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_projects PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_projects_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT ck_projects_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX ix_projects_created_at_id
    ON app.projects (organization_id, created_at DESC, id DESC);
ALTER TABLE app.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.projects FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.projects');
CREATE POLICY projects_select_member ON app.projects
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_select_observer ON app.projects
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_select_admin ON app.projects
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_insert_admin ON app.projects
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_update_admin ON app.projects
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_select_auditor ON app.projects
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_select_service ON app.projects
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_insert_service ON app.projects
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_update_service ON app.projects
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY projects_select_operator ON app.projects
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY projects_insert_operator ON app.projects
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY projects_update_operator ON app.projects
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY projects_delete_operator ON app.projects
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.projects TO app_member;
GRANT SELECT ON app.projects TO app_observer;
GRANT SELECT ON app.projects TO app_admin;
GRANT INSERT (organization_id, id, name) ON app.projects TO app_admin;
GRANT UPDATE (name) ON app.projects TO app_admin;
GRANT SELECT ON app.projects TO app_auditor;
GRANT SELECT ON app.projects TO app_service;
GRANT INSERT (organization_id, id, name) ON app.projects TO app_service;
GRANT UPDATE (name) ON app.projects TO app_service;
GRANT SELECT ON app.projects TO minutebook_operator;
GRANT INSERT ON app.projects TO minutebook_operator;
GRANT UPDATE ON app.projects TO minutebook_operator;
GRANT DELETE ON app.projects TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.projects;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
