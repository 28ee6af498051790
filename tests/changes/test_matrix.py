"""Every mutation by every role on own, a colleague's, foreign and invented rows: as tests/changes/rights.py says."""

from dataclasses import dataclass

import pytest
from graphql import GraphQLObjectType

from api.schema import build_schema
from tests.changes.changing import Hashes, asked, changes, hashes, run
from tests.changes.house import House
from tests.changes.rights import CASES, COLLEAGUE, DONE, FOREIGN, INVENTED, OWN, Case, Side
from tests.client import Answer
from tests.security.people import NORTH, PRINCIPALS, Principal

CHAIN = {"audit_events", "audit_payloads", "audit_heads"}
CALLERS = [who for who in PRINCIPALS if who.slug == NORTH and who.name != "ben"]  # Ben is everybody's colleague


def mutations() -> list[str]:
    """The fields of the schema's Mutation type, by introspection."""
    kind = build_schema().mutation_type
    assert isinstance(kind, GraphQLObjectType)
    return sorted(kind.fields)


# ── the list is whole ────────────────────────────────────────────────────────────────────────────────────────────────
def test_every_mutation_has_a_case() -> None:
    missing = set(mutations()) - CASES.keys()
    assert not missing, f"tests/changes/rights.py has no case for: {', '.join(sorted(missing))}"


def test_every_case_is_about_a_mutation() -> None:
    gone = CASES.keys() - set(mutations())
    assert not gone, f"tests/changes/rights.py has cases for what is no mutation: {', '.join(sorted(gone))}"


def test_every_role_is_a_caller() -> None:
    assert {who.role.value for who in CALLERS} == {"MEMBER", "OBSERVER", "ADMIN", "AUDITOR", "SERVICE"}


# ── each cell ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("mutation", mutations())
async def test_a_mutation_does_what_the_matrix_allows_and_nothing_else(house: House, mutation: str) -> None:
    case, world = CASES[mutation], World(house, await hashes(house))
    wrong = [line for who in CALLERS for line in await _differences(world, case, mutation, who)]
    assert wrong == []


@dataclass
class World:
    """A house, and its rows as they were when last looked at."""

    house: House
    seen: Hashes

    async def ask(self, who: Principal, case: Case, mutation: str, side: Side) -> Answer:
        return await asked(self.house.client, who, mutation, "", case.given(who, case.row(who, side)))

    async def prepare(self, sql: str) -> None:
        if sql:
            await run(self.house, sql)
            self.seen = await hashes(self.house)

    async def changed(self, *, but: str | None = None) -> set[str]:
        """The tables that changed since, with those of one organization left out; it goes on from here."""
        before, self.seen = self.seen, await hashes(self.house)
        if but is not None and (elsewhere := changes(before, self.seen, but=but)):
            return {f"{table} of the other organization" for table in elsewhere}
        return changes(before, self.seen)


async def _differences(world: World, case: Case, mutation: str, who: Principal) -> list[str]:
    """What is not as the oracle says: refusals first, on a world that they must leave as it is."""
    due = {side: case.due(who, side) for side in case.sides(who)}
    await world.prepare(case.before)
    wrong, answers = await _refused(world, case, mutation, who, due)
    hidden = [side for side in (COLLEAGUE, FOREIGN, INVENTED) if due.get(side) == "NOT_FOUND"]
    alike = hidden if who.role in case.may else list(answers)  # who has no such right hears the same about every id
    if len({answers[side].raw for side in alike}) > 1:
        wrong.append(f"{who}: {mutation} tells {' from '.join(alike)} rows")
    for side in [side for side, code in due.items() if code == DONE]:
        await world.prepare(case.before)
        wrong += await _done(world, case, mutation, who, side)
    return wrong


async def _refused(
    world: World, case: Case, mutation: str, who: Principal, due: dict[Side, str]
) -> tuple[list[str], dict[Side, Answer]]:
    wrong, answers = [], {}
    for side, code in due.items():
        if code == DONE:
            continue
        answers[side] = await world.ask(who, case, mutation, side)
        seen = _outcome(answers[side], mutation)
        codes = [each for each, _ in seen]
        if codes != [code] or (code == "NOT_FOUND" and seen != [(code, list(case.path))]):
            wrong.append(f"{who}: {mutation} on {side} row gave {seen or DONE} instead of {code}")
    if answers and (tables := await world.changed()):
        wrong.append(f"{who}: {mutation} was refused, and changed {', '.join(sorted(tables))}")
    return wrong, answers


async def _done(world: World, case: Case, mutation: str, who: Principal, side: Side) -> list[str]:
    if seen := _outcome(await world.ask(who, case, mutation, side), mutation):
        return [f"{who}: {mutation} on {side} row was refused: {seen}"]
    tables = await world.changed(but=who.organization_id)
    if not {"audit_events", "audit_heads"} <= tables:
        return [f"{who}: {mutation} on {side} row is not on record: {sorted(tables)}"]
    return [] if tables - CHAIN else [f"{who}: {mutation} on {side} row changed nothing"]


def _outcome(answer: Answer, mutation: str) -> list[tuple[str, list[str] | None]]:
    """Codes and paths of the refusals; none when it was done. What failed the request is a refusal of no use."""
    if answer.errors:
        return [(f"errors: {code}", None) for code in answer.codes]
    return [(error["code"], error["field"]) for error in answer.data[mutation]["userErrors"]]


# ── the oracle itself ────────────────────────────────────────────────────────────────────────────────────────────────
def test_nobody_may_change_anything_across_the_wall() -> None:
    for name, case in CASES.items():
        for sides in case.may.values():
            assert not {FOREIGN, INVENTED} & sides, name
        for who in CALLERS:
            assert case.due(who, FOREIGN) == case.due(who, INVENTED) != DONE, name


def test_an_admin_may_on_its_own_rows_whatever_a_member_may() -> None:
    for name, case in CASES.items():
        by_role = {who.role.value: case.due(who, OWN) for who in CALLERS}
        assert by_role["MEMBER"] != DONE or by_role["ADMIN"] == DONE, name


def test_the_rows_of_both_sides_are_different_ones() -> None:
    callers = [who for who in CALLERS if who.name != "wanda"]  # one user in two organizations
    for name, case in CASES.items():
        for who in callers if case.target is not None else ():
            rows = [case.row(who, side) for side in case.sides(who)]
            assert len(set(rows)) == len(rows), (name, str(who))
