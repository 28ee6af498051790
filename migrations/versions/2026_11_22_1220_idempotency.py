"""Idempotency keys.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0021_idempotency"
down_revision = "0020_audit_event"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.idempotency_keys (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    actor_id UUID NOT NULL,
    key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    result JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_idempotency_keys_actor_id_key UNIQUE (organization_id, actor_id, key),
    CONSTRAINT ck_idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
    CONSTRAINT ck_idempotency_keys_request_hash CHECK (octet_length(request_hash) BETWEEN 16 AND 64)
);
CREATE INDEX ix_idempotency_keys_expires_at
    ON app.idempotency_keys (organization_id, expires_at);
ALTER TABLE app.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.idempotency_keys FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.idempotency_keys');
CREATE POLICY idempotency_keys_select_member ON app.idempotency_keys
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_insert_member ON app.idempotency_keys
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_update_member ON app.idempotency_keys
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_select_service ON app.idempotency_keys
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_insert_service ON app.idempotency_keys
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_update_service ON app.idempotency_keys
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_select_admin ON app.idempotency_keys
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_insert_admin ON app.idempotency_keys
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_update_admin ON app.idempotency_keys
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND actor_id = nullif(current_setting('app.actor_id', true), '')::uuid);
CREATE POLICY idempotency_keys_select_operator ON app.idempotency_keys
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY idempotency_keys_insert_operator ON app.idempotency_keys
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY idempotency_keys_update_operator ON app.idempotency_keys
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY idempotency_keys_delete_operator ON app.idempotency_keys
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.idempotency_keys TO app_member;
GRANT INSERT (organization_id, id, actor_id, key, request_hash, result, expires_at) ON app.idempotency_keys TO app_member;
GRANT UPDATE (result) ON app.idempotency_keys TO app_member;
GRANT SELECT ON app.idempotency_keys TO app_service;
GRANT INSERT (organization_id, id, actor_id, key, request_hash, result, expires_at) ON app.idempotency_keys TO app_service;
GRANT UPDATE (result) ON app.idempotency_keys TO app_service;
GRANT SELECT ON app.idempotency_keys TO app_admin;
GRANT INSERT (organization_id, id, actor_id, key, request_hash, result, expires_at) ON app.idempotency_keys TO app_admin;
GRANT UPDATE (result) ON app.idempotency_keys TO app_admin;
GRANT SELECT ON app.idempotency_keys TO minutebook_operator;
GRANT INSERT ON app.idempotency_keys TO minutebook_operator;
GRANT UPDATE ON app.idempotency_keys TO minutebook_operator;
GRANT DELETE ON app.idempotency_keys TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.idempotency_keys;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
