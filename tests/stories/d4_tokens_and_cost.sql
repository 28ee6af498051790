-- carol: 1 data statements
/* app_admin */ SELECT count(*) AS count, 0 AS errors, coalesce(sum(entry.tokens), $1::INTEGER) AS tokens, coalesce(sum(entry.cost), $2::INTEGER) AS cost, NULL::double precision[] AS latency 
FROM (SELECT app.ai_usage_logs.tokens_used AS tokens, app.ai_usage_logs.cost_micro_usd AS cost 
FROM app.ai_usage_logs 
WHERE app.ai_usage_logs.organization_id = $3::UUID AND app.ai_usage_logs.created_at >= $4::TIMESTAMP WITH TIME ZONE AND app.ai_usage_logs.created_at < $5::TIMESTAMP WITH TIME ZONE
 LIMIT ALL OFFSET 0) AS entry ORDER BY count DESC 
 LIMIT $6::INTEGER;
