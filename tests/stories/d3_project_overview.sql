-- alice: 8 data statements
/* app_member */ SELECT app.ai_patterns.id AS database_id, app.ai_patterns.pattern_type AS type, app.ai_patterns.pattern_data AS data, app.ai_patterns.confidence AS confidence, app.ai_patterns.last_calculated_at AS last_calculated_at, app.ai_patterns.category_id AS category_id 
FROM app.ai_patterns 
WHERE app.ai_patterns.organization_id = $1::UUID ORDER BY app.ai_patterns.last_calculated_at DESC, app.ai_patterns.id DESC 
 LIMIT $2::INTEGER;
/* app_member */ SELECT app.projects.id AS wanted_key, app.projects.id AS database_id, app.projects.name AS name, app.projects.created_at AS created_at 
FROM app.projects 
WHERE app.projects.organization_id = $1::UUID AND app.projects.id = $2::UUID;
/* app_member */ SELECT parent.at AS parent_at, page.json 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT '{"node":{"type":"' || app.ai_insights.insight_type || '","severity":"' || app.ai_insights.severity || '","title":' || CAST(to_json(app.ai_insights.title) AS TEXT) || ',"description":' || CAST(to_json(app.ai_insights.description) AS TEXT) || ',"data":' || CASE WHEN (app.ai_insights.data IS NULL) THEN 'null' ELSE CAST(app.ai_insights.data AS TEXT) END || ',"isDismissed":' || CAST(app.ai_insights.is_dismissed AS TEXT) || ',"expiresAt":' || CASE WHEN (app.ai_insights.expires_at IS NULL) THEN 'null' ELSE '"' || CASE WHEN (app.ai_insights.expires_at BETWEEN timestamptz '0001-01-01 00:00:00Z' AND timestamptz '9999-12-31 23:59:59.999999Z') THEN to_char(app.ai_insights.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END || '"' END || '}}' AS json, app.ai_insights.id AS database_id, app.ai_insights.created_at AS created_at 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $2::UUID AND app.ai_insights.project_id = parent.id AND NOT app.ai_insights.is_dismissed AND (app.ai_insights.expires_at IS NULL OR app.ai_insights.expires_at > $3::TIMESTAMP WITH TIME ZONE) ORDER BY app.ai_insights.created_at DESC, app.ai_insights.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.title, page.updated_at 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.updated_at AS updated_at 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $2::UUID AND app.ai_conversations.user_id = $3::UUID AND app.ai_conversations.project_id = parent.id AND app.ai_conversations.deleted_at IS NULL ORDER BY app.ai_conversations.updated_at DESC, app.ai_conversations.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.updated_at DESC, page.database_id DESC;
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.title, page.created_at 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.documents.id AS database_id, app.documents.title AS title, app.documents.created_at AS created_at 
FROM app.documents 
WHERE app.documents.organization_id = $2::UUID AND app.documents.project_id = parent.id ORDER BY app.documents.created_at DESC, app.documents.id DESC 
 LIMIT $3::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;
/* app_member */ SELECT app.budget_categories.id AS wanted_key, app.budget_categories.id AS database_id, app.budget_categories.name AS name 
FROM app.budget_categories 
WHERE app.budget_categories.organization_id = $1::UUID AND app.budget_categories.id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[]));
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.role, page.query_type, page.query_params, page.tokens_used, page.created_at, page.text, page."references", page.joined_feedback__database_id, page.joined_feedback__rating, page.joined_feedback__text 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.ai_messages.id AS database_id, app.ai_messages.role AS role, app.ai_messages.query_type AS query_type, app.ai_messages.query_params AS query_params, app.ai_messages.tokens_used AS tokens_used, app.ai_messages.created_at AS created_at, app.ai_messages.content AS text, app.ai_messages.sources AS "references", app.ai_feedback.id AS joined_feedback__database_id, app.ai_feedback.rating AS joined_feedback__rating, app.ai_feedback.feedback_text AS joined_feedback__text 
FROM app.ai_messages LEFT OUTER JOIN app.ai_feedback ON app.ai_feedback.organization_id = $2::UUID AND app.ai_feedback.user_id = $3::UUID AND app.ai_feedback.user_id = $3::UUID AND app.ai_feedback.message_id = app.ai_messages.id 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at DESC, app.ai_messages.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;
/* app_member */ SELECT parent.at AS parent_at, page.json 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT '{"node":{"chunkIndex":' || CAST(app.document_embeddings.chunk_index AS TEXT) || ',"text":' || CAST(to_json(app.document_embeddings.chunk_text) AS TEXT) || '}}' AS json, app.document_embeddings.id AS database_id, app.document_embeddings.chunk_index AS chunk_index 
FROM app.document_embeddings 
WHERE app.document_embeddings.organization_id = $2::UUID AND app.document_embeddings.document_id = parent.id ORDER BY app.document_embeddings.chunk_index, app.document_embeddings.id 
 LIMIT $3::INTEGER) AS page ON true ORDER BY parent.at, page.chunk_index, page.database_id;
