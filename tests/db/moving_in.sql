-- d0
CREATE TABLE users (id uuid PRIMARY KEY, name text);
INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'Ann');
CREATE TABLE ai_interactions (
    id uuid PRIMARY KEY, timestamp timestamptz NOT NULL, request jsonb NOT NULL, response jsonb, latency_ms integer, error_code text,
    error_message text, model_name text, user_id uuid, file_metadata jsonb, status text NOT NULL, prompt_hash text, ip_address inet);
INSERT INTO ai_interactions VALUES
    (gen_random_uuid(), now() - interval '2 days', '{"q": "why?"}', '{"a": 1}', 1500, NULL, NULL, 'gpt', '00000000-0000-4000-8000-000000000001', '{"name": "plan.pdf"}', 'success', 'abc', '192.0.2.1'),
    (gen_random_uuid(), now() - interval '1 day', '{"q": "how?"}', NULL, 7000, 'timeout', 'late', 'gpt', NULL, NULL, 'error', NULL, NULL);

-- d1
CREATE TABLE users (id uuid PRIMARY KEY, name text);
INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'Ann');
CREATE TABLE ai_interactions (
    id uuid PRIMARY KEY, user_id uuid, organization_id uuid, type varchar(50) NOT NULL, request_data jsonb NOT NULL, response_data jsonb,
    cost_cents integer DEFAULT 0, status varchar(20) DEFAULT 'pending', created_at timestamp DEFAULT now(), completed_at timestamp);
INSERT INTO ai_interactions VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-00000000000a', 'template', '{"q": 1}', '{"a": 2}', 12, 'completed', localtimestamp - interval '1 day', localtimestamp - interval '1 day' + interval '2 seconds'),
    (gen_random_uuid(), NULL, '00000000-0000-4000-8000-00000000000a', 'chat', '{"q": 2}', NULL, 0, 'pending', localtimestamp - interval '2 days', NULL),
    (gen_random_uuid(), NULL, '00000000-0000-4000-8000-00000000000b', 'chat', '{"q": "somebody else''s"}', NULL, 0, 'failed', localtimestamp - interval '2 days', NULL);

-- d2
CREATE TABLE users (id uuid PRIMARY KEY, name text);
INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'Ann');
CREATE TABLE tool_call_logs (
    id uuid PRIMARY KEY, user_id uuid, session_id uuid, tool_name text, tool_params json, result json, status text, error_details json,
    timestamp timestamptz, ai_confidence float);
INSERT INTO tool_call_logs VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'add_task', '{"title": "Paint"}', '{"id": 7}', 'success', NULL, now() - interval '3 days', 0.9),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'list_tasks', '{}', NULL, 'error', '{"code": "LATE"}', now() - interval '2 days', NULL),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', gen_random_uuid(), 'add_task', '{"title": "Sand"}', NULL, 'pending', NULL, now() - interval '1 day', 0.5);

-- d3
CREATE TABLE users (id uuid PRIMARY KEY, name text);
INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'Ann');
CREATE TABLE builders (id uuid PRIMARY KEY, ai_tokens_used_month integer, ai_tokens_limit integer, ai_tokens_reset_at timestamptz);
INSERT INTO builders VALUES ('00000000-0000-4000-8000-00000000000a', 1234, 50000, now() + interval '1 day');
CREATE TABLE projects (id uuid PRIMARY KEY, builder_id uuid, name text);
INSERT INTO projects VALUES ('00000000-0000-4000-8000-000000000031', '00000000-0000-4000-8000-00000000000a', 'Kitchen');
CREATE TABLE budget_categories (id uuid PRIMARY KEY, builder_id uuid, name text);
INSERT INTO budget_categories VALUES ('00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-00000000000a', 'Lumber');
CREATE TABLE documents (id uuid PRIMARY KEY, builder_id uuid, project_id uuid, title text);
INSERT INTO documents VALUES ('00000000-0000-4000-8000-000000000051', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000031', 'Plan');
CREATE TABLE ai_conversations (
    id uuid PRIMARY KEY, builder_id uuid, user_id uuid, project_id uuid, title varchar(255), created_at timestamptz, updated_at timestamptz, deleted_at timestamptz);
INSERT INTO ai_conversations VALUES ('00000000-0000-4000-8000-000000000061', '00000000-0000-4000-8000-00000000000a',
    '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000031', 'Lumber', now() - interval '1 day', now() - interval '1 day', NULL);
CREATE TABLE ai_messages (
    id uuid PRIMARY KEY, builder_id uuid, conversation_id uuid, role varchar(20), content text, query_type varchar(50), query_params jsonb,
    sources jsonb, tokens_used integer, created_at timestamptz);
INSERT INTO ai_messages VALUES
    ('00000000-0000-4000-8000-000000000071', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000061', 'user', 'Why?', 'spending', '{"phase": 1}', NULL, NULL, now() - interval '1 day'),
    ('00000000-0000-4000-8000-000000000072', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000061', 'assistant', 'Prices.', NULL, NULL,
        '{"kind": "document", "id": "00000000-0000-4000-8000-000000000051", "title": "Plan"}', 20, now() - interval '23 hours');
CREATE TABLE ai_feedback (id uuid PRIMARY KEY, builder_id uuid, message_id uuid, user_id uuid, rating integer, feedback_text text, created_at timestamptz);
INSERT INTO ai_feedback VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000072', '00000000-0000-4000-8000-000000000001', 1, 'no', now() - interval '2 hours'),
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000072', '00000000-0000-4000-8000-000000000001', 5, 'yes', now() - interval '1 hour');
CREATE TABLE ai_insights (
    id uuid PRIMARY KEY, builder_id uuid, project_id uuid, insight_type varchar(50), title varchar(255), description text, data jsonb,
    severity varchar(20), is_dismissed boolean, dismissed_by uuid, dismissed_at timestamptz, expires_at timestamptz, created_at timestamptz);
INSERT INTO ai_insights VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000031', 'cost_pattern', 'Over', 'By 8 %', NULL, 'warning', false, NULL, NULL, NULL, now()),
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', NULL, 'anomaly', 'Odd', 'Twice', '{"n": 2}', 'info', true, '00000000-0000-4000-8000-000000000001', NULL, NULL, now());
CREATE TABLE ai_patterns (
    id uuid PRIMARY KEY, builder_id uuid, pattern_type varchar(50), category_id uuid, pattern_data jsonb, confidence decimal(3, 2),
    last_calculated_at timestamptz, created_at timestamptz, updated_at timestamptz);
INSERT INTO ai_patterns VALUES
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', 'category_cost_baseline', '00000000-0000-4000-8000-000000000041', '{"avg_cost": 1}', 0.5, now() - interval '1 day', now(), now()),
    (gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', 'category_cost_baseline', '00000000-0000-4000-8000-000000000041', '{"avg_cost": 2}', 0.75, now(), now(), now());
CREATE TABLE document_embeddings (
    id uuid PRIMARY KEY, builder_id uuid, document_id uuid, chunk_index integer, chunk_text text, embedding vector(1536), created_at timestamptz);
INSERT INTO document_embeddings SELECT gen_random_uuid(), '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-000000000051', n, 'Lumber ' || n,
    (SELECT array_agg(sin(n + i)) FROM generate_series(1, 1536) AS i)::real[]::vector, now() FROM generate_series(0, 2) AS n;

-- d4
CREATE TABLE users (id uuid PRIMARY KEY, name text);
INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'Ann');
CREATE TABLE user_ai_settings (
    id uuid PRIMARY KEY, user_id uuid, tier text, encrypted_api_keys jsonb, preferred_provider text, daily_usage integer, monthly_usage integer,
    last_reset_date date, created_at timestamptz, updated_at timestamptz);
INSERT INTO user_ai_settings VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'premium', '{"openai": "enc_1"}', 'anthropic', 30, 850,
    (now() AT TIME ZONE 'UTC')::date, now() - interval '90 days', now());
CREATE TABLE ai_conversations (
    id uuid PRIMARY KEY, user_id uuid, messages jsonb NOT NULL, model_used text NOT NULL, tokens_used integer, cost_usd decimal(10, 6), created_at timestamptz, updated_at timestamptz);
INSERT INTO ai_conversations VALUES ('00000000-0000-4000-8000-000000000061', '00000000-0000-4000-8000-000000000001',
    '[{"role": "user", "content": "Hej"}, {"role": "assistant", "content": "Hej hej"}]', 'gpt', 42, 0.000123, now() - interval '1 day', now() - interval '1 day');
CREATE TABLE ai_usage_logs (id uuid PRIMARY KEY, user_id uuid, tier text, provider text, tokens_used integer, cost_usd decimal(10, 6), created_at timestamptz);
INSERT INTO ai_usage_logs VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'free', 'google', 42, 0.000123, now() - interval '1 day');
CREATE TABLE ai_content_searches (
    id uuid PRIMARY KEY, user_id uuid, query text, content_type text, filters jsonb, results_count integer, selected_content_id uuid, created_at timestamptz);
INSERT INTO ai_content_searches VALUES (gen_random_uuid(), '00000000-0000-4000-8000-000000000001', 'parking', 'learning_path', '{"town": "Ystad"}', 3, NULL, now() - interval '1 day');
