"""The request's context and who comes in: what is set, what is left, whom a token stands for."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

ISSUER = "https://issuer.test"
CLEAN = "SELECT app.assert_clean()"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def begin(
    organization: str, user: str, role: str = "app_member", *, request_id: str = "req-1", timeout_ms: int = 5000
) -> str:
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
        f"SELECT app.begin_request('{organization}', '{user}', '{user or uuid.uuid4()}', '{role}', '{request_id}', {timeout_ms})"
    )


async def add_organization(urls: Any, slug: str) -> str:
    async with connected(urls.operator) as operator:
        return str(
            await operator.fetchval(
                "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ($1, $1, 'TEAM', 'UTC') RETURNING id",
                slug,
            )
        )


async def add_person(urls: Any, organization: str, subject: str, role: str = "MEMBER", issuer: str = ISSUER) -> str:
    async with connected(urls.operator) as operator:
        user = await operator.fetchval(
            "INSERT INTO app.users (organization_id, role) VALUES ($1, $2) RETURNING id", organization, role
        )
        await operator.execute(
            "INSERT INTO app.identities (organization_id, issuer, subject, user_id) VALUES ($1, $2, $3, $4)",
            organization, issuer, subject, user,
        )  # fmt: skip
        return str(user)


async def authenticate(urls: Any, subject: str, organization: str | None = None, issuer: str = ISSUER) -> list[Any]:
    async with connected(urls.api) as api:
        rows = await api.fetch("SELECT * FROM app.authenticate($1, $2, $3)", issuer, subject, organization)
        return [(str(row["organization_id"]), str(row["user_id"]), row["role"]) for row in rows]


# ── the context ──────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_member_sees_nothing_of_another_organization(urls: Any) -> None:
    ours, theirs = await add_organization(urls, "ours"), await add_organization(urls, "theirs")
    user = await add_person(urls, ours, "alice")
    await add_person(urls, theirs, "bob")
    async with connected(urls.api) as api:
        await api.execute(begin(ours, user))
        assert [str(row["id"]) for row in await api.fetch("SELECT id FROM app.organizations")] == [ours]
        assert [str(row["id"]) for row in await api.fetch("SELECT id FROM app.users")] == [user]
        await api.execute("COMMIT; SELECT app.assert_clean()")


async def test_the_context_lasts_for_its_transaction_alone(urls: Any) -> None:
    organization, user = str(uuid.uuid4()), str(uuid.uuid4())
    async with connected(urls.api) as api:
        await api.execute(begin(organization, user, "app_admin", request_id="req-7", timeout_ms=1234))
        row = await api.fetchrow(
            "SELECT current_user::text AS who, app.organization_id() AS organization, app.user_id() AS user_, app.actor_id() AS actor,"
            " current_setting('app.request_id') AS request, current_setting('statement_timeout') AS timeout"
        )
        assert (row["who"], str(row["organization"]), str(row["user_"])) == ("app_admin", organization, user)
        assert (str(row["actor"]), row["request"], row["timeout"]) == (user, "req-7", "1234ms")
        await api.execute("COMMIT; SELECT app.assert_clean()")
        assert await api.fetchval("SELECT current_user::text") == "minutebook_api"
        assert await api.fetchval("SELECT coalesce(current_setting('app.organization_id', true), '')") == ""


async def test_the_context_is_gone_after_an_error_too(urls: Any) -> None:
    async with connected(urls.api) as api:
        await api.execute(begin(str(uuid.uuid4()), str(uuid.uuid4())))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await api.execute("SELECT 1/0")
        await api.execute("ROLLBACK")
        await api.execute(CLEAN)


async def test_what_is_left_on_a_connection_is_found(urls: Any) -> None:
    for leftover in (
        "SET ROLE app_member",
        "SET app.organization_id = '1'",
        "SET app.user_id = '1'",
        "SET app.actor_id = '1'",
    ):
        async with connected(urls.api) as api:
            await api.execute(CLEAN)
            await api.execute(leftover)
            with pytest.raises(asyncpg.InvalidTransactionStateError):
                await api.execute(CLEAN)


async def test_a_login_takes_on_its_own_roles_only(urls: Any) -> None:
    organization, user = str(uuid.uuid4()), str(uuid.uuid4())
    refused = [
        (urls.api, role) for role in ("app_service", "app_definer", "minutebook_owner", "none", "minutebook_api")
    ]
    refused += [(urls.ingest, "app_admin"), (urls.ingest, "none"), (urls.operator, "app_admin")]
    for url, role in refused:
        async with connected(url) as login:
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
                await login.execute(begin(organization, user, role))


async def test_only_uuids_become_a_context(urls: Any) -> None:
    good = str(uuid.uuid4())
    for organization, user in (("x", good), (good, "x"), ("", good), ("''; RESET ROLE; --", good)):
        async with connected(urls.api) as api:
            with pytest.raises((asyncpg.DataError, asyncpg.PostgresSyntaxError)):
                await api.execute(begin(organization, user))
            await api.execute("ROLLBACK")
            await api.execute(CLEAN)


async def test_without_a_context_nothing_is_visible_and_functions_refuse(urls: Any) -> None:
    await add_person(urls, await add_organization(urls, "ours"), "alice")
    async with connected(urls.api) as api:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.fetch("SELECT id FROM app.users")
        await api.execute("BEGIN; SET LOCAL ROLE app_admin")
        assert await api.fetch("SELECT id FROM app.users") == []
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no organization"):
            await api.fetch("SELECT * FROM app.usage_activity(NULL, NULL, 10)")


# ── who comes in ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_unknown_person_and_a_foreign_organization_are_the_same_nothing(urls: Any) -> None:
    ours, theirs = await add_organization(urls, "ours"), await add_organization(urls, "theirs")
    await add_person(urls, ours, "alice")
    for row in (
        ("mallory", None),
        ("alice", "theirs"),
        ("alice", theirs),
        ("alice", "nowhere"),
        ("alice", str(uuid.uuid4())),
    ):
        assert await authenticate(urls, *row) == []
    assert await authenticate(urls, "alice", issuer="https://other.test") == []


async def test_a_person_is_found_by_slug_and_by_id_and_alone_without_either(urls: Any) -> None:
    ours = await add_organization(urls, "ours")
    user = await add_person(urls, ours, "alice", "ADMIN")
    for organization in ("ours", ours, ours.upper(), None, ""):
        assert await authenticate(urls, "alice", organization) == [(ours, user, "ADMIN")]


async def test_a_person_of_two_organizations_gets_both_until_one_is_chosen(urls: Any) -> None:
    first, second = await add_organization(urls, "first"), await add_organization(urls, "second")
    one, two = await add_person(urls, first, "alice"), await add_person(urls, second, "alice", "AUDITOR")
    assert await authenticate(urls, "alice") == [(first, one, "MEMBER"), (second, two, "AUDITOR")]
    assert await authenticate(urls, "alice", "second") == [(second, two, "AUDITOR")]


async def test_an_erased_person_is_nobody(urls: Any) -> None:
    await add_person(urls, await add_organization(urls, "ours"), "alice")
    async with connected(urls.operator) as operator:
        await operator.execute("UPDATE app.users SET erased_at = now()")
    assert await authenticate(urls, "alice") == []


async def test_a_service_resolves_the_organization_that_its_token_names(urls: Any) -> None:
    ours = await add_organization(urls, "ours")
    async with connected(urls.ingest) as ingest:
        for name, found in (("ours", ours), (ours, ours), ("theirs", None)):
            row = await ingest.fetchrow("SELECT * FROM app.authenticate_service($1)", name)
            assert (str(row["organization_id"]) if row else None) == found
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ingest.fetch("SELECT * FROM app.authenticate('', '', '')")


async def my_organizations(url: str, organization: str, user: str, role: str) -> list[Any]:
    async with connected(url) as login:
        await login.execute(begin(organization, user, role))
        return [(row["slug"], row["role"]) for row in await login.fetch("SELECT * FROM app.my_organizations()")]


async def test_a_person_sees_its_own_organizations_and_nobody_elses(urls: Any) -> None:
    first, second = await add_organization(urls, "first"), await add_organization(urls, "second")
    third = await add_organization(urls, "third")
    user = await add_person(urls, first, "alice")
    await add_person(urls, second, "alice", "ADMIN")
    await add_person(urls, third, "alice", issuer="https://other.test")
    stranger = await add_person(urls, third, "bob")
    assert await my_organizations(urls.api, first, user, "app_member") == [("first", "MEMBER"), ("second", "ADMIN")]
    assert await my_organizations(urls.api, third, stranger, "app_member") == [("third", "MEMBER")]
    # A context that pairs a user with another organization finds nobody.
    assert await my_organizations(urls.api, second, user, "app_member") == []


async def test_a_service_has_one_organization(urls: Any) -> None:
    await add_organization(urls, "other")
    assert await my_organizations(urls.ingest, await add_organization(urls, "ours"), "", "app_service") == [
        ("ours", "SERVICE")
    ]


async def test_definer_functions_are_closed_to_the_public_and_pin_their_search_path(urls: Any) -> None:
    async with connected(urls.operator) as operator:
        rows = await operator.fetch(
            "SELECT p.proname::text AS name, p.proconfig, r.rolname::text AS owner,"
            " EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0) AS is_public"
            " FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner"
            " WHERE p.pronamespace = 'app'::regnamespace AND p.prosecdef"
        )
    assert len(rows) >= 9
    assert [row["name"] for row in rows if row["is_public"] or 'search_path=""' not in (row["proconfig"] or [])] == []
    owners = {row["name"]: row["owner"] for row in rows}
    assert {name for name, owner in owners.items() if owner == "minutebook_owner"} == {
        "analyze_tables",
        "ensure_partitions",
    }
    assert set(owners.values()) == {"app_definer", "app_finder", "minutebook_owner"}
