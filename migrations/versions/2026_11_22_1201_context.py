"""The request's context.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0002_context"
down_revision = "0001_foundations"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the request's context, who it is set for and how a connection proves that nothing of it is left.
-- Runs BEFORE the tables, as minutebook_owner.
-- Decision: SET LOCAL by EXECUTE, SECURITY INVOKER: set_config never reaches Citus workers, and SET ROLE is refused
-- inside a definer function. Policies spell current_setting(…) inline; definer functions use the functions below.

CREATE OR REPLACE FUNCTION app.organization_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.organization_id', true), '')::uuid;

-- NULL for a service and for the operator.
CREATE OR REPLACE FUNCTION app.user_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::uuid;

CREATE OR REPLACE FUNCTION app.actor_id() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.actor_id', true), '')::uuid;

-- What a definer function is bounded to: without a context it fails instead of finding nothing.
CREATE OR REPLACE FUNCTION app.required_organization() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = ''
    AS $body$
DECLARE
    organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
BEGIN
    IF organization IS NULL THEN
        RAISE EXCEPTION 'no organization in the context' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN organization;
END
$body$;

-- The first call of a transaction. user_ is '' for a service; role_ is a request role, or 'none' for the operator, who
-- keeps its own rights. timeout_ms 0 = no statement timeout. Ids that are no uuid fail 22P02 here, before any policy.
CREATE OR REPLACE FUNCTION app.begin_request(
    organization text, user_ text, actor text, role_ text, request_id text, timeout_ms int
) RETURNS void
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF role_ NOT IN ('app_member', 'app_observer', 'app_admin', 'app_auditor', 'app_service')
        AND NOT (role_ = 'none' AND session_user = 'minutebook_operator')
    THEN
        RAISE EXCEPTION 'not a request role' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format('SET LOCAL app.organization_id = %L', organization::uuid);
    EXECUTE format('SET LOCAL app.user_id = %L', coalesce(nullif(user_, '')::uuid::text, ''));
    EXECUTE format('SET LOCAL app.actor_id = %L', coalesce(nullif(actor, '')::uuid::text, ''));
    EXECUTE format('SET LOCAL app.request_id = %L', request_id);
    EXECUTE format('SET LOCAL statement_timeout = %s', timeout_ms);
    IF role_ <> 'none' THEN
        EXECUTE format('SET LOCAL ROLE %I', role_);
    END IF;
END
$body$;

-- Sent with COMMIT. Raises when a role or a context outlived the transaction: that connection must be closed.
CREATE OR REPLACE FUNCTION app.assert_clean() RETURNS void
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF current_user <> session_user
        OR coalesce(current_setting('app.organization_id', true), '') <> ''
        OR coalesce(current_setting('app.user_id', true), '') <> ''
        OR coalesce(current_setting('app.actor_id', true), '') <> ''
    THEN
        RAISE EXCEPTION 'a role or a context is left on this connection' USING ERRCODE = 'invalid_transaction_state';
    END IF;
END
$body$;

GRANT EXECUTE ON FUNCTION app.organization_id(), app.user_id(), app.actor_id(), app.required_organization()
    TO app_member, app_observer, app_admin, app_auditor, app_service, app_definer, app_finder, minutebook_operator;
GRANT EXECUTE ON FUNCTION app.begin_request(text, text, text, text, text, int)
    TO minutebook_api, minutebook_ingest, minutebook_operator;
-- The request roles too: where one was left, the message is to say so.
GRANT EXECUTE ON FUNCTION app.assert_clean()
    TO minutebook_api, minutebook_ingest, minutebook_operator,
       app_member, app_observer, app_admin, app_auditor, app_service;
"""

DOWNGRADE = r"""
DROP FUNCTION app.assert_clean();
DROP FUNCTION app.begin_request(text, text, text, text, text, integer);
DROP FUNCTION app.required_organization();
DROP FUNCTION app.actor_id();
DROP FUNCTION app.user_id();
DROP FUNCTION app.organization_id();
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
