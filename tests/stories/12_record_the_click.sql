-- alice: 3 data statements
/* app_member */ UPDATE app.ai_content_searches SET selected_content_id=$1::UUID WHERE app.ai_content_searches.organization_id = $2::UUID AND app.ai_content_searches.user_id = $3::UUID AND app.ai_content_searches.id = $4::UUID AND app.ai_content_searches.created_at >= $5::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.created_at < $6::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.selected_content_id IS NULL RETURNING app.ai_content_searches.id;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.ai_content_searches.id AS wanted_key, app.ai_content_searches.id AS database_id, app.ai_content_searches.query AS query, app.ai_content_searches.content_type AS content_type, app.ai_content_searches.filters AS filters, app.ai_content_searches.results_count AS results_count, app.ai_content_searches.selected_content_id AS selected_content_id, app.ai_content_searches.created_at AS created_at, app.ai_content_searches.user_id AS user_id 
FROM app.ai_content_searches 
WHERE app.ai_content_searches.organization_id = $1::UUID AND app.ai_content_searches.user_id = $2::UUID AND app.ai_content_searches.id = $3::UUID AND app.ai_content_searches.created_at >= $4::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.created_at < $5::TIMESTAMP WITH TIME ZONE;

-- alice, a second time: 3 data statements
/* app_member */ UPDATE app.ai_content_searches SET selected_content_id=$1::UUID WHERE app.ai_content_searches.organization_id = $2::UUID AND app.ai_content_searches.user_id = $3::UUID AND app.ai_content_searches.id = $4::UUID AND app.ai_content_searches.created_at >= $5::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.created_at < $6::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.selected_content_id IS NULL RETURNING app.ai_content_searches.id;
/* app_member */ SELECT app.ai_content_searches.user_id 
FROM app.ai_content_searches 
WHERE app.ai_content_searches.organization_id = $1::UUID AND app.ai_content_searches.user_id = $2::UUID AND app.ai_content_searches.id = $3::UUID AND app.ai_content_searches.created_at >= $4::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.created_at < $5::TIMESTAMP WITH TIME ZONE;
/* app_member */ SELECT app.ai_content_searches.id AS wanted_key, app.ai_content_searches.id AS database_id, app.ai_content_searches.query AS query, app.ai_content_searches.content_type AS content_type, app.ai_content_searches.filters AS filters, app.ai_content_searches.results_count AS results_count, app.ai_content_searches.selected_content_id AS selected_content_id, app.ai_content_searches.created_at AS created_at, app.ai_content_searches.user_id AS user_id 
FROM app.ai_content_searches 
WHERE app.ai_content_searches.organization_id = $1::UUID AND app.ai_content_searches.user_id = $2::UUID AND app.ai_content_searches.id = $3::UUID AND app.ai_content_searches.created_at >= $4::TIMESTAMP WITH TIME ZONE AND app.ai_content_searches.created_at < $5::TIMESTAMP WITH TIME ZONE;
