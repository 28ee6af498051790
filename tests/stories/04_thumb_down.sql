-- alice: 5 data statements
/* app_member */ WITH reached AS 
(SELECT app.ai_messages.role AS role 
FROM app.ai_messages JOIN app.ai_conversations ON app.ai_conversations.organization_id = app.ai_messages.organization_id AND app.ai_conversations.id = app.ai_messages.conversation_id 
WHERE app.ai_messages.organization_id = $1::UUID AND app.ai_messages.user_id = $2::UUID AND app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_messages.id = $3::UUID AND app.ai_conversations.deleted_at IS NULL FOR NO KEY UPDATE OF ai_conversations), 
rated AS 
(INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating, feedback_text) SELECT $1::UUID AS organization_id, $3::UUID AS message_id, $2::UUID AS user_id, $4::SMALLINT AS rating, $5::VARCHAR AS feedback_text 
FROM reached 
WHERE reached.role = $6::VARCHAR ON CONFLICT (organization_id, message_id, user_id) DO UPDATE SET rating = excluded.rating, feedback_text = excluded.feedback_text RETURNING app.ai_feedback.id)
 SELECT rated.id 
FROM reached LEFT OUTER JOIN rated ON true;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.ai_feedback.id AS wanted_key, app.ai_feedback.id AS database_id, app.ai_feedback.rating AS rating, app.ai_feedback.feedback_text AS text, app.ai_feedback.created_at AS created_at, app.ai_feedback.updated_at AS updated_at, app.ai_feedback.message_id AS message_id, app.ai_feedback.user_id AS user_id 
FROM app.ai_feedback 
WHERE app.ai_feedback.organization_id = $1::UUID AND app.ai_feedback.user_id = $2::UUID AND app.ai_feedback.id = $3::UUID;
/* app_member */ SELECT app.ai_messages.id AS wanted_key, app.ai_messages.id AS database_id, app.ai_messages.role AS role, app.ai_messages.content_length AS content_length, app.ai_messages.query_type AS query_type, app.ai_messages.query_params AS query_params, app.ai_messages.model AS model, app.ai_messages.tokens_used AS tokens_used, app.ai_messages.cost_micro_usd AS cost, app.ai_messages.created_at AS created_at, app.ai_messages.content AS text, app.ai_messages.sources AS "references", app.ai_messages.conversation_id AS conversation_id, app.ai_messages.user_id AS user_id 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $1::UUID AND app.ai_messages.user_id = $2::UUID AND (EXISTS (SELECT app.ai_conversations.id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = app.ai_messages.conversation_id AND app.ai_conversations.deleted_at IS NULL)) AND app.ai_messages.id = $3::UUID;
/* app_member */ SELECT app.ai_feedback.message_id, count(*) FILTER (WHERE app.ai_feedback.rating = $1::SMALLINT) AS up, count(*) FILTER (WHERE app.ai_feedback.rating = $2::SMALLINT) AS down 
FROM app.ai_feedback 
WHERE app.ai_feedback.organization_id = $3::UUID AND app.ai_feedback.user_id = $4::UUID AND app.ai_feedback.message_id = ANY (CAST((SELECT $5::UUID[] AS anon_1) AS UUID[])) GROUP BY app.ai_feedback.message_id;
