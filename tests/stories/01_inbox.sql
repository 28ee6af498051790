-- alice: 2 data statements
/* app_member */ SELECT app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.message_count AS message_count, app.ai_conversations.updated_at AS updated_at 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.deleted_at IS NULL ORDER BY app.ai_conversations.updated_at DESC, app.ai_conversations.id DESC 
 LIMIT $3::INTEGER;
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.role, page.created_at, page.text 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.ai_messages.id AS database_id, app.ai_messages.role AS role, app.ai_messages.created_at AS created_at, app.ai_messages.content AS text 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at DESC, app.ai_messages.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;

-- alice, the next page: 2 data statements
/* app_member */ SELECT app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.message_count AS message_count, app.ai_conversations.updated_at AS updated_at 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.deleted_at IS NULL AND app.ai_conversations.updated_at <= $3::TIMESTAMP WITH TIME ZONE AND (app.ai_conversations.updated_at, app.ai_conversations.id) < ($3::TIMESTAMP WITH TIME ZONE, $4::UUID) ORDER BY app.ai_conversations.updated_at DESC, app.ai_conversations.id DESC 
 LIMIT $5::INTEGER;
/* app_member */ SELECT parent.at AS parent_at, page.database_id, page.role, page.created_at, page.text 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT app.ai_messages.id AS database_id, app.ai_messages.role AS role, app.ai_messages.created_at AS created_at, app.ai_messages.content AS text 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at DESC, app.ai_messages.id DESC 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at DESC, page.database_id DESC;
