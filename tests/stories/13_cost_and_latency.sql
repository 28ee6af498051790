-- carol: 1 data statements
/* app_admin */ SELECT entry.bucket, entry.key_0, count(*) AS count, count(*) FILTER (WHERE entry.is_error) AS errors, coalesce(sum(entry.tokens), $1::INTEGER) AS tokens, coalesce(sum(entry.cost), $2::INTEGER) AS cost, percentile_cont(ARRAY[0.5, 0.95, 0.99]::double precision[]) WITHIN GROUP (ORDER BY entry.latency) AS latency 
FROM (SELECT date_trunc('day', app.ai_interactions.created_at, (SELECT app.organizations.timezone 
FROM app.organizations 
WHERE app.organizations.id = $3::UUID)) AS bucket, app.ai_interactions.model_name AS key_0, app.ai_interactions.tokens_used AS tokens, app.ai_interactions.cost_micro_usd AS cost, app.ai_interactions.status = $4::VARCHAR AS is_error, coalesce(app.ai_interactions.latency_ms, CAST(CASE WHEN (EXTRACT(epoch FROM app.ai_interactions.completed_at - app.ai_interactions.created_at) * $5::INTEGER IS NOT NULL) THEN least(greatest(EXTRACT(epoch FROM app.ai_interactions.completed_at - app.ai_interactions.created_at) * $5::INTEGER, $6::INTEGER), $7::INTEGER) END AS INTEGER)) AS latency 
FROM app.ai_interactions 
WHERE app.ai_interactions.organization_id = $3::UUID AND app.ai_interactions.created_at >= $8::TIMESTAMP WITH TIME ZONE AND app.ai_interactions.created_at < $9::TIMESTAMP WITH TIME ZONE
 LIMIT ALL OFFSET 0) AS entry GROUP BY entry.bucket, entry.key_0 ORDER BY entry.bucket, count DESC, entry.key_0 
 LIMIT $10::INTEGER;
