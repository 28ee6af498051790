"""Feedback.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0011_feedback"
down_revision = "0010_message"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_feedback (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    message_id UUID NOT NULL,
    user_id UUID NOT NULL,
    rating SMALLINT NOT NULL,
    feedback_text TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_feedback PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_ai_feedback_message_id_user_id UNIQUE (organization_id, message_id, user_id),
    CONSTRAINT fk_ai_feedback_message_id_user_id FOREIGN KEY(organization_id, message_id, user_id) REFERENCES app.ai_messages (organization_id, id, user_id) ON DELETE CASCADE,
    CONSTRAINT ck_ai_feedback_rating CHECK (rating IN (1, 5)),
    CONSTRAINT ck_ai_feedback_feedback_text_length CHECK (char_length(feedback_text) <= 10000)
);
CREATE INDEX ix_ai_feedback_created_at_id
    ON app.ai_feedback (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_feedback_user_id_created_at_id
    ON app.ai_feedback (organization_id, user_id, created_at DESC, id DESC);
ALTER TABLE app.ai_feedback ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_feedback FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_feedback');
CREATE POLICY ai_feedback_select_member ON app.ai_feedback
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_insert_member ON app.ai_feedback
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_update_member ON app.ai_feedback
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_delete_member ON app.ai_feedback
    FOR DELETE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_select_admin ON app.ai_feedback
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_feedback_insert_admin ON app.ai_feedback
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_update_admin ON app.ai_feedback
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_delete_admin ON app.ai_feedback
    FOR DELETE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_feedback_select_auditor ON app.ai_feedback
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_feedback_select_service ON app.ai_feedback
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_feedback_select_operator ON app.ai_feedback
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_feedback_insert_operator ON app.ai_feedback
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_feedback_update_operator ON app.ai_feedback
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_feedback_delete_operator ON app.ai_feedback
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_feedback TO app_member;
GRANT INSERT (organization_id, id, message_id, user_id, rating, feedback_text) ON app.ai_feedback TO app_member;
GRANT UPDATE (rating, feedback_text) ON app.ai_feedback TO app_member;
GRANT DELETE ON app.ai_feedback TO app_member;
GRANT SELECT ON app.ai_feedback TO app_admin;
GRANT INSERT (organization_id, id, message_id, user_id, rating, feedback_text) ON app.ai_feedback TO app_admin;
GRANT UPDATE (rating, feedback_text) ON app.ai_feedback TO app_admin;
GRANT DELETE ON app.ai_feedback TO app_admin;
GRANT SELECT ON app.ai_feedback TO app_auditor;
GRANT SELECT ON app.ai_feedback TO app_service;
GRANT SELECT ON app.ai_feedback TO minutebook_operator;
GRANT INSERT ON app.ai_feedback TO minutebook_operator;
GRANT UPDATE ON app.ai_feedback TO minutebook_operator;
GRANT DELETE ON app.ai_feedback TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_feedback;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
