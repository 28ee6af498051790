-- alice, the first time: 6 data statements
/* app_member */ SELECT app.user_provider_keys.id, app.user_provider_keys.key_version 
FROM app.user_provider_keys 
WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $2::UUID AND app.user_provider_keys.provider = $3::VARCHAR FOR UPDATE;
SELECT app.uuidv7() AS id;
/* app_member */ INSERT INTO app.user_provider_keys (organization_id, id, user_id, provider, ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, set_at) VALUES ($1::UUID, $2::UUID, $3::UUID, $4::VARCHAR, $5::BYTEA, $6::BYTEA, $7::VARCHAR, $8::INTEGER, $9::VARCHAR, $10::BYTEA, $11::TIMESTAMP WITH TIME ZONE) ON CONFLICT (organization_id, user_id, provider) DO UPDATE SET ciphertext = $5::BYTEA, wrapped_key = $6::BYTEA, key_id = $7::VARCHAR, key_version = $8::INTEGER, hint = $9::VARCHAR, fingerprint = $10::BYTEA, needs_reentry = $12::BOOLEAN, set_at = $11::TIMESTAMP WITH TIME ZONE WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $3::UUID AND app.user_provider_keys.id = $2::UUID AND app.user_provider_keys.key_version = $8::INTEGER - $13::INTEGER RETURNING app.user_provider_keys.id;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.users.id AS wanted_key, coalesce(app.user_ai_settings.tier, $1::VARCHAR) AS tier, coalesce(app.user_ai_settings.preferred_provider, $2::VARCHAR) AS preferred_provider, app.user_ai_settings.created_at AS created_at, app.user_ai_settings.updated_at AS updated_at, app.users.id AS database_id, app.users.created_at AS joined_at 
FROM app.users LEFT OUTER JOIN app.user_ai_settings ON app.user_ai_settings.organization_id = $3::UUID AND app.user_ai_settings.user_id = $4::UUID AND app.user_ai_settings.user_id = app.users.id 
WHERE app.users.organization_id = $3::UUID AND app.users.id = $4::UUID AND app.users.id = $5::UUID;
/* app_member */ SELECT app.user_provider_keys.user_id, app.user_provider_keys.provider, app.user_provider_keys.hint, app.user_provider_keys.set_at, app.user_provider_keys.key_version, app.user_provider_keys.needs_reentry, app.user_provider_keys.key_id 
FROM app.user_provider_keys 
WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $2::UUID AND app.user_provider_keys.user_id = ANY (CAST((SELECT $3::UUID[] AS anon_1) AS UUID[])) ORDER BY app.user_provider_keys.provider;

-- alice, again: 5 data statements
/* app_member */ SELECT app.user_provider_keys.id, app.user_provider_keys.key_version 
FROM app.user_provider_keys 
WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $2::UUID AND app.user_provider_keys.provider = $3::VARCHAR FOR UPDATE;
/* app_member */ INSERT INTO app.user_provider_keys (organization_id, id, user_id, provider, ciphertext, wrapped_key, key_id, key_version, hint, fingerprint, set_at) VALUES ($1::UUID, $2::UUID, $3::UUID, $4::VARCHAR, $5::BYTEA, $6::BYTEA, $7::VARCHAR, $8::INTEGER, $9::VARCHAR, $10::BYTEA, $11::TIMESTAMP WITH TIME ZONE) ON CONFLICT (organization_id, user_id, provider) DO UPDATE SET ciphertext = $5::BYTEA, wrapped_key = $6::BYTEA, key_id = $7::VARCHAR, key_version = $8::INTEGER, hint = $9::VARCHAR, fingerprint = $10::BYTEA, needs_reentry = $12::BOOLEAN, set_at = $11::TIMESTAMP WITH TIME ZONE WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $3::UUID AND app.user_provider_keys.id = $2::UUID AND app.user_provider_keys.key_version = $8::INTEGER - $13::INTEGER RETURNING app.user_provider_keys.id;
SELECT app.audit_append($1::jsonb);
/* app_member */ SELECT app.users.id AS wanted_key, coalesce(app.user_ai_settings.tier, $1::VARCHAR) AS tier, coalesce(app.user_ai_settings.preferred_provider, $2::VARCHAR) AS preferred_provider, app.user_ai_settings.created_at AS created_at, app.user_ai_settings.updated_at AS updated_at, app.users.id AS database_id, app.users.created_at AS joined_at 
FROM app.users LEFT OUTER JOIN app.user_ai_settings ON app.user_ai_settings.organization_id = $3::UUID AND app.user_ai_settings.user_id = $4::UUID AND app.user_ai_settings.user_id = app.users.id 
WHERE app.users.organization_id = $3::UUID AND app.users.id = $4::UUID AND app.users.id = $5::UUID;
/* app_member */ SELECT app.user_provider_keys.user_id, app.user_provider_keys.provider, app.user_provider_keys.hint, app.user_provider_keys.set_at, app.user_provider_keys.key_version, app.user_provider_keys.needs_reentry, app.user_provider_keys.key_id 
FROM app.user_provider_keys 
WHERE app.user_provider_keys.organization_id = $1::UUID AND app.user_provider_keys.user_id = $2::UUID AND app.user_provider_keys.user_id = ANY (CAST((SELECT $3::UUID[] AS anon_1) AS UUID[])) ORDER BY app.user_provider_keys.provider;
