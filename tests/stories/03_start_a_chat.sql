-- alice: 7 data statements
/* app_member */ INSERT INTO app.idempotency_keys (organization_id, actor_id, key, request_hash, expires_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, actor_id, key)
DO UPDATE SET request_hash = excluded.request_hash, expires_at = excluded.expires_at, result = NULL
WHERE idempotency_keys.expires_at <= $6 RETURNING id;
/* app_member */ INSERT INTO app.ai_conversations (organization_id, user_id, project_id, title, metadata) VALUES ($1::UUID, $2::UUID, $3::UUID, $4::VARCHAR, $5::JSONB) RETURNING app.ai_conversations.id;
/* app_member */ INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content) VALUES ($1::UUID, $2::UUID, $3::UUID, $4::VARCHAR, $5::VARCHAR) RETURNING app.ai_messages.id;
/* app_member */ UPDATE app.idempotency_keys SET result = $4
WHERE organization_id = $1 AND actor_id = $2 AND key = $3;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.ai_conversations.id AS wanted_key, app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.model_used AS model_used, app.ai_conversations.metadata AS metadata, app.ai_conversations.message_count AS message_count, app.ai_conversations.tokens_used AS tokens_used, app.ai_conversations.cost_micro_usd AS cost, app.ai_conversations.last_message_at AS last_message_at, app.ai_conversations.created_at AS created_at, app.ai_conversations.updated_at AS updated_at, app.ai_conversations.deleted_at AS deleted_at, app.ai_conversations.user_id AS user_id, app.ai_conversations.project_id AS project_id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = $3::UUID;
/* app_member */ SELECT parent.at AS parent_at, page.json 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT '{"node":{"role":"' || app.ai_messages.role || '","content":' || CAST(to_json(app.ai_messages.content) AS TEXT) || '}}' AS json, app.ai_messages.id AS database_id, app.ai_messages.created_at AS created_at 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at, app.ai_messages.id 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at, page.database_id;

-- alice, once more: 4 data statements
/* app_member */ INSERT INTO app.idempotency_keys (organization_id, actor_id, key, request_hash, expires_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, actor_id, key)
DO UPDATE SET request_hash = excluded.request_hash, expires_at = excluded.expires_at, result = NULL
WHERE idempotency_keys.expires_at <= $6 RETURNING id;
/* app_member */ SELECT request_hash, result FROM app.idempotency_keys
WHERE organization_id = $1 AND actor_id = $2 AND key = $3;
/* app_member */ SELECT app.ai_conversations.id AS wanted_key, app.ai_conversations.id AS database_id, app.ai_conversations.title AS title, app.ai_conversations.model_used AS model_used, app.ai_conversations.metadata AS metadata, app.ai_conversations.message_count AS message_count, app.ai_conversations.tokens_used AS tokens_used, app.ai_conversations.cost_micro_usd AS cost, app.ai_conversations.last_message_at AS last_message_at, app.ai_conversations.created_at AS created_at, app.ai_conversations.updated_at AS updated_at, app.ai_conversations.deleted_at AS deleted_at, app.ai_conversations.user_id AS user_id, app.ai_conversations.project_id AS project_id 
FROM app.ai_conversations 
WHERE app.ai_conversations.organization_id = $1::UUID AND app.ai_conversations.user_id = $2::UUID AND app.ai_conversations.id = $3::UUID;
/* app_member */ SELECT parent.at AS parent_at, page.json 
FROM unnest(CAST((SELECT $1::UUID[] AS anon_1) AS UUID[])) WITH ORDINALITY AS parent(id, at) JOIN LATERAL (SELECT '{"node":{"role":"' || app.ai_messages.role || '","content":' || CAST(to_json(app.ai_messages.content) AS TEXT) || '}}' AS json, app.ai_messages.id AS database_id, app.ai_messages.created_at AS created_at 
FROM app.ai_messages 
WHERE app.ai_messages.organization_id = $2::UUID AND app.ai_messages.user_id = $3::UUID AND app.ai_messages.conversation_id = parent.id ORDER BY app.ai_messages.created_at, app.ai_messages.id 
 LIMIT $4::INTEGER) AS page ON true ORDER BY parent.at, page.created_at, page.database_id;
