"""The printed schema says who may read and change what: as the oracle, PostgreSQL and the API have it, for every role."""

from collections.abc import AsyncIterator

import pytest
from graphql import build_schema as parsed
from graphql import specified_directives

from api import permissions
from api.node import global_id
from api.schema import build_schema, schema_text
from tests.databases import superuser
from tests.security import faults
from tests.security.conftest import House
from tests.security.directives import answer_differences, database_differences, oracle_differences, unsaid
from tests.security.looking import Database
from tests.security.people import NORTH, PRINCIPALS, Principal, principal

TEXT = schema_text(build_schema())
NORTHERN = [who for who in PRINCIPALS if who.slug == NORTH]
ALL = "MEMBER, OBSERVER, ADMIN, AUDITOR, SERVICE"
STAFF = "@readable(organization: [ADMIN, AUDITOR])"


@pytest.fixture
async def spoiled(house: House) -> AsyncIterator[Database]:
    """A superuser inside a transaction that is undone: what it breaks there, it alone sees."""
    async with superuser(house.urls) as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


async def an_event(house: House) -> str:
    dump = await house.dump()
    organization = principal(NORTH, "dave").organization_id
    return next(
        global_id("AuditEvent", row["id"]) for row in dump["audit_events"] if row["organization_id"] == organization
    )


# ── nothing is left out ──────────────────────────────────────────────────────────────────────────────────────────────
def test_every_type_of_a_table_every_root_field_and_every_change_says_whose_it_is() -> None:
    assert unsaid(TEXT) == []


def test_a_type_or_field_that_says_nothing_is_found() -> None:
    for element in ("type Pattern implements Node ", "  cacheStats: CacheStats "):
        assert element + "@readable" in TEXT
        at = TEXT.index(element) + len(element)
        assert len(unsaid(TEXT[:at] + TEXT[TEXT.index(")", at) + 1 :])) == 1
    assert len(unsaid(TEXT.replace(" @changeable(organization: [ADMIN, SERVICE])", ""))) == 1


# ── as it is ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_text_says_what_the_oracle_does_for_every_type_field_change_and_role() -> None:
    assert oracle_differences(TEXT) == []


async def test_the_text_says_what_policies_and_grants_do_for_every_type_and_role(spoiled: Database) -> None:
    assert await database_differences(TEXT, spoiled) == []


@pytest.mark.parametrize("who", NORTHERN, ids=str)
async def test_the_api_refuses_at_the_root_whom_the_text_does_not_name(house: House, who: Principal) -> None:
    assert await answer_differences(TEXT, house.client, who, await an_event(house)) == []


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────────────────────
TEXT_FAULTS = {
    "addresses for auditors": (
        "ipAddress: IPAddress @readable(organization: [ADMIN])",
        f"ipAddress: IPAddress {STAFF}",
    ),
    "payloads as readable as their call": ("request: JSON @readable(organization: [ADMIN, SERVICE])", "request: JSON"),
    "conversations for the organization": (
        "type Conversation implements Node @readable(own: [MEMBER, ADMIN], organization: [SERVICE])",
        "type Conversation implements Node @readable(organization: [MEMBER, ADMIN, SERVICE])",
    ),
    "budgets of people for observers": ("@readable(shared: [OBSERVER], ownAndShared: [MEMBER]", "@readable(ownAndShared: [OBSERVER, MEMBER]"),
    "the cache for everybody": (f"cacheStats: CacheStats {STAFF}", f"cacheStats: CacheStats @readable(organization: [{ALL}])"),
    "limits by members": (
        "SetBudgetLimitPayload! @changeable(organization: [ADMIN])",
        "SetBudgetLimitPayload! @changeable(organization: [ADMIN], own: [MEMBER])",
    ),
    "conversations begun by services": (
        "CreateConversationPayload! @changeable(own: [MEMBER, ADMIN])",
        "CreateConversationPayload! @changeable(own: [MEMBER, ADMIN], organization: [SERVICE])",
    ),
    "a field of which nothing is known": ("errorCode: String\n", f"errorCode: String {STAFF}\n"),
}  # fmt: skip


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_a_fault_planted_in_the_text_is_found(fault: str) -> None:
    true, false = TEXT_FAULTS[fault]
    assert true in TEXT
    assert oracle_differences(TEXT.replace(true, false)) != []


async def test_a_fault_planted_in_the_text_is_found_by_asking(house: House) -> None:
    event = await an_event(house)
    wide = TEXT.replace(f"cacheStats: CacheStats {STAFF}", f"cacheStats: CacheStats @readable(organization: [{ALL}])")
    assert await answer_differences(wide, house.client, principal(NORTH, "ana"), event) != []
    narrow = TEXT.replace(f"cacheStats: CacheStats {STAFF}", "cacheStats: CacheStats @readable(organization: [ADMIN])")
    assert await answer_differences(narrow, house.client, principal(NORTH, "dave"), event) != []


def test_a_fault_planted_in_what_the_text_is_made_of_is_found() -> None:
    with faults.planted(faults.everybody_is_an_admin):
        assert oracle_differences(schema_text(build_schema())) != []
    assert schema_text(build_schema()) == TEXT


@pytest.mark.parametrize(
    "fault",
    [
        faults.widened("ai_messages", "member", faults.HERE),
        faults.widened("usage_budgets", "observer", f"{faults.HERE} AND {faults.SELF.replace('user_id =', 'subject_id =', 1)}"),
        "DROP POLICY ai_patterns_select_auditor ON app.ai_patterns",
        "REVOKE SELECT ON app.projects FROM app_observer; GRANT SELECT (id) ON app.projects TO app_observer",
        "GRANT SELECT ON app.ai_cache TO app_service",
    ],
)  # fmt: skip
async def test_a_fault_planted_in_the_database_is_found(spoiled: Database, fault: str) -> None:
    await spoiled.execute(fault)
    assert len(await database_differences(TEXT, spoiled)) == 1


# ── text alone ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_executable_schema_and_its_introspection_do_not_know_them() -> None:
    schema = build_schema()
    schema_text(schema)
    for each in (schema, build_schema()):
        assert {directive.name for directive in each.directives} == {
            "idempotent",
            *(directive.name for directive in specified_directives),
        }


def test_the_text_is_a_schema_and_is_the_same_however_often_it_is_printed() -> None:
    schema = build_schema()
    assert schema_text(schema) == schema_text(schema) == TEXT
    assert {"readable", "changeable"} <= {directive.name for directive in parsed(TEXT).directives}


def test_a_scope_without_a_word_is_an_error_not_an_omission() -> None:
    from db import models

    with pytest.raises(ValueError, match="not in tuple"):
        permissions.readers(models.table(models.IdempotencyKey))
