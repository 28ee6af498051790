-- Owns: the triggers of whole groups of tables: updated_at, what stays as written, what happens once; the first dismisser
-- and time zones.
-- Runs AFTER the tables, before the first partition is made, as minutebook_owner.
-- Decision: "once" is a policy of the service or the owner, and a trigger for everybody else. Refusals are ENABLE ALWAYS,
-- so that session_replication_role does not silence them.

DO $install$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'organizations', 'users', 'projects', 'budget_categories', 'documents', 'ai_conversations', 'ai_feedback',
        'ai_patterns', 'user_ai_settings', 'usage_budgets', 'usage_reservations', 'ai_tools'
    ] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER touch_updated_at BEFORE UPDATE ON app.%I '
            'FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at()', name);
    END LOOP;
END
$install$;

-- Tables on record, and when an UPDATE is refused. Row triggers are cloned to partitions; TRUNCATE triggers are not,
-- app.ensure_partitions adds those.
DO $install$
DECLARE
    on_record record;
BEGIN
    FOR on_record IN
        SELECT * FROM (VALUES
            ('audit_events', 'true'),
            ('audit_payloads', 'true'),
            ('audit_checkpoints', 'true'),
            ('tool_calls', 'true'),
            ('tool_call_outcomes', 'true'),
            ('tool_call_payloads', 'true'),
            ('usage_ledger', 'true'),
            ('ai_usage_logs', 'true'),
            -- completed once
            ('ai_interactions', $$OLD.status <> 'PENDING'$$),
            -- the response comes once, with the completion; the request never changes
            ('ai_interaction_payloads', 'OLD.response IS NOT NULL OR OLD.request IS DISTINCT FROM NEW.request')
        ) AS v (name, update_refused)
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON app.%I FOR EACH ROW WHEN (%s) '
            'EXECUTE FUNCTION app.refuse_change()', on_record.name, on_record.update_refused);
        EXECUTE format('CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON app.%I FOR EACH ROW '
            'EXECUTE FUNCTION app.refuse_change()', on_record.name);
        EXECUTE format('CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON app.%I FOR EACH STATEMENT '
            'EXECUTE FUNCTION app.refuse_change()', on_record.name);
        EXECUTE format('ALTER TABLE app.%I ENABLE ALWAYS TRIGGER refuse_update, ENABLE ALWAYS TRIGGER refuse_delete, '
            'ENABLE ALWAYS TRIGGER refuse_truncate', on_record.name);
    END LOOP;
END
$install$;

-- The head moves with the chain, and goes with nothing. Asked once in a statement: a trigger of the row would lock it once
-- more. As text, for a name is read as 64 numbers each time.
CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON app.audit_heads FOR EACH STATEMENT
    WHEN (current_user::text <> 'app_definer') EXECUTE FUNCTION app.refuse_change();
CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON app.audit_heads
    FOR EACH ROW EXECUTE FUNCTION app.refuse_change();
CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON app.audit_heads
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.audit_heads ENABLE ALWAYS TRIGGER refuse_update, ENABLE ALWAYS TRIGGER refuse_delete,
    ENABLE ALWAYS TRIGGER refuse_truncate;

-- The click on a search result is recorded once.
CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON app.ai_content_searches
    FOR EACH ROW WHEN (OLD.selected_content_id IS NOT NULL) EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.ai_content_searches ENABLE ALWAYS TRIGGER refuse_update;

-- Who dismissed an insight first stays, also against somebody whose own policy would allow the change.
CREATE OR REPLACE FUNCTION app.keep_first_dismisser() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    RAISE EXCEPTION 'an insight keeps its first dismisser'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'first_dismisser_stays', TABLE = TG_TABLE_NAME;
END
$body$;

CREATE OR REPLACE TRIGGER keep_first_dismisser BEFORE UPDATE ON app.ai_insights FOR EACH ROW
    WHEN (OLD.dismissed_by IS NOT NULL AND NEW.dismissed_by IS NOT NULL AND OLD.dismissed_by <> NEW.dismissed_by)
    EXECUTE FUNCTION app.keep_first_dismisser();

-- The server's own list, in its own spelling: AT TIME ZONE alone also takes abbreviations, POSIX rules and any case.
CREATE OR REPLACE FUNCTION app.check_timezone() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_timezone_names AS z
        WHERE z.name = NEW.timezone AND z.name !~ '^(posix|right)/|^(localtime|posixrules|Factory)$'
    ) THEN
        RAISE EXCEPTION 'not an IANA time zone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'timezone_exists', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$body$;

CREATE OR REPLACE TRIGGER check_timezone BEFORE INSERT OR UPDATE OF timezone ON app.organizations
    FOR EACH ROW EXECUTE FUNCTION app.check_timezone();
