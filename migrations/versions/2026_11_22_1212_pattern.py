"""Learned patterns.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0013_pattern"
down_revision = "0012_insight"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_patterns (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    pattern_type TEXT NOT NULL,
    category_id UUID,
    pattern_data JSONB NOT NULL,
    confidence DOUBLE PRECISION,
    last_calculated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_patterns PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_ai_patterns_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT fk_ai_patterns_category_id FOREIGN KEY(organization_id, category_id) REFERENCES app.budget_categories (organization_id, id),
    CONSTRAINT uq_ai_patterns_pattern_type_category_id UNIQUE NULLS NOT DISTINCT (organization_id, pattern_type, category_id),
    CONSTRAINT ck_ai_patterns_pattern_type CHECK (pattern_type IN ('CATEGORY_COST_BASELINE', 'PHASE_DURATION_BASELINE', 'COST_PER_UNIT_BASELINE')),
    CONSTRAINT ck_ai_patterns_confidence CHECK (confidence BETWEEN 0 AND 1)
);
CREATE INDEX ix_ai_patterns_category_id_last_calculated_at_id
    ON app.ai_patterns (organization_id, category_id, last_calculated_at DESC, id DESC)
    WHERE category_id IS NOT NULL;
CREATE INDEX ix_ai_patterns_last_calculated_at_id
    ON app.ai_patterns (organization_id, last_calculated_at DESC, id DESC);
ALTER TABLE app.ai_patterns ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_patterns FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_patterns');
CREATE POLICY ai_patterns_select_member ON app.ai_patterns
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_select_observer ON app.ai_patterns
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_select_admin ON app.ai_patterns
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_select_auditor ON app.ai_patterns
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_select_service ON app.ai_patterns
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_insert_service ON app.ai_patterns
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_update_service ON app.ai_patterns
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_patterns_select_operator ON app.ai_patterns
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_patterns_insert_operator ON app.ai_patterns
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_patterns_update_operator ON app.ai_patterns
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_patterns_delete_operator ON app.ai_patterns
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_patterns TO app_member;
GRANT SELECT ON app.ai_patterns TO app_observer;
GRANT SELECT ON app.ai_patterns TO app_admin;
GRANT SELECT ON app.ai_patterns TO app_auditor;
GRANT SELECT ON app.ai_patterns TO app_service;
GRANT INSERT (organization_id, id, pattern_type, category_id, pattern_data, confidence, last_calculated_at) ON app.ai_patterns TO app_service;
GRANT UPDATE (pattern_type, category_id, pattern_data, confidence, last_calculated_at) ON app.ai_patterns TO app_service;
GRANT SELECT ON app.ai_patterns TO minutebook_operator;
GRANT INSERT ON app.ai_patterns TO minutebook_operator;
GRANT UPDATE ON app.ai_patterns TO minutebook_operator;
GRANT DELETE ON app.ai_patterns TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_patterns;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
