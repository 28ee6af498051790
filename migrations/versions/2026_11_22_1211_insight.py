"""Insights.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0012_insight"
down_revision = "0011_feedback"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_insights (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    project_id UUID,
    insight_type TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    data JSONB,
    severity TEXT DEFAULT 'INFO' NOT NULL,
    severity_rank SMALLINT GENERATED ALWAYS AS ((CASE severity WHEN 'INFO' THEN 1 WHEN 'WARNING' THEN 2 WHEN 'CRITICAL' THEN 3 END)::smallint) STORED NOT NULL,
    is_dismissed BOOLEAN DEFAULT false NOT NULL,
    dismissed_by UUID,
    dismissed_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_insights PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_ai_insights_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT fk_ai_insights_project_id FOREIGN KEY(organization_id, project_id) REFERENCES app.projects (organization_id, id),
    CONSTRAINT fk_ai_insights_dismissed_by FOREIGN KEY(organization_id, dismissed_by) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_ai_insights_insight_type CHECK (insight_type IN ('COST_PATTERN', 'SCHEDULE_RISK', 'EFFICIENCY', 'ANOMALY', 'RECOMMENDATION')),
    CONSTRAINT ck_ai_insights_severity CHECK (severity IN ('INFO', 'WARNING', 'CRITICAL')),
    CONSTRAINT ck_ai_insights_title_length CHECK (char_length(title) BETWEEN 1 AND 255),
    CONSTRAINT ck_ai_insights_description_length CHECK (char_length(description) <= 10000),
    CONSTRAINT ck_ai_insights_dismissal CHECK (is_dismissed = (dismissed_at IS NOT NULL)),
    CONSTRAINT ck_ai_insights_dismissed_by CHECK (is_dismissed OR dismissed_by IS NULL)
);
CREATE INDEX ix_ai_insights_created_at_id
    ON app.ai_insights (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_insights_dismissed_by
    ON app.ai_insights (organization_id, dismissed_by)
    WHERE dismissed_by IS NOT NULL;
CREATE INDEX ix_ai_insights_project_id_created_at_id
    ON app.ai_insights (organization_id, project_id, created_at DESC, id DESC)
    WHERE project_id IS NOT NULL;
CREATE INDEX ix_ai_insights_project_id_severity_rank_id
    ON app.ai_insights (organization_id, project_id, severity_rank DESC, id DESC)
    WHERE project_id IS NOT NULL;
CREATE INDEX ix_ai_insights_severity_rank_id
    ON app.ai_insights (organization_id, severity_rank DESC, id DESC);
ALTER TABLE app.ai_insights ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_insights FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_insights');
CREATE POLICY ai_insights_select_member ON app.ai_insights
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_update_member ON app.ai_insights
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND (dismissed_by IS NULL OR dismissed_by = nullif(current_setting('app.user_id', true), '')::uuid));
CREATE POLICY ai_insights_select_observer ON app.ai_insights
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_select_auditor ON app.ai_insights
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_select_service ON app.ai_insights
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_insert_service ON app.ai_insights
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_update_service ON app.ai_insights
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_select_admin ON app.ai_insights
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_insights_update_admin ON app.ai_insights
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND (dismissed_by IS NULL OR dismissed_by = nullif(current_setting('app.user_id', true), '')::uuid));
CREATE POLICY ai_insights_select_operator ON app.ai_insights
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_insights_insert_operator ON app.ai_insights
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_insights_update_operator ON app.ai_insights
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_insights_delete_operator ON app.ai_insights
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_insights TO app_member;
GRANT UPDATE (is_dismissed, dismissed_by, dismissed_at) ON app.ai_insights TO app_member;
GRANT SELECT ON app.ai_insights TO app_observer;
GRANT SELECT ON app.ai_insights TO app_auditor;
GRANT SELECT ON app.ai_insights TO app_service;
GRANT INSERT (organization_id, id, project_id, insight_type, title, description, data, severity, expires_at) ON app.ai_insights TO app_service;
GRANT UPDATE (project_id, insight_type, title, description, data, severity, expires_at) ON app.ai_insights TO app_service;
GRANT SELECT ON app.ai_insights TO app_admin;
GRANT UPDATE (is_dismissed, dismissed_by, dismissed_at) ON app.ai_insights TO app_admin;
GRANT SELECT ON app.ai_insights TO minutebook_operator;
GRANT INSERT ON app.ai_insights TO minutebook_operator;
GRANT UPDATE ON app.ai_insights TO minutebook_operator;
GRANT DELETE ON app.ai_insights TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_insights;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
