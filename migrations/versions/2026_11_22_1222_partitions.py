"""Months are made ahead.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0023_partitions"
down_revision = "0022_guards"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the months of the seven log tables, and what else `minutebook maintain` does inside the database.
-- Runs AFTER the tables and guards.sql, as minutebook_owner; then the migration calls it once.
-- Decision: LIKE + ATTACH takes SHARE UPDATE EXCLUSIVE where PARTITION OF would lock the table out. A partition has no
-- policy and no grant: rows are reached through the parent alone; there is no DEFAULT partition.

-- Makes the months (UTC) from since's to `months` later, where missing; returns how many partitions were made.
-- row_security on: ATTACH's foreign-key check of an empty table runs as the owner, whom FORCE blinds, and under
-- row_security = off, which migrations set, that raises instead.
CREATE OR REPLACE FUNCTION app.ensure_partitions(months int, since date DEFAULT current_date) RETURNS int
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
DECLARE
    parent text;
    partition text;
    month date;
    made int := 0;
BEGIN
    -- One maker at a time; the catalogue is read after the wait, so the second one finds the first one's months.
    PERFORM pg_advisory_xact_lock(hashtextextended('minutebook:ensure_partitions', 0));
    -- A referenced table before those whose foreign keys point at it.
    FOREACH parent IN ARRAY ARRAY[
        'ai_interactions', 'ai_interaction_payloads', 'tool_calls', 'tool_call_outcomes', 'tool_call_payloads',
        'ai_usage_logs', 'ai_content_searches'
    ] LOOP
        FOR step IN 0..months LOOP
            month := (date_trunc('month', since::timestamp) + make_interval(months => step))::date;
            partition := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
            CONTINUE WHEN to_regclass(format('app.%I', partition)) IS NOT NULL;
            EXECUTE format('CREATE TABLE app.%I (LIKE app.%I INCLUDING ALL)', partition, parent);
            EXECUTE format('ALTER TABLE app.%1$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition);
            -- ATTACH clones row triggers; a TRUNCATE trigger is the partition's own.
            IF EXISTS (
                SELECT FROM pg_trigger
                WHERE tgrelid = format('app.%I', parent)::regclass AND tgname = 'refuse_truncate'
            ) THEN
                EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON app.%I FOR EACH STATEMENT '
                    'EXECUTE FUNCTION app.refuse_change()', partition);
                EXECUTE format('ALTER TABLE app.%I ENABLE ALWAYS TRIGGER refuse_truncate', partition);
            END IF;
            EXECUTE format('ALTER TABLE app.%I ATTACH PARTITION app.%I FOR VALUES FROM (%L) TO (%L)', parent, partition,
                to_char(month, 'YYYY-MM-DD 00:00:00+00'),
                to_char(month + interval '1 month', 'YYYY-MM-DD 00:00:00+00'));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$body$;

REVOKE ALL ON FUNCTION app.ensure_partitions(int, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.ensure_partitions(int, date) TO minutebook_operator;

-- Statistics of every table, for the operator, who owns none: after a bulk load plans are wrong until they are there.
CREATE OR REPLACE FUNCTION app.analyze_tables() RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
    AS $body$
DECLARE
    found text;
BEGIN
    FOR found IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        ORDER BY c.relname
    LOOP
        EXECUTE format('ANALYZE app.%I', found);
    END LOOP;
END
$body$;

REVOKE ALL ON FUNCTION app.analyze_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.analyze_tables() TO minutebook_operator;

-- The months to begin with; later ones are made by migrate, start and maintain.
SELECT app.ensure_partitions(3);
"""

DOWNGRADE = r"""
-- The months, with their rows: what points at them goes first. row_security on, as above: the key's check on DETACH runs
-- as the owner, whom FORCE blinds, and there is nothing left for it to find.
SET LOCAL row_security = on;
DO $remove$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT parent.relname AS parent, child.relname AS child
        FROM pg_inherits AS i
        JOIN pg_class AS parent ON parent.oid = i.inhparent AND parent.relkind = 'p'
        JOIN pg_class AS child ON child.oid = i.inhrelid
        WHERE parent.relnamespace = 'app'::regnamespace
        ORDER BY parent.relname IN ('tool_calls', 'ai_interactions'), child.relname
    LOOP
        EXECUTE format('ALTER TABLE app.%I DETACH PARTITION app.%I', found.parent, found.child);
        EXECUTE format('DROP TABLE app.%I', found.child);
    END LOOP;
END
$remove$;
DROP FUNCTION app.analyze_tables();
DROP FUNCTION app.ensure_partitions(integer, date);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
