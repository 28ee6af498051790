"""Content searches.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0019_content_search"
down_revision = "0018_tool_call"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_content_searches (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    query TEXT NOT NULL,
    content_type TEXT NOT NULL,
    filters JSONB,
    results_count INTEGER,
    selected_content_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_content_searches PRIMARY KEY (organization_id, id, created_at),
    CONSTRAINT fk_ai_content_searches_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_ai_content_searches_content_type CHECK (content_type IN ('DOCUMENT', 'ROUTE', 'LEARNING_PATH', 'EXERCISE', 'SCHOOL', 'EVENT', 'INSTRUCTOR')),
    CONSTRAINT ck_ai_content_searches_query_length CHECK (char_length(query) <= 10000),
    CONSTRAINT ck_ai_content_searches_not_negative CHECK (results_count >= 0),
    CONSTRAINT ck_ai_content_searches_id_time CHECK (app.uuid_time(id) IS NULL OR created_at BETWEEN app.uuid_time(id) - interval '24 hours' AND app.uuid_time(id) + interval '24 hours')
) PARTITION BY RANGE (created_at);
CREATE INDEX ix_ai_content_searches_content_type_created_at_id
    ON app.ai_content_searches (organization_id, content_type, created_at DESC, id DESC);
CREATE INDEX ix_ai_content_searches_created_at_id
    ON app.ai_content_searches (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_content_searches_user_id_created_at_id
    ON app.ai_content_searches (organization_id, user_id, created_at DESC, id DESC);
ALTER TABLE app.ai_content_searches ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_content_searches FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_content_searches');
CREATE POLICY ai_content_searches_select_member ON app.ai_content_searches
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_content_searches_update_member ON app.ai_content_searches
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND selected_content_id IS NULL)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND selected_content_id IS NOT NULL);
CREATE POLICY ai_content_searches_select_admin ON app.ai_content_searches
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_content_searches_update_admin ON app.ai_content_searches
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND selected_content_id IS NULL)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND selected_content_id IS NOT NULL);
CREATE POLICY ai_content_searches_select_auditor ON app.ai_content_searches
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_content_searches_select_service ON app.ai_content_searches
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_content_searches_insert_service ON app.ai_content_searches
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_content_searches_select_operator ON app.ai_content_searches
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_content_searches_insert_operator ON app.ai_content_searches
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_content_searches_update_operator ON app.ai_content_searches
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_content_searches_delete_operator ON app.ai_content_searches
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_content_searches TO app_member;
GRANT UPDATE (selected_content_id) ON app.ai_content_searches TO app_member;
GRANT SELECT ON app.ai_content_searches TO app_admin;
GRANT UPDATE (selected_content_id) ON app.ai_content_searches TO app_admin;
GRANT SELECT ON app.ai_content_searches TO app_auditor;
GRANT SELECT ON app.ai_content_searches TO app_service;
GRANT INSERT (organization_id, id, user_id, query, content_type, filters, results_count, created_at) ON app.ai_content_searches TO app_service;
GRANT SELECT ON app.ai_content_searches TO minutebook_operator;
GRANT INSERT ON app.ai_content_searches TO minutebook_operator;
GRANT UPDATE ON app.ai_content_searches TO minutebook_operator;
GRANT DELETE ON app.ai_content_searches TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_content_searches;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
