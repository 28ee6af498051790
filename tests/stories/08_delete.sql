-- alice: 3 data statements
/* app_member */ SELECT app.ai_conversations.id, app.ai_conversations.deleted_at 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = $3::UUID FOR NO KEY UPDATE;
/* app_member */ UPDATE app.ai_conversations SET deleted_at=$1::TIMESTAMP WITH TIME ZONE WHERE app.ai_conversations.organization_id = $2::UUID AND app.ai_conversations.user_id = $3::UUID AND app.ai_conversations.id = $4::UUID;
SELECT app.audit_append($1::jsonb);
