-- carol: 1 data statements
/* app_admin */ SELECT coalesce(app.user_ai_settings.tier, $1::VARCHAR) AS tier, count(*) AS count_1 
FROM app.users LEFT OUTER JOIN app.user_ai_settings ON app.user_ai_settings.organization_id = $2::UUID AND app.user_ai_settings.user_id = app.users.id 
WHERE app.users.organization_id = $2::UUID GROUP BY coalesce(app.user_ai_settings.tier, $1::VARCHAR);
