"""D2's flat view of tool calls.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0031_tool_call_logs"
down_revision = "0030_search"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the view tool_call_logs, the one flat table that D2 describes.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: security_invoker, so the caller's policies on the three tables hold; status in D2's own lower case, so that
-- D2's queries run as written. A redacted payload reads as NULL.

CREATE OR REPLACE VIEW app.tool_call_logs WITH (security_invoker = true) AS
    SELECT c.organization_id, c.id, c.user_id, c.session_id, c.tool_name,
        convert_from(asked.payload, 'UTF8')::jsonb -> 'params' AS tool_params,
        nullif(convert_from(answered.payload, 'UTF8')::jsonb -> 'result', 'null'::jsonb) AS result,
        lower(coalesce(o.status, 'PENDING')) AS status,
        nullif(convert_from(answered.payload, 'UTF8')::jsonb -> 'errorDetails', 'null'::jsonb) AS error_details,
        c."timestamp", c.ai_confidence
    FROM app.tool_calls AS c
    LEFT JOIN app.tool_call_outcomes AS o
        ON o.organization_id = c.organization_id AND o.tool_call_id = c.id AND o.created_at = c.created_at
    LEFT JOIN app.tool_call_payloads AS asked
        ON asked.organization_id = c.organization_id AND asked.tool_call_id = c.id AND asked.part = 'CALL'
        AND asked.created_at = c.created_at
    LEFT JOIN app.tool_call_payloads AS answered
        ON answered.organization_id = c.organization_id AND answered.tool_call_id = c.id AND answered.part = 'OUTCOME'
        AND answered.created_at = c.created_at;

GRANT SELECT ON app.tool_call_logs TO app_member, app_admin, app_auditor, app_service, minutebook_operator;
"""

DOWNGRADE = r"""
DROP VIEW app.tool_call_logs;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
