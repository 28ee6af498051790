-- Owns: the verification of the context organization's audit chain.
-- Runs AFTER the tables and audit.sql, as minutebook_owner.
-- Decision: one set-based pass that recomputes everything from the stored bytes; STABLE, so that events, head and rows
-- are read from one snapshot while others append. Verdicts: TAMPERED > UNVERIFIED > PRUNED > REDACTED > OK.

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- Each event of a range beside what stands before it and what it commits to; reason is NULL where all is as recorded.
-- base_hash is the hash before first_seq. A missing event is named by its own seq, not by its successor's.
CREATE OR REPLACE FUNCTION app.audit_findings(organization uuid, first_seq bigint, last_seq bigint, base_hash bytea)
    RETURNS TABLE (seq bigint, broken_seq bigint, reason text, is_redacted boolean)
    LANGUAGE sql STABLE SET search_path = '' SET row_security = on
    AS $body$
    WITH chain AS (
        SELECT e.*,
            lag(e.seq, 1, $2 - 1) OVER by_seq AS before_seq,
            lag(e.hash, 1, $4) OVER by_seq AS before_hash
        FROM app.audit_events AS e
        WHERE e.organization_id = $1 AND e.seq BETWEEN $2 AND $3
        WINDOW by_seq AS (ORDER BY e.seq)
    ),
    beside AS (
        SELECT c.*,
            p.event_id IS NOT NULL AS has_details,
            p.payload IS NULL AND p.redacted_at IS NOT NULL AS details_redacted,
            sha256(p.salt || p.payload) AS details_digest,
            c.target_digest IS NOT NULL AND c.action IN ('tool_call.recorded', 'tool_call.completed') AS has_record,
            CASE c.action
                WHEN 'tool_call.recorded' THEN app.tool_call_digest(t)
                WHEN 'tool_call.completed' THEN app.tool_call_outcome_digest(o)
            END AS record_digest,
            coalesce(t.payload_hash, o.payload_hash) AS record_payload_hash,
            r.tool_call_id IS NOT NULL AS has_record_payload,
            r.payload IS NULL AND r.redacted_at IS NOT NULL AS record_redacted,
            sha256(r.salt || r.payload) AS record_payload_digest
        FROM chain AS c
        LEFT JOIN app.audit_payloads AS p ON p.organization_id = $1 AND p.event_id = c.id
        LEFT JOIN app.tool_calls AS t
            ON t.organization_id = $1 AND t.id = c.target_id AND c.action = 'tool_call.recorded'
        LEFT JOIN app.tool_call_outcomes AS o
            ON o.organization_id = $1 AND o.tool_call_id = c.target_id AND c.action = 'tool_call.completed'
        LEFT JOIN app.tool_call_payloads AS r
            ON r.organization_id = $1 AND r.tool_call_id = c.target_id
            AND r.created_at = coalesce(t.created_at, o.created_at)
            AND r.part = CASE c.action WHEN 'tool_call.recorded' THEN 'CALL' ELSE 'OUTCOME' END
    )
    SELECT b.seq,
        CASE WHEN b.before_seq < b.seq - 1 THEN b.before_seq + 1 ELSE b.seq END,
        CASE
            WHEN b.before_seq < b.seq - 1 THEN format('event %s is missing', b.before_seq + 1)
            WHEN b.before_seq >= b.seq THEN format('event %s stands twice', b.seq)
            WHEN b.prev_hash IS DISTINCT FROM b.before_hash
                THEN format('event %s does not continue the event before it', b.seq)
            WHEN b.leaf IS DISTINCT FROM app.audit_leaf(
                    b.organization_id, b.seq, b.id, b.action, b.actor_id, b.actor_role, b.target_type, b.target_id,
                    b.target_digest, b.request_id, b.occurred_at, b.payload_digest)
                THEN format('a field of event %s was changed', b.seq)
            WHEN b.hash IS DISTINCT FROM app.audit_hash(b.prev_hash, b.seq, b.leaf)
                THEN format('the hash of event %s was changed', b.seq)
            WHEN b.payload_digest IS NULL AND b.has_details
                THEN format('event %s was recorded without the details that it has now', b.seq)
            WHEN b.payload_digest IS NOT NULL AND NOT b.has_details
                THEN format('the details of event %s are missing', b.seq)
            WHEN b.payload_digest IS NOT NULL AND NOT b.details_redacted
                    AND b.details_digest IS DISTINCT FROM b.payload_digest
                THEN format('the details of event %s were changed', b.seq)
            WHEN b.has_record AND b.record_payload_hash IS NULL
                THEN format('the record of event %s (%s) is missing', b.seq, b.action)
            WHEN b.has_record AND b.record_digest IS DISTINCT FROM b.target_digest
                THEN format('the record of event %s (%s) was changed', b.seq, b.action)
            WHEN b.has_record AND NOT b.has_record_payload
                THEN format('the payload recorded by event %s (%s) is missing', b.seq, b.action)
            WHEN b.has_record AND NOT b.record_redacted
                    AND b.record_payload_digest IS DISTINCT FROM b.record_payload_hash
                THEN format('the payload recorded by event %s (%s) was changed', b.seq, b.action)
        END,
        coalesce(b.payload_digest IS NOT NULL AND b.details_redacted OR b.has_record AND b.record_redacted, false)
    FROM beside AS b
    $body$;

-- first NULL = everything, which is PRUNED where the beginning was; last NULL = to the end, where the head must agree: a
-- cut tail shows as a head beyond the last event. head_hash is the hash at to_seq. A range without an event, or with one
-- that the chain does not have, is UNVERIFIED: checked is 0 then, and from_seq and to_seq say what could be verified.
CREATE OR REPLACE FUNCTION app.verify_audit_chain(first bigint DEFAULT NULL, last bigint DEFAULT NULL)
    RETURNS TABLE (
        verdict text, checked bigint, from_seq bigint, to_seq bigint, head_hash bytea, first_broken_seq bigint,
        reason text
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    head app.audit_heads;
    pruned bigint;
    base_hash bytea;
    top_seq bigint;
    end_seq bigint;
    found_last bigint;
    is_redacted boolean;
BEGIN
    SELECT h.* INTO head FROM app.audit_heads AS h WHERE h.organization_id = organization;
    SELECT max(e.seq) INTO top_seq FROM app.audit_events AS e WHERE e.organization_id = organization;
    end_seq := greatest(head.seq, top_seq, 0);
    pruned := coalesce(head.pruned_seq, 0);
    from_seq := greatest(coalesce(first, 1), pruned + 1);
    to_seq := least(coalesce(last, head.seq, top_seq, 0), coalesce(head.seq, top_seq, 0));

    base_hash := CASE
        WHEN from_seq = pruned + 1 THEN coalesce(head.pruned_hash, decode(repeat('00', 32), 'hex'))
        ELSE (SELECT e.hash FROM app.audit_events AS e WHERE e.organization_id = organization AND e.seq = from_seq - 1)
    END;
    SELECT count(*), min(f.broken_seq) FILTER (WHERE f.reason IS NOT NULL),
            (array_agg(f.reason ORDER BY f.seq) FILTER (WHERE f.reason IS NOT NULL))[1],
            coalesce(bool_or(f.is_redacted), false), coalesce(max(f.seq), from_seq - 1)
        INTO checked, first_broken_seq, reason, is_redacted, found_last
        FROM app.audit_findings(organization, from_seq, to_seq, base_hash) AS f;
    head_hash := (
        SELECT e.hash FROM app.audit_events AS e WHERE e.organization_id = organization AND e.seq = to_seq LIMIT 1);

    IF base_hash IS NULL AND from_seq <= to_seq THEN
        first_broken_seq := from_seq - 1;
        reason := format('event %s is missing', from_seq - 1);
    ELSIF first_broken_seq IS NULL AND found_last < to_seq THEN
        first_broken_seq := found_last + 1;
        reason := format('event %s is missing', found_last + 1);
    ELSIF first_broken_seq IS NULL AND head.organization_id IS NULL AND top_seq IS NOT NULL THEN
        first_broken_seq := to_seq;
        reason := 'the head of the chain is missing';
    ELSIF first_broken_seq IS NULL AND to_seq = head.seq AND top_seq > head.seq THEN
        first_broken_seq := head.seq + 1;
        reason := format('event %s stands beyond the head of the chain', head.seq + 1);
    ELSIF first_broken_seq IS NULL AND to_seq = head.seq AND from_seq <= to_seq
            AND head_hash IS DISTINCT FROM head.hash THEN
        first_broken_seq := to_seq;
        reason := format('the head of the chain does not hold the hash of event %s', to_seq);
    END IF;

    verdict := CASE
        WHEN first_broken_seq IS NOT NULL THEN 'TAMPERED'
        WHEN from_seq > to_seq OR last > end_seq THEN 'UNVERIFIED'
        WHEN pruned > 0 AND coalesce(first, 1) <= pruned THEN 'PRUNED'
        WHEN is_redacted THEN 'REDACTED'
        ELSE 'OK'
    END;
    reason := CASE verdict
        WHEN 'TAMPERED' THEN reason
        WHEN 'UNVERIFIED' THEN CASE
            WHEN end_seq = 0 THEN 'the chain has no event'
            WHEN greatest(first, last) > end_seq THEN format('the chain ends with event %s', end_seq)
            WHEN pruned > 0 AND to_seq <= pruned THEN format('events up to %s were pruned', pruned)
            ELSE 'the range has no event'
        END
        WHEN 'PRUNED' THEN format('events up to %s were pruned', pruned)
        WHEN 'REDACTED' THEN 'some payloads were redacted; the chain itself is whole'
    END;
    IF verdict = 'UNVERIFIED' THEN
        checked := 0;
        from_seq := pruned + 1;
        to_seq := end_seq;
        head_hash := NULL;
    END IF;
    RETURN NEXT;
END
$body$;

REVOKE ALL ON FUNCTION
    app.audit_findings(uuid, bigint, bigint, bytea), app.verify_audit_chain(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.verify_audit_chain(bigint, bigint) TO app_admin, app_auditor, minutebook_operator;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
