"""Budgets, their ledger and reservations, and the usage log.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0015_usage"
down_revision = "0014_ai_settings"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.usage_budgets (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    subject_id UUID NOT NULL,
    subject_type TEXT NOT NULL,
    metric TEXT NOT NULL,
    budget_window TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    limit_value BIGINT,
    used BIGINT DEFAULT 0 NOT NULL,
    reserved BIGINT DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_usage_budgets PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_usage_budgets_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT uq_usage_budgets_subject_id_metric_budget_window UNIQUE (organization_id, subject_id, metric, budget_window),
    CONSTRAINT ck_usage_budgets_subject_type CHECK (subject_type IN ('ORGANIZATION', 'USER')),
    CONSTRAINT ck_usage_budgets_metric CHECK (metric IN ('TOKENS', 'REQUESTS', 'COST')),
    CONSTRAINT ck_usage_budgets_budget_window CHECK (budget_window IN ('DAY', 'MONTH')),
    CONSTRAINT ck_usage_budgets_subject CHECK (subject_type <> 'ORGANIZATION' OR subject_id = organization_id),
    CONSTRAINT ck_usage_budgets_not_negative CHECK (limit_value >= 0 AND used >= 0 AND reserved >= 0)
) WITH (fillfactor = 50);
ALTER TABLE app.usage_budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.usage_budgets FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.usage_budgets');
CREATE POLICY usage_budgets_select_member ON app.usage_budgets
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND subject_id = ANY (ARRAY[nullif(current_setting('app.user_id', true), '')::uuid, nullif(current_setting('app.organization_id', true), '')::uuid]));
CREATE POLICY usage_budgets_select_observer ON app.usage_budgets
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND subject_id = ANY (ARRAY[nullif(current_setting('app.organization_id', true), '')::uuid]));
CREATE POLICY usage_budgets_select_admin ON app.usage_budgets
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_budgets_select_auditor ON app.usage_budgets
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_budgets_select_service ON app.usage_budgets
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_budgets_select_definer ON app.usage_budgets
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_budgets_insert_definer ON app.usage_budgets
    FOR INSERT TO app_definer
    WITH CHECK (true);
CREATE POLICY usage_budgets_update_definer ON app.usage_budgets
    FOR UPDATE TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_budgets_select_operator ON app.usage_budgets
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY usage_budgets_insert_operator ON app.usage_budgets
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY usage_budgets_update_operator ON app.usage_budgets
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY usage_budgets_delete_operator ON app.usage_budgets
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.usage_budgets TO app_member;
GRANT SELECT ON app.usage_budgets TO app_observer;
GRANT SELECT ON app.usage_budgets TO app_admin;
GRANT SELECT ON app.usage_budgets TO app_auditor;
GRANT SELECT ON app.usage_budgets TO app_service;
GRANT SELECT ON app.usage_budgets TO app_definer;
GRANT INSERT (organization_id, id, subject_id, subject_type, metric, budget_window, window_start, limit_value) ON app.usage_budgets TO app_definer;
GRANT UPDATE (limit_value, updated_at) ON app.usage_budgets TO app_definer;
GRANT SELECT ON app.usage_budgets TO minutebook_operator;
GRANT INSERT ON app.usage_budgets TO minutebook_operator;
GRANT UPDATE ON app.usage_budgets TO minutebook_operator;
GRANT DELETE ON app.usage_budgets TO minutebook_operator;

CREATE TABLE app.usage_ledger (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    budget_id UUID NOT NULL,
    request_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_usage_ledger PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_usage_ledger_budget_id FOREIGN KEY(organization_id, budget_id) REFERENCES app.usage_budgets (organization_id, id),
    CONSTRAINT uq_usage_ledger_budget_id_request_key_kind UNIQUE (organization_id, budget_id, request_key, kind),
    CONSTRAINT ck_usage_ledger_kind CHECK (kind IN ('RESERVE', 'SETTLE', 'RELEASE', 'EXPIRE')),
    CONSTRAINT ck_usage_ledger_request_key_length CHECK (char_length(request_key) BETWEEN 1 AND 255),
    CONSTRAINT ck_usage_ledger_amount CHECK (kind <> 'SETTLE' OR amount >= 0)
);
ALTER TABLE app.usage_ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.usage_ledger FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.usage_ledger');
CREATE POLICY usage_ledger_select_admin ON app.usage_ledger
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_ledger_select_auditor ON app.usage_ledger
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_ledger_select_operator ON app.usage_ledger
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY usage_ledger_insert_operator ON app.usage_ledger
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY usage_ledger_update_operator ON app.usage_ledger
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY usage_ledger_delete_operator ON app.usage_ledger
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.usage_ledger TO app_admin;
GRANT SELECT ON app.usage_ledger TO app_auditor;
GRANT SELECT ON app.usage_ledger TO minutebook_operator;
GRANT INSERT ON app.usage_ledger TO minutebook_operator;
GRANT UPDATE ON app.usage_ledger TO minutebook_operator;
GRANT DELETE ON app.usage_ledger TO minutebook_operator;

CREATE TABLE app.usage_reservations (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    budget_id UUID NOT NULL,
    user_id UUID,
    request_key TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    amount BIGINT NOT NULL,
    state TEXT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_usage_reservations PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_usage_reservations_budget_id FOREIGN KEY(organization_id, budget_id) REFERENCES app.usage_budgets (organization_id, id),
    CONSTRAINT fk_usage_reservations_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT uq_usage_reservations_request_key_budget_id UNIQUE (organization_id, request_key, budget_id),
    CONSTRAINT ck_usage_reservations_state CHECK (state IN ('HELD', 'SETTLED', 'RELEASED', 'EXPIRED')),
    CONSTRAINT ck_usage_reservations_request_key_length CHECK (char_length(request_key) BETWEEN 1 AND 255),
    CONSTRAINT ck_usage_reservations_not_negative CHECK (amount >= 0)
);
CREATE INDEX ix_usage_reservations_budget_id_state_expires_at
    ON app.usage_reservations (organization_id, budget_id, state, expires_at);
CREATE INDEX ix_usage_reservations_user_id
    ON app.usage_reservations (organization_id, user_id)
    WHERE user_id IS NOT NULL;
ALTER TABLE app.usage_reservations ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.usage_reservations FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.usage_reservations');
CREATE POLICY usage_reservations_select_admin ON app.usage_reservations
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_reservations_select_auditor ON app.usage_reservations
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY usage_reservations_select_operator ON app.usage_reservations
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY usage_reservations_insert_operator ON app.usage_reservations
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY usage_reservations_update_operator ON app.usage_reservations
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY usage_reservations_delete_operator ON app.usage_reservations
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.usage_reservations TO app_admin;
GRANT SELECT ON app.usage_reservations TO app_auditor;
GRANT SELECT ON app.usage_reservations TO minutebook_operator;
GRANT INSERT ON app.usage_reservations TO minutebook_operator;
GRANT UPDATE ON app.usage_reservations TO minutebook_operator;
GRANT DELETE ON app.usage_reservations TO minutebook_operator;

CREATE TABLE app.ai_usage_logs (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    user_id UUID,
    tier TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT,
    tokens_used BIGINT,
    cost_micro_usd BIGINT,
    interaction_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_usage_logs PRIMARY KEY (organization_id, id, created_at),
    CONSTRAINT fk_ai_usage_logs_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_ai_usage_logs_tier CHECK (tier IN ('FREE', 'BYOK', 'PREMIUM')),
    CONSTRAINT ck_ai_usage_logs_provider CHECK (provider IN ('OPENAI', 'ANTHROPIC', 'GOOGLE', 'OTHER')),
    CONSTRAINT ck_ai_usage_logs_model_length CHECK (char_length(model) <= 200),
    CONSTRAINT ck_ai_usage_logs_not_negative CHECK (tokens_used >= 0 AND cost_micro_usd >= 0),
    CONSTRAINT ck_ai_usage_logs_id_time CHECK (app.uuid_time(id) IS NULL OR created_at BETWEEN app.uuid_time(id) - interval '24 hours' AND app.uuid_time(id) + interval '24 hours')
) PARTITION BY RANGE (created_at);
CREATE INDEX ix_ai_usage_logs_created_at_id
    ON app.ai_usage_logs (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_usage_logs_user_id_created_at_id
    ON app.ai_usage_logs (organization_id, user_id, created_at DESC, id DESC);
ALTER TABLE app.ai_usage_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_usage_logs FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_usage_logs');
CREATE POLICY ai_usage_logs_select_admin ON app.ai_usage_logs
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_usage_logs_select_auditor ON app.ai_usage_logs
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_usage_logs_select_service ON app.ai_usage_logs
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_usage_logs_insert_service ON app.ai_usage_logs
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_usage_logs_select_definer ON app.ai_usage_logs
    FOR SELECT TO app_definer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_usage_logs_select_operator ON app.ai_usage_logs
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_usage_logs_insert_operator ON app.ai_usage_logs
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_usage_logs_update_operator ON app.ai_usage_logs
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_usage_logs_delete_operator ON app.ai_usage_logs
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_usage_logs TO app_admin;
GRANT SELECT ON app.ai_usage_logs TO app_auditor;
GRANT SELECT ON app.ai_usage_logs TO app_service;
GRANT INSERT (organization_id, id, user_id, tier, provider, model, tokens_used, cost_micro_usd, interaction_id, created_at) ON app.ai_usage_logs TO app_service;
GRANT SELECT ON app.ai_usage_logs TO app_definer;
GRANT SELECT ON app.ai_usage_logs TO minutebook_operator;
GRANT INSERT ON app.ai_usage_logs TO minutebook_operator;
GRANT UPDATE ON app.ai_usage_logs TO minutebook_operator;
GRANT DELETE ON app.ai_usage_logs TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_usage_logs;
DROP TABLE app.usage_reservations;
DROP TABLE app.usage_ledger;
DROP TABLE app.usage_budgets;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
