"""How much may be used is the admin's to say; how much was used is nobody's."""

import asyncio
from typing import Any

import pytest

from api.node import global_id
from tests.changes.changing import (
    ANA,
    CAROL,
    DAVE,
    OLGA,
    SERVICE,
    asked,
    change,
    events,
    hashes,
    head,
    invented,
    is_whole,
    refused_alike,
    rows,
    run,
)
from tests.changes.house import House
from tests.security.looking import Row
from tests.security.people import NORTH, SOUTH, uid, user_id

BUDGET = "budget { id limit used reserved remaining metric window subject { __typename } }"
COST = {"metric": "COST", "window": "MONTH"}
BEN = global_id("User", user_id(NORTH, "ben"))
HERE = global_id("Organization", uid(NORTH))
MANY = str(2**63 - 1)


async def budget(house: House, subject: str, metric: str = "COST", window: str = "MONTH") -> Row:
    sql = "SELECT * FROM app.usage_budgets WHERE organization_id = $1 AND subject_id = $2 AND metric = $3 AND budget_window = $4"
    [found] = await rows(house, sql, uid(NORTH), subject, metric, window)
    return found


# ── whose ────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_budgets_of_another_organization_and_of_its_people_are_not_found(house: House) -> None:
    south = [global_id("Organization", uid(SOUTH)), global_id("User", user_id(SOUTH, "ben"))]
    ids = [*south, invented("Organization"), invented("User")]
    given = [{**COST, "subjectId": id_, "limit": "5"} for id_ in ids]
    found = await refused_alike(house, CAROL, "setBudgetLimit", BUDGET, *given)
    assert found.refusals == [("NOT_FOUND", ["subjectId"])]
    assert found["budget"] is None


async def test_only_an_admin_sets_limits(house: House) -> None:
    ids = [
        HERE,
        BEN,
        global_id("User", user_id(NORTH, "ana")),
        global_id("User", user_id(SOUTH, "ana")),
        invented("User"),
    ]
    given = [{**COST, "subjectId": id_, "limit": "5"} for id_ in ids]
    for who in (ANA, OLGA, DAVE, SERVICE):
        found = await refused_alike(house, who, "setBudgetLimit", BUDGET, *given)
        assert (str(who), found.refusals) == (str(who), [("FORBIDDEN", None)])


async def test_an_organization_is_no_person_nor_a_person_an_organization(house: House) -> None:
    ids = [global_id("User", uid(NORTH)), global_id("Organization", user_id(NORTH, "ben")), invented("User")]
    given = [{**COST, "subjectId": id_, "limit": "5"} for id_ in ids]
    assert (await refused_alike(house, CAROL, "setBudgetLimit", BUDGET, *given)).refusals == [
        ("NOT_FOUND", ["subjectId"])
    ]


# ── how much ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("subject", "kind"), [(HERE, "Organization"), (BEN, "User")])
async def test_a_limit_is_set_for_one_metric_and_window_with_one_event(house: House, subject: str, kind: str) -> None:
    others = "SELECT * FROM app.usage_budgets WHERE id <> $1 ORDER BY id"
    database_id = uid(NORTH) if kind == "Organization" else user_id(NORTH, "ben")
    before = await budget(house, database_id)
    rest, since = await rows(house, others, before["id"]), await head(house)
    done = await change(house, CAROL, "setBudgetLimit", BUDGET, subjectId=subject, limit="5000000", **COST)
    assert done.refusals == []
    assert (done["budget"]["limit"], done["budget"]["subject"]["__typename"]) == ("5000000", kind)
    after = await budget(house, database_id)
    assert {name for name in after if after[name] != before[name]} == {"limit_value", "updated_at"}
    assert await rows(house, others, before["id"]) == rest
    [event] = await events(house, since)
    assert event == {
        "action": "budget.limit_set", "actor_id": CAROL.user_id, "actor_role": "ADMIN",
        "target_type": "UsageBudget", "target_id": before["id"],
        "details": {
            "subject_id": database_id, "metric": "COST", "budget_window": "MONTH", "changed": ["limit_value"],
            "old": {"limit_value": None}, "new": {"limit_value": 5_000_000},
        },
    }  # fmt: skip
    assert await is_whole(house)


async def test_unlimited_removes_the_limit(house: House) -> None:
    given = {"subjectId": HERE, "metric": "TOKENS", "window": "MONTH"}
    assert (await budget(house, uid(NORTH), "TOKENS"))["limit_value"] == 100_000
    done = await change(house, CAROL, "setBudgetLimit", BUDGET, unlimited=True, **given)
    assert (done["budget"]["limit"], done["budget"]["remaining"]) == (None, None)
    assert (await budget(house, uid(NORTH), "TOKENS"))["limit_value"] is None
    same = await hashes(house)
    await change(house, CAROL, "setBudgetLimit", BUDGET, unlimited=True, limit=None, **given)
    assert await hashes(house) == same


async def test_a_limit_is_anything_from_nothing_at_all_to_the_largest_number(house: House) -> None:
    await run(house, "UPDATE app.usage_budgets SET used = 5, reserved = 1 WHERE subject_id = $1", user_id(NORTH, "ben"))
    for limit in ("0", MANY, 7):
        done = await change(house, CAROL, "setBudgetLimit", BUDGET, subjectId=BEN, limit=limit, **COST)
        assert (done["budget"]["limit"], done["budget"]["used"], done["budget"]["reserved"]) == (str(limit), "5", "1")
        assert done["budget"]["remaining"] == str(max(0, int(limit) - 6))


async def test_both_neither_or_less_than_nothing_is_invalid(house: House) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "limit"),
        ({"unlimited": False}, "limit"),
        ({"unlimited": None, "limit": None}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "-1", "unlimited": False}, "limit"),
        ({"limit": "5", "unlimited": True}, "unlimited"),
        ({"limit": "0", "unlimited": True}, "unlimited"),
    ]
    for given, path in bad:
        found = await refused_alike(house, CAROL, "setBudgetLimit", BUDGET, {"subjectId": HERE, **COST, **given})
        assert (given, found.refusals) == (given, [("INVALID", [path])])


async def test_what_is_no_subject_number_or_metric_is_bad_input(house: House) -> None:
    before = await hashes(house)
    for given, argument in (
        ({"subjectId": global_id("Project", uid(NORTH, "project", "kitchen"))}, "subjectId"),
        ({"subjectId": uid(NORTH)}, "subjectId"),
        ({"limit": str(2**63)}, "$input.limit"),
        ({"metric": "JOULES"}, "$input.metric"),
    ):
        whole = {"subjectId": HERE, "limit": "5", **COST, **given}
        answer = await asked(house.client, CAROL, "setBudgetLimit", BUDGET, whole)
        assert (answer.codes, answer.errors[0]["extensions"]["argument"]) == (["BAD_USER_INPUT"], argument)
    assert await hashes(house) == before


async def test_limits_set_at_once_follow_each_other_on_the_record(house: House) -> None:
    since = await head(house)
    await asyncio.gather(
        *(change(house, CAROL, "setBudgetLimit", subjectId=BEN, limit=str(limit), **COST) for limit in range(1, 13))
    )
    details = [event["details"] for event in await events(house, since)]
    assert len(details) == 12
    assert [each["old"] for each in details[1:]] == [each["new"] for each in details[:-1]]
    assert (await budget(house, user_id(NORTH, "ben")))["limit_value"] == details[-1]["new"]["limit_value"]
    assert await is_whole(house)
