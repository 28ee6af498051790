"""The one way to a sealed provider key.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0029_provider_keys"
down_revision = "0028_audit_verify"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the one way to a sealed provider key: its bytes for a service, put on record as they are handed out.
-- Runs AFTER the tables and audit.sql, as minutebook_owner.
-- Decision: PostgreSQL never sees a key that opens anything; the service's own process holds the keyring (db/keys.py).

GRANT USAGE, CREATE ON SCHEMA app TO app_definer;
SET LOCAL ROLE app_definer;

-- What opens the key of a person of the context organization; no row, and no event, where there is none to use.
CREATE OR REPLACE FUNCTION app.open_provider_key(user_id uuid, provider text)
    RETURNS TABLE (id uuid, ciphertext bytea, wrapped_key bytea, key_id text, key_version int)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
BEGIN
    SELECT k.id, k.ciphertext, k.wrapped_key, k.key_id, k.key_version
        INTO id, ciphertext, wrapped_key, key_id, key_version
        FROM app.user_provider_keys AS k
        WHERE k.organization_id = organization AND k.user_id = $1 AND k.provider = $2
            AND k.ciphertext IS NOT NULL AND NOT k.needs_reentry;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM app.audit_append(jsonb_build_array(jsonb_build_object(
        'action', 'provider_key.opened', 'target_type', 'AiSettings', 'target_id', $1,
        'details', jsonb_build_object('id', id))));
    RETURN NEXT;
END
$body$;

REVOKE ALL ON FUNCTION app.open_provider_key(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.open_provider_key(uuid, text) TO app_service;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_definer;
"""

DOWNGRADE = r"""
DROP FUNCTION app.open_provider_key(uuid, text);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
