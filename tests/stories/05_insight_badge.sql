-- alice: 2 data statements
/* app_member */ SELECT '{"node":{"id":"' || encode(convert_to('Insight:' || CAST(app.ai_insights.id AS TEXT), 'UTF8'), 'base64') || '","type":"' || app.ai_insights.insight_type || '","severity":"' || app.ai_insights.severity || '","title":' || CAST(to_json(app.ai_insights.title) AS TEXT) || ',"expiresAt":' || CASE WHEN (app.ai_insights.expires_at IS NULL) THEN 'null' ELSE '"' || CASE WHEN (app.ai_insights.expires_at BETWEEN timestamptz '0001-01-01 00:00:00Z' AND timestamptz '9999-12-31 23:59:59.999999Z') THEN to_char(app.ai_insights.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END || '"' END || '}}' AS json 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND NOT app.ai_insights.is_dismissed AND (app.ai_insights.expires_at IS NULL OR app.ai_insights.expires_at > $2::TIMESTAMP WITH TIME ZONE) AND app.ai_insights.project_id = $3::UUID AND app.ai_insights.severity = ANY ($4::TEXT[]) ORDER BY app.ai_insights.created_at DESC, app.ai_insights.id DESC 
 LIMIT $5::INTEGER;
/* app_member */ SELECT CAST(NULL AS UUID) AS parent, app.ai_insights.severity, app.ai_insights.insight_type, count(*) AS count 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND NOT app.ai_insights.is_dismissed AND (app.ai_insights.expires_at IS NULL OR app.ai_insights.expires_at > $2::TIMESTAMP WITH TIME ZONE) AND app.ai_insights.project_id = $3::UUID GROUP BY app.ai_insights.severity, app.ai_insights.insight_type;
