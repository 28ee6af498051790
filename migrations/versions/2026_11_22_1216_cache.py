"""The response cache and its statistics.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0017_cache"
down_revision = "0016_interaction"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.ai_cache (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    cache_key TEXT NOT NULL,
    response JSONB NOT NULL,
    response_bytes INTEGER NOT NULL,
    cost_micro_usd BIGINT DEFAULT 0 NOT NULL,
    hit_count BIGINT DEFAULT 0 NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_accessed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_ai_cache PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_ai_cache_scope_cache_key UNIQUE (organization_id, scope, cache_key),
    CONSTRAINT ck_ai_cache_scope_length CHECK (char_length(scope) <= 255),
    CONSTRAINT ck_ai_cache_cache_key_length CHECK (char_length(cache_key) BETWEEN 1 AND 255),
    CONSTRAINT ck_ai_cache_not_negative CHECK (response_bytes >= 0 AND cost_micro_usd >= 0 AND hit_count >= 0)
) WITH (fillfactor = 80);
CREATE INDEX ix_ai_cache_cache_key_c
    ON app.ai_cache (organization_id, (cache_key COLLATE "C"));
CREATE INDEX ix_ai_cache_created_at_id
    ON app.ai_cache (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_ai_cache_expires_at
    ON app.ai_cache (organization_id, expires_at);
ALTER TABLE app.ai_cache ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_cache FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_cache');
CREATE POLICY ai_cache_select_admin ON app.ai_cache
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_delete_admin ON app.ai_cache
    FOR DELETE TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_select_auditor ON app.ai_cache
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_select_service ON app.ai_cache
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_delete_service ON app.ai_cache
    FOR DELETE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_select_operator ON app.ai_cache
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_cache_insert_operator ON app.ai_cache
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_cache_update_operator ON app.ai_cache
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_cache_delete_operator ON app.ai_cache
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_cache TO app_admin;
GRANT DELETE ON app.ai_cache TO app_admin;
GRANT SELECT ON app.ai_cache TO app_auditor;
GRANT SELECT (organization_id, id, scope, cache_key) ON app.ai_cache TO app_service;
GRANT DELETE ON app.ai_cache TO app_service;
GRANT SELECT ON app.ai_cache TO minutebook_operator;
GRANT INSERT ON app.ai_cache TO minutebook_operator;
GRANT UPDATE ON app.ai_cache TO minutebook_operator;
GRANT DELETE ON app.ai_cache TO minutebook_operator;

CREATE TABLE app.ai_cache_stats (
    organization_id UUID NOT NULL,
    day DATE NOT NULL,
    hits BIGINT DEFAULT 0 NOT NULL,
    misses BIGINT DEFAULT 0 NOT NULL,
    saved_micro_usd BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_ai_cache_stats PRIMARY KEY (organization_id, day),
    CONSTRAINT ck_ai_cache_stats_not_negative CHECK (hits >= 0 AND misses >= 0 AND saved_micro_usd >= 0)
) WITH (fillfactor = 50);
ALTER TABLE app.ai_cache_stats ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.ai_cache_stats FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.ai_cache_stats');
CREATE POLICY ai_cache_stats_select_admin ON app.ai_cache_stats
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_stats_select_auditor ON app.ai_cache_stats
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY ai_cache_stats_select_operator ON app.ai_cache_stats
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY ai_cache_stats_insert_operator ON app.ai_cache_stats
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY ai_cache_stats_update_operator ON app.ai_cache_stats
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY ai_cache_stats_delete_operator ON app.ai_cache_stats
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.ai_cache_stats TO app_admin;
GRANT SELECT ON app.ai_cache_stats TO app_auditor;
GRANT SELECT ON app.ai_cache_stats TO minutebook_operator;
GRANT INSERT ON app.ai_cache_stats TO minutebook_operator;
GRANT UPDATE ON app.ai_cache_stats TO minutebook_operator;
GRANT DELETE ON app.ai_cache_stats TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.ai_cache_stats;
DROP TABLE app.ai_cache;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
