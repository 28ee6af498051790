"""Calls to models and their payloads.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0016_interaction"
down_revision = "0015_usage"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_interactions (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID,
    conversation_id UUID,
    message_id UUID,
    type TEXT DEFAULT 'chat' NOT NULL,
    model_name TEXT,
    provider TEXT,
    tier TEXT,
    tokens_used BIGINT,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER,
    latency_ms INTEGER,
    error_code TEXT,
    error_message TEXT,
    status TEXT NOT NULL,
    cost_micro_usd BIGINT DEFAULT 0 NOT NULL,
    prompt_hash TEXT,
    file_metadata JSONB,
    ip_address INET,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    redacted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_ai_interactions PRIMARY KEY (organization_id, id, created_at),
    CONSTRAINT fk_ai_interactions_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT fk_ai_interactions_conversation_id FOREIGN KEY(organization_id, conversation_id) REFERENCES app.ai_conversations (organization_id, id),
    CONSTRAINT fk_ai_interactions_message_id FOREIGN KEY(organization_id, message_id) REFERENCES app.ai_messages (organization_id, id),
    CONSTRAINT ck_ai_interactions_provider CHECK (provider IN ('OPENAI', 'ANTHROPIC', 'GOOGLE', 'OTHER')),
    CONSTRAINT ck_ai_interactions_tier CHECK (tier IN ('FREE', 'BYOK', 'PREMIUM')),
    CONSTRAINT ck_ai_interactions_status CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    CONSTRAINT ck_ai_interactions_type_length CHECK (char_length(type) BETWEEN 1 AND 50),
    CONSTRAINT ck_ai_interactions_model_name_length CHECK (char_length(model_name) <= 200),
    CONSTRAINT ck_ai_interactions_error_code_length CHECK (char_length(error_code) <= 100),
    CONSTRAINT ck_ai_interactions_error_message_length CHECK (char_length(error_message) <= 65536),
    CONSTRAINT ck_ai_interactions_prompt_hash_length CHECK (char_length(prompt_hash) <= 255),
    CONSTRAINT ck_ai_interactions_not_negative CHECK (tokens_used >= 0 AND request_bytes >= 0 AND response_bytes >= 0 AND latency_ms >= 0 AND cost_micro_usd >= 0),
    CONSTRAINT ck_ai_interactions_completed_at CHECK (completed_at >= created_at),
    CONSTRAINT ck_ai_interactions_id_time CHECK (app.uuid_time(id) IS NULL OR created_at BETWEEN app.uuid_time(id) - interval '24 hours' AND app.uuid_time(id) + interval '24 hours')
) PARTITION BY RANGE (created_at);
CREATE INDEX ix_ai_interactions_conversation_id_created_at_id
    ON app.ai_interactions (organization_id, conversation_id, created_at DESC, id DESC)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX ix_ai_interactions_created_at_id
    ON app.ai_interactions (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_interactions_error_code_c
    ON app.ai_interactions (organization_id, (error_code COLLATE "C"))
    WHERE error_code IS NOT NULL;
CREATE INDEX ix_ai_interactions_error_code_created_at_id
    ON app.ai_interactions (organization_id, error_code, created_at DESC, id DESC)
    WHERE error_code IS NOT NULL;
CREATE INDEX ix_ai_interactions_message_id
    ON app.ai_interactions (organization_id, message_id)
    WHERE message_id IS NOT NULL;
CREATE INDEX ix_ai_interactions_model_name_c
    ON app.ai_interactions (organization_id, (model_name COLLATE "C"));
CREATE INDEX ix_ai_interactions_prompt_hash_created_at_id
    ON app.ai_interactions (organization_id, prompt_hash, created_at DESC, id DESC)
    WHERE prompt_hash IS NOT NULL;
CREATE INDEX ix_ai_interactions_status_created_at_id
    ON app.ai_interactions (organization_id, status, created_at DESC, id DESC)
    WHERE status != 'SUCCEEDED';
CREATE INDEX ix_ai_interactions_type_c
    ON app.ai_interactions (organization_id, (type COLLATE "C"));
CREATE INDEX ix_ai_interactions_type_created_at_id
    ON app.ai_interactions (organization_id, type, created_at DESC, id DESC);
CREATE INDEX ix_ai_interactions_user_id_created_at_id
    ON app.ai_interactions (organization_id, user_id, created_at DESC, id DESC);
ALTER TABLE app.ai_interactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_interactions FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_interactions');
CREATE POLICY ai_interactions_select_admin ON app.ai_interactions
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interactions_select_auditor ON app.ai_interactions
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interactions_select_service ON app.ai_interactions
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interactions_insert_service ON app.ai_interactions
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interactions_update_service ON app.ai_interactions
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND status = 'PENDING')
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND status <> 'PENDING');
CREATE POLICY ai_interactions_select_definer ON app.ai_interactions
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interactions_select_operator ON app.ai_interactions
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_interactions_insert_operator ON app.ai_interactions
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_interactions_update_operator ON app.ai_interactions
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_interactions_delete_operator ON app.ai_interactions
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_interactions TO app_admin;
GRANT SELECT (organization_id, id, user_id, conversation_id, message_id, type, model_name, provider, tier, tokens_used, request_bytes, response_bytes, latency_ms, error_code, error_message, status, cost_micro_usd, prompt_hash, file_metadata, created_at, completed_at, redacted_at) ON app.ai_interactions TO app_auditor;
GRANT SELECT (organization_id, id, user_id, conversation_id, message_id, type, model_name, provider, tier, tokens_used, request_bytes, response_bytes, latency_ms, error_code, error_message, status, cost_micro_usd, prompt_hash, file_metadata, created_at, completed_at, redacted_at) ON app.ai_interactions TO app_service;
GRANT INSERT (organization_id, id, user_id, conversation_id, message_id, type, model_name, provider, tier, tokens_used, request_bytes, response_bytes, latency_ms, error_code, error_message, status, cost_micro_usd, prompt_hash, file_metadata, ip_address, created_at, completed_at) ON app.ai_interactions TO app_service;
GRANT UPDATE (tokens_used, response_bytes, latency_ms, error_code, error_message, status, cost_micro_usd, completed_at) ON app.ai_interactions TO app_service;
GRANT SELECT ON app.ai_interactions TO app_definer;
GRANT SELECT ON app.ai_interactions TO minutebook_operator;
GRANT INSERT ON app.ai_interactions TO minutebook_operator;
GRANT UPDATE ON app.ai_interactions TO minutebook_operator;
GRANT DELETE ON app.ai_interactions TO minutebook_operator;

CREATE TABLE app.ai_interaction_payloads (
    organization_id UUID NOT NULL,
    interaction_id UUID NOT NULL,
    user_id UUID,
    request JSONB,
    response JSONB,
    request_head TEXT GENERATED ALWAYS AS ("left"(request::text, 2000)) STORED,
    response_head TEXT GENERATED ALWAYS AS ("left"(response::text, 2000)) STORED,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_interaction_payloads PRIMARY KEY (organization_id, interaction_id, created_at),
    CONSTRAINT fk_ai_interaction_payloads_interaction_id_created_at FOREIGN KEY(organization_id, interaction_id, created_at) REFERENCES app.ai_interactions (organization_id, id, created_at)
) PARTITION BY RANGE (created_at);
ALTER TABLE app.ai_interaction_payloads ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_interaction_payloads FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_interaction_payloads');
CREATE POLICY ai_interaction_payloads_select_admin ON app.ai_interaction_payloads
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interaction_payloads_select_service ON app.ai_interaction_payloads
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interaction_payloads_insert_service ON app.ai_interaction_payloads
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_interaction_payloads_select_operator ON app.ai_interaction_payloads
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_interaction_payloads_insert_operator ON app.ai_interaction_payloads
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_interaction_payloads_update_operator ON app.ai_interaction_payloads
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_interaction_payloads_delete_operator ON app.ai_interaction_payloads
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_interaction_payloads TO app_admin;
GRANT SELECT ON app.ai_interaction_payloads TO app_service;
GRANT INSERT (organization_id, interaction_id, user_id, request, response, created_at) ON app.ai_interaction_payloads TO app_service;
GRANT SELECT ON app.ai_interaction_payloads TO minutebook_operator;
GRANT INSERT ON app.ai_interaction_payloads TO minutebook_operator;
GRANT UPDATE ON app.ai_interaction_payloads TO minutebook_operator;
GRANT DELETE ON app.ai_interaction_payloads TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_interaction_payloads;
DROP TABLE app.ai_interactions;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
