"""${message}

Revises: ${down_revision | comma,n}

Locks: say which lock each step takes, on which table, for how long, and what waits behind it (lock_timeout is 4 s).
  ACCESS EXCLUSIVE, readers wait: ALTER TABLE, CREATE POLICY and DROP of anything, on that table.
  SHARE ROW EXCLUSIVE, writers wait: ADD FOREIGN KEY, on both tables; use NOT VALID, then VALIDATE in a migration of its own.
  SHARE, writers wait: CREATE INDEX. On a big table CONCURRENTLY, in `with op.get_context().autocommit_block():`.
  Row locks, for as long as the transaction: UPDATE and DELETE. Backfill in batches, in a migration of its own.
Schema or data, never both in one file. A step that must see rows brackets itself: NO FORCE ROW LEVEL SECURITY … FORCE.
"""

% if "sa." in (upgrades or "") + (downgrades or ""):
import sqlalchemy as sa
% endif
% if "op." in (upgrades or "") + (downgrades or ""):
from alembic import op
% endif
from db.migrate import execute_text
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else 'raise NotImplementedError'}


def downgrade() -> None:
    ${downgrades if downgrades else 'raise NotImplementedError'}
