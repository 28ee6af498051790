"""AI settings and people's own provider keys.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0014_ai_settings"
down_revision = "0013_pattern"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.user_ai_settings (
    organization_id UUID NOT NULL,
    user_id UUID NOT NULL,
    tier TEXT DEFAULT 'FREE' NOT NULL,
    preferred_provider TEXT DEFAULT 'OPENAI' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_user_ai_settings PRIMARY KEY (organization_id, user_id),
    CONSTRAINT fk_user_ai_settings_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_user_ai_settings_tier CHECK (tier IN ('FREE', 'BYOK', 'PREMIUM')),
    CONSTRAINT ck_user_ai_settings_preferred_provider CHECK (preferred_provider IN ('OPENAI', 'ANTHROPIC', 'GOOGLE', 'OTHER'))
);
CREATE INDEX ix_user_ai_settings_tier_user_id
    ON app.user_ai_settings (organization_id, tier, user_id);
ALTER TABLE app.user_ai_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.user_ai_settings FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.user_ai_settings');
CREATE POLICY user_ai_settings_select_member ON app.user_ai_settings
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_ai_settings_insert_member ON app.user_ai_settings
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_ai_settings_update_member ON app.user_ai_settings
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_ai_settings_select_admin ON app.user_ai_settings
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_insert_admin ON app.user_ai_settings
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_ai_settings_update_admin ON app.user_ai_settings
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_ai_settings_select_auditor ON app.user_ai_settings
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_select_service ON app.user_ai_settings
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_update_service ON app.user_ai_settings
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_select_definer ON app.user_ai_settings
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_insert_definer ON app.user_ai_settings
    FOR INSERT TO app_definer
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_update_definer ON app.user_ai_settings
    FOR UPDATE TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_ai_settings_select_operator ON app.user_ai_settings
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY user_ai_settings_insert_operator ON app.user_ai_settings
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY user_ai_settings_update_operator ON app.user_ai_settings
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY user_ai_settings_delete_operator ON app.user_ai_settings
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.user_ai_settings TO app_member;
GRANT INSERT (organization_id, user_id, preferred_provider) ON app.user_ai_settings TO app_member;
GRANT UPDATE (preferred_provider) ON app.user_ai_settings TO app_member;
GRANT SELECT ON app.user_ai_settings TO app_admin;
GRANT INSERT (organization_id, user_id, preferred_provider) ON app.user_ai_settings TO app_admin;
GRANT UPDATE (preferred_provider) ON app.user_ai_settings TO app_admin;
GRANT SELECT ON app.user_ai_settings TO app_auditor;
GRANT SELECT ON app.user_ai_settings TO app_service;
GRANT UPDATE (tier, preferred_provider) ON app.user_ai_settings TO app_service;
GRANT SELECT ON app.user_ai_settings TO app_definer;
GRANT INSERT (organization_id, user_id, tier) ON app.user_ai_settings TO app_definer;
GRANT UPDATE (tier, updated_at) ON app.user_ai_settings TO app_definer;
GRANT SELECT ON app.user_ai_settings TO minutebook_operator;
GRANT INSERT ON app.user_ai_settings TO minutebook_operator;
GRANT UPDATE ON app.user_ai_settings TO minutebook_operator;
GRANT DELETE ON app.user_ai_settings TO minutebook_operator;

CREATE TABLE app.user_provider_keys (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    provider TEXT NOT NULL,
    ciphertext BYTEA,
    wrapped_key BYTEA,
    key_id TEXT,
    key_version INTEGER DEFAULT 1 NOT NULL,
    hint TEXT NOT NULL,
    fingerprint BYTEA,
    needs_reentry BOOLEAN DEFAULT false NOT NULL,
    set_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_user_provider_keys PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_user_provider_keys_user_id_provider UNIQUE (organization_id, user_id, provider),
    CONSTRAINT fk_user_provider_keys_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_user_provider_keys_provider CHECK (provider IN ('OPENAI', 'ANTHROPIC', 'GOOGLE', 'OTHER')),
    CONSTRAINT ck_user_provider_keys_hint_length CHECK (char_length(hint) <= 4),
    CONSTRAINT ck_user_provider_keys_key_version CHECK (key_version >= 1),
    CONSTRAINT ck_user_provider_keys_sealed CHECK ((ciphertext IS NULL) = (wrapped_key IS NULL) AND (ciphertext IS NULL) = (key_id IS NULL))
);
ALTER TABLE app.user_provider_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.user_provider_keys FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.user_provider_keys');
CREATE POLICY user_provider_keys_select_member ON app.user_provider_keys
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_insert_member ON app.user_provider_keys
    FOR INSERT TO app_member
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_update_member ON app.user_provider_keys
    FOR UPDATE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_delete_member ON app.user_provider_keys
    FOR DELETE TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_select_service ON app.user_provider_keys
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_provider_keys_select_definer ON app.user_provider_keys
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY user_provider_keys_select_admin ON app.user_provider_keys
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_insert_admin ON app.user_provider_keys
    FOR INSERT TO app_admin
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_update_admin ON app.user_provider_keys
    FOR UPDATE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_delete_admin ON app.user_provider_keys
    FOR DELETE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND user_id = nullif(current_setting('app.user_id', true), '')::uuid);
CREATE POLICY user_provider_keys_select_operator ON app.user_provider_keys
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY user_provider_keys_insert_operator ON app.user_provider_keys
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY user_provider_keys_update_operator ON app.user_provider_keys
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY user_provider_keys_delete_operator ON app.user_provider_keys
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT (organization_id, id, user_id, provider, key_id, key_version, hint, needs_reentry, set_at, created_at) ON app.user_provider_keys TO app_member;
GRANT INSERT (organization_id, id, user_id, provider, ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, needs_reentry, set_at) ON app.user_provider_keys TO app_member;
GRANT UPDATE (ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, needs_reentry, set_at) ON app.user_provider_keys TO app_member;
GRANT DELETE ON app.user_provider_keys TO app_member;
GRANT SELECT (organization_id, id, user_id, provider, key_id, key_version, hint, needs_reentry, set_at, created_at) ON app.user_provider_keys TO app_service;
GRANT SELECT (organization_id, id, user_id, provider, ciphertext, wrapped_key, key_id, key_version, needs_reentry) ON app.user_provider_keys TO app_definer;
GRANT SELECT (organization_id, id, user_id, provider, key_id, key_version, hint, needs_reentry, set_at, created_at) ON app.user_provider_keys TO app_admin;
GRANT INSERT (organization_id, id, user_id, provider, ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, needs_reentry, set_at) ON app.user_provider_keys TO app_admin;
GRANT UPDATE (ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, needs_reentry, set_at) ON app.user_provider_keys TO app_admin;
GRANT DELETE ON app.user_provider_keys TO app_admin;
GRANT SELECT ON app.user_provider_keys TO minutebook_operator;
GRANT INSERT ON app.user_provider_keys TO minutebook_operator;
GRANT UPDATE ON app.user_provider_keys TO minutebook_operator;
GRANT DELETE ON app.user_provider_keys TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.user_provider_keys;
DROP TABLE app.user_ai_settings;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
