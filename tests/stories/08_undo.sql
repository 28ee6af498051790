-- alice: 4 data statements
/* app_member */ SELECT app.ai_conversations.id, app.ai_conversations.deleted_at 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = $3::UUID FOR NO KEY UPDATE;
/* app_member */ UPDATE app.ai_conversations SET deleted_at=$1::TIMESTAMP WITH TIME ZONE WHERE app.ai_conversations.organization_id = $2::UUID AND app.ai_conversations.user_id = $3::UUID AND app.ai_conversations.id = $4::UUID;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.ai_conversations.id AS wanted_key, app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.model_used AS model_used, app.ai_conversations.metadata AS metadata, app.ai_conversations.message_count AS message_count, app.ai_conversations.tokens_used AS tokens_used, app.ai_conversations.cost_micro_usd AS cost, app.ai_conversations.last_message_at AS last_message_at, app.ai_conversations.created_at AS created_at, app.ai_conversations.updated_at AS updated_at, app.ai_conversations.deleted_at AS deleted_at, app.ai_conversations.user_id AS user_id, app.ai_conversations.project_id AS project_id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = $3::UUID;
