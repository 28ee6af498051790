-- alice: 7 data statements
/* app_member */ SELECT app.ai_conversations.id AS wanted_key, app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.model_used AS model_used, app.ai_conversations.metadata AS metadata, app.ai_conversations.message_count AS message_count, app.ai_conversations.tokens_used AS tokens_used, app.ai_conversations.cost_micro_usd AS cost, app.ai_conversations.last_message_at AS last_message_at, app.ai_conversations.created_at AS created_at, app.ai_conversations.updated_at AS updated_at, app.ai_conversations.deleted_at AS deleted_at, app.ai_conversations.user_id AS user_id, app.ai_conversations.project_id AS project_id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.deleted_at IS NULL AND app.ai_conversations.id = ANY ($3::UUID[]);
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.role, page.created_at, page.text, page."references" 
FROM unnest($1::UUID[]) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.ai_messages.id AS database_id, app.ai_messages.role AS role, app.ai_messages.created_at AS created_at, app.ai_messages.content AS text, app.ai_messages.sources AS "references" 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at DESC, app.ai_messages.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;
/* app_member */ SELECT app.ai_feedback.message_id AS wanted_key, app.ai_feedback.id AS database_id, app.ai_feedback.rating AS rating, app.ai_feedback.feedback_text AS text, app.ai_feedback.created_at AS created_at, app.ai_feedback.updated_at AS updated_at, app.ai_feedback.message_id AS message_id, app.ai_feedback.user_id AS user_id 
FROM app.ai_feedback 
WHERE app.ai_feedback.organization_id = $1::UUID AND app.ai_feedback.user_id = $2::UUID AND app.ai_feedback.user_id = $2::UUID AND app.ai_feedback.message_id = ANY ($3::UUID[]) ORDER BY app.ai_feedback.id;
/* app_member */ SELECT app.documents.id AS wanted_key, app.documents.id AS database_id, app.documents.title AS title, app.documents.content_type AS content_type, app.documents.content_id AS content_id, app.documents.metadata AS metadata, app.documents.created_at AS created_at, app.documents.updated_at AS updated_at, app.documents.project_id AS project_id 
FROM app.documents 
WHERE app.documents.organization_id = $1::UUID AND app.documents.id = ANY ($2::UUID[]);
/* app_member */ SELECT app.ai_insights.id AS wanted_key, app.ai_insights.id AS database_id, app.ai_insights.insight_type AS type, app.ai_insights.title AS title, app.ai_insights.description AS description, app.ai_insights.data AS data, app.ai_insights.severity AS severity, app.ai_insights.is_dismissed AS is_dismissed, app.ai_insights.dismissed_at AS dismissed_at, app.ai_insights.expires_at AS expires_at, app.ai_insights.created_at AS created_at, app.ai_insights.severity_rank AS severity_rank, app.ai_insights.project_id AS project_id, app.ai_insights.dismissed_by AS dismissed_by_id 
FROM app.ai_insights 
WHERE app.ai_insights.organization_id = $1::UUID AND app.ai_insights.id = ANY ($2::UUID[]);
/* app_member */ SELECT app.projects.id AS wanted_key, app.projects.id AS database_id, app.projects.name AS name, app.projects.created_at AS created_at 
FROM app.projects 
WHERE app.projects.organization_id = $1::UUID AND app.projects.id = ANY ($2::UUID[]);
/* app_member */ SELECT app.ai_conversations.id AS wanted_key, app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.model_used AS model_used, app.ai_conversations.metadata AS metadata, app.ai_conversations.message_count AS message_count, app.ai_conversations.tokens_used AS tokens_used, app.ai_conversations.cost_micro_usd AS cost, app.ai_conversations.last_message_at AS last_message_at, app.ai_conversations.created_at AS created_at, app.ai_conversations.updated_at AS updated_at, app.ai_conversations.deleted_at AS deleted_at, app.ai_conversations.user_id AS user_id, app.ai_conversations.project_id AS project_id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.deleted_at IS NULL AND app.ai_conversations.id = ANY ($3::UUID[]);
