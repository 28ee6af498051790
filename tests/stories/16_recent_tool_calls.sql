-- carol: 3 data statements
/* app_admin */ SELECT app.tool_calls.id AS database_id, app.tool_calls.tool_name AS tool_name, coalesce(app.tool_call_outcomes.status, 'PENDING') AS status, app.tool_calls.ai_confidence AS ai_confidence, app.tool_calls.timestamp AS timestamp, app.tool_call_outcomes.completed_at AS completed_at, app.tool_calls.created_at AS created_at 
FROM app.tool_calls LEFT OUTER JOIN app.tool_call_outcomes ON app.tool_call_outcomes.organization_id = $1::UUID AND app.tool_call_outcomes.tool_call_id = app.tool_calls.id AND app.tool_call_outcomes.created_at = app.tool_calls.created_at AND app.tool_call_outcomes.created_at >= $2::TIMESTAMP WITH TIME ZONE 
WHERE app.tool_calls.organization_id = $1::UUID AND app.tool_calls.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_calls.created_at >= $2::TIMESTAMP WITH TIME ZONE AND app.tool_calls.user_id = $4::UUID ORDER BY app.tool_calls.timestamp DESC, app.tool_calls.id DESC 
 LIMIT $5::INTEGER;
/* app_admin */ SELECT app.tool_call_payloads.tool_call_id AS key, CASE WHEN (app.tool_call_payloads.part = 'OUTCOME') THEN nullif(CAST(json_extract_path(CAST(convert_from(app.tool_call_payloads.payload, 'UTF8') AS JSON), 'errorDetails') AS TEXT), 'null') END AS error_details 
FROM app.tool_call_payloads 
WHERE app.tool_call_payloads.organization_id = $1::UUID AND app.tool_call_payloads.tool_call_id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.tool_call_payloads.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_call_payloads.created_at <= $4::TIMESTAMP WITH TIME ZONE;
/* app_admin */ SELECT app.audit_events.id AS database_id, app.audit_events.seq AS seq, app.audit_events.action AS action, app.audit_events.actor_id AS actor_id, app.audit_events.actor_role AS actor_role, app.audit_events.target_type AS target_type, app.audit_events.target_id AS target_database_id, app.audit_events.request_id AS request_id, app.audit_events.occurred_at AS occurred_at, encode(app.audit_events.hash, 'hex') AS hash, encode(app.audit_events.prev_hash, 'hex') AS prev_hash 
FROM app.audit_events 
WHERE app.audit_events.organization_id = $1::UUID AND app.audit_events.target_id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.audit_events.action = ANY ($3::TEXT[]) ORDER BY app.audit_events.seq DESC;

-- dave: 3 data statements
/* app_auditor */ SELECT app.tool_calls.id AS database_id, app.tool_calls.tool_name AS tool_name, coalesce(app.tool_call_outcomes.status, 'PENDING') AS status, app.tool_calls.ai_confidence AS ai_confidence, app.tool_calls.timestamp AS timestamp, app.tool_call_outcomes.completed_at AS completed_at, app.tool_calls.created_at AS created_at 
FROM app.tool_calls LEFT OUTER JOIN app.tool_call_outcomes ON app.tool_call_outcomes.organization_id = $1::UUID AND app.tool_call_outcomes.tool_call_id = app.tool_calls.id AND app.tool_call_outcomes.created_at = app.tool_calls.created_at AND app.tool_call_outcomes.created_at >= $2::TIMESTAMP WITH TIME ZONE 
WHERE app.tool_calls.organization_id = $1::UUID AND app.tool_calls.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_calls.created_at >= $2::TIMESTAMP WITH TIME ZONE AND app.tool_calls.user_id = $4::UUID ORDER BY app.tool_calls.timestamp DESC, app.tool_calls.id DESC 
 LIMIT $5::INTEGER;
/* app_auditor */ SELECT app.tool_call_payloads.tool_call_id AS key, CASE WHEN (app.tool_call_payloads.part = 'OUTCOME') THEN nullif(CAST(json_extract_path(CAST(convert_from(app.tool_call_payloads.payload, 'UTF8') AS JSON), 'errorDetails') AS TEXT), 'null') END AS error_details 
FROM app.tool_call_payloads 
WHERE app.tool_call_payloads.organization_id = $1::UUID AND app.tool_call_payloads.tool_call_id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.tool_call_payloads.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_call_payloads.created_at <= $4::TIMESTAMP WITH TIME ZONE;
/* app_auditor */ SELECT app.audit_events.id AS database_id, app.audit_events.seq AS seq, app.audit_events.action AS action, app.audit_events.actor_id AS actor_id, app.audit_events.actor_role AS actor_role, app.audit_events.target_type AS target_type, app.audit_events.target_id AS target_database_id, app.audit_events.request_id AS request_id, app.audit_events.occurred_at AS occurred_at, encode(app.audit_events.hash, 'hex') AS hash, encode(app.audit_events.prev_hash, 'hex') AS prev_hash 
FROM app.audit_events 
WHERE app.audit_events.organization_id = $1::UUID AND app.audit_events.target_id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.audit_events.action = ANY ($3::TEXT[]) ORDER BY app.audit_events.seq DESC;

-- alice: 2 data statements
/* app_member */ SELECT app.tool_calls.id AS database_id, app.tool_calls.tool_name AS tool_name, coalesce(app.tool_call_outcomes.status, 'PENDING') AS status, app.tool_calls.ai_confidence AS ai_confidence, app.tool_calls.timestamp AS timestamp, app.tool_call_outcomes.completed_at AS completed_at, app.tool_calls.created_at AS created_at 
FROM app.tool_calls LEFT OUTER JOIN app.tool_call_outcomes ON app.tool_call_outcomes.organization_id = $1::UUID AND app.tool_call_outcomes.user_id = $2::UUID AND app.tool_call_outcomes.tool_call_id = app.tool_calls.id AND app.tool_call_outcomes.created_at = app.tool_calls.created_at AND app.tool_call_outcomes.created_at >= $3::TIMESTAMP WITH TIME ZONE 
WHERE app.tool_calls.organization_id = $1::UUID AND app.tool_calls.user_id = $2::UUID AND app.tool_calls.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND app.tool_calls.created_at >= $3::TIMESTAMP WITH TIME ZONE AND app.tool_calls.user_id = $5::UUID ORDER BY app.tool_calls.timestamp DESC, app.tool_calls.id DESC 
 LIMIT $6::INTEGER;
/* app_member */ SELECT app.tool_call_payloads.tool_call_id AS key, CASE WHEN (app.tool_call_payloads.part = 'OUTCOME') THEN nullif(CAST(json_extract_path(CAST(convert_from(app.tool_call_payloads.payload, 'UTF8') AS JSON), 'errorDetails') AS TEXT), 'null') END AS error_details 
FROM app.tool_call_payloads 
WHERE app.tool_call_payloads.organization_id = $1::UUID AND app.tool_call_payloads.user_id = $2::UUID AND app.tool_call_payloads.tool_call_id = ANY (CAST((SELECT $3::UUID[] AS anon_1) AS UUID[])) AND app.tool_call_payloads.created_at >= $4::TIMESTAMP WITH TIME ZONE AND app.tool_call_payloads.created_at <= $5::TIMESTAMP WITH TIME ZONE;
