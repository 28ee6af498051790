"""The migrated database breaks no rule, and each rule finds the fault that is planted for it, and no other rule does."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.engine import Urls
from db.lint import RULES, lint
from db.lint.functions import upserts, volatile_updates
from db.policies import POLICIES
from db.policy import Command, Rule, TablePolicy, org, read
from tests.databases import clone, superuser

OURS = "organization_id = nullif(current_setting('app.organization_id', true), '')::uuid"
AS_OWNER = "SET LOCAL ROLE minutebook_owner;"
MONTH = "(SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'app.tool_calls'::regclass)"


def table(columns: str) -> str:
    """A guarded table that nobody knows."""
    return (
        f"{AS_OWNER} CREATE TABLE app.things ({columns});"
        "ALTER TABLE app.things ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY things_select_operator ON app.things FOR SELECT TO minutebook_operator USING (true);"
    )


def month(statement: str) -> str:
    """Run a statement on some month of the tool calls, whose name depends on the date: `%1$s`."""
    return f"DO $$ BEGIN EXECUTE format('{statement}', {MONTH}); END $$"


def policy(expression: str, name: str = "ai_feedback_select_observer", rest: str = "FOR SELECT TO app_observer") -> str:
    return f"CREATE POLICY {name} ON app.ai_feedback {rest} USING ({expression})"


def function(body: str, returns: str = "void", more: str = "") -> str:
    return (
        f"{AS_OWNER} CREATE FUNCTION app.planted() RETURNS {returns} LANGUAGE plpgsql {more} AS $$ BEGIN {body} END $$;"
    )


# A migration that runs under FORCE sees no rows: the constraint says VALID, and the row points at nothing.
BLIND_KEY = f"""
INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ('ours', 'Ours', 'TEAM', 'UTC');
ALTER TABLE app.ai_insights DROP CONSTRAINT fk_ai_insights_project_id;
INSERT INTO app.ai_insights (organization_id, project_id, insight_type, title, description)
    SELECT id, gen_random_uuid(), 'ANOMALY', 'Odd', 'Twice the price' FROM app.organizations;
{AS_OWNER} SET LOCAL row_security = on;
ALTER TABLE app.ai_insights ADD CONSTRAINT fk_ai_insights_project_id
    FOREIGN KEY (organization_id, project_id) REFERENCES app.projects (organization_id, id);"""

STRANGE_LOG = (
    table("organization_id uuid NOT NULL, created_at timestamptz, PRIMARY KEY (organization_id, created_at)").replace(
        "created_at));", "created_at)) PARTITION BY RANGE (created_at);"
    )
    + """
DO $$ DECLARE month record; BEGIN
    FOR month IN SELECT replace(c.relname, 'ai_usage_logs', 'things') AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'app.ai_usage_logs'::regclass
    LOOP
        EXECUTE format('CREATE TABLE app.%1$I PARTITION OF app.things %2$s;
            ALTER TABLE app.%1$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', month.name, month.bound);
    END LOOP;
END $$"""
)

ADD_TO_INSIGHTS = "ALTER TABLE app.ai_insights ADD FOREIGN KEY (organization_id, project_id) REFERENCES app.projects (organization_id, id)"

FAULTS: list[tuple[str, str, str]] = [
    # rule, an object it must name, the fault
    ("organization_id_not_null", "things", table("organization_id text NOT NULL, id uuid, PRIMARY KEY (organization_id, id)")),
    ("primary_key_begins_with_organization", "things", table("organization_id uuid NOT NULL, id uuid PRIMARY KEY")),
    ("primary_key_begins_with_organization", "things", table("organization_id uuid NOT NULL")),
    ("unique_begins_with_organization", "projects", "ALTER TABLE app.projects ADD UNIQUE (name)"),
    ("unique_begins_with_organization", "projects", "CREATE UNIQUE INDEX ON app.projects (lower(name))"),
    ("foreign_key_begins_with_organization", "ai_feedback", "ALTER TABLE app.ai_feedback ADD FOREIGN KEY (id) REFERENCES app.organizations"),
    ("foreign_key_action", "ai_insights", f"{ADD_TO_INSIGHTS} ON DELETE SET NULL (project_id)"),
    ("foreign_key_action", "ai_insights", f"{ADD_TO_INSIGHTS} ON UPDATE CASCADE"),
    ("foreign_key_action", "ai_insights", f"{ADD_TO_INSIGHTS} DEFERRABLE"),
    ("foreign_key_action", "ai_insights", f"{ADD_TO_INSIGHTS} NOT VALID"),
    (
        "foreign_key_carries_the_owner",
        "ai_feedback",
        "ALTER TABLE app.ai_feedback ADD FOREIGN KEY (organization_id, message_id) REFERENCES app.ai_messages (organization_id, id)",
    ),
    ("foreign_key_holds", "ai_insights", BLIND_KEY),
    ("column_type", "projects.price", "ALTER TABLE app.projects ADD price numeric(10, 2)"),
    ("column_type", "projects.mood", "CREATE TYPE ext.mood AS ENUM ('GOOD'); ALTER TABLE app.projects ADD mood ext.mood"),
    ("column_type", "projects.due_at", "ALTER TABLE app.projects ADD due_at timestamp"),
    ("vocabulary_is_checked", "ai_messages.role", "ALTER TABLE app.ai_messages DROP CONSTRAINT ck_ai_messages_role"),
    (
        "vocabulary_is_checked",
        "ai_messages.role",
        "ALTER TABLE app.ai_messages DROP CONSTRAINT ck_ai_messages_role, ADD CHECK (role IN ('USER', 'ASSISTANT', 'SYSTEM', 'TOOL', 'GHOST'))",
    ),
    ("no_sequence", "projects_n_seq", f"{AS_OWNER} ALTER TABLE app.projects ADD n bigint GENERATED ALWAYS AS IDENTITY"),
    ("log_tables_are_partitioned", "things", STRANGE_LOG),
    (
        "partitioned_key_ends_with_created_at",
        "ai_usage_logs",
        "ALTER TABLE app.ai_usage_logs DROP CONSTRAINT pk_ai_usage_logs, ADD PRIMARY KEY (organization_id, created_at, id)",
    ),
    ("log_id_is_of_its_time", "ai_usage_logs", "ALTER TABLE app.ai_usage_logs DROP CONSTRAINT ck_ai_usage_logs_id_time"),
    (
        "no_default_partition",
        "ai_content_searches_rest",
        f"{AS_OWNER} CREATE TABLE app.ai_content_searches_rest PARTITION OF app.ai_content_searches DEFAULT; ALTER TABLE app.ai_content_searches_rest ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    ),
    ("partition_is_a_month", "ai_content_searches", month("DROP TABLE %1$s").replace("tool_calls", "ai_content_searches")),
    ("partition_is_a_month", "tool_calls_some", month("ALTER TABLE %1$s RENAME TO tool_calls_some_month")),
    ("partition_refuses_truncate", "tool_calls_", month("DROP TRIGGER refuse_truncate ON %1$s")),
    ("partition_refuses_truncate", "tool_calls_", month("ALTER TABLE %1$s ENABLE TRIGGER refuse_truncate")),
    ("partition_has_no_rights", "tool_calls_", month("GRANT SELECT ON %1$s TO app_admin")),
    ("partition_has_no_rights", "tool_calls_", month("GRANT SELECT (id) ON %1$s TO app_admin")),
    ("role_is_harmless", "app_member", "ALTER ROLE app_member LOGIN"),
    ("role_is_harmless", "minutebook_api", "ALTER ROLE minutebook_api INHERIT"),
    ("role_is_harmless", "app_definer", "ALTER ROLE app_definer BYPASSRLS"),
    ("role_reaches_its_own", "minutebook_api", "GRANT app_service TO minutebook_api WITH INHERIT FALSE"),
    ("role_reaches_its_own", "minutebook_api", "GRANT app_admin TO minutebook_api WITH INHERIT TRUE"),
    ("role_reaches_its_own", "minutebook_ingest", "REVOKE app_service FROM minutebook_ingest"),
    ("owner_owns_every_relation", "current_usage", "ALTER VIEW app.current_usage OWNER TO app_definer"),
    ("never_granted", "projects", "GRANT TRUNCATE ON app.projects TO minutebook_operator"),
    ("never_granted", "projects", "GRANT REFERENCES (id) ON app.projects TO app_service"),
    ("never_granted", "projects", "GRANT SELECT ON app.projects TO PUBLIC"),
    ("never_granted", "projects", "GRANT SELECT ON app.projects TO app_member WITH GRANT OPTION"),
    ("never_granted", "schema app", "GRANT CREATE ON SCHEMA app TO app_definer"),
    ("writes_list_columns", "user_ai_settings", "GRANT UPDATE ON app.user_ai_settings TO app_member"),
    ("writes_list_columns", "audit_events", "GRANT INSERT ON app.audit_events TO app_definer"),
    ("writer_reads_what_it_matches", "ai_feedback", "DROP POLICY ai_feedback_select_member ON app.ai_feedback"),
    ("writer_reads_what_it_matches", "ai_feedback", "REVOKE SELECT ON app.ai_feedback FROM app_member"),
    ("view_is_its_callers", "tool_call_logs", "ALTER VIEW app.tool_call_logs RESET (security_invoker)"),
    ("view_is_its_callers", "kept", "CREATE MATERIALIZED VIEW app.kept AS SELECT 1; ALTER MATERIALIZED VIEW app.kept OWNER TO minutebook_owner"),
    ("row_level_security_is_forced", "projects", "ALTER TABLE app.projects NO FORCE ROW LEVEL SECURITY"),
    ("row_level_security_is_forced", "tool_calls_", month("ALTER TABLE %1$s DISABLE ROW LEVEL SECURITY")),
    ("table_has_a_policy", "audit_heads", "DO $$ DECLARE p record; BEGIN FOR p IN SELECT polname FROM pg_policy WHERE polrelid = 'app.audit_heads'::regclass LOOP EXECUTE format('DROP POLICY %I ON app.audit_heads', p.polname); END LOOP; END $$"),
    ("policy_is_permissive_for_one_role", "ai_feedback", policy(OURS, rest="AS RESTRICTIVE FOR SELECT TO app_observer")),
    ("policy_is_permissive_for_one_role", "ai_feedback", policy(OURS, rest="FOR SELECT")),
    ("policy_is_permissive_for_one_role", "ai_feedback", policy(OURS, rest="TO app_observer")),
    ("policy_is_permissive_for_one_role", "ai_feedback", policy(OURS, rest="FOR SELECT TO app_observer, app_finder")),
    ("policy_name", "ai_feedback", policy(OURS, name="let_me_see")),
    ("policy_name", "ai_feedback", policy(OURS, name="ai_feedback_select_second", rest="FOR SELECT TO app_member")),
    ("policy_reads_nothing_else", "ai_feedback", policy(f"{OURS} AND EXISTS (SELECT FROM app.users u WHERE u.id = user_id)")),
    ("policy_reads_nothing_else", "ai_feedback", policy(f"{OURS} AND user_id = app.user_id()")),
    ("policy_tests_the_organization", "ai_feedback", policy("true")),
    ("policy_tests_the_organization", "ai_feedback", policy("rating = 5")),
    ("policy_tests_the_organization", "ai_feedback", policy(f"{OURS} AND rating = 1 OR rating = 5")),
    ("policy_tests_the_organization", "ai_feedback", "ALTER POLICY ai_feedback_update_member ON app.ai_feedback WITH CHECK (true)"),
    (
        "definer_function_has_a_fitting_owner",
        "planted",
        function("NULL;", more="SECURITY DEFINER SET search_path = ''") + "GRANT EXECUTE ON FUNCTION app.planted() TO app_member",
    ),
    ("definer_function_has_a_fitting_owner", "my_organizations", "ALTER FUNCTION app.my_organizations OWNER TO app_finder"),
    ("definer_function_has_a_fitting_owner", "my_organizations", "ALTER FUNCTION app.my_organizations OWNER TO minutebook_operator"),
    ("definer_function_has_no_search_path", "my_organizations", "ALTER FUNCTION app.my_organizations RESET search_path"),
    ("definer_function_has_no_search_path", "my_organizations", "ALTER FUNCTION app.my_organizations SET search_path = app, pg_temp"),
    ("no_execute_for_public", "my_organizations", "GRANT EXECUTE ON FUNCTION app.my_organizations TO PUBLIC"),
    ("no_execute_for_public", "app_definer", "ALTER DEFAULT PRIVILEGES FOR ROLE app_definer GRANT EXECUTE ON FUNCTIONS TO PUBLIC"),
    (
        "upsert_without_functions",
        "planted",
        function("INSERT INTO app.ai_cache_stats (hits) VALUES (1) ON CONFLICT (organization_id, day) DO UPDATE SET hits = excluded.hits, day = now();"),
    ),
    ("update_without_volatile_functions", "planted", function("UPDATE app.ai_cache AS c SET last_accessed_at = clock_timestamp() WHERE true;")),
    ("no_merge", "planted", function("MERGE INTO app.ai_cache c USING app.ai_tools t ON false WHEN MATCHED THEN DO NOTHING;")),
    ("trigger_does_not_notify", "planted", function("PERFORM pg_notify('a', 'b'); RETURN NULL;", "trigger")),
    (
        "row_trigger_reads_no_table",
        "planted",
        function("PERFORM FROM app.users; RETURN NULL;", "trigger")
        + "CREATE TRIGGER planted AFTER INSERT ON app.ai_feedback FOR EACH ROW EXECUTE FUNCTION app.planted()",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
async def connection(template: Urls) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A superuser's, in one clone for all faults: each is rolled back."""
    async with clone(template) as urls, superuser(urls) as connection:
        yield connection


async def test_the_migrated_database_breaks_no_rule(connection: Any) -> None:
    assert await lint(connection) == []


async def test_the_operator_can_ask_too_and_nothing_is_changed(urls: Urls) -> None:
    operator = await asyncpg.connect(urls.operator)
    try:
        before = await operator.fetchval("SHOW search_path")
        assert await lint(operator) == []
        assert await operator.fetchval("SHOW search_path") == before
    finally:
        await operator.close()


@pytest.mark.parametrize(("rule", "name", "fault"), FAULTS, ids=[f"{at}-{fault[0]}" for at, fault in enumerate(FAULTS)])
async def test_a_planted_fault_is_found_by_its_rule_alone(connection: Any, rule: str, name: str, fault: str) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"{fault}; RESET ROLE")
        violations = await lint(connection)
        assert {violation.rule for violation in violations} == {rule}, violations
        assert any(name in violation.object for violation in violations), violations
    finally:
        await transaction.rollback()


async def test_a_fault_in_the_matrix_is_found(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    block = POLICIES["ai_feedback"]
    narrower: dict[Command, Rule] = {**block.rules["member"], "select": read(org, but=("feedback_text",))}
    fewer: dict[Command, Rule] = {"select": read(org)}
    for admin in (narrower, fewer):
        monkeypatch.setitem(POLICIES, "ai_feedback", TablePolicy(block.table, {**block.rules, "admin": admin}))
        assert {violation.rule for violation in await lint(connection)} == {"admin_has_the_columns_of_a_member"}


def test_every_rule_has_a_fault_planted_for_it() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in FAULTS} | {"admin_has_the_columns_of_a_member"}


def test_what_is_no_call_is_not_taken_for_one() -> None:
    upsert = "on conflict (a) do update set a = coalesce(excluded.a, t.a), b = case when (t.b) then 1 end where (t.c) in (1);"
    assert upserts(upsert) == []
    assert upserts("on conflict (a) do update set a = current_timestamp") == [
        "ON CONFLICT DO UPDATE calls current_timestamp"
    ]
    assert volatile_updates("for no key update; select random()") == []
    assert volatile_updates("update app.t set a = 1 where b < clock_timestamp()") == []
