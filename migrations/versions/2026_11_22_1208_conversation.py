"""Conversations.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0009_conversation"
down_revision = "0008_document"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_conversations (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    project_id UUID,
    title TEXT,
    model_used TEXT,
    metadata JSONB,
    message_count BIGINT DEFAULT 0 NOT NULL,
    tokens_used BIGINT DEFAULT 0 NOT NULL,
    cost_micro_usd BIGINT DEFAULT 0 NOT NULL,
    last_message_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_ai_conversations PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_ai_conversations_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT fk_ai_conversations_project_id FOREIGN KEY(organization_id, project_id) REFERENCES app.projects (organization_id, id),
    CONSTRAINT uq_ai_conversations_id_user_id UNIQUE (organization_id, id, user_id),
    CONSTRAINT ck_ai_conversations_title_length CHECK (char_length(title) <= 255),
    CONSTRAINT ck_ai_conversations_model_used_length CHECK (char_length(model_used) <= 200),
    CONSTRAINT ck_ai_conversations_not_negative CHECK (message_count >= 0 AND tokens_used >= 0 AND cost_micro_usd >= 0)
);
CREATE INDEX ix_ai_conversations_active
    ON app.ai_conversations (organization_id, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX ix_ai_conversations_created_at_id
    ON app.ai_conversations (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_conversations_deleted
    ON app.ai_conversations (organization_id, updated_at DESC, id DESC)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX ix_ai_conversations_project_id_updated_at_id
    ON app.ai_conversations (organization_id, project_id, updated_at DESC, id DESC)
    WHERE project_id IS NOT NULL;
CREATE INDEX ix_ai_conversations_title_c
    ON app.ai_conversations (organization_id, (title COLLATE "C"));
CREATE INDEX ix_ai_conversations_user_active
    ON app.ai_conversations (organization_id, user_id, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX ix_ai_conversations_user_deleted
    ON app.ai_conversations (organization_id, user_id, updated_at DESC, id DESC)
    WHERE deleted_at IS NOT NULL;
CREATE INDEX ix_ai_conversations_user_id_created_at_id
    ON app.ai_conversations (organization_id, user_id, created_at DESC, id DESC);
ALTER TABLE app.ai_conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_conversations FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_conversations');
CREATE POLICY ai_conversations_select_member ON app.ai_conversations
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_insert_member ON app.ai_conversations
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_update_member ON app.ai_conversations
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_select_service ON app.ai_conversations
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_conversations_insert_service ON app.ai_conversations
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_conversations_update_service ON app.ai_conversations
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_conversations_select_definer ON app.ai_conversations
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_conversations_update_definer ON app.ai_conversations
    FOR UPDATE TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_conversations_select_admin ON app.ai_conversations
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_insert_admin ON app.ai_conversations
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_update_admin ON app.ai_conversations
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_conversations_select_operator ON app.ai_conversations
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_conversations_insert_operator ON app.ai_conversations
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_conversations_update_operator ON app.ai_conversations
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_conversations_delete_operator ON app.ai_conversations
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_conversations TO app_member;
GRANT INSERT (organization_id, id, user_id, project_id, title, metadata) ON app.ai_conversations TO app_member;
GRANT UPDATE (project_id, title, deleted_at) ON app.ai_conversations TO app_member;
GRANT SELECT ON app.ai_conversations TO app_service;
GRANT INSERT (organization_id, id, user_id, project_id, title, model_used, metadata, created_at) ON app.ai_conversations TO app_service;
GRANT UPDATE (project_id, title, model_used, metadata, deleted_at) ON app.ai_conversations TO app_service;
GRANT SELECT ON app.ai_conversations TO app_definer;
GRANT UPDATE (model_used, message_count, tokens_used, cost_micro_usd, last_message_at, updated_at) ON app.ai_conversations TO app_definer;
GRANT SELECT ON app.ai_conversations TO app_admin;
GRANT INSERT (organization_id, id, user_id, project_id, title, metadata) ON app.ai_conversations TO app_admin;
GRANT UPDATE (project_id, title, deleted_at) ON app.ai_conversations TO app_admin;
GRANT SELECT ON app.ai_conversations TO minutebook_operator;
GRANT INSERT ON app.ai_conversations TO minutebook_operator;
GRANT UPDATE ON app.ai_conversations TO minutebook_operator;
GRANT DELETE ON app.ai_conversations TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_conversations;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
