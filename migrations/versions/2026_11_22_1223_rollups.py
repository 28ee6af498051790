"""A conversation's rollups.

Locks: ACCESS EXCLUSIVE on each table for its triggers, a moment each; the tables are new.
"""

from db.migrate import execute_text

revision = "0024_rollups"
down_revision = "0023_partitions"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: a conversation's rollups: message_count, tokens_used, cost_micro_usd, last_message_at, model_used, updated_at.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: each statement that inserts messages adds its sums to their conversations, in the same transaction: exact
-- under concurrency and independent of a conversation's length. A conversation it cannot reach is an error, not a drift.

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

CREATE OR REPLACE FUNCTION app.roll_up_messages() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
DECLARE
    conversation_count bigint;
    updated_count bigint;
BEGIN
    -- In one order, so that two batches over the same conversations wait instead of deadlocking; NO KEY, because each
    -- inserted message already holds its conversation's key share through the foreign key.
    PERFORM FROM app.ai_conversations AS c
        WHERE (c.organization_id, c.id) IN (SELECT i.organization_id, i.conversation_id FROM inserted AS i)
        ORDER BY c.organization_id, c.id FOR NO KEY UPDATE;

    WITH added AS (
        SELECT i.organization_id, i.conversation_id, count(*) AS messages, coalesce(sum(i.tokens_used), 0)::bigint AS tokens,
            coalesce(sum(i.cost_micro_usd), 0)::bigint AS cost, max(i.created_at) AS last_at,
            max(i.created_at) FILTER (WHERE i.model IS NOT NULL) AS model_at,
            (array_agg(i.model ORDER BY i.created_at DESC, i.id DESC) FILTER (WHERE i.model IS NOT NULL))[1] AS model
        FROM inserted AS i
        GROUP BY i.organization_id, i.conversation_id
    )
    UPDATE app.ai_conversations AS c
        SET message_count = c.message_count + a.messages,
            tokens_used = c.tokens_used + a.tokens,
            cost_micro_usd = c.cost_micro_usd + a.cost,
            last_message_at = greatest(c.last_message_at, a.last_at),
            updated_at = greatest(c.updated_at, a.last_at),
            model_used = CASE
                WHEN a.model IS NULL THEN c.model_used
                WHEN c.last_message_at IS NULL OR a.model_at > c.last_message_at THEN a.model
                -- Older messages came in later (an import): ask which model was the last one.
                ELSE (SELECT m.model FROM app.ai_messages AS m
                      WHERE m.organization_id = c.organization_id AND m.conversation_id = c.id AND m.model IS NOT NULL
                      ORDER BY m.created_at DESC, m.id DESC LIMIT 1)
            END
        FROM added AS a
        WHERE c.organization_id = a.organization_id AND c.id = a.conversation_id;
    GET DIAGNOSTICS updated_count = ROW_COUNT;

    SELECT count(*) INTO conversation_count FROM (SELECT DISTINCT organization_id, conversation_id FROM inserted) AS d;
    IF updated_count <> conversation_count THEN
        RAISE EXCEPTION 'messages of a conversation outside the context' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$body$;

REVOKE ALL ON FUNCTION app.roll_up_messages() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.roll_up_messages() TO minutebook_owner;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;

CREATE OR REPLACE TRIGGER roll_up_messages AFTER INSERT ON app.ai_messages
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION app.roll_up_messages();
"""

DOWNGRADE = r"""
DROP TRIGGER roll_up_messages ON app.ai_messages;
DROP FUNCTION app.roll_up_messages();
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
