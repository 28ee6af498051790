-- carol: 2 data statements
SELECT user_id, conversations, messages, requests, tokens, cost_micro_usd FROM app.usage_activity($1, $2, $3);
/* app_admin */ SELECT app.users.id AS wanted_key, app.users.id AS database_id, app.users.display_name AS display_name, app.users.role AS role, app.users.erased_at IS NOT NULL AS is_erased, app.users.created_at AS created_at 
FROM app.users 
WHERE app.users.organization_id = $1::UUID AND app.users.id = $2::UUID;
