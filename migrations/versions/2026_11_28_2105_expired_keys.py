"""Whoever comes by an idempotency key of their own that has expired takes it over, before it is swept.

Locks: grants alone; nothing waits.
"""

from db.migrate import execute_text

revision = "0033_expired_keys"
down_revision = "0032_audit_unverified"
branch_labels = None
depends_on = None

UPGRADE = """
GRANT UPDATE (request_hash, expires_at) ON app.idempotency_keys TO app_member, app_admin, app_service;
"""

DOWNGRADE = """
REVOKE UPDATE (request_hash, expires_at) ON app.idempotency_keys FROM app_member, app_admin, app_service;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
