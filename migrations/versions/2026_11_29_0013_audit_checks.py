"""What the one function that may insert says itself, no table checks once more under the lock of a chain's head.

Locks: ACCESS EXCLUSIVE on the audit tables for a moment; a downgrade holds it while it reads them whole.
"""

from db.migrate import execute_text

revision = "0036_audit_checks"
down_revision = "0035_audit_append"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE app.audit_events
    DROP CONSTRAINT ck_audit_events_actor_role,
    DROP CONSTRAINT ck_audit_events_seq,
    DROP CONSTRAINT ck_audit_events_action;
ALTER TABLE app.audit_payloads DROP CONSTRAINT ck_audit_payloads_erasable;

CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON app.audit_heads FOR EACH ROW
    WHEN (current_user::text <> 'app_definer') EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.audit_heads ENABLE ALWAYS TRIGGER refuse_update;
"""

DOWNGRADE = """
ALTER TABLE app.audit_events
    ADD CONSTRAINT ck_audit_events_actor_role CHECK (actor_role IN ('MEMBER', 'OBSERVER', 'ADMIN', 'AUDITOR', 'SERVICE', 'OPERATOR')),
    ADD CONSTRAINT ck_audit_events_seq CHECK (seq >= 1),
    ADD CONSTRAINT ck_audit_events_action CHECK (action ~ '^(?=.{1,100}$)[a-z_]+([.][a-z_]+)+$');
ALTER TABLE app.audit_payloads
    ADD CONSTRAINT ck_audit_payloads_erasable CHECK ((payload IS NULL) = (redacted_at IS NOT NULL) AND (salt IS NULL) = (redacted_at IS NOT NULL));

CREATE OR REPLACE TRIGGER refuse_update BEFORE UPDATE ON app.audit_heads FOR EACH ROW
    WHEN (current_user <> 'app_definer') EXECUTE FUNCTION app.refuse_change();
ALTER TABLE app.audit_heads ENABLE ALWAYS TRIGGER refuse_update;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
