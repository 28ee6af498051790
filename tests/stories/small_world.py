"""A small organization with some rows of everything that the stories list, or `times` as many, by plain SQL.

Its people are those of the demo world's northwind, so that a story is asked by the same names in both.
"""

import re
from collections.abc import Mapping
from typing import Final

from api.auth import OWN_ISSUER
from db.engine import Urls
from tests.databases import superuser

HERE: Final = "00000001-0001-4000-8000-000000000001"
PROJECT: Final = "00000003-0001-4000-8000-000000000001"
PEOPLE: Final = {"alice": "MEMBER", "bob": "MEMBER", "carol": "ADMIN", "dave": "AUDITOR", "olga": "OBSERVER"}
IDS: Final = {slug: f"00000002-0001-4000-8000-{number:012}" for number, slug in enumerate(PEOPLE, 1)}
# What an answer's sources name.
KINDS: Final = ("document", "insight", "project", "conversation")

_ORGANIZATION: Final = """
INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES (:organization, 'northwind', 'Northwind', 'BUILDER', 'Europe/Stockholm');
INSERT INTO app.projects (organization_id, id, name) VALUES (:organization, :project, 'Kitchen');
INSERT INTO app.budget_categories (organization_id, name) VALUES (:organization, 'Lumber');
INSERT INTO app.ai_tools (organization_id, name) SELECT :organization, 'tool_' || n FROM generate_series(1, 5) n;
"""
_PERSON: Final = """
INSERT INTO app.users (organization_id, id, display_name, role) VALUES (:organization, :id, initcap(:slug), :role);
INSERT INTO app.identities (organization_id, issuer, subject, user_id) VALUES (:organization, :issuer, :slug, :id);
"""
# Times are spread so that several rows fall together.
_ROWS: Final = """
INSERT INTO app.documents (organization_id, project_id, title, content_type)
    SELECT :organization, :project, 'Lumber ' || n, 'DOCUMENT' FROM generate_series(1, :times) n;
INSERT INTO app.document_embeddings (organization_id, document_id, chunk_index, chunk_text, model, dimensions, embedding)
    SELECT :organization, d.id, n, 'Wood is expensive, lumber ' || n, 'all-MiniLM-L6-v2', 384,
        (SELECT array_agg(sin(n + i)) FROM generate_series(1, 384) i)::real[]::ext.vector
    FROM app.documents d, generate_series(0, 4) n;
INSERT INTO app.ai_insights (organization_id, project_id, insight_type, title, description, severity, created_at)
    SELECT :organization, :project, (ARRAY['ANOMALY', 'EFFICIENCY'])[1 + n % 2], 'Insight ' || n, 'Twice the price',
        (ARRAY['INFO', 'WARNING', 'CRITICAL'])[1 + n % 3], now() - n / 2 * interval '1 minute'
    FROM generate_series(1, 3 * :times) n;
INSERT INTO app.ai_patterns (organization_id, pattern_type, category_id, pattern_data, confidence, last_calculated_at)
    SELECT :organization, 'CATEGORY_COST_BASELINE', c.id, '{"mean": 1}', 0.5, now() FROM app.budget_categories c;
INSERT INTO app.ai_conversations (organization_id, user_id, project_id, title, created_at, updated_at)
    SELECT :organization, :alice, :project, 'Chat ' || n, now() - interval '1 day', now() - n / 2 * interval '1 hour'
    FROM generate_series(1, 3 * :times) n;
INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content, sources, created_at)
    SELECT :organization, :alice, c.id, (ARRAY['USER', 'ASSISTANT'])[1 + n % 2], 'About lumber ' || n,
        jsonb_build_array(
            jsonb_build_object('kind', 'document', 'title', 'Plan', 'id', (SELECT max(id::text) FROM app.documents)),
            jsonb_build_object('kind', 'insight', 'title', 'Odd', 'id', (SELECT max(id::text) FROM app.ai_insights)),
            jsonb_build_object('kind', 'project', 'title', 'Kitchen', 'id', :project),
            jsonb_build_object('kind', 'conversation', 'title', 'Chat', 'id', (SELECT min(id::text) FROM app.ai_conversations))),
        now() - n / 2 * interval '1 second'
    FROM app.ai_conversations c, generate_series(1, 6 * :times) n;
INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating)
    SELECT :organization, m.id, :alice, 5 FROM app.ai_messages m WHERE m.role = 'ASSISTANT';
INSERT INTO app.ai_interactions (organization_id, id, user_id, model_name, provider, tier, tokens_used, request_bytes,
        latency_ms, error_code, status, cost_micro_usd, created_at, completed_at)
    SELECT :organization, gen_random_uuid(), :alice, 'model-' || n % 3, 'OPENAI', 'FREE', n, 10, 6000 + n, 'timeout', 'FAILED', n,
        now() - n / 2 * interval '1 minute', now()
    FROM generate_series(1, 20 * :times) n;
INSERT INTO app.ai_interaction_payloads (organization_id, interaction_id, user_id, request, created_at)
    SELECT :organization, i.id, :alice, '{"q": 1}', i.created_at FROM app.ai_interactions i;
INSERT INTO app.ai_usage_logs (organization_id, user_id, tier, provider, tokens_used, cost_micro_usd, created_at)
    SELECT :organization, :alice, 'FREE', 'OPENAI', n, n, now() - n / 2 * interval '1 minute'
    FROM generate_series(1, 20 * :times) n;
INSERT INTO app.tool_calls (organization_id, id, user_id, session_id, tool_name, timestamp, payload_hash, created_at)
    SELECT :organization, gen_random_uuid(), :alice, :project, 'tool_' || 1 + n % 5, now() - n / 2 * interval '1 minute',
        sha256('\\x00' || '{"params": {"n": 1}}'::bytea), now() - n / 2 * interval '1 minute'
    FROM generate_series(1, 20 * :times) n;
INSERT INTO app.tool_call_payloads (organization_id, tool_call_id, part, user_id, salt, payload, created_at)
    SELECT :organization, t.id, p.part, :alice, '\\x00', p.payload::bytea, t.created_at
    FROM app.tool_calls t, (VALUES ('CALL', '{"params": {"n": 1}}'),
        ('OUTCOME', '{"result": null, "errorDetails": {"code": "LATE"}}')) p (part, payload)
   ;
INSERT INTO app.tool_call_outcomes (organization_id, tool_call_id, user_id, status, timestamp, completed_at, payload_hash,
        created_at)
    SELECT :organization, t.id, :alice, 'ERROR', t.timestamp, t.timestamp + interval '1 second',
        sha256('\\x00' || '{"result": null, "errorDetails": {"code": "LATE"}}'::bytea), t.created_at
    FROM app.tool_calls t;
"""
_EVENTS: Final = """
SELECT app.audit_append((SELECT jsonb_agg(e) FROM (
    SELECT 'tool_call.recorded' AS action, 'ToolCall' AS target_type, t.id AS target_id,
        encode(app.tool_call_digest(t), 'hex') AS target_digest FROM app.tool_calls t
    UNION ALL
    SELECT 'tool_call.completed', 'ToolCall', o.tool_call_id, encode(app.tool_call_outcome_digest(o), 'hex')
        FROM app.tool_call_outcomes o) e))
"""


async def plant(urls: Urls, *, times: int) -> None:
    """Fill an empty, migrated database."""
    values = {"organization": HERE, "alice": IDS["alice"], "project": PROJECT, "issuer": OWN_ISSUER}
    async with superuser(urls) as connection, connection.transaction():
        await connection.execute(f"SET LOCAL app.organization_id = '{HERE}'; SET LOCAL app.user_id = ''")
        await connection.execute(f"SET LOCAL app.actor_id = '{IDS['carol']}'")
        await connection.execute(_filled(_ORGANIZATION, values))
        for slug, role in PEOPLE.items():
            await connection.execute(_filled(_PERSON, values | {"id": IDS[slug], "slug": slug, "role": role}))
        await connection.execute(_filled(_ROWS.replace(":times", str(times)), values))
        await connection.execute(f"SET LOCAL ROLE app_service; {_EVENTS}")


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"(?<!:):([a-z]+)", lambda found: f"'{values[found[1]]}'", text)
