-- What tests/db/test_query_plans.py asks about: two organizations of equal size, some thousands of rows in each large table.
SET session_replication_role = replica;
SELECT app.ensure_partitions(4, (now() - interval '70 days')::date);
CREATE TEMPORARY TABLE o AS SELECT md5(slug)::uuid AS id, slug FROM unnest(ARRAY['ours', 'theirs']) AS slug;
CREATE FUNCTION pg_temp.named(o uuid, kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5(o || kind || n)::uuid;

INSERT INTO app.organizations (id, slug, name, kind, timezone) SELECT id, slug, slug, 'TEAM', 'UTC' FROM o;
INSERT INTO app.users (organization_id, id, role)
    SELECT o.id, pg_temp.named(o.id, 'user', n), CASE n WHEN 1 THEN 'ADMIN' WHEN 2 THEN 'AUDITOR' ELSE 'MEMBER' END
    FROM o, generate_series(0, 11) AS n;
INSERT INTO app.identities (organization_id, issuer, subject, user_id)
    SELECT o.id, 'minutebook', name, pg_temp.named(o.id, 'user', n - 1)
    FROM o, unnest(ARRAY['alice', 'carol', 'dave']) WITH ORDINALITY AS p (name, n) WHERE slug = 'ours';
INSERT INTO app.projects (organization_id, id, name)
    SELECT o.id, pg_temp.named(o.id, 'project', n), 'Project' FROM o, generate_series(0, 19) AS n;
INSERT INTO app.ai_tools (organization_id, name) SELECT o.id, 'tool_' || n FROM o, generate_series(0, 4) AS n;
INSERT INTO app.ai_conversations (organization_id, id, user_id, project_id, title, created_at, updated_at, deleted_at)
    SELECT o.id, pg_temp.named(o.id, 'conversation', n), pg_temp.named(o.id, 'user', n % 12),
        pg_temp.named(o.id, 'project', n / 12 % 20), 'Title ' || n, now() - n * interval '30 min',
        now() - n * interval '30 min', CASE WHEN n / 12 % 10 = 9 THEN now() END
    FROM o, generate_series(0, 2399) AS n;
INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content, created_at)
    SELECT c.organization_id, c.user_id, c.id, CASE n % 2 WHEN 0 THEN 'USER' ELSE 'ASSISTANT' END, repeat('word ', 20),
        c.created_at + n * interval '1 min'
    FROM app.ai_conversations AS c, generate_series(0, 5) AS n;
INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating, created_at)
    SELECT organization_id, id, user_id, 5, created_at FROM app.ai_messages WHERE role = 'ASSISTANT';
INSERT INTO app.ai_insights (organization_id, project_id, insight_type, title, description, severity, created_at)
    SELECT o.id, pg_temp.named(o.id, 'project', n % 20), 'ANOMALY', 'Odd', 'Twice the price',
        (ARRAY['INFO', 'WARNING', 'CRITICAL'])[n % 3 + 1], now() - n * interval '10 min'
    FROM o, generate_series(0, 2999) AS n;
INSERT INTO app.ai_interactions (organization_id, id, user_id, conversation_id, request_bytes, status, type, created_at)
    SELECT o.id, gen_random_uuid(), pg_temp.named(o.id, 'user', n % 12), pg_temp.named(o.id, 'conversation', n % 48), 9,
        CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, 'chat', now() - n * interval '15 min'
    FROM o, generate_series(0, 5999) AS n;
INSERT INTO app.ai_usage_logs (organization_id, id, user_id, tier, provider, created_at)
    SELECT organization_id, gen_random_uuid(), user_id, 'FREE', 'OPENAI', created_at FROM app.ai_interactions;
INSERT INTO app.tool_calls (organization_id, id, user_id, session_id, conversation_id, tool_name, "timestamp", payload_hash, created_at)
    SELECT i.organization_id, gen_random_uuid(), i.user_id, i.conversation_id, i.conversation_id, 'tool_' || row_number() OVER (PARTITION BY i.organization_id, i.user_id ORDER BY i.created_at) % 5,
        i.created_at, sha256(''), i.created_at
    FROM app.ai_interactions AS i;
INSERT INTO app.tool_call_outcomes (organization_id, tool_call_id, user_id, status, "timestamp", completed_at, payload_hash, created_at)
    SELECT organization_id, id, user_id,
        -- Counted per person: over all rows, what a person is left with would hang on the day on which a month begins.
        CASE WHEN row_number() OVER (PARTITION BY organization_id, user_id ORDER BY created_at) % 9 = 0 THEN 'ERROR' ELSE 'SUCCESS' END,
        "timestamp", "timestamp" + interval '1 s', payload_hash, created_at
    FROM app.tool_calls;
INSERT INTO app.ai_content_searches (organization_id, id, user_id, query, content_type, created_at)
    SELECT organization_id, gen_random_uuid(), user_id, 'parking', 'EXERCISE', created_at FROM app.ai_interactions;
INSERT INTO app.ai_cache (organization_id, cache_key, response, response_bytes, expires_at, created_at)
    SELECT o.id, 'key' || n, '{}', 2, now() + interval '1 day', now() - n * interval '1 min' FROM o, generate_series(0, 1999) AS n;
INSERT INTO app.documents (organization_id, id, project_id, title, content_type, created_at)
    SELECT o.id, pg_temp.named(o.id, 'document', n), pg_temp.named(o.id, 'project', n % 20), 'Plan ' || n,
        (ARRAY['DOCUMENT', 'ROUTE', 'EVENT'])[n % 3 + 1], now() - n * interval '1 min'
    FROM o, generate_series(0, 1499) AS n;
INSERT INTO app.document_embeddings (organization_id, document_id, chunk_index, chunk_text)
    SELECT organization_id, id, n, 'Boards and nails' FROM app.documents, generate_series(0, 3) AS n;
INSERT INTO app.audit_events (organization_id, seq, action, actor_id, actor_role, target_id, occurred_at, leaf, prev_hash, hash)
    SELECT o.id, n, 'conversation.' || (ARRAY['created', 'updated'])[n % 2 + 1], pg_temp.named(o.id, 'user', n % 12), 'MEMBER',
        pg_temp.named(o.id, 'conversation', n % 2400), now() - n * interval '1 min', sha256(''), sha256(int8send(n - 1)), sha256(int8send(n))
    FROM o, generate_series(1, 6000) AS n;
RESET session_replication_role;
ANALYZE;

-- EXPLAIN in the simple protocol, where parameters stay parameters; with the rights of whoever asks.
CREATE FUNCTION ext.generic_plan(statement text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO plan;
    RETURN plan;
END $$;
GRANT EXECUTE ON FUNCTION ext.generic_plan TO PUBLIC;
