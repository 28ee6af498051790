-- alice: 2 data statements
/* app_member */ SELECT app.ai_insights.id AS database_id, app.ai_insights.insight_type AS type, app.ai_insights.title AS title, app.ai_insights.severity AS severity, app.ai_insights.expires_at AS expires_at, app.ai_insights.created_at AS created_at 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND NOT app.ai_insights.is_dismissed AND (app.ai_insights.expires_at IS NULL OR app.ai_insights.expires_at > $2::TIMESTAMP WITH TIME ZONE) AND app.ai_insights.project_id = $3::UUID AND app.ai_insights.severity = ANY ($4::TEXT[]) ORDER BY app.ai_insights.created_at DESC, app.ai_insights.id DESC 
 LIMIT $5::INTEGER;
/* app_member */ SELECT CAST(NULL AS UUID) AS parent, app.ai_insights.severity, app.ai_insights.insight_type, count(*) AS count 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND NOT app.ai_insights.is_dismissed AND (app.ai_insights.expires_at IS NULL OR app.ai_insights.expires_at > $2::TIMESTAMP WITH TIME ZONE) AND app.ai_insights.project_id = $3::UUID GROUP BY app.ai_insights.severity, app.ai_insights.insight_type;
