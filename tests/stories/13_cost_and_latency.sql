-- carol: 1 data statements
/* app_admin */ SELECT date_trunc('day', app.ai_interactions.created_at, (SELECT app.organizations.timezone 
FROM app.organizations 
WHERE app.organizations.id = $1::UUID)) AS bucket, app.ai_interactions.model_name AS key_0, count(*) AS count, count(*) FILTER (WHERE app.ai_interactions.status = $2::VARCHAR) AS errors, coalesce(sum(app.ai_interactions.tokens_used), $3::INTEGER) AS tokens, coalesce(sum(app.ai_interactions.cost_micro_usd), $4::INTEGER) AS cost, percentile_cont(ARRAY[0.5, 0.95, 0.99]::double precision[]) WITHIN GROUP (ORDER BY coalesce(app.ai_interactions.latency_ms, CAST(CASE WHEN (EXTRACT(epoch FROM app.ai_interactions.completed_at - app.ai_interactions.created_at) * $5::INTEGER IS NOT NULL) THEN least(greatest(EXTRACT(epoch FROM app.ai_interactions.completed_at - app.ai_interactions.created_at) * $5::INTEGER, $6::INTEGER), $7::INTEGER) END AS INTEGER))) AS latency 
FROM app.ai_interactions 
WHERE app.ai_interactions.organization_id = $1::UUID AND app.ai_interactions.created_at >= $8::TIMESTAMP WITH TIME ZONE AND app.ai_interactions.created_at < $9::TIMESTAMP WITH TIME ZONE GROUP BY bucket, key_0 ORDER BY bucket, count DESC, key_0 
 LIMIT $10::INTEGER;
