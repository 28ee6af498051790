"""The tool registry, tool calls, their outcomes and payloads.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0018_tool_call"
down_revision = "0017_cache"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_tools (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    is_enabled BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_tools PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_ai_tools_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT uq_ai_tools_name UNIQUE (organization_id, name),
    CONSTRAINT ck_ai_tools_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT ck_ai_tools_description_length CHECK (char_length(description) <= 2000)
);
ALTER TABLE app.ai_tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_tools FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_tools');
CREATE POLICY ai_tools_select_member ON app.ai_tools
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_select_observer ON app.ai_tools
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_select_admin ON app.ai_tools
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_insert_admin ON app.ai_tools
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_update_admin ON app.ai_tools
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_select_auditor ON app.ai_tools
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_select_service ON app.ai_tools
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_tools_select_operator ON app.ai_tools
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_tools_insert_operator ON app.ai_tools
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_tools_update_operator ON app.ai_tools
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_tools_delete_operator ON app.ai_tools
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_tools TO app_member;
GRANT SELECT ON app.ai_tools TO app_observer;
GRANT SELECT ON app.ai_tools TO app_admin;
GRANT INSERT (organization_id, id, name, description, is_enabled) ON app.ai_tools TO app_admin;
GRANT UPDATE (description, is_enabled) ON app.ai_tools TO app_admin;
GRANT SELECT ON app.ai_tools TO app_auditor;
GRANT SELECT ON app.ai_tools TO app_service;
GRANT SELECT ON app.ai_tools TO minutebook_operator;
GRANT INSERT ON app.ai_tools TO minutebook_operator;
GRANT UPDATE ON app.ai_tools TO minutebook_operator;
GRANT DELETE ON app.ai_tools TO minutebook_operator;

CREATE TABLE app.tool_calls (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    session_id UUID NOT NULL,
    conversation_id UUID,
    interaction_id UUID,
    tool_name TEXT NOT NULL,
    ai_confidence DOUBLE PRECISION,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    payload_hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_tool_calls PRIMARY KEY (organization_id, id, created_at),
    CONSTRAINT fk_tool_calls_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT fk_tool_calls_conversation_id_user_id FOREIGN KEY(organization_id, conversation_id, user_id) REFERENCES app.ai_conversations (organization_id, id, user_id),
    CONSTRAINT fk_tool_calls_tool_name FOREIGN KEY(organization_id, tool_name) REFERENCES app.ai_tools (organization_id, name),
    CONSTRAINT uq_tool_calls_id_user_id_created_at UNIQUE (organization_id, id, user_id, created_at),
    CONSTRAINT ck_tool_calls_ai_confidence CHECK (ai_confidence BETWEEN 0 AND 1),
    CONSTRAINT ck_tool_calls_timestamp CHECK ("timestamp" BETWEEN created_at - interval '24 hours' AND created_at + interval '5 seconds'),
    CONSTRAINT ck_tool_calls_digests CHECK (octet_length(payload_hash) = 32),
    CONSTRAINT ck_tool_calls_id_time CHECK (app.uuid_time(id) IS NULL OR created_at BETWEEN app.uuid_time(id) - interval '24 hours' AND app.uuid_time(id) + interval '24 hours')
) PARTITION BY RANGE (created_at);
CREATE INDEX ix_tool_calls_conversation_id_timestamp_id
    ON app.tool_calls (organization_id, conversation_id, timestamp DESC, id DESC)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX ix_tool_calls_interaction_id_timestamp_id
    ON app.tool_calls (organization_id, interaction_id, timestamp DESC, id DESC)
    WHERE interaction_id IS NOT NULL;
CREATE INDEX ix_tool_calls_session_id_timestamp_id
    ON app.tool_calls (organization_id, session_id, timestamp DESC, id DESC);
CREATE INDEX ix_tool_calls_timestamp_id
    ON app.tool_calls (organization_id, timestamp DESC, id DESC);
CREATE INDEX ix_tool_calls_tool_name_timestamp_id
    ON app.tool_calls (organization_id, tool_name, timestamp DESC, id DESC);
CREATE INDEX ix_tool_calls_user_id_timestamp_id
    ON app.tool_calls (organization_id, user_id, timestamp DESC, id DESC);
ALTER TABLE app.tool_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.tool_calls FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.tool_calls');
CREATE POLICY tool_calls_select_member ON app.tool_calls
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY tool_calls_select_admin ON app.tool_calls
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_calls_select_auditor ON app.tool_calls
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_calls_select_service ON app.tool_calls
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_calls_insert_service ON app.tool_calls
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_calls_select_definer ON app.tool_calls
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_calls_select_operator ON app.tool_calls
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY tool_calls_insert_operator ON app.tool_calls
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY tool_calls_update_operator ON app.tool_calls
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY tool_calls_delete_operator ON app.tool_calls
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.tool_calls TO app_member;
GRANT SELECT ON app.tool_calls TO app_admin;
GRANT SELECT ON app.tool_calls TO app_auditor;
GRANT SELECT ON app.tool_calls TO app_service;
GRANT INSERT (organization_id, id, user_id, session_id, conversation_id, interaction_id, tool_name, ai_confidence, timestamp, payload_hash, created_at) ON app.tool_calls TO app_service;
GRANT SELECT ON app.tool_calls TO app_definer;
GRANT SELECT ON app.tool_calls TO minutebook_operator;
GRANT INSERT ON app.tool_calls TO minutebook_operator;
GRANT UPDATE ON app.tool_calls TO minutebook_operator;
GRANT DELETE ON app.tool_calls TO minutebook_operator;

CREATE TABLE app.tool_call_outcomes (
    organization_id UUID NOT NULL,
    tool_call_id UUID NOT NULL,
    user_id UUID NOT NULL,
    status TEXT NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    payload_hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_tool_call_outcomes PRIMARY KEY (organization_id, tool_call_id, created_at),
    CONSTRAINT fk_tool_call_outcomes_tool_call_id_user_id_created_at FOREIGN KEY(organization_id, tool_call_id, user_id, created_at) REFERENCES app.tool_calls (organization_id, id, user_id, created_at),
    CONSTRAINT ck_tool_call_outcomes_status CHECK (status IN ('SUCCESS', 'ERROR')),
    CONSTRAINT ck_tool_call_outcomes_completed_at CHECK (completed_at >= "timestamp" - interval '5 seconds'),
    CONSTRAINT ck_tool_call_outcomes_timestamp CHECK ("timestamp" BETWEEN created_at - interval '24 hours' AND created_at + interval '5 seconds'),
    CONSTRAINT ck_tool_call_outcomes_digests CHECK (octet_length(payload_hash) = 32)
) PARTITION BY RANGE (created_at);
CREATE INDEX ix_tool_call_outcomes_status_timestamp_tool_call_id
    ON app.tool_call_outcomes (organization_id, status, timestamp DESC, tool_call_id DESC);
CREATE INDEX ix_tool_call_outcomes_user_id_status_timestamp_tool_call_id
    ON app.tool_call_outcomes (organization_id, user_id, status, timestamp DESC, tool_call_id DESC);
ALTER TABLE app.tool_call_outcomes ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.tool_call_outcomes FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.tool_call_outcomes');
CREATE POLICY tool_call_outcomes_select_member ON app.tool_call_outcomes
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_select_admin ON app.tool_call_outcomes
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_select_auditor ON app.tool_call_outcomes
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_select_service ON app.tool_call_outcomes
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_insert_service ON app.tool_call_outcomes
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_select_definer ON app.tool_call_outcomes
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_outcomes_select_operator ON app.tool_call_outcomes
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY tool_call_outcomes_insert_operator ON app.tool_call_outcomes
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY tool_call_outcomes_update_operator ON app.tool_call_outcomes
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY tool_call_outcomes_delete_operator ON app.tool_call_outcomes
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.tool_call_outcomes TO app_member;
GRANT SELECT ON app.tool_call_outcomes TO app_admin;
GRANT SELECT ON app.tool_call_outcomes TO app_auditor;
GRANT SELECT ON app.tool_call_outcomes TO app_service;
GRANT INSERT (organization_id, tool_call_id, user_id, status, timestamp, completed_at, payload_hash, created_at) ON app.tool_call_outcomes TO app_service;
GRANT SELECT ON app.tool_call_outcomes TO app_definer;
GRANT SELECT ON app.tool_call_outcomes TO minutebook_operator;
GRANT INSERT ON app.tool_call_outcomes TO minutebook_operator;
GRANT UPDATE ON app.tool_call_outcomes TO minutebook_operator;
GRANT DELETE ON app.tool_call_outcomes TO minutebook_operator;

CREATE TABLE app.tool_call_payloads (
    organization_id UUID NOT NULL,
    tool_call_id UUID NOT NULL,
    part TEXT NOT NULL,
    user_id UUID NOT NULL,
    salt BYTEA,
    payload BYTEA,
    redacted_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_tool_call_payloads PRIMARY KEY (organization_id, tool_call_id, part, created_at),
    CONSTRAINT fk_tool_call_payloads_tool_call_id_user_id_created_at FOREIGN KEY(organization_id, tool_call_id, user_id, created_at) REFERENCES app.tool_calls (organization_id, id, user_id, created_at),
    CONSTRAINT ck_tool_call_payloads_part CHECK (part IN ('CALL', 'OUTCOME')),
    CONSTRAINT ck_tool_call_payloads_erasable CHECK ((payload IS NULL) = (redacted_at IS NOT NULL) AND (salt IS NULL) = (redacted_at IS NOT NULL))
) PARTITION BY RANGE (created_at);
ALTER TABLE app.tool_call_payloads ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.tool_call_payloads FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.tool_call_payloads');
CREATE POLICY tool_call_payloads_select_member ON app.tool_call_payloads
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_select_admin ON app.tool_call_payloads
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_select_auditor ON app.tool_call_payloads
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_select_service ON app.tool_call_payloads
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_insert_service ON app.tool_call_payloads
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_select_definer ON app.tool_call_payloads
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY tool_call_payloads_select_operator ON app.tool_call_payloads
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY tool_call_payloads_insert_operator ON app.tool_call_payloads
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY tool_call_payloads_update_operator ON app.tool_call_payloads
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY tool_call_payloads_delete_operator ON app.tool_call_payloads
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.tool_call_payloads TO app_member;
GRANT SELECT ON app.tool_call_payloads TO app_admin;
GRANT SELECT ON app.tool_call_payloads TO app_auditor;
GRANT SELECT ON app.tool_call_payloads TO app_service;
GRANT INSERT (organization_id, tool_call_id, part, user_id, salt, payload, created_at) ON app.tool_call_payloads TO app_service;
GRANT SELECT ON app.tool_call_payloads TO app_definer;
GRANT SELECT ON app.tool_call_payloads TO minutebook_operator;
GRANT INSERT ON app.tool_call_payloads TO minutebook_operator;
GRANT UPDATE ON app.tool_call_payloads TO minutebook_operator;
GRANT DELETE ON app.tool_call_payloads TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.tool_call_payloads;
DROP TABLE app.tool_call_outcomes;
DROP TABLE app.tool_calls;
DROP TABLE app.ai_tools;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
