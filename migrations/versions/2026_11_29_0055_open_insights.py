"""An index that counts what is open by severity and type, without a look at the rows.

Locks: SHARE on ai_insights while it is built; reads go on, writes wait.
"""

from db.migrate import execute_text

revision = "0037_open_insights"
down_revision = "0036_audit_checks"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE INDEX ix_ai_insights_severity_insight_type ON app.ai_insights (organization_id, severity, insight_type)
    INCLUDE (expires_at, project_id) WHERE NOT is_dismissed;
"""

DOWNGRADE = """
DROP INDEX app.ix_ai_insights_severity_insight_type;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
