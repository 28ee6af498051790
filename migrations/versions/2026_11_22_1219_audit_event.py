"""The audit chain's tables.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0020_audit_event"
down_revision = "0019_content_search"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.audit_heads (
    organization_id UUID NOT NULL,
    seq BIGINT DEFAULT 0 NOT NULL,
    hash BYTEA NOT NULL,
    pruned_seq BIGINT DEFAULT 0 NOT NULL,
    pruned_hash BYTEA,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_audit_heads PRIMARY KEY (organization_id),
    CONSTRAINT fk_audit_heads_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT ck_audit_heads_digests CHECK (octet_length(hash) = 32 AND octet_length(pruned_hash) = 32),
    CONSTRAINT ck_audit_heads_pruned_seq CHECK (pruned_seq BETWEEN 0 AND seq)
) WITH (fillfactor = 50);
ALTER TABLE app.audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.audit_heads FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.audit_heads');
CREATE POLICY audit_heads_select_definer ON app.audit_heads
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_heads_insert_definer ON app.audit_heads
    FOR INSERT TO app_definer
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_heads_update_definer ON app.audit_heads
    FOR UPDATE TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_heads_select_operator ON app.audit_heads
    FOR SELECT TO minutebook_operator
    USING (true);
GRANT SELECT ON app.audit_heads TO app_definer;
GRANT INSERT (organization_id, seq, hash) ON app.audit_heads TO app_definer;
GRANT UPDATE (seq, hash, updated_at) ON app.audit_heads TO app_definer;
GRANT SELECT ON app.audit_heads TO minutebook_operator;

CREATE TABLE app.audit_events (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    seq BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor_id UUID,
    actor_role TEXT NOT NULL,
    target_type TEXT,
    target_id UUID,
    target_digest BYTEA,
    request_id TEXT,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    payload_digest BYTEA,
    leaf BYTEA NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT pk_audit_events PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_audit_events_seq UNIQUE (organization_id, seq),
    CONSTRAINT uq_audit_events_prev_hash UNIQUE (organization_id, prev_hash),
    CONSTRAINT ck_audit_events_actor_role CHECK (actor_role IN ('MEMBER', 'OBSERVER', 'ADMIN', 'AUDITOR', 'SERVICE', 'OPERATOR')),
    CONSTRAINT ck_audit_events_seq CHECK (seq >= 1),
    CONSTRAINT ck_audit_events_action CHECK (action ~ '^(?=.{1,100}$)[a-z_]+([.][a-z_]+)+$')
);
CREATE INDEX ix_audit_events_action_seq
    ON app.audit_events (organization_id, action, seq DESC);
CREATE INDEX ix_audit_events_actor_id_seq
    ON app.audit_events (organization_id, actor_id, seq DESC);
CREATE INDEX ix_audit_events_occurred_at_id
    ON app.audit_events (organization_id, occurred_at DESC, id DESC);
CREATE INDEX ix_audit_events_target_id_seq
    ON app.audit_events (organization_id, target_id, seq DESC)
    WHERE target_id IS NOT NULL;
ALTER TABLE app.audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.audit_events FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.audit_events');
CREATE POLICY audit_events_select_admin ON app.audit_events
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_events_select_auditor ON app.audit_events
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_events_select_definer ON app.audit_events
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_events_insert_definer ON app.audit_events
    FOR INSERT TO app_definer
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_events_select_operator ON app.audit_events
    FOR SELECT TO minutebook_operator
    USING (true);
GRANT SELECT ON app.audit_events TO app_admin;
GRANT SELECT ON app.audit_events TO app_auditor;
GRANT SELECT ON app.audit_events TO app_definer;
GRANT INSERT (organization_id, id, seq, action, actor_id, actor_role, target_type, target_id, target_digest, request_id, occurred_at, payload_digest, leaf, prev_hash, hash) ON app.audit_events TO app_definer;
GRANT SELECT ON app.audit_events TO minutebook_operator;

CREATE TABLE app.audit_payloads (
    organization_id UUID NOT NULL,
    event_id UUID NOT NULL,
    salt BYTEA,
    payload BYTEA,
    redacted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_audit_payloads PRIMARY KEY (organization_id, event_id),
    CONSTRAINT ck_audit_payloads_erasable CHECK ((payload IS NULL) = (redacted_at IS NOT NULL) AND (salt IS NULL) = (redacted_at IS NOT NULL))
);
ALTER TABLE app.audit_payloads ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.audit_payloads FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.audit_payloads');
CREATE POLICY audit_payloads_select_admin ON app.audit_payloads
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_payloads_select_auditor ON app.audit_payloads
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_payloads_select_definer ON app.audit_payloads
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_payloads_insert_definer ON app.audit_payloads
    FOR INSERT TO app_definer
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_payloads_select_operator ON app.audit_payloads
    FOR SELECT TO minutebook_operator
    USING (true);
GRANT SELECT ON app.audit_payloads TO app_admin;
GRANT SELECT ON app.audit_payloads TO app_auditor;
GRANT SELECT ON app.audit_payloads TO app_definer;
GRANT INSERT (organization_id, event_id, salt, payload) ON app.audit_payloads TO app_definer;
GRANT SELECT ON app.audit_payloads TO minutebook_operator;

CREATE TABLE app.audit_checkpoints (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    tree_size BIGINT NOT NULL,
    root_hash BYTEA NOT NULL,
    subtrees BYTEA NOT NULL,
    note TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_audit_checkpoints PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_audit_checkpoints_tree_size UNIQUE (organization_id, tree_size),
    CONSTRAINT ck_audit_checkpoints_digests CHECK (octet_length(root_hash) = 32),
    CONSTRAINT ck_audit_checkpoints_subtrees CHECK (mod(octet_length(subtrees), 32) = 0),
    CONSTRAINT ck_audit_checkpoints_not_negative CHECK (tree_size >= 0)
);
ALTER TABLE app.audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.audit_checkpoints FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.audit_checkpoints');
CREATE POLICY audit_checkpoints_select_admin ON app.audit_checkpoints
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_checkpoints_select_auditor ON app.audit_checkpoints
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY audit_checkpoints_select_operator ON app.audit_checkpoints
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY audit_checkpoints_insert_operator ON app.audit_checkpoints
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
GRANT SELECT ON app.audit_checkpoints TO app_admin;
GRANT SELECT ON app.audit_checkpoints TO app_auditor;
GRANT SELECT ON app.audit_checkpoints TO minutebook_operator;
GRANT INSERT (organization_id, id, tree_size, root_hash, subtrees, note, key_id) ON app.audit_checkpoints TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.audit_checkpoints;
DROP TABLE app.audit_payloads;
DROP TABLE app.audit_events;
DROP TABLE app.audit_heads;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
