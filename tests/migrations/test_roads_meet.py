"""Two roads lead to the schema, the migrations and the texts that they froze; db/schema.sql is where both arrive."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from db import ddl, dump, models, types
from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import OWNER, Urls
from db.migrate import MIGRATIONS, downgrade, upgrade
from db.policies import POLICIES
from tests.databases import superuser
from tests.db.valid_rows import TABLES, put

SQL = Path(ddl.__file__).parent / "sql"

# What a migration may leave behind: everything in the schema that has a name.
OBJECTS_SQL = """
SELECT 'relation', relname::text, coalesce(array_to_string(reloptions, ','), '') || relrowsecurity || relforcerowsecurity
    FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relname !~ '^(pk_)?alembic_version'
UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) || attnotnull
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'app'::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND relname <> 'alembic_version'
UNION ALL SELECT 'function', oid::regprocedure::text, md5(prosrc) || coalesce(proacl::text, '')
    FROM pg_proc WHERE pronamespace = 'app'::regnamespace
UNION ALL SELECT 'type', typname::text, typtype::text FROM pg_type WHERE typnamespace = 'app'::regnamespace AND typname !~ 'alembic_version'
UNION ALL SELECT 'policy', polrelid::regclass || '.' || polname, polcmd::text
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid WHERE relnamespace = 'app'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname, tgenabled::text
    FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'app'::regnamespace AND NOT tgisinternal
UNION ALL SELECT 'schema', nspname::text, nspacl::text FROM pg_namespace WHERE nspname IN ('app', 'ext', 'public')
ORDER BY 1, 2, 3"""


@asynccontextmanager
async def empty(server: EmbeddedServer, name: str) -> AsyncIterator[Urls]:
    """A bootstrapped database without a migration, dropped at the end."""
    urls = await bootstrap(server.bootstrap_url, database=name, credentials=server.credentials)
    try:
        yield urls
    finally:
        async with superuser(urls.for_database("postgres")) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def dump_of(urls: Urls) -> str:
    assert urls.bootstrap is not None
    return dump.dump(urls.bootstrap)


async def objects(urls: Urls) -> set[tuple[Any, ...]]:
    async with superuser(urls) as connection:
        return {tuple(row) for row in await connection.fetch(OBJECTS_SQL)}


def texts() -> list[str]:
    """db/sql and the tables, in the order that the files' own heads ask for."""
    order: TopologicalSorter[str] = TopologicalSorter({"tables": ()})
    for file in sorted(SQL.glob("*.sql")):
        runs = re.search(r"^-- Runs (BEFORE|AFTER) the tables(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert runs, f"{file.name} does not say when it runs"
        order.add(file.stem, *re.findall(r"(\w+)\.sql", runs[2]))
        order.add(*("tables", file.stem) if runs[1] == "BEFORE" else (file.stem, "tables"))
    tables = "\n".join(ddl.table_sql(table) + POLICIES[name].sql() for name, table in TABLES.items())
    return [
        tables if step == "tables" else (SQL / f"{step}.sql").read_text(encoding="utf-8")
        for step in order.static_order()
    ]


async def test_schema_sql_has_not_drifted_from_the_migrations(urls: Urls) -> None:
    """On a difference: `python -m db.dump > db/schema.sql`, and read what changed."""
    assert dump_of(urls).splitlines() == dump.FILE.read_text(encoding="utf-8").splitlines()


async def test_what_the_migrations_froze_has_not_drifted_from_its_sources(server: EmbeddedServer) -> None:
    async with empty(server, "straight_road") as urls:
        migrator = await asyncpg.connect(urls.migrator)
        try:
            for text in texts():
                async with migrator.transaction():
                    await migrator.execute(f"SET LOCAL ROLE {OWNER}; SET LOCAL row_security = off;\n{text}")
        finally:
            await migrator.close()
        assert dump_of(urls).splitlines() == dump.FILE.read_text(encoding="utf-8").splitlines()


async def test_a_change_of_a_policy_a_grant_or_a_function_shows(urls: Urls) -> None:
    before = set(dump_of(urls).splitlines())
    async with superuser(urls) as connection:
        await connection.execute("ALTER POLICY ai_feedback_select_member ON app.ai_feedback USING (true)")
        await connection.execute("GRANT UPDATE (tier) ON app.user_ai_settings TO app_member")
        await connection.execute("ALTER FUNCTION app.my_organizations RESET search_path")
    changes = before ^ set(dump_of(urls).splitlines())
    assert any("POLICY ai_feedback_select_member" in line for line in changes)
    assert any("UPDATE(tier)" in line for line in changes)


async def test_the_tables_have_not_drifted_from_the_models(urls: Urls) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {
            "compare_type": True,
            "compare_server_default": False,  # both roads' dumps compare those, as PostgreSQL prints them
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: name == "app" if kind == "schema" else True,
            "include_object": ddl.include_object,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), models.metadata))

    async def connect() -> Any:
        return await asyncpg.connect(urls.bootstrap)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    engine.dialect.ischema_names = {**engine.dialect.ischema_names, "ext.vector": types.Vector}  # type: ignore[attr-defined]
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


async def test_each_step_goes_down_with_rows_in_the_tables_and_up_again(server: EmbeddedServer) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    steps = [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    async with empty(server, "there_and_back") as urls:
        states = [await objects(urls)]
        for step in steps:
            await upgrade(urls, step)
            states.append(await objects(urls))
        await fill(urls)
        for at in range(len(steps), 0, -1):
            below = steps[at - 2] if at > 1 else "base"
            await downgrade(urls, below)
            assert await objects(urls) ^ states[at - 1] == set(), f"{steps[at - 1]} does not take back what it did"
            await upgrade(urls, steps[at - 1])
            assert await objects(urls) ^ states[at] == set(), f"{steps[at - 1]} does something else the second time"
            await downgrade(urls, below)
        await upgrade(urls)
        assert dump_of(urls).splitlines() == dump.FILE.read_text(encoding="utf-8").splitlines()


async def fill(urls: Urls) -> None:
    """A row in every table; no trigger adds others."""
    async with superuser(urls) as connection:
        await connection.execute("SET session_replication_role = replica")
        for name in TABLES:
            await put(connection, name)
            assert await connection.fetchval(f"SELECT count(*) FROM app.{name}") == 1
