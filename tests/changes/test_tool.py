"""Tools are registered and changed by their name, by an admin, in its own organization."""

import asyncio
from typing import Any

import pytest

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
    refused_alike,
    rows,
    run,
)
from tests.changes.house import House
from tests.security.looking import Row
from tests.security.people import NORTH, SOUTH, uid

TOOL = "tool { id name description isEnabled }"


async def tools(house: House, name: str) -> dict[str, Row]:
    """By organization."""
    found = await rows(house, "SELECT * FROM app.ai_tools WHERE name = $1", name)
    return {row["organization_id"]: row for row in found}


async def test_the_same_name_across_the_wall_is_another_tool(house: House) -> None:
    await run(house, "INSERT INTO app.ai_tools (organization_id, name) VALUES ($1, 'paint')", uid(SOUTH))
    elsewhere, since = await hashes(house, but=uid(NORTH)), await head(house)
    await change(house, CAROL, "upsertTool", name="add_task", isEnabled=False)
    assert (await change(house, CAROL, "upsertTool", TOOL, name="paint")).refusals == []
    assert await hashes(house, but=uid(NORTH)) == elsewhere
    assert [event["action"] for event in await events(house, since)] == ["tool.updated", "tool.created"]


async def test_only_an_admin_registers_or_changes_tools(house: House) -> None:
    given: list[dict[str, Any]] = [{"name": "add_task", "isEnabled": False}, {"name": "new"}, {"name": " "}]
    for who in (ANA, OLGA, DAVE, SERVICE):
        found = await refused_alike(house, who, "upsertTool", TOOL, *given)
        assert (str(who), found.refusals, found["tool"]) == (str(who), [("FORBIDDEN", None)], None)


@pytest.mark.parametrize(
    ("given", "description", "is_enabled"),
    [({}, None, True), ({"isEnabled": False}, None, False), ({"description": "Paints"}, "Paints", True)],
)
async def test_a_new_name_registers_a_tool(
    house: House,
    given: dict[str, Any],
    description: str | None,
    is_enabled: bool,
) -> None:
    since = await head(house)
    done = await change(house, CAROL, "upsertTool", TOOL, name="paint", **given)
    found = (await tools(house, "paint"))[uid(NORTH)]
    assert (found["description"], found["is_enabled"]) == (description, is_enabled)
    assert (done["tool"]["description"], done["tool"]["isEnabled"]) == (description, is_enabled)
    [event] = await events(house, since)
    assert (event["action"], event["target_type"], event["target_id"], event["details"]) == (
        "tool.created", "Tool", found["id"], None,
    )  # fmt: skip


async def test_what_is_left_out_stays_and_null_empties(house: House) -> None:
    await change(house, CAROL, "upsertTool", name="add_task", description="Adds a task", isEnabled=False)
    before = (await tools(house, "add_task"))[uid(NORTH)]
    for given, changed in (
        ({}, {}),
        ({"isEnabled": False}, {}),
        ({"isEnabled": True}, {"is_enabled": True}),
        ({"description": "Adds one"}, {"description": "Adds one"}),
        ({"description": None}, {"description": None}),
        ({"description": None, "isEnabled": True}, {}),
    ):
        same, since = await hashes(house), await head(house)
        assert (await change(house, CAROL, "upsertTool", TOOL, name="add_task", **given)).refusals == []
        after = (await tools(house, "add_task"))[uid(NORTH)]
        assert after == {**before, **changed, "updated_at": after["updated_at"]}
        details = [event["details"] for event in await events(house, since)]
        assert details == ([{"changed": list(changed)}] if changed else [])
        if not changed:
            assert await hashes(house) == same
        before = after


async def test_a_tool_is_enabled_or_not_and_described_or_not(house: House) -> None:
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"isEnabled": None}, "INVALID", "isEnabled"),
        ({"description": " "}, "INVALID", "description"),
        ({"description": "x" * 2_001}, "PAYLOAD_TOO_LARGE", "description"),
    ]
    for given, code, path in bad:
        names = ({"name": name, **given} for name in ("add_task", "paint"))
        found = await refused_alike(house, CAROL, "upsertTool", TOOL, *names)
        assert found.refusals == [(code, [path])]


async def test_a_name_that_is_blank_or_too_long_is_refused(house: House) -> None:
    for name, code in (("", "INVALID"), ("  ", "INVALID"), ("x" * 101, "PAYLOAD_TOO_LARGE")):
        found = await refused_alike(house, CAROL, "upsertTool", TOOL, {"name": name})
        assert found.refusals == [(code, ["name"])]


async def test_a_nul_is_bad_input(house: House) -> None:
    for given, argument in (
        ({"name": "a\0"}, "variables.input.name"),
        ({"name": "a", "description": "a\0"}, "variables.input.description"),
    ):
        answer = await asked(house.client, CAROL, "upsertTool", TOOL, given)
        assert (answer.codes, answer.errors[0]["extensions"]["argument"]) == (["BAD_USER_INPUT"], argument)


async def test_registering_at_the_same_moment_makes_one_and_refuses_nobody(house: House) -> None:
    since = await head(house)
    done = await asyncio.gather(*(change(house, CAROL, "upsertTool", TOOL, name="paint") for _ in range(10)))
    assert all(each.refusals == [] for each in done)
    assert len({each["tool"]["id"] for each in done}) == 1
    assert [event["action"] for event in await events(house, since)] == ["tool.created"]
