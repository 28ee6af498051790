-- Owns: the bytes of the audit chain (docs/audit-format.md) and the one function that appends to it.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: one call at the end of the transaction with all of its events, READ COMMITTED: the organization's head row
-- is locked for the last round trip only, and times are taken after the lock, so that their order is the chain's.

-- STABLE, like extract: declared IMMUTABLE it would not be inlined, and cost four times as much.
CREATE OR REPLACE FUNCTION app.microseconds(at timestamptz) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN int8send((extract(epoch FROM at) * 1000000)::bigint);

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

CREATE OR REPLACE FUNCTION app.audit_leaf(
    organization_id uuid, seq bigint, id uuid, action text, actor_id uuid, actor_role text, target_type text,
    target_id uuid, target_digest bytea, request_id text, occurred_at timestamptz, payload_digest bytea
) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN sha256(
        '\x00'::bytea
        || app.length_prefixed('minutebook:audit:v1'::bytea)
        || app.length_prefixed(organization_id)
        || app.length_prefixed(seq)
        || app.length_prefixed(id)
        || app.length_prefixed(action)
        || app.length_prefixed(actor_id)
        || app.length_prefixed(actor_role)
        || app.length_prefixed(target_type)
        || app.length_prefixed(target_id)
        || app.length_prefixed(target_digest)
        || app.length_prefixed(request_id)
        || app.length_prefixed(occurred_at)
        || app.length_prefixed(payload_digest)
    );

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

GRANT EXECUTE ON FUNCTION
    app.microseconds(timestamptz), app.length_prefixed(bytea), app.length_prefixed(text), app.length_prefixed(uuid),
    app.length_prefixed(bigint), app.length_prefixed(float8), app.length_prefixed(timestamptz),
    app.tool_call_digest(app.tool_calls), app.tool_call_outcome_digest(app.tool_call_outcomes)
    TO app_service, app_admin, app_auditor, app_definer, minutebook_operator;
GRANT EXECUTE ON FUNCTION
    app.audit_leaf(uuid, bigint, uuid, text, uuid, text, text, uuid, bytea, text, timestamptz, bytea),
    app.audit_hash(bytea, bigint, bytea)
    TO app_definer;

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- events: a JSON array of {action, target_type?, target_id?, target_digest? (hex), details? (any JSON)}; who, where and
-- when come from the context. The operator (imports, the demo world) may also give id, actor_id, actor_role, request_id
-- and occurred_at. Returns one row per event, in order. 22023: not an array.
CREATE OR REPLACE FUNCTION app.audit_append(events jsonb)
    RETURNS TABLE (seq bigint, id uuid)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    is_operator CONSTANT boolean := session_user = 'minutebook_operator' AND current_setting('role') = 'none';
    caller CONSTANT text := CASE
        WHEN is_operator THEN 'OPERATOR'
        ELSE CASE current_setting('role')
            WHEN 'app_member' THEN 'MEMBER' WHEN 'app_observer' THEN 'OBSERVER' WHEN 'app_admin' THEN 'ADMIN'
            WHEN 'app_auditor' THEN 'AUDITOR' WHEN 'app_service' THEN 'SERVICE'
        END
    END;
    actor CONSTANT uuid := app.actor_id();
    request CONSTANT text := nullif(current_setting('app.request_id', true), '');
    head_seq bigint;
    head_hash bytea;
    event jsonb;
    e app.audit_events;
    salt bytea;
    payload bytea;
BEGIN
    IF caller IS NULL THEN
        RAISE EXCEPTION 'only a request role or the operator appends' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF jsonb_typeof(events) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION 'events is a JSON array' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_array_length(events) = 0 THEN
        RETURN;
    END IF;

    SELECT h.seq, h.hash INTO head_seq, head_hash
        FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO app.audit_heads (organization_id, seq, hash)
            VALUES (organization, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
        SELECT h.seq, h.hash INTO head_seq, head_hash
            FROM app.audit_heads AS h WHERE h.organization_id = organization FOR UPDATE;
    END IF;

    -- By number: a loop over a query would cost a plan's start and end for what is nearly always one event.
    FOR at IN 0 .. jsonb_array_length(events) - 1 LOOP
        event := events -> at;
        e.seq := head_seq + 1;
        e.action := event ->> 'action';
        e.target_type := event ->> 'target_type';
        e.target_id := (event ->> 'target_id')::uuid;
        e.target_digest := decode(event ->> 'target_digest', 'hex');
        IF is_operator THEN
            e.id := coalesce((event ->> 'id')::uuid, app.uuidv7());
            e.actor_id := coalesce((event ->> 'actor_id')::uuid, actor);
            e.actor_role := coalesce(event ->> 'actor_role', caller);
            e.request_id := coalesce(event ->> 'request_id', request);
            e.occurred_at := coalesce((event ->> 'occurred_at')::timestamptz, clock_timestamp());
        ELSE
            e.id := app.uuidv7();
            e.actor_id := actor;
            e.actor_role := caller;
            e.request_id := request;
            e.occurred_at := clock_timestamp();
        END IF;

        payload := convert_to(nullif(event -> 'details', 'null'::jsonb)::text, 'UTF8');
        salt := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
        e.payload_digest := sha256(salt || payload);
        e.leaf := app.audit_leaf(
            organization, e.seq, e.id, e.action, e.actor_id, e.actor_role, e.target_type, e.target_id,
            e.target_digest, e.request_id, e.occurred_at, e.payload_digest);
        e.hash := app.audit_hash(head_hash, e.seq, e.leaf);

        INSERT INTO app.audit_events (
            organization_id, id, seq, action, actor_id, actor_role, target_type, target_id, target_digest, request_id,
            occurred_at, payload_digest, leaf, prev_hash, hash
        ) VALUES (
            organization, e.id, e.seq, e.action, e.actor_id, e.actor_role, e.target_type, e.target_id,
            e.target_digest, e.request_id, e.occurred_at, e.payload_digest, e.leaf, head_hash, e.hash);
        IF payload IS NOT NULL THEN
            INSERT INTO app.audit_payloads (organization_id, event_id, salt, payload)
                VALUES (organization, e.id, salt, payload);
        END IF;
        head_seq := e.seq;
        head_hash := e.hash;
        seq := e.seq;
        id := e.id;
        RETURN NEXT;
    END LOOP;

    UPDATE app.audit_heads AS h SET seq = head_seq, hash = head_hash, updated_at = statement_timestamp()
        WHERE h.organization_id = organization;
END
$body$;

REVOKE ALL ON FUNCTION app.audit_append(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.audit_append(jsonb)
    TO app_member, app_observer, app_admin, app_auditor, app_service, minutebook_operator;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
