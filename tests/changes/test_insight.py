"""Putting insights aside, many at once, each by itself."""

import asyncio
import uuid
from typing import Any

import pytest

from api.node import global_id
from tests.changes.house import House, gid, hidden, refusals
from tests.databases import superuser
from tests.security.people import AT, NORTH, uid, user_id
from tests.security.worlds import put
from tests.stories.story import shapes

OPEN, GENERAL, EXPIRED, FADING, DISMISSED = (
    gid("Insight", "insight", name) for name in ("open", "general", "expired", "fading", "dismissed")
)
STATE = "insights{id isDismissed dismissedAt dismissedBy{displayName}}"
BOTH = pytest.mark.parametrize("field", ["dismissInsights", "restoreInsights"])


def ids_of(payload: dict[str, Any]) -> list[str]:
    return [node["id"] for node in payload["insights"]]


async def many(house: House, count: int) -> list[str]:
    """The global ids of so many new insights."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    async with superuser(house.urls) as connection:
        for each in ids:
            row = {"organization_id": uid(NORTH), "id": each, "project_id": None, "created_at": AT}
            await put(connection, "ai_insights", row)
    return [global_id("Insight", each) for each in ids]


@BOTH
async def test_a_foreign_insight_is_refused_like_an_invented_one_and_spoils_no_other(house: House, field: str) -> None:
    lists = [[OPEN, DISMISSED, each, GENERAL] for each in hidden("Insight", "insight", "open")]
    answers = [await house.change(field, {"ids": ids}, "insights{id isDismissed}") for ids in lists]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("NOT_FOUND", ["ids", "2"])]
    assert answers[0].data[field]["insights"] == [
        {"id": each, "isDismissed": field == "dismissInsights"} for each in (OPEN, DISMISSED, GENERAL)
    ]


@BOTH
async def test_observers_auditors_and_services_put_nothing_aside(house: House, field: str) -> None:
    ids = [OPEN, *hidden("Insight", "insight", "open")]
    people = ["olga.north", "dave.north", "service:north"]
    async with house.untouched():
        answers = [await house.change(field, {"ids": [id_]}, "insights{id}", who) for id_ in ids for who in people]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("FORBIDDEN", None)]
    assert answers[0].data[field]["insights"] == []


@BOTH
async def test_lists_that_are_too_long_or_hold_something_else_change_nothing(house: House, field: str) -> None:
    message = gid("Message", "answer", "ana", "live")
    for ids, argument in (([OPEN] * 101, "ids"), ([OPEN, message], "ids.1"), (["x"], "ids.0")):
        async with house.untouched():
            answer = await house.change(field, {"ids": ids}, "insights{id}")
        assert (answer.body["data"], answer.codes) == (None, ["BAD_USER_INPUT"])
        assert answer.errors[0]["extensions"]["argument"] == argument


@BOTH
async def test_nothing_asked_is_nothing_done(house: House, field: str) -> None:
    async with house.untouched():
        answer = await house.change(field, {"ids": []}, "insights{id}")
    assert answer.data[field] == {"insights": [], "userErrors": []}


async def test_the_payload_keeps_the_asked_order_and_names_each_once(house: House) -> None:
    asked = [FADING, OPEN, EXPIRED, OPEN, GENERAL, FADING]
    answer = await house.change("dismissInsights", {"ids": asked}, STATE)
    assert ids_of(answer.data["dismissInsights"]) == [FADING, OPEN, EXPIRED, GENERAL]
    assert {node["dismissedBy"]["displayName"] for node in answer.data["dismissInsights"]["insights"]} == {"ana"}
    assert [event[:2] for event in await house.events()] == [
        ("insight.dismissed", uid(NORTH, "insight", name)) for name in ("fading", "open", "expired", "general")
    ]


async def test_the_first_dismisser_stays(house: House) -> None:
    first = await house.change("dismissInsights", {"ids": [OPEN]}, STATE)
    async with house.untouched():
        again = await house.change("dismissInsights", {"ids": [OPEN]}, STATE)
        bens = await house.change("dismissInsights", {"ids": [OPEN]}, STATE, "ben.north")
    assert again.raw == bens.raw == first.raw
    assert first.data["dismissInsights"]["insights"][0]["dismissedBy"] == {"displayName": "ana"}


async def test_of_two_at_the_same_moment_one_is_first(house: House) -> None:
    people = ["ana.north", "ben.north", "carol.north", "wanda"] * 3
    answers = await asyncio.gather(
        *(house.client.ask(f'mutation{{dismissInsights(input:{{ids:["{OPEN}"]}}){{{STATE} userErrors{{code}}}}}}', who,
                           organization=NORTH) for who in people)
    )  # fmt: skip
    assert len({answer.raw for answer in answers}) == 1
    [event] = await house.events()
    [row] = await house.rows("SELECT dismissed_by FROM app.ai_insights WHERE id = $1", uid(NORTH, "insight", "open"))
    name = answers[0].data["dismissInsights"]["insights"][0]["dismissedBy"]["displayName"]
    assert (event[0], row["dismissed_by"]) == ("insight.dismissed", user_id(NORTH, name))


async def test_overlapping_lists_in_opposite_order_wait_instead_of_deadlocking(house: House) -> None:
    ids = await many(house, 30)
    asked = [ids, ids[::-1]] * 4
    people = ["ana.north", "ben.north"] * 4
    answers = await asyncio.gather(
        *(
            house.change("dismissInsights", {"ids": each}, "insights{id}", who)
            for each, who in zip(asked, people, strict=True)
        )
    )
    assert [ids_of(answer.data["dismissInsights"]) for answer in answers] == asked
    assert len(await house.events()) == len(ids)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await house.rows(deadlocks) == [{"deadlocks": 0}]


async def test_insights_are_taken_up_again_by_anybody_who_may_dismiss(house: House) -> None:
    restored = await house.change("restoreInsights", {"ids": [DISMISSED, OPEN]}, STATE, "ben.north")
    assert restored.data["restoreInsights"]["insights"] == [
        {"id": each, "isDismissed": False, "dismissedAt": None, "dismissedBy": None} for each in (DISMISSED, OPEN)
    ]
    async with house.untouched():
        again = await house.change("restoreInsights", {"ids": [DISMISSED, OPEN]}, STATE, "ben.north")
    assert again.raw == restored.raw
    assert await house.events() == [("insight.restored", uid(NORTH, "insight", "dismissed"), None)]
    second = await house.change("dismissInsights", {"ids": [DISMISSED]}, STATE, "ben.north")
    assert second.data["dismissInsights"]["insights"][0]["dismissedBy"] == {"displayName": "ben"}


@BOTH
async def test_a_hundred_cost_the_statements_of_one(house: House, field: str) -> None:
    ids = await many(house, 101)
    if field == "restoreInsights":
        await house.rows("UPDATE app.ai_insights SET is_dismissed = true, dismissed_at = now()")
    one = await house.change(field, {"ids": ids[:1]}, "insights{id}")
    hundred = await house.change(field, {"ids": ids[1:]}, "insights{id}")
    assert ids_of(hundred.data[field]) == ids[1:]
    assert shapes(hundred.statements) == shapes(one.statements)
    assert len(one.statements) == 4  # lock, set, record, read
    assert len(await house.events()) == 101
