"""What tables and triggers are built with.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0001_foundations"
down_revision = None
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: ids and their time, updated_at, the refusal to change what is on record, Citus distribution.
-- Runs BEFORE the tables, as minutebook_owner.
-- Decision: what must never change is refused by a trigger, for the owner too; what a redaction may do is a property of
-- the change itself (values become NULL), so the trigger is the same for every table.

-- A new version-7 id. Below PostgreSQL 18 the twelve bits after the milliseconds hold their fraction, as 18 does it.
DO $install$
BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE OR REPLACE FUNCTION app.uuidv7() RETURNS uuid
            LANGUAGE sql VOLATILE PARALLEL SAFE
            AS 'SELECT pg_catalog.uuidv7()';
    ELSE
        CREATE OR REPLACE FUNCTION app.uuidv7() RETURNS uuid
            LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = ''
            AS $body$
            DECLARE
                microseconds bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
                fraction int := ((microseconds % 1000) * 4096 / 1000)::int;
                bytes bytea := uuid_send(gen_random_uuid());
            BEGIN
                bytes := overlay(bytes PLACING substring(int8send(microseconds / 1000) FROM 3) FROM 1 FOR 6);
                bytes := set_byte(bytes, 6, 112 | (fraction >> 8));
                bytes := set_byte(bytes, 7, fraction & 255);
                RETURN encode(bytes, 'hex')::uuid;
            END
            $body$;
    END IF;
END
$install$;

-- When a version-7 id was made, to the millisecond; NULL for any other version. Immutable, so that a CHECK may use it.
CREATE OR REPLACE FUNCTION app.uuid_time(id uuid) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN get_byte(uuid_send(id), 6) >> 4 = 7 AND get_byte(uuid_send(id), 8) >> 6 = 2
        THEN to_timestamp(('x' || encode(substring(uuid_send(id) FROM 1 FOR 6), 'hex'))::bit(48)::bigint / 1000.0::float8)
    END;

-- BEFORE UPDATE. A statement that writes updated_at itself is believed (no request role has that column's grant), and a
-- definer function always writes its own: a rollup of imported messages must not move an old conversation to today.
CREATE OR REPLACE FUNCTION app.touch_updated_at() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at AND current_user <> 'app_definer' THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END
$body$;

-- BEFORE UPDATE OR DELETE (row) and BEFORE TRUNCATE (statement). app_definer alone may delete such a row (erasure,
-- pruning), or null columns and set redacted_at (redaction): which columns, its grants say.
CREATE OR REPLACE FUNCTION app.refuse_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF current_user = 'app_definer' AND TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF current_user = 'app_definer' AND TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (
            SELECT FROM jsonb_each(to_jsonb(NEW)) AS new_value
            WHERE new_value.key <> 'redacted_at' AND new_value.value <> 'null'
                AND new_value.value IS DISTINCT FROM to_jsonb(OLD) -> new_value.key
        ) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% of % is refused: its rows stay as they were written', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$body$;

-- Shards a table by organization where Citus is installed; nothing elsewhere.
CREATE OR REPLACE FUNCTION app.distribute(relation regclass, by_column text DEFAULT 'organization_id') RETURNS void
    LANGUAGE plpgsql SET search_path = ''
    AS $body$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus') THEN
        EXECUTE 'SELECT pg_catalog.create_distributed_table($1, $2)' USING relation, by_column;
    END IF;
END
$body$;

-- Defaults, checks and plain triggers run with the rights of whoever writes the row.
GRANT EXECUTE ON FUNCTION app.uuidv7(), app.uuid_time(uuid)
    TO app_member, app_observer, app_admin, app_auditor, app_service, app_definer, app_finder, minutebook_operator;
"""

DOWNGRADE = r"""
DROP FUNCTION app.distribute(regclass, text);
DROP FUNCTION app.refuse_change();
DROP FUNCTION app.touch_updated_at();
DROP FUNCTION app.uuid_time(uuid);
DROP FUNCTION app.uuidv7();
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
