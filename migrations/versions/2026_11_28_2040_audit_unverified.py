"""A range of the audit chain in which nothing was verified reads as such, never as proof.

Locks: one function is replaced; nothing waits.
"""

from db.migrate import execute_text

revision = "0032_audit_unverified"
down_revision = "0031_tool_call_logs"
branch_labels = None
depends_on = None

_BEFORE = """
GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;
"""
_AFTER = """
SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
"""

UPGRADE = r"""
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
"""

DOWNGRADE = r"""
-- first NULL = everything, which is PRUNED where the beginning was; last NULL or beyond the end = to the end, where the
-- head must agree: a cut tail shows as a head beyond the last event. head_hash is the hash at to_seq.
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
    found_last bigint;
    is_redacted boolean;
BEGIN
    SELECT h.* INTO head FROM app.audit_heads AS h WHERE h.organization_id = organization;
    SELECT max(e.seq) INTO top_seq FROM app.audit_events AS e WHERE e.organization_id = organization;
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
        WHEN pruned > 0 AND coalesce(first, 1) <= pruned THEN 'PRUNED'
        WHEN is_redacted THEN 'REDACTED'
        ELSE 'OK'
    END;
    reason := CASE verdict
        WHEN 'TAMPERED' THEN reason
        WHEN 'PRUNED' THEN format('events up to %s were pruned', pruned)
        WHEN 'REDACTED' THEN 'some payloads were redacted; the chain itself is whole'
    END;
    RETURN NEXT;
END
$body$;
"""


def upgrade() -> None:
    execute_text(_BEFORE + UPGRADE + _AFTER)


def downgrade() -> None:
    execute_text(_BEFORE + DOWNGRADE + _AFTER)
