"""One event of a request is appended by a function of its own, with parameters in place of JSON; one inner function writes both.

What guards the head of a chain is asked once in a statement, and is no CHECK that is read anew from its text each time.
Locks: ACCESS EXCLUSIVE on audit_heads for a moment; a downgrade holds it while it reads its few rows.
"""

from db.migrate import execute_text

revision = "0038_audit_append_one"
down_revision = "0037_open_insights"
branch_labels = None
depends_on = None

UPGRADE = r"""
ALTER TABLE app.audit_heads DROP CONSTRAINT ck_audit_heads_digests, DROP CONSTRAINT ck_audit_heads_pruned_seq;
DROP TRIGGER refuse_update ON app.audit_heads;
CREATE TRIGGER refuse_update BEFORE UPDATE ON app.audit_heads FOR EACH STATEMENT
    WHEN (current_user::text <> 'app_definer') EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.audit_heads ENABLE ALWAYS TRIGGER refuse_update;

-- What may be done: a dotted verb of at most a hundred characters. Not a regular expression, which costs twice as much.
CREATE OR REPLACE FUNCTION app.is_audit_action(action text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(action, 'abcdefghijklmnopqrstuvwxyz_.', '') = '' AND action LIKE '%.%'
        AND '.' || action || '.' NOT LIKE '%..%' AND length(action) <= 100;

-- What the actor is, by the role that the transaction took on; NULL where it is none of a request's.
CREATE OR REPLACE FUNCTION app.audit_role() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE current_setting('role')
        WHEN 'app_member' THEN 'MEMBER' WHEN 'app_admin' THEN 'ADMIN' WHEN 'app_service' THEN 'SERVICE'
        WHEN 'app_auditor' THEN 'AUDITOR' WHEN 'app_observer' THEN 'OBSERVER'
    END;

GRANT EXECUTE ON FUNCTION app.is_audit_action(text), app.audit_role() TO app_definer;

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- One event, behind the one whose seq and hash are given, and its details with a salt; returns the new hash. Both functions
-- that append call this under the lock of the head, and nobody else may: what stands here is what an event is.
--
-- It runs in each change: PostgreSQL makes every expression and every function call in it ready anew in each transaction,
-- a microsecond or two apiece, and reads a table's CHECKs anew from their text. So what is wanted rarely stands in a
-- branch, what is wanted twice in a variable, and what comes from outside is checked here.
CREATE OR REPLACE FUNCTION app.audit_link(
    organization uuid, seq bigint, prev_hash bytea, id uuid, action text, actor uuid, caller text, target_type text,
    target uuid, target_digest bytea, request text, at timestamptz, details jsonb
) RETURNS bytea
    LANGUAGE plpgsql VOLATILE SET search_path = ''
    AS $body$
#variable_conflict use_variable
DECLARE
    payload bytea := convert_to(nullif(details, 'null')::text, 'UTF8');
    salt bytea;
    payload_digest bytea;
    leaf bytea;
    hash bytea;
BEGIN
    IF NOT app.is_audit_action(action) THEN
        RAISE EXCEPTION 'no action: %', action USING ERRCODE = 'check_violation';
    END IF;
    IF payload IS NOT NULL THEN
        salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        payload_digest := sha256(salt || payload);
        INSERT INTO app.audit_payloads (organization_id, event_id, salt, payload)
            VALUES (organization, id, salt, payload);
    END IF;
    leaf := app.audit_leaf(
        organization, seq, id, action, actor, caller, target_type, target, target_digest, request, at, payload_digest);
    hash := app.audit_hash(prev_hash, seq, leaf);
    INSERT INTO app.audit_events (
        organization_id, id, seq, action, actor_id, actor_role, target_type, target_id, target_digest, request_id,
        occurred_at, payload_digest, leaf, prev_hash, hash
    ) VALUES (
        organization, id, seq, action, actor, caller, target_type, target, target_digest, request,
        at, payload_digest, leaf, prev_hash, hash);
    RETURN hash;
END
$body$;

-- events: a JSON array of {action, target_type?, target_id?, target_digest? (hex), details? (any JSON)}; who, where and
-- when come from the context. The operator (imports, the demo world) may also give id, actor_id, actor_role, request_id
-- and occurred_at. Returns the seq of the last event, NULL for none. 22023: not an array; 23514: no such action or role.
CREATE OR REPLACE FUNCTION app.audit_append(events jsonb, OUT seq bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_variable
DECLARE
    organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    actor uuid := nullif(current_setting('app.actor_id', true), '')::uuid;
    request text := nullif(current_setting('app.request_id', true), '');
    caller text := app.audit_role();
    is_operator boolean;
    event jsonb;
    event_id uuid;
    at timestamptz;
    head_hash bytea;
BEGIN
    IF (organization IS NOT NULL AND caller IS NOT NULL AND events <> '[]') IS NOT TRUE THEN
        organization := app.required_organization();
        is_operator := session_user = 'minutebook_operator' AND current_setting('role') = 'none';
        IF caller IS NULL AND NOT is_operator THEN
            RAISE EXCEPTION 'only a request role or the operator appends' USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF jsonb_typeof(events) IS DISTINCT FROM 'array' THEN
            RAISE EXCEPTION 'events is a JSON array' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF events = '[]' THEN
            RETURN;
        END IF;
    END IF;

    SELECT h.seq, h.hash INTO seq, head_hash
        FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO app.audit_heads (organization_id, seq, hash)
            VALUES (organization, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        SELECT h.seq, h.hash INTO seq, head_hash
            FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    END IF;

    -- By number: a loop over a query would cost a plan's start and end.
    FOR n IN 0 .. jsonb_array_length(events) - 1 LOOP
        event := events -> n;
        seq := seq + 1;
        event_id := app.uuidv7();
        at := clock_timestamp();
        IF is_operator THEN
            event_id := coalesce((event ->> 'id')::uuid, event_id);
            actor := coalesce((event ->> 'actor_id')::uuid, app.actor_id());
            caller := coalesce(event ->> 'actor_role', 'OPERATOR');
            request := coalesce(event ->> 'request_id', nullif(current_setting('app.request_id', true), ''));
            at := coalesce((event ->> 'occurred_at')::timestamptz, at);
            IF caller NOT IN ('MEMBER', 'OBSERVER', 'ADMIN', 'AUDITOR', 'SERVICE', 'OPERATOR') THEN
                RAISE EXCEPTION 'no role of an actor: %', caller USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        head_hash := app.audit_link(
            organization, seq, head_hash, event_id, event ->> 'action', actor, caller, event ->> 'target_type',
            (event ->> 'target_id')::uuid, decode(event ->> 'target_digest', 'hex'), request, at, event -> 'details');
    END LOOP;

    UPDATE app.audit_heads AS h SET seq = seq, hash = head_hash, updated_at = statement_timestamp()
        WHERE h.organization_id = organization;
END
$body$;

-- The usual case, one event of a request: as app.audit_append, whose array in JSON and whose loop cost a sixth of an event.
-- What is not usual (the first event of an organization, the operator, no context) is left to that function.
CREATE OR REPLACE FUNCTION app.audit_append_one(
    action text, target_type text, target_id uuid, details jsonb, OUT seq bigint
)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_variable
DECLARE
    organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    caller text := app.audit_role();
    head_hash bytea;
BEGIN
    SELECT h.seq + 1, h.hash INTO seq, head_hash
        FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    IF caller IS NULL OR seq IS NULL THEN
        seq := app.audit_append(jsonb_build_array(jsonb_build_object(
            'action', action, 'target_type', target_type, 'target_id', target_id, 'details', details)));
        RETURN;
    END IF;
    head_hash := app.audit_link(
        organization, seq, head_hash, app.uuidv7(), action, nullif(current_setting('app.actor_id', true), '')::uuid,
        caller, target_type, target_id, NULL, nullif(current_setting('app.request_id', true), ''), clock_timestamp(),
        details);
    UPDATE app.audit_heads AS h SET seq = seq, hash = head_hash, updated_at = statement_timestamp()
        WHERE h.organization_id = organization;
END
$body$;

REVOKE ALL ON FUNCTION
    app.audit_append(jsonb), app.audit_append_one(text, text, uuid, jsonb),
    app.audit_link(uuid, bigint, bytea, uuid, text, uuid, text, text, uuid, bytea, text, timestamptz, jsonb)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_append(jsonb), app.audit_append_one(text, text, uuid, jsonb)
    TO app_member, app_observer, app_admin, app_auditor, app_service, minutebook_operator;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
"""

DOWNGRADE = r"""
GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

DROP FUNCTION app.audit_append_one(text, text, uuid, jsonb);
-- events: a JSON array of {action, target_type?, target_id?, target_digest? (hex), details? (any JSON)}; who, where and
-- when come from the context. The operator (imports, the demo world) may also give id, actor_id, actor_role, request_id
-- and occurred_at. Returns the seq of the last event, NULL for none. 22023: not an array; 23514: no such action or role.
--
-- It stands under the lock of the head and runs in each change: PostgreSQL makes every expression and every function call
-- in it ready anew in each transaction, a microsecond or two apiece, and reads a table's CHECKs anew from their text. So
-- what is wanted rarely stands in a branch, what is wanted twice in a variable, and what comes from outside is checked here.
CREATE OR REPLACE FUNCTION app.audit_append(events jsonb, OUT seq bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_variable
DECLARE
    organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    actor uuid := nullif(current_setting('app.actor_id', true), '')::uuid;
    request text := nullif(current_setting('app.request_id', true), '');
    caller text := jsonb '{"app_member": "MEMBER", "app_observer": "OBSERVER", "app_admin": "ADMIN",
        "app_auditor": "AUDITOR", "app_service": "SERVICE"}' ->> current_setting('role');
    is_operator boolean;
    event jsonb;
    event_id uuid;
    action text;
    target uuid;
    target_digest bytea;
    at timestamptz;
    salt bytea;
    payload bytea;
    payload_digest bytea;
    leaf bytea;
    prev_hash bytea;
    head_hash bytea;
BEGIN
    IF (organization IS NOT NULL AND caller IS NOT NULL AND events <> '[]') IS NOT TRUE THEN
        organization := app.required_organization();
        is_operator := session_user = 'minutebook_operator' AND current_setting('role') = 'none';
        IF caller IS NULL AND NOT is_operator THEN
            RAISE EXCEPTION 'only a request role or the operator appends' USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF jsonb_typeof(events) IS DISTINCT FROM 'array' THEN
            RAISE EXCEPTION 'events is a JSON array' USING ERRCODE = 'invalid_parameter_value';
        END IF;
        IF events = '[]' THEN
            RETURN;
        END IF;
    END IF;

    SELECT h.seq, h.hash INTO seq, head_hash
        FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO app.audit_heads (organization_id, seq, hash)
            VALUES (organization, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        SELECT h.seq, h.hash INTO seq, head_hash
            FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    END IF;

    -- By number: a loop over a query would cost a plan's start and end for what is nearly always one event.
    FOR n IN 0 .. jsonb_array_length(events) - 1 LOOP
        event := events -> n;
        seq := seq + 1;
        prev_hash := head_hash;
        event_id := app.uuidv7();
        at := clock_timestamp();
        action := event ->> 'action';
        target := (event ->> 'target_id')::uuid;
        target_digest := decode(event ->> 'target_digest', 'hex');
        IF is_operator THEN
            event_id := coalesce((event ->> 'id')::uuid, event_id);
            actor := coalesce((event ->> 'actor_id')::uuid, app.actor_id());
            caller := coalesce(event ->> 'actor_role', 'OPERATOR');
            request := coalesce(event ->> 'request_id', nullif(current_setting('app.request_id', true), ''));
            at := coalesce((event ->> 'occurred_at')::timestamptz, at);
            IF caller NOT IN ('MEMBER', 'OBSERVER', 'ADMIN', 'AUDITOR', 'SERVICE', 'OPERATOR') THEN
                RAISE EXCEPTION 'no role of an actor: %', caller USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        IF action !~ '^[a-z_]+([.][a-z_]+)+$' OR length(action) > 100 THEN
            RAISE EXCEPTION 'no action: %', action USING ERRCODE = 'check_violation';
        END IF;

        salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        payload := convert_to(nullif(event -> 'details', 'null')::text, 'UTF8');
        payload_digest := sha256(salt || payload);
        leaf := app.audit_leaf(
            organization, seq, event_id, action, actor, caller, event ->> 'target_type', target, target_digest, request,
            at, payload_digest);
        head_hash := app.audit_hash(prev_hash, seq, leaf);

        INSERT INTO app.audit_events (
            organization_id, id, seq, action, actor_id, actor_role, target_type, target_id, target_digest, request_id,
            occurred_at, payload_digest, leaf, prev_hash, hash
        ) VALUES (
            organization, event_id, seq, action, actor, caller, event ->> 'target_type', target, target_digest, request,
            at, payload_digest, leaf, prev_hash, head_hash);
        IF payload IS NOT NULL THEN
            INSERT INTO app.audit_payloads (organization_id, event_id, salt, payload)
                VALUES (organization, event_id, salt, payload);
        END IF;
    END LOOP;

    UPDATE app.audit_heads AS h SET seq = seq, hash = head_hash, updated_at = statement_timestamp()
        WHERE h.organization_id = organization;
END
$body$;

REVOKE ALL ON FUNCTION app.audit_append(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_append(jsonb)
    TO app_member, app_observer, app_admin, app_auditor, app_service, minutebook_operator;

DROP FUNCTION app.audit_link(uuid, bigint, bytea, uuid, text, uuid, text, text, uuid, bytea, text, timestamptz, jsonb);

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
DROP FUNCTION app.is_audit_action(text), app.audit_role();

DROP TRIGGER refuse_update ON app.audit_heads;
CREATE TRIGGER refuse_update BEFORE UPDATE ON app.audit_heads FOR EACH ROW
    WHEN (current_user::text <> 'app_definer') EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.audit_heads ENABLE ALWAYS TRIGGER refuse_update;
ALTER TABLE app.audit_heads
    ADD CONSTRAINT ck_audit_heads_digests CHECK (octet_length(hash) = 32 AND octet_length(pruned_hash) = 32),
    ADD CONSTRAINT ck_audit_heads_pruned_seq CHECK (pruned_seq BETWEEN 0 AND seq);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
