"""Roles, logins and privileges that stand before the first table."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.bootstrap import BootstrapError, bootstrap, urls_for
from db.credentials import CredentialsError
from db.embedded import EmbeddedServer
from db.engine import Urls, at
from tests.databases import superuser

DATABASE = 'a "quoted" name'


@pytest.fixture(scope="module")
async def prepared(server: EmbeddedServer) -> AsyncIterator[Urls]:
    """A database with nothing but what the bootstrap makes."""
    urls = await bootstrap(server.bootstrap_url, database=DATABASE, credentials=server.credentials)
    yield urls
    async with superuser(urls.for_database("postgres")) as connection:
        await connection.execute('DROP DATABASE "a ""quoted"" name" WITH (FORCE)')


async def ask(url: str, sql: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


async def run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("login", "role"),
    [
        ("api", "app_service"),
        ("api", "minutebook_owner"),
        ("api", "app_definer"),
        ("api", "minutebook_operator"),
        ("ingest", "app_member"),
        ("ingest", "app_admin"),
        ("ingest", "minutebook_owner"),
        ("operator", "minutebook_owner"),
        ("operator", "app_admin"),
        ("migrator", "app_admin"),
    ],
)
async def test_a_login_cannot_become_what_is_not_its_own(prepared: Urls, login: str, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(getattr(prepared, login), f"SET ROLE {role}")


@pytest.mark.parametrize(
    ("login", "roles"),
    [
        ("api", ["app_member", "app_observer", "app_admin", "app_auditor"]),
        ("ingest", ["app_service"]),
        ("migrator", ["minutebook_owner", "app_definer", "app_finder"]),
    ],
)
async def test_a_login_becomes_its_own_roles(prepared: Urls, login: str, roles: list[str]) -> None:
    for role in roles:
        connection = await asyncpg.connect(getattr(prepared, login))
        await connection.execute(f"SET ROLE {role}")
        assert await connection.fetchval("SELECT current_user::text") == role
        await connection.close()


async def test_no_membership_is_inherited(prepared: Urls) -> None:
    async with superuser(prepared) as connection:
        rows = await connection.fetch(
            "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members"
            " WHERE (inherit_option OR admin_option) AND roleid::regrole::text ~ '^(app|minutebook)_'"
        )
    assert rows == []


async def test_no_role_passes_row_level_security_or_makes_roles(prepared: Urls) -> None:
    async with superuser(prepared) as connection:
        rows = await connection.fetch(
            "SELECT rolname::text AS name, rolcanlogin, rolinherit FROM pg_roles WHERE rolname ~ '^(app|minutebook)_'"
            " AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication) ORDER BY 1"
        )
    assert {row["name"] for row in rows if row["rolcanlogin"]} == {
        "minutebook_api",
        "minutebook_ingest",
        "minutebook_migrator",
        "minutebook_operator",
    }
    assert len(rows) == 12
    assert not any(row["rolinherit"] for row in rows)


async def test_a_stranger_neither_connects_nor_creates(prepared: Urls, server: EmbeddedServer) -> None:
    await run(server.bootstrap_url, "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    assert prepared.bootstrap is not None
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await ask(at(prepared.bootstrap, user="stranger", password="stranger"), "SELECT 1")
    await run(server.bootstrap_url, "DROP ROLE stranger")


@pytest.mark.parametrize("login", ["api", "ingest", "operator"])
@pytest.mark.parametrize(
    "sql",
    ["CREATE TEMP TABLE t (a int)", "CREATE TABLE app.t (a int)", "CREATE TABLE public.t (a int)", "CREATE SCHEMA s"],
)
async def test_a_login_creates_nothing(prepared: Urls, login: str, sql: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(getattr(prepared, login), sql)


@pytest.mark.parametrize("owner", ["minutebook_owner", "app_definer", "app_finder"])
async def test_a_new_function_is_nobodys_until_granted(prepared: Urls, owner: str) -> None:
    connection = await asyncpg.connect(prepared.migrator)
    try:
        await connection.execute(
            f"BEGIN; SET LOCAL ROLE minutebook_owner; GRANT CREATE ON SCHEMA app TO {owner}; SET LOCAL ROLE {owner};"
            "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql RETURN 1"
        )
        assert not await connection.fetchval("SELECT has_function_privilege('minutebook_api', 'app.f()', 'EXECUTE')")
        assert await connection.fetchval("SELECT has_function_privilege($1, 'app.f()', 'EXECUTE')", owner)
    finally:
        await connection.close()


async def test_every_login_sees_app_and_ext_without_jit_in_utc(prepared: Urls) -> None:
    sql = "SELECT current_setting('search_path') || current_setting('jit') || current_setting('timezone')"
    for url in (prepared.api, prepared.ingest, prepared.operator, prepared.migrator):
        assert await ask(url, sql) == "app, extoffUTC"
        assert await ask(url, "SELECT '[1,2]'::vector::text") == "[1,2]"


async def test_requests_have_one_plan_for_each_statement_and_operators_have_not(prepared: Urls) -> None:
    sql = "SELECT current_setting('plan_cache_mode')"
    assert [await ask(url, sql) for url in (prepared.api, prepared.ingest)] == ["force_generic_plan"] * 2
    assert [await ask(url, sql) for url in (prepared.operator, prepared.migrator)] == ["auto"] * 2


async def test_a_second_run_changes_no_password(prepared: Urls, server: EmbeddedServer) -> None:
    again = await bootstrap(server.bootstrap_url, database=DATABASE, credentials=server.credentials)
    assert again == prepared
    assert again == urls_for(server.bootstrap_url, database=DATABASE, credentials=server.credentials)
    assert await ask(prepared.api, "SELECT 1") == 1


async def test_a_lost_file_gives_new_passwords_and_the_old_are_refused(
    prepared: Urls, server: EmbeddedServer, tmp_path: Path
) -> None:
    lost = tmp_path / "credentials"
    fresh = await bootstrap(server.bootstrap_url, database=DATABASE, credentials=lost)
    try:
        assert stat.S_IMODE(lost.stat().st_mode) == 0o600
        assert await ask(fresh.api, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(prepared.api, "SELECT 1")
    finally:
        await bootstrap(server.bootstrap_url, database=DATABASE, credentials=server.credentials)
    assert await ask(prepared.api, "SELECT 1") == 1


async def test_a_damaged_file_is_named_and_not_overwritten(server: EmbeddedServer, tmp_path: Path) -> None:
    damaged = tmp_path / "credentials"
    for text in ("{half", json.dumps(["no object"])):
        damaged.write_text(text)
        with pytest.raises(CredentialsError, match=str(damaged)):
            await bootstrap(server.bootstrap_url, database=DATABASE, credentials=damaged)
        assert damaged.read_text() == text


async def test_passwords_stay_out_of_the_servers_log(prepared: Urls, server: EmbeddedServer) -> None:
    await run(server.bootstrap_url, "ALTER SYSTEM SET log_statement = 'all'; ")
    await ask(server.bootstrap_url, "SELECT pg_reload_conf()")
    await bootstrap(server.bootstrap_url, database=DATABASE, credentials=server.credentials)
    await run(server.bootstrap_url, "ALTER SYSTEM RESET log_statement")
    await ask(server.bootstrap_url, "SELECT pg_reload_conf()")
    log = server.log.read_text()
    assert "ALTER ROLE minutebook_api LOGIN" in log
    assert not [role for role, word in json.loads(server.credentials.read_text()).items() if word in log]


@pytest.fixture(scope="module")
async def managed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    """A managed server: `builder` may create roles and databases, and is no superuser."""
    with EmbeddedServer(tmp_path_factory.mktemp("managed"), is_durable=False) as server:
        await run(server.bootstrap_url, "CREATE ROLE builder LOGIN CREATEROLE CREATEDB PASSWORD 'builder'")
        yield server


@pytest.fixture(scope="module")
async def builder(managed: EmbeddedServer) -> str:
    return at(managed.bootstrap_url, user="builder", password="builder", database="postgres")


async def test_a_missing_extension_is_asked_for_and_then_all_goes_without_a_superuser(
    managed: EmbeddedServer, builder: str, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    with pytest.raises(BootstrapError, match="have a superuser run") as refused:
        await bootstrap(builder, database="ours", credentials=credentials)
    await run(at(managed.bootstrap_url, database="ours"), str(refused.value).partition("in this database: ")[2])
    first = await bootstrap(builder, database="ours", credentials=credentials)
    assert await bootstrap(builder, database="ours", credentials=credentials) == first
    for url in (first.api, first.ingest, first.operator, first.migrator):
        assert await ask(url, "SELECT '[1]'::vector::text") == "[1]"
    await run(first.migrator, "SET ROLE minutebook_owner; CREATE TABLE app.t (a int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # what it made itself a member of is given back
        await run(at(builder, database="ours"), "SET ROLE minutebook_owner")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run(at(builder, database="ours"), "SELECT * FROM app.t")


async def test_a_database_of_someone_else_is_refused(builder: str, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="does not own the database postgres"):
        await bootstrap(builder, database="postgres", credentials=tmp_path / "credentials")


async def test_a_login_that_may_create_no_role_is_refused(managed: EmbeddedServer, tmp_path: Path) -> None:
    await run(managed.bootstrap_url, "CREATE ROLE powerless LOGIN PASSWORD 'powerless'")
    url = at(managed.bootstrap_url, user="powerless", password="powerless")
    with pytest.raises(BootstrapError, match="may not do what is needed"):
        await bootstrap(url, database="ours", credentials=tmp_path / "credentials")


async def test_a_role_that_passes_row_level_security_is_refused(managed: EmbeddedServer, tmp_path: Path) -> None:
    await bootstrap(managed.bootstrap_url, database="ours", credentials=tmp_path / "credentials")
    await run(managed.bootstrap_url, "ALTER ROLE app_member BYPASSRLS")
    with pytest.raises(BootstrapError, match="app_member"):
        await bootstrap(managed.bootstrap_url, database="ours", credentials=tmp_path / "credentials")
    await run(managed.bootstrap_url, "ALTER ROLE app_member NOBYPASSRLS")


async def test_an_extension_in_another_schema_is_named_and_left_there(managed: EmbeddedServer, tmp_path: Path) -> None:
    await run(managed.bootstrap_url, "CREATE DATABASE shared")
    await run(at(managed.bootstrap_url, database="shared"), "CREATE EXTENSION vector SCHEMA public")
    with pytest.raises(BootstrapError, match="ALTER EXTENSION vector SET SCHEMA ext"):
        await bootstrap(managed.bootstrap_url, database="shared", credentials=tmp_path / "credentials")
