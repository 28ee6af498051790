"""When a budget's window begins and ends.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0003_windows"
down_revision = "0002_context"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: when a budget's day or month begins and ends in an organization's time zone, and what a tier is worth.
-- Runs BEFORE the tables, as minutebook_owner.
-- Decision: an end is computed on the local calendar and then placed in the zone: a day has 23, 24 or 25 hours. Where
-- midnight comes twice (Havana) the start may lie after the moment asked for: harmless, since windows only move forward.

-- w: DAY or MONTH; NULL for anything else.
CREATE OR REPLACE FUNCTION app.window_start(w text, at timestamptz, tz text) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN date_trunc(CASE w WHEN 'DAY' THEN 'day' WHEN 'MONTH' THEN 'month' END, at, tz);

-- The first instant of the next window.
CREATE OR REPLACE FUNCTION app.window_end(w text, at timestamptz, tz text) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE w
        WHEN 'DAY' THEN (date_trunc('day', at AT TIME ZONE tz) + interval '1 day') AT TIME ZONE tz
        WHEN 'MONTH' THEN (date_trunc('month', at AT TIME ZONE tz) + interval '1 month') AT TIME ZONE tz
    END;

-- NULL = unlimited.
CREATE OR REPLACE FUNCTION app.requests_per_day(tier text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE tier WHEN 'FREE' THEN 10 WHEN 'PREMIUM' THEN 100 END::bigint;

GRANT EXECUTE ON FUNCTION app.window_start(text, timestamptz, text), app.window_end(text, timestamptz, text)
    TO app_member, app_observer, app_admin, app_auditor, app_service, app_definer, minutebook_operator;
GRANT EXECUTE ON FUNCTION app.requests_per_day(text) TO app_definer, minutebook_operator;
"""

DOWNGRADE = r"""
DROP FUNCTION app.requests_per_day(text);
DROP FUNCTION app.window_end(text, timestamp with time zone, text);
DROP FUNCTION app.window_start(text, timestamp with time zone, text);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
