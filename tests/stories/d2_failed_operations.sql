-- carol: 3 data statements
/* app_admin */ SELECT app.tool_calls.id AS database_id, app.tool_calls.tool_name AS tool_name, app.tool_calls.timestamp AS timestamp, app.tool_calls.created_at AS created_at 
FROM app.tool_call_outcomes JOIN app.tool_calls ON app.tool_call_outcomes.organization_id = $1::UUID AND app.tool_call_outcomes.tool_call_id = app.tool_calls.id AND app.tool_calls.created_at >= app.tool_call_outcomes.created_at AND app.tool_calls.created_at <= app.tool_call_outcomes.created_at 
WHERE app.tool_calls.organization_id = $1::UUID AND app.tool_calls.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND app.tool_calls.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_call_outcomes.status = $4::VARCHAR AND app.tool_call_outcomes.timestamp >= $5::TIMESTAMP WITH TIME ZONE AND app.tool_call_outcomes.created_at >= $6::TIMESTAMP WITH TIME ZONE ORDER BY app.tool_call_outcomes.timestamp DESC, app.tool_call_outcomes.tool_call_id DESC 
 LIMIT $7::INTEGER;
/* app_admin */ SELECT count(*) AS count_1 
FROM (SELECT 1 
FROM app.tool_call_outcomes JOIN app.tool_calls ON app.tool_call_outcomes.organization_id = $1::UUID AND app.tool_call_outcomes.tool_call_id = app.tool_calls.id AND app.tool_calls.created_at >= app.tool_call_outcomes.created_at AND app.tool_calls.created_at <= app.tool_call_outcomes.created_at 
WHERE app.tool_calls.organization_id = $1::UUID AND app.tool_calls.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND app.tool_calls.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_call_outcomes.status = $4::VARCHAR AND app.tool_call_outcomes.timestamp >= $5::TIMESTAMP WITH TIME ZONE AND app.tool_call_outcomes.created_at >= $6::TIMESTAMP WITH TIME ZONE 
 LIMIT 10001) AS anon_1;
/* app_admin */ SELECT app.tool_call_payloads.tool_call_id AS key, CASE WHEN (app.tool_call_payloads.part = 'OUTCOME') THEN nullif(CAST(json_extract_path(CAST(convert_from(app.tool_call_payloads.payload, 'UTF8') AS JSON), 'errorDetails') AS TEXT), 'null') END AS error_details 
FROM app.tool_call_payloads 
WHERE app.tool_call_payloads.organization_id = $1::UUID AND app.tool_call_payloads.tool_call_id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.tool_call_payloads.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_call_payloads.created_at <= $4::TIMESTAMP WITH TIME ZONE;
