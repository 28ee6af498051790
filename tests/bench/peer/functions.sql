-- What stock PostGraphile has no operation for, as its users would write it: functions in a schema of their own.
CREATE SCHEMA IF NOT EXISTS peer;
GRANT USAGE ON SCHEMA peer TO minutebook_api, app_member, app_observer, app_admin, app_auditor;

CREATE OR REPLACE FUNCTION peer.open_insights(severities text[]) RETURNS SETOF app.ai_insights
LANGUAGE sql STABLE AS $$
  SELECT i.* FROM app.ai_insights AS i
  WHERE i.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
    AND i.severity = ANY (severities) AND NOT i.is_dismissed AND (i.expires_at IS NULL OR i.expires_at > now())
$$;
COMMENT ON FUNCTION peer.open_insights(text[]) IS '@behavior +orderBy +order +resource:connection:backwards';

CREATE OR REPLACE FUNCTION peer.open_insight_facets(severities text[])
RETURNS TABLE (dimension text, value text, count bigint) LANGUAGE sql STABLE AS $$
  SELECT 'severity', i.severity, count(*) FROM app.ai_insights AS i
  WHERE i.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
    AND NOT i.is_dismissed AND (i.expires_at IS NULL OR i.expires_at > now())
  GROUP BY i.severity
  UNION ALL
  SELECT 'type', i.insight_type, count(*) FROM app.ai_insights AS i
  WHERE i.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
    AND i.severity = ANY (severities) AND NOT i.is_dismissed AND (i.expires_at IS NULL OR i.expires_at > now())
  GROUP BY i.insight_type
$$;

-- A window that has passed reads as unused.
CREATE OR REPLACE FUNCTION peer.my_budgets()
RETURNS TABLE (metric text, budget_window text, limit_value bigint, used bigint, reserved bigint) LANGUAGE sql STABLE AS $$
  SELECT b.metric, b.budget_window, b.limit_value,
         CASE WHEN b.window_start < app.window_start(b.budget_window, now(), o.timezone) THEN 0 ELSE b.used END,
         CASE WHEN b.window_start < app.window_start(b.budget_window, now(), o.timezone) THEN 0 ELSE b.reserved END
  FROM app.usage_budgets AS b JOIN app.organizations AS o ON o.id = b.organization_id
  WHERE b.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
    AND b.subject_id IN (b.organization_id, nullif(current_setting('app.user_id', true), '')::uuid)
  ORDER BY b.subject_type DESC, b.metric DESC, b.budget_window
$$;

CREATE OR REPLACE FUNCTION peer.submit_feedback(message uuid, rating int, text text) RETURNS app.ai_feedback
LANGUAGE sql VOLATILE AS $$
  INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating, feedback_text)
  VALUES (nullif(current_setting('app.organization_id', true), '')::uuid, message,
          nullif(current_setting('app.user_id', true), '')::uuid, rating, text)
  ON CONFLICT (organization_id, message_id, user_id)
  DO UPDATE SET rating = excluded.rating, feedback_text = excluded.feedback_text
  RETURNING *
$$;

CREATE OR REPLACE FUNCTION peer.ai_metrics(since timestamptz, until timestamptz)
RETURNS TABLE (
  bucket timestamptz, model text, count bigint, errors bigint, tokens numeric, cost_micro_usd numeric,
  latency_p50_ms float8, latency_p95_ms float8, latency_p99_ms float8
) LANGUAGE sql STABLE SET plan_cache_mode = force_custom_plan AS $$
  SELECT m.bucket, m.model_name, m.count, m.errors, m.tokens, m.cost, m.latency[1], m.latency[2], m.latency[3]
  FROM (
    SELECT date_trunc('day', i.created_at, (SELECT o.timezone FROM app.organizations AS o
             WHERE o.id = nullif(current_setting('app.organization_id', true), '')::uuid)) AS bucket,
           i.model_name, count(*) AS count, count(*) FILTER (WHERE i.status = 'FAILED') AS errors,
           coalesce(sum(i.tokens_used), 0) AS tokens, coalesce(sum(i.cost_micro_usd), 0) AS cost,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]::float8[]) WITHIN GROUP (ORDER BY i.latency_ms) AS latency
    FROM app.ai_interactions AS i
    WHERE i.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
      AND i.created_at >= since AND i.created_at < until
    GROUP BY 1, 2
  ) AS m
  ORDER BY m.bucket, m.count DESC, m.model_name
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA peer TO app_member, app_observer, app_admin, app_auditor;
