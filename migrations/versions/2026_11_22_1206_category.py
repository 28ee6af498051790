"""Budget categories.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0007_category"
down_revision = "0006_project"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.budget_categories (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_budget_categories PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_budget_categories_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT ck_budget_categories_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX ix_budget_categories_created_at_id
    ON app.budget_categories (organization_id, created_at DESC, id DESC);
ALTER TABLE app.budget_categories ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.budget_categories FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.budget_categories');
CREATE POLICY budget_categories_select_member ON app.budget_categories
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_select_observer ON app.budget_categories
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_select_admin ON app.budget_categories
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_select_auditor ON app.budget_categories
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_select_service ON app.budget_categories
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_insert_service ON app.budget_categories
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_update_service ON app.budget_categories
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY budget_categories_select_operator ON app.budget_categories
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY budget_categories_insert_operator ON app.budget_categories
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY budget_categories_update_operator ON app.budget_categories
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY budget_categories_delete_operator ON app.budget_categories
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.budget_categories TO app_member;
GRANT SELECT ON app.budget_categories TO app_observer;
GRANT SELECT ON app.budget_categories TO app_admin;
GRANT SELECT ON app.budget_categories TO app_auditor;
GRANT SELECT ON app.budget_categories TO app_service;
GRANT INSERT (organization_id, id, name) ON app.budget_categories TO app_service;
GRANT UPDATE (name) ON app.budget_categories TO app_service;
GRANT SELECT ON app.budget_categories TO minutebook_operator;
GRANT INSERT ON app.budget_categories TO minutebook_operator;
GRANT UPDATE ON app.budget_categories TO minutebook_operator;
GRANT DELETE ON app.budget_categories TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.budget_categories;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
