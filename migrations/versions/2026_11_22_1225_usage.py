"""Budget rows, resets, activity.

Locks: ACCESS EXCLUSIVE on each table for its triggers, a moment each; the tables are new.
"""

from db.migrate import execute_text

revision = "0026_usage"
down_revision = "0025_authenticate"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the budget rows that an organization and a user are born with, budgets as of now, resets, who is active, and what
-- an admin sets: tiers and limits.
-- Runs AFTER the tables, windows.sql and foundations.sql, as minutebook_owner.
-- Decision: a window rolls over where it is read or spent, so the resets are a courtesy: correct on any day, however
-- often they run, and never able to move a window back.

-- Budgets with their window rolled over to now. security_invoker: the caller's policies on both tables hold.
CREATE OR REPLACE VIEW app.current_usage WITH (security_invoker = true) AS
    SELECT b.organization_id, b.id, b.subject_id, b.subject_type, b.metric, b.budget_window, b.limit_value,
        CASE WHEN b.window_start < w.start THEN 0 ELSE b.used END AS used,
        CASE WHEN b.window_start < w.start THEN 0 ELSE b.reserved END AS reserved,
        greatest(b.window_start, w.start) AS window_start,
        app.window_end(b.budget_window, now(), o.timezone) AS resets_at,
        o.timezone, b.created_at, b.updated_at
    FROM app.usage_budgets AS b
    JOIN app.organizations AS o ON o.id = b.organization_id
    CROSS JOIN LATERAL (SELECT app.window_start(b.budget_window, now(), o.timezone) AS start) AS w;
GRANT SELECT ON app.current_usage
    TO app_member, app_observer, app_admin, app_auditor, app_service, minutebook_operator;

-- Return how many budgets were reset. SECURITY INVOKER: the operator's own policies reach every organization.
CREATE OR REPLACE FUNCTION app.reset_usage(w text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SET search_path = ''
    AS $body$
DECLARE
    reset_count bigint;
BEGIN
    UPDATE app.usage_budgets AS b
        SET used = 0, reserved = 0, window_start = app.window_start(w, at, o.timezone)
        FROM app.organizations AS o
        WHERE o.id = b.organization_id AND b.budget_window = w AND b.window_start < app.window_start(w, at, o.timezone);
    GET DIAGNOSTICS reset_count = ROW_COUNT;
    RETURN reset_count;
END
$body$;

CREATE OR REPLACE FUNCTION app.reset_daily_ai_usage(at timestamptz DEFAULT clock_timestamp()) RETURNS bigint
    LANGUAGE sql VOLATILE SET search_path = ''
    AS $body$ SELECT app.reset_usage('DAY', $1) $body$;

CREATE OR REPLACE FUNCTION app.reset_monthly_ai_usage(at timestamptz DEFAULT clock_timestamp()) RETURNS bigint
    LANGUAGE sql VOLATILE SET search_path = ''
    AS $body$ SELECT app.reset_usage('MONTH', $1) $body$;

GRANT EXECUTE ON FUNCTION
    app.reset_usage(text, timestamptz), app.reset_daily_ai_usage(timestamptz), app.reset_monthly_ai_usage(timestamptz)
    TO minutebook_operator;

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- AFTER INSERT on organizations and users, per statement: three metrics in two windows for each new subject. A limit of
-- NULL only counts. Runs for inserts without a context too (the operator's), so it reads organizations across.
CREATE OR REPLACE FUNCTION app.create_budgets() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
BEGIN
    IF TG_TABLE_NAME = 'organizations' THEN
        INSERT INTO app.usage_budgets
            (organization_id, subject_id, subject_type, metric, budget_window, window_start, limit_value)
            SELECT n.id, n.id, 'ORGANIZATION', m.metric, w.name,
                app.window_start(w.name, statement_timestamp(), n.timezone),
                CASE WHEN m.metric = 'TOKENS' AND w.name = 'MONTH' THEN 100000 END
            FROM inserted AS n,
                unnest(ARRAY['TOKENS', 'REQUESTS', 'COST']) AS m (metric),
                unnest(ARRAY['DAY', 'MONTH']) AS w (name);
    ELSE
        INSERT INTO app.usage_budgets
            (organization_id, subject_id, subject_type, metric, budget_window, window_start, limit_value)
            SELECT n.organization_id, n.id, 'USER', m.metric, w.name,
                app.window_start(w.name, statement_timestamp(), o.timezone),
                CASE WHEN m.metric = 'REQUESTS' AND w.name = 'DAY' THEN app.requests_per_day('FREE') END
            FROM inserted AS n
            JOIN app.organizations AS o ON o.id = n.organization_id,
                unnest(ARRAY['TOKENS', 'REQUESTS', 'COST']) AS m (metric),
                unnest(ARRAY['DAY', 'MONTH']) AS w (name);
    END IF;
    RETURN NULL;
END
$body$;

-- Counts and sums per user of the context organization, the most conversations first; users without any are left out.
-- from <= created_at < to; NULL = open. Deleted conversations count. Requests, tokens and cost are those of ai_usage_logs.
CREATE OR REPLACE FUNCTION app.usage_activity("from" timestamptz, "to" timestamptz, max_rows int)
    RETURNS TABLE (
        user_id uuid, conversations bigint, messages bigint, requests bigint, tokens bigint, cost_micro_usd bigint
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    since CONSTANT timestamptz := coalesce("from", '-infinity');
    until CONSTANT timestamptz := coalesce("to", 'infinity');
BEGIN
    RETURN QUERY
        SELECT a.user_id, sum(a.conversations)::bigint, sum(a.messages)::bigint, sum(a.requests)::bigint,
            sum(a.tokens)::bigint, sum(a.cost)::bigint
        FROM (
            SELECT c.user_id, count(*) AS conversations, 0 AS messages, 0 AS requests, 0 AS tokens, 0 AS cost
            FROM app.ai_conversations AS c
            WHERE c.organization_id = organization AND c.created_at >= since AND c.created_at < until
            GROUP BY c.user_id
            UNION ALL
            SELECT m.user_id, 0, count(*), 0, 0, 0
            FROM app.ai_messages AS m
            WHERE m.organization_id = organization AND m.created_at >= since AND m.created_at < until
            GROUP BY m.user_id
            UNION ALL
            SELECT l.user_id, 0, 0, count(*), coalesce(sum(l.tokens_used), 0), coalesce(sum(l.cost_micro_usd), 0)
            FROM app.ai_usage_logs AS l
            WHERE l.organization_id = organization AND l.created_at >= since AND l.created_at < until
                AND l.user_id IS NOT NULL
            GROUP BY l.user_id
        ) AS a
        GROUP BY a.user_id
        ORDER BY sum(a.conversations) DESC, a.user_id
        LIMIT max_rows;
END
$body$;

-- The tier of a person of the context organization, and with it the limit of its requests in a day. For an admin.
-- Appends its event itself, unless it found everything so: call it last in the transaction, and append nothing more.
-- Nobody there: 23503. The budget's row, which everybody has, is what two admins at once take turns on.
CREATE OR REPLACE FUNCTION app.set_user_tier("user" uuid, tier text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    new_tier CONSTANT text := $2;
    new_limit CONSTANT bigint := app.requests_per_day($2);
    old_tier text;
    old_limit bigint;
BEGIN
    IF current_setting('role') IS DISTINCT FROM 'app_admin' THEN
        RAISE EXCEPTION 'only an admin sets tiers' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT b.limit_value INTO old_limit FROM app.usage_budgets AS b
        JOIN app.users AS u ON u.organization_id = b.organization_id AND u.id = b.subject_id
        WHERE b.organization_id = organization AND b.subject_id = $1
            AND b.metric = 'REQUESTS' AND b.budget_window = 'DAY'
        FOR NO KEY UPDATE OF b;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such user' USING ERRCODE = 'foreign_key_violation';
    END IF;
    SELECT s.tier INTO old_tier FROM app.user_ai_settings AS s
        WHERE s.organization_id = organization AND s.user_id = $1 FOR NO KEY UPDATE;
    old_tier := coalesce(old_tier, 'FREE');
    IF new_tier = old_tier AND new_limit IS NOT DISTINCT FROM old_limit THEN
        RETURN;
    END IF;

    INSERT INTO app.user_ai_settings (organization_id, user_id, tier) VALUES (organization, $1, new_tier)
        ON CONFLICT (organization_id, user_id) DO UPDATE SET tier = excluded.tier, updated_at = excluded.updated_at;
    UPDATE app.usage_budgets AS b SET limit_value = new_limit, updated_at = statement_timestamp()
        WHERE b.organization_id = organization AND b.subject_id = $1
            AND b.metric = 'REQUESTS' AND b.budget_window = 'DAY';
    PERFORM app.audit_append(jsonb_build_array(jsonb_build_object(
        'action', 'ai_settings.tier_set', 'target_type', 'AiSettings', 'target_id', $1,
        'details', jsonb_build_object(
            'changed', array_remove(ARRAY[
                CASE WHEN new_tier <> old_tier THEN 'tier' END,
                CASE WHEN new_limit IS DISTINCT FROM old_limit THEN 'limit_value' END], NULL),
            'old', jsonb_build_object('tier', old_tier, 'limit_value', old_limit),
            'new', jsonb_build_object('tier', new_tier, 'limit_value', new_limit)))));
END
$body$;

-- A limit of the context organization or of a person of it; NULL = unlimited. For an admin. Returns the budget's id.
-- Appends its event itself, unless the limit is so already, with the same duties for its caller. Nobody there: 23503.
CREATE OR REPLACE FUNCTION app.set_budget_limit(subject uuid, metric text, budget_window text, limit_value bigint)
    RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    budget uuid;
    old_limit bigint;
BEGIN
    IF current_setting('role') IS DISTINCT FROM 'app_admin' THEN
        RAISE EXCEPTION 'only an admin sets limits' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT b.id, b.limit_value INTO budget, old_limit FROM app.usage_budgets AS b
        WHERE b.organization_id = organization AND b.subject_id = $1 AND b.metric = $2 AND b.budget_window = $3
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such budget' USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF $4 IS NOT DISTINCT FROM old_limit THEN
        RETURN budget;
    END IF;

    UPDATE app.usage_budgets AS b SET limit_value = $4, updated_at = statement_timestamp()
        WHERE b.organization_id = organization AND b.id = budget;
    PERFORM app.audit_append(jsonb_build_array(jsonb_build_object(
        'action', 'budget.limit_set', 'target_type', 'UsageBudget', 'target_id', budget,
        'details', jsonb_build_object(
            'subject_id', $1, 'metric', $2, 'budget_window', $3, 'changed', jsonb_build_array('limit_value'),
            'old', jsonb_build_object('limit_value', old_limit), 'new', jsonb_build_object('limit_value', $4)))));
    RETURN budget;
END
$body$;

REVOKE ALL ON FUNCTION
    app.create_budgets(), app.usage_activity(timestamptz, timestamptz, int), app.set_user_tier(uuid, text),
    app.set_budget_limit(uuid, text, text, bigint)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.create_budgets() TO minutebook_owner;
GRANT EXECUTE ON FUNCTION app.usage_activity(timestamptz, timestamptz, int)
    TO app_admin, app_auditor, app_service, minutebook_operator;
GRANT EXECUTE ON FUNCTION app.set_user_tier(uuid, text), app.set_budget_limit(uuid, text, text, bigint) TO app_admin;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;

CREATE OR REPLACE TRIGGER create_budgets AFTER INSERT ON app.organizations
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION app.create_budgets();
CREATE OR REPLACE TRIGGER create_budgets AFTER INSERT ON app.users
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION app.create_budgets();
"""

DOWNGRADE = r"""
DROP TRIGGER create_budgets ON app.organizations;
DROP TRIGGER create_budgets ON app.users;
DROP VIEW app.current_usage;
DROP FUNCTION app.set_budget_limit(uuid, text, text, bigint);
DROP FUNCTION app.set_user_tier(uuid, text);
DROP FUNCTION app.usage_activity(timestamp with time zone, timestamp with time zone, integer);
DROP FUNCTION app.create_budgets();
DROP FUNCTION app.reset_monthly_ai_usage(timestamp with time zone);
DROP FUNCTION app.reset_daily_ai_usage(timestamp with time zone);
DROP FUNCTION app.reset_usage(text, timestamp with time zone);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
