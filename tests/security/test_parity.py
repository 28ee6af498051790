"""What a caller may read, three times: the oracle on a dump, a login under RLS alone, the API with and without RLS."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)

from api.registry import SOURCES
from api.schema import build_schema
from db.policies import POLICIES
from tests.databases import superuser
from tests.security import faults, oracle
from tests.security.conftest import House
from tests.security.fields import AT_THE_ROOT, FIELDS, UNREACHED
from tests.security.looking import Database, acting, logins
from tests.security.parity import api_differences, column_differences, field_differences, raw_differences
from tests.security.people import NORTH, PRINCIPALS, Principal, principal
from tests.security.roots import ROOTS, leaf_differences, root_differences
from tests.security.routes import TYPES
from tests.security.views import Many, One, Route

each_principal = pytest.mark.parametrize("who", PRINCIPALS, ids=str)
# Reached through tests of their own: the field `sources`, proofs (tests/api/test_audit_proof.py) and what the root answers.
ELSEWHERE = {
    "Message.sources",
    "Query.auditProof",
    "Query.node",
    "Query.nodes",
    *(f"Query.{name}" for name in ROOTS),
}


# ── nothing is left out ──────────────────────────────────────────────────────────────────────────────────────────────
def test_every_table_of_the_matrix_has_a_line_in_the_oracle() -> None:
    assert set(oracle.READS) == set(POLICIES)
    assert set().union(*oracle.WRITES.values()) <= set(POLICIES)


def test_every_table_of_the_matrix_is_on_the_wire_or_said_not_to_be() -> None:
    reached = {route.table for route in TYPES.values()} | set(FIELDS) | AT_THE_ROOT
    assert set(POLICIES) - reached - UNREACHED == set()
    assert reached & UNREACHED == set()


def test_every_row_of_the_matrix_has_rows_on_both_sides_of_the_wall(dump_sizes: dict[str, list[int]]) -> None:
    assert {table: sizes for table, sizes in dump_sizes.items() if min(sizes) == 0} == {}


@pytest.fixture
async def dump_sizes(house: House) -> dict[str, list[int]]:
    found = await house.dump()
    organizations = [row["id"] for row in found["organizations"]]
    return {
        table: [sum(row.get("organization_id", row.get("id", None)) == each for row in rows) for each in organizations]
        for table, rows in found.items()
    }


def test_every_type_list_and_edge_of_the_schema_has_a_route() -> None:
    schema = build_schema()
    assert set(TYPES) == set(SOURCES)
    listed = {f"Query.{listed.text.partition('(')[0]}" for route in TYPES.values() for listed in route.lists}
    edges = {
        f"{name}.{edge.text.partition('{')[0].partition('(')[0].removesuffix('%s')}"
        for name, route in TYPES.items()
        for edge in _edges(route)
    }
    known = (
        listed
        | edges
        | ELSEWHERE
        | {f"{field.type_name}.{field.text}" for fields in FIELDS.values() for field in fields}
    )
    assert _ways_to_nodes(schema) - known == set()


def _edges(route: Route) -> list[One | Many]:
    return [*route.ones, *route.manys]


def _ways_to_nodes(schema: GraphQLSchema) -> set[str]:
    """Fields of Query and of nodes that lead to a node, at once or through types that are none."""
    found = set()
    for owner in ("Query", *TYPES):
        named = schema.type_map[owner]
        assert isinstance(named, GraphQLObjectType)
        found |= {
            f"{owner}.{name}" for name, field in named.fields.items() if _leads(get_named_type(field.type), frozenset())
        }
    return found


def _leads(named: object, seen: frozenset[str]) -> bool:
    if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
        return True
    if not isinstance(named, GraphQLObjectType) or named.name in seen:
        return False
    if named.name in TYPES:
        return True
    return any(_leads(get_named_type(field.type), seen | {named.name}) for field in named.fields.values())


# ── under row-level security alone ───────────────────────────────────────────────────────────────────────────────────
@each_principal
async def test_without_the_mirror_a_login_reads_what_the_oracle_says(house: House, who: Principal) -> None:
    async with logins(house.urls) as connections:
        connection = connections[who.user_id is None]
        assert await raw_differences(connection, await house.dump(), who, POLICIES) == []
        assert await column_differences(connection, who) == []


@each_principal
async def test_no_role_selects_a_secret(house: House, who: Principal) -> None:
    async with logins(house.urls) as connections:
        for column in oracle.SEALED:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with acting(connections[who.user_id is None], who) as connection:
                    await connection.fetch(f"SELECT {column} FROM app.user_provider_keys")


async def test_the_owner_of_the_tables_reads_none_of_them(house: House) -> None:
    connection = await asyncpg.connect(house.urls.migrator)
    try:
        assert await rows_of_the_owner(connection) == {}
    finally:
        await connection.close()


async def rows_of_the_owner(connection: Database) -> dict[str, int]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SET LOCAL ROLE minutebook_owner")
        counts = {table: await connection.fetchval(f"SELECT count(*) FROM app.{table}") for table in POLICIES}
    finally:
        await transaction.rollback()
    return {table: count for table, count in counts.items() if count}


# ── through the API ──────────────────────────────────────────────────────────────────────────────────────────────────
@each_principal
async def test_the_api_shows_what_the_oracle_says(house: House, who: Principal) -> None:
    dump = await house.dump()
    assert await api_differences(house.client, dump, who, sizes=(1, 2, 100)) == []
    assert await root_differences(house.client, dump, who) == []
    assert await leaf_differences(house.client, dump, who) == []


@each_principal
async def test_the_mirror_stands_when_row_level_security_does_not(bare: House, who: Principal) -> None:
    dump = await bare.dump()
    assert await api_differences(bare.client, dump, who) == []
    assert await root_differences(bare.client, dump, who) == []
    assert await leaf_differences(bare.client, dump, who) == []
    assert await field_differences(bare.client, dump, who) == []


@each_principal
async def test_what_stands_beside_a_row_is_shown_as_the_oracle_says(house: House, who: Principal) -> None:
    assert await field_differences(house.client, await house.dump(), who) == []


# ── planted faults ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def spoiled(house: House) -> AsyncIterator[Database]:
    """A superuser inside a transaction that is undone: what it breaks there, it alone sees."""
    async with superuser(house.urls) as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield connection
        await transaction.rollback()


@pytest.mark.parametrize(
    ("fault", "name"), [fault[1:] for fault in faults.ROW_FAULTS], ids=[fault[0] for fault in faults.ROW_FAULTS]
)
async def test_a_fault_planted_in_the_policies_is_found(house: House, spoiled: Database, fault: str, name: str) -> None:
    dump, who = await house.dump(), principal(NORTH, name)
    assert await raw_differences(spoiled, dump, who, POLICIES) == []
    await spoiled.execute(fault)
    assert await raw_differences(spoiled, dump, who, POLICIES) != []


@pytest.mark.parametrize(
    ("fault", "name"), [fault[1:] for fault in faults.COLUMN_FAULTS], ids=[fault[0] for fault in faults.COLUMN_FAULTS]
)
async def test_a_fault_planted_in_the_grants_of_columns_is_found(spoiled: Database, fault: str, name: str) -> None:
    who = principal(NORTH, name)
    assert await column_differences(spoiled, who) == []
    await spoiled.execute(fault)
    assert await column_differences(spoiled, who) != []


async def test_an_owner_who_is_not_forced_is_found(spoiled: Database) -> None:
    assert await rows_of_the_owner(spoiled) == {}
    await spoiled.execute("ALTER TABLE app.ai_messages NO FORCE ROW LEVEL SECURITY")
    assert set(await rows_of_the_owner(spoiled)) == {"ai_messages"}


@pytest.mark.parametrize(
    ("patch", "is_bare", "name", "types"),
    [fault[1:] for fault in faults.API_FAULTS],
    ids=[fault[0] for fault in faults.API_FAULTS],
)
async def test_a_fault_planted_in_the_api_is_found(
    house: House,
    bare: House,
    patch: faults.Patch,
    is_bare: bool,
    name: str,
    types: tuple[str, ...],
) -> None:
    place, who = bare if is_bare else house, principal(NORTH, name)
    dump = await place.dump()
    with faults.planted(patch):
        assert await api_differences(place.client, dump, who, types, sizes=(2, 100)) != []
    assert await api_differences(place.client, dump, who, types, sizes=(2, 100)) == []
