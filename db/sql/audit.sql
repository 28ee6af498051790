-- Owns: the bytes of the audit chain (docs/audit-format.md) and the one that writes an event.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: one call at the end of the transaction with all of its events, READ COMMITTED: the organization's head row
-- is locked for the last round trip only, and times are taken after the lock, so that their order is the chain's.

-- PostgreSQL sends a time as microseconds since 2000: one call and a shift, where extract would take four.
CREATE OR REPLACE FUNCTION app.microseconds(at timestamptz) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN timestamptz_send(at + interval '946684800 s');

-- Length-prefixed bytes: injective, and NULL differs from ''. Where the length is known the value is computed once.
CREATE OR REPLACE FUNCTION app.length_prefixed(x bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(int4send(length(x)) || x, '\xffffffff'::bytea);

CREATE OR REPLACE FUNCTION app.length_prefixed(x text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(int4send(length(convert_to(x, 'UTF8'))) || convert_to(x, 'UTF8'), '\xffffffff'::bytea);

CREATE OR REPLACE FUNCTION app.length_prefixed(x uuid) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce('\x00000010'::bytea || uuid_send(x), '\xffffffff'::bytea);

CREATE OR REPLACE FUNCTION app.length_prefixed(x bigint) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce('\x00000008'::bytea || int8send(x), '\xffffffff'::bytea);

CREATE OR REPLACE FUNCTION app.length_prefixed(x float8) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce('\x00000008'::bytea || float8send(x), '\xffffffff'::bytea);

CREATE OR REPLACE FUNCTION app.length_prefixed(x timestamptz) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce('\x00000008'::bytea || app.microseconds(x), '\xffffffff'::bytea);

-- PostgreSQL sends an array as 20 bytes of header, then each element behind its length, NULL as length -1: the format's
-- own length-prefixed fields, by one call instead of fifty, each of which would be looked up anew in each transaction.
CREATE OR REPLACE FUNCTION app.audit_leaf(
    organization_id uuid, seq bigint, id uuid, action text, actor_id uuid, actor_role text, target_type text,
    target_id uuid, target_digest bytea, request_id text, occurred_at timestamptz, payload_digest bytea
) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256('\x00'::bytea || substring(array_send(ARRAY[
        'minutebook:audit:v1'::bytea,
        uuid_send(organization_id),
        int8send(seq),
        uuid_send(id),
        convert_to(action, 'UTF8'),
        uuid_send(actor_id),
        convert_to(actor_role, 'UTF8'),
        convert_to(target_type, 'UTF8'),
        uuid_send(target_id),
        target_digest,
        convert_to(request_id, 'UTF8'),
        app.microseconds(occurred_at),
        payload_digest
    ]) FROM 21));

CREATE OR REPLACE FUNCTION app.audit_hash(prev_hash bytea, seq bigint, leaf bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sha256('\x01'::bytea || prev_hash || int8send(seq) || leaf);

-- The row digests that the events tool_call.recorded and tool_call.completed commit to.
CREATE OR REPLACE FUNCTION app.tool_call_digest(call app.tool_calls) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(
        app.length_prefixed('minutebook:tool_call:v1'::bytea)
        || app.length_prefixed(call.organization_id)
        || app.length_prefixed(call.id)
        || app.length_prefixed(call.user_id)
        || app.length_prefixed(call.session_id)
        || app.length_prefixed(call.conversation_id)
        || app.length_prefixed(call.interaction_id)
        || app.length_prefixed(call.tool_name)
        || app.length_prefixed(call.ai_confidence)
        || app.length_prefixed(call."timestamp")
        || app.length_prefixed(call.payload_hash)
        || app.length_prefixed(call.created_at)
    );

CREATE OR REPLACE FUNCTION app.tool_call_outcome_digest(outcome app.tool_call_outcomes) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(
        app.length_prefixed('minutebook:tool_call_outcome:v1'::bytea)
        || app.length_prefixed(outcome.organization_id)
        || app.length_prefixed(outcome.tool_call_id)
        || app.length_prefixed(outcome.user_id)
        || app.length_prefixed(outcome.status)
        || app.length_prefixed(outcome."timestamp")
        || app.length_prefixed(outcome.completed_at)
        || app.length_prefixed(outcome.payload_hash)
        || app.length_prefixed(outcome.created_at)
    );

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

GRANT EXECUTE ON FUNCTION
    app.microseconds(timestamptz), app.length_prefixed(bytea), app.length_prefixed(text), app.length_prefixed(uuid),
    app.length_prefixed(bigint), app.length_prefixed(float8), app.length_prefixed(timestamptz),
    app.tool_call_digest(app.tool_calls), app.tool_call_outcome_digest(app.tool_call_outcomes)
    TO app_service, app_admin, app_auditor, app_definer, minutebook_operator;
GRANT EXECUTE ON FUNCTION
    app.audit_leaf(uuid, bigint, uuid, text, uuid, text, text, uuid, bytea, text, timestamptz, bytea),
    app.audit_hash(bytea, bigint, bytea), app.is_audit_action(text), app.audit_role()
    TO app_definer;

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
