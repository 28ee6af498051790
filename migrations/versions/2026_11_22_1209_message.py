"""Messages.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0010_message"
down_revision = "0009_conversation"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_messages (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    content_length INTEGER GENERATED ALWAYS AS (char_length(content)) STORED NOT NULL,
    query_type TEXT,
    query_params JSONB,
    sources JSONB,
    model TEXT,
    tokens_used BIGINT,
    cost_micro_usd BIGINT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_messages PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_ai_messages_conversation_id_user_id FOREIGN KEY(organization_id, conversation_id, user_id) REFERENCES app.ai_conversations (organization_id, id, user_id) ON DELETE CASCADE,
    CONSTRAINT uq_ai_messages_id_user_id UNIQUE (organization_id, id, user_id),
    CONSTRAINT ck_ai_messages_role CHECK (role IN ('USER', 'ASSISTANT', 'SYSTEM', 'TOOL')),
    CONSTRAINT ck_ai_messages_query_type CHECK (query_type IN ('SPENDING', 'SCHEDULE', 'BUDGET', 'COMPARISON', 'TREND', 'DOCUMENT', 'OPEN_ENDED')),
    CONSTRAINT ck_ai_messages_content_length CHECK (char_length(content) <= 1000000),
    CONSTRAINT ck_ai_messages_model_length CHECK (char_length(model) <= 200),
    CONSTRAINT ck_ai_messages_sources CHECK (jsonb_typeof(sources) = 'array'),
    CONSTRAINT ck_ai_messages_not_negative CHECK (tokens_used >= 0 AND cost_micro_usd >= 0)
);
CREATE INDEX ix_ai_messages_conversation_id_created_at_id
    ON app.ai_messages (organization_id, conversation_id, created_at, id);
ALTER TABLE app.ai_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_messages FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_messages');
CREATE POLICY ai_messages_select_member ON app.ai_messages
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_messages_insert_member ON app.ai_messages
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND role = 'USER');
CREATE POLICY ai_messages_select_service ON app.ai_messages
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_messages_insert_service ON app.ai_messages
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_messages_select_definer ON app.ai_messages
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_messages_select_admin ON app.ai_messages
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY ai_messages_insert_admin ON app.ai_messages
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid AND role = 'USER');
CREATE POLICY ai_messages_select_operator ON app.ai_messages
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_messages_insert_operator ON app.ai_messages
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_messages_update_operator ON app.ai_messages
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_messages_delete_operator ON app.ai_messages
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_messages TO app_member;
GRANT INSERT (organization_id, id, user_id, conversation_id, role, content) ON app.ai_messages TO app_member;
GRANT SELECT ON app.ai_messages TO app_service;
GRANT INSERT (organization_id, id, user_id, conversation_id, role, content, query_type, query_params, sources, model, tokens_used, cost_micro_usd, created_at) ON app.ai_messages TO app_service;
GRANT SELECT ON app.ai_messages TO app_definer;
GRANT SELECT ON app.ai_messages TO app_admin;
GRANT INSERT (organization_id, id, user_id, conversation_id, role, content) ON app.ai_messages TO app_admin;
GRANT SELECT ON app.ai_messages TO minutebook_operator;
GRANT INSERT ON app.ai_messages TO minutebook_operator;
GRANT UPDATE ON app.ai_messages TO minutebook_operator;
GRANT DELETE ON app.ai_messages TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_messages;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
