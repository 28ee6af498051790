-- alice: 5 data statements
/* app_member */ SELECT app.ai_insights.id 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND app.ai_insights.id = ANY ($2::UUID[]) ORDER BY app.ai_insights.id FOR NO KEY UPDATE;
/* app_member */ UPDATE app.ai_insights SET is_dismissed=true, dismissed_by=$1::UUID, dismissed_at=$2::TIMESTAMP WITH TIME ZONE WHERE app.ai_insights.organization_id = $3::UUID AND app.ai_insights.id = ANY ($4::UUID[]) AND NOT app.ai_insights.is_dismissed RETURNING app.ai_insights.id;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.ai_insights.id AS wanted_key, app.ai_insights.id AS database_id, app.ai_insights.insight_type AS type, app.ai_insights.title AS title, app.ai_insights.description AS description, app.ai_insights.data AS data, app.ai_insights.severity AS severity, app.ai_insights.is_dismissed AS is_dismissed, app.ai_insights.dismissed_at AS dismissed_at, app.ai_insights.expires_at AS expires_at, app.ai_insights.created_at AS created_at, app.ai_insights.severity_rank AS severity_rank, app.ai_insights.project_id AS project_id, app.ai_insights.dismissed_by AS dismissed_by_id 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND app.ai_insights.id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[]));
/* app_member */ SELECT app.users.id AS wanted_key, app.users.id AS database_id, app.users.display_name AS display_name, app.users.role AS role, app.users.erased_at IS NOT NULL AS is_erased, app.users.created_at AS created_at 
FROM app.users 
WHERE app.users.organization_id = $1::UUID AND app.users.id = $2::UUID;
