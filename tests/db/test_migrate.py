"""How migrations run, tried on migrations made for it: one folder per test, with the project's own env.py."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Column, MetaData, Table, Text

from db.bootstrap import bootstrap
from db.embedded import EmbeddedServer
from db.engine import Urls
from db.migrate import MIGRATIONS, downgrade, head, upgrade, write_revision
from tests.databases import clone, superuser

ROOT = MIGRATIONS.parent
FILE = """
from alembic import op
from db.migrate import execute_text
revision, down_revision, branch_labels, depends_on = {revision!r}, {previous!r}, None, None

def upgrade():
    {upgrade}

def downgrade():
    {downgrade}
"""
# A process of its own: Alembic's context is one per process.
MIGRATOR = """
import asyncio, sys
from pathlib import Path
from db.engine import Urls
from db.migrate import upgrade
asyncio.run(upgrade(Urls("", "", "", sys.argv[1]), migrations=Path(sys.argv[2])))
"""
TABLE = """CREATE TABLE app.t (note text DEFAULT ':word; $$'); INSERT INTO app.t VALUES ('{"a":1}')"""


class Folder:
    """Migrations written by a test, in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        (path / "versions").mkdir()
        for name in ("env.py", "script.py.mako"):
            shutil.copy(MIGRATIONS / name, path)

    def add(self, up: str, down: str = "pass") -> str:
        """A migration whose upgrade is SQL text; `down` is SQL text unless it is `pass`."""
        self._count += 1
        revision = f"r{self._count}"
        text = FILE.format(
            revision=revision,
            previous=f"r{self._count - 1}" if self._count > 1 else None,
            upgrade=up if up.startswith("with ") else f"execute_text({up!r})",
            downgrade="pass" if down == "pass" else f"execute_text({down!r})",
        )
        (self.path / "versions" / f"{revision}.py").write_text(text)
        return revision


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="module")
async def unmigrated(server: EmbeddedServer) -> Urls:
    return await bootstrap(server.bootstrap_url, database="template_unmigrated", credentials=server.credentials)


@pytest.fixture
async def empty(unmigrated: Urls) -> AsyncIterator[Urls]:
    async with clone(unmigrated) as copy:
        yield copy


async def version(urls: Urls) -> str | None:
    async with superuser(urls) as connection:
        found: str | None = await connection.fetchval("SELECT max(version_num) FROM app.alembic_version")
        return found


async def test_text_runs_as_written_and_belongs_to_the_owner(folder: Folder, empty: Urls) -> None:
    folder.add(TABLE, "DROP TABLE app.t")
    await upgrade(empty, migrations=folder.path)
    async with superuser(empty) as connection:
        row = await connection.fetchrow("SELECT tableowner::text FROM pg_tables WHERE tablename = 't'")
        assert row["tableowner"] == "minutebook_owner"
        assert await connection.fetchval("SELECT note FROM app.t") == '{"a":1}'
    await downgrade(empty, "base", migrations=folder.path)
    async with superuser(empty) as connection:
        assert await connection.fetchval("SELECT to_regclass('app.t')") is None
        assert await connection.fetchval("SELECT count(*) FROM pg_roles WHERE rolname ~ '^(app|minutebook)_'") == 12
    await upgrade(empty, migrations=folder.path)
    assert await version(empty) == "r1"


async def test_a_migration_that_fails_leaves_nothing_and_keeps_those_before(folder: Folder, empty: Urls) -> None:
    folder.add(TABLE)
    folder.add("CREATE TABLE app.half (a int); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await upgrade(empty, migrations=folder.path)
    assert await version(empty) == "r1"
    async with superuser(empty) as connection:
        assert await connection.fetchval("SELECT to_regclass('app.half')") is None


async def test_the_owner_fails_rather_than_seeing_no_rows(folder: Folder, empty: Urls) -> None:
    folder.add(f"{TABLE}; ALTER TABLE app.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    folder.add("UPDATE app.t SET note = 'filled'")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="affected by row-level security"):
        await upgrade(empty, migrations=folder.path)


async def test_an_index_is_built_concurrently_outside_a_transaction(folder: Folder, empty: Urls) -> None:
    folder.add(TABLE)
    block = "with op.get_context().autocommit_block():\n        execute_text"
    folder.add(f"{block}('CREATE INDEX CONCURRENTLY i ON app.t (note)')")
    await upgrade(empty, migrations=folder.path)
    async with superuser(empty) as connection:
        assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.i'::regclass")


async def test_two_migrators_at_once_run_each_migration_once(folder: Folder, empty: Urls) -> None:
    folder.add(f"{TABLE}; SELECT pg_sleep(0.5)")
    folder.add("CREATE INDEX i ON app.t (note)")
    migrators = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATOR, empty.migrator, folder.path, cwd=ROOT)
        for _ in range(2)
    ]
    assert [await migrator.wait() for migrator in migrators] == [0, 0]
    assert await version(empty) == "r2"


async def test_a_lock_is_not_waited_for_longer_than_four_seconds(folder: Folder, empty: Urls) -> None:
    revision = folder.add(
        "DO $$ BEGIN ASSERT current_setting('lock_timeout') = '4s' AND current_setting('statement_timeout') = '10min'"
        " AND current_setting('citus.multi_shard_modify_mode') = 'sequential' AND current_user = 'minutebook_owner'"
        " AND session_user = 'minutebook_migrator' AND NOT current_setting('row_security')::bool; END $$"
    )
    await upgrade(empty, migrations=folder.path)
    assert await version(empty) == revision


async def test_every_login_that_serves_may_read_the_version(folder: Folder, empty: Urls) -> None:
    revision = folder.add(TABLE)
    await upgrade(empty, migrations=folder.path)
    assert head(folder.path) == revision
    for url in (empty.api, empty.ingest, empty.operator):
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT version_num FROM app.alembic_version") == revision
        await connection.close()


async def test_no_migrations_are_no_error_and_no_head(folder: Folder, empty: Urls) -> None:
    await upgrade(empty, migrations=folder.path)
    assert head(folder.path) is None


async def test_a_new_migration_is_named_by_its_minute_and_does_nothing_unwritten(folder: Folder, empty: Urls) -> None:
    await write_revision(empty, "Add a thing", migrations=folder.path)
    (file,) = (folder.path / "versions").glob("*.py")
    assert re.fullmatch(r"\d{4}_\d{2}_\d{2}_\d{4}_add_a_thing\.py", file.name)
    assert "Locks:" in file.read_text()
    with pytest.raises(NotImplementedError):
        await upgrade(empty, migrations=folder.path)


async def test_a_generated_migration_holds_what_the_models_have_more(folder: Folder, empty: Urls) -> None:
    metadata = MetaData(schema="app")
    Table("thing", metadata, Column("a", Text))
    await write_revision(empty, "thing", metadata, migrations=folder.path)
    await upgrade(empty, migrations=folder.path)
    async with superuser(empty) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.thing") == 0
    await downgrade(empty, "base", migrations=folder.path)
