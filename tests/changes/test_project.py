"""Projects are begun and renamed by admins and services, in their own organization."""

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
    refused_alike,
    rows,
)
from tests.changes.house import House
from tests.security.looking import Row
from tests.security.people import NORTH, SOUTH, Principal, uid

PROJECT = "project { id databaseId name }"
KITCHEN = global_id("Project", uid(NORTH, "project", "kitchen"))
THEIRS = global_id("Project", uid(SOUTH, "project", "kitchen"))
WRITERS = pytest.mark.parametrize("who", [CAROL, SERVICE], ids=str)


async def project(house: House, database_id: str) -> Row:
    [found] = await rows(house, "SELECT * FROM app.projects WHERE id = $1", database_id)
    return found


@WRITERS
async def test_a_project_of_another_organization_is_refused_like_an_invented_one(house: House, who: Principal) -> None:
    given = [{"id": id_, "name": "Mine"} for id_ in (THEIRS, invented("Project"))]
    found = await refused_alike(house, who, "upsertProject", PROJECT, *given)
    assert (found.refusals, found["project"]) == ([("NOT_FOUND", ["id"])], None)


async def test_others_neither_begin_nor_rename_one(house: House) -> None:
    given: list[dict[str, Any]] = [{"name": "Mine"}, {"name": " "}]
    given += [{"id": id_, "name": "Mine"} for id_ in (KITCHEN, THEIRS, invented("Project"))]
    for who in (ANA, OLGA, DAVE):
        found = await refused_alike(house, who, "upsertProject", PROJECT, *given)
        assert (str(who), found.refusals) == (str(who), [("FORBIDDEN", None)])


@WRITERS
@pytest.mark.parametrize("no_id", [{}, {"id": None}])
async def test_without_an_id_one_is_begun(house: House, who: Principal, no_id: dict[str, None]) -> None:
    since, elsewhere = await head(house), await hashes(house, but=uid(NORTH))
    done = await change(house, who, "upsertProject", PROJECT, name="Garden", **no_id)
    assert (done.refusals, done["project"]["name"]) == ([], "Garden")
    found = await project(house, done["project"]["databaseId"])
    assert (found["organization_id"], found["name"]) == (uid(NORTH), "Garden")
    [event] = await events(house, since)
    assert (event["action"], event["actor_role"], event["target_type"], event["target_id"], event["details"]) == (
        "project.created", who.role.value, "Project", found["id"], None,
    )  # fmt: skip
    assert await hashes(house, but=uid(NORTH)) == elsewhere


@WRITERS
async def test_with_an_id_it_is_renamed_and_its_name_is_not_put_on_record(house: House, who: Principal) -> None:
    since, before = await head(house), await project(house, uid(NORTH, "project", "kitchen"))
    done = await change(house, who, "upsertProject", PROJECT, id=KITCHEN, name="Küche 🍳")
    assert done["project"] == {"id": KITCHEN, "databaseId": before["id"], "name": "Küche 🍳"}
    after = await project(house, before["id"])
    assert {name for name in after if after[name] != before[name]} == {"name", "updated_at"}
    [event] = await events(house, since)
    assert (event["action"], event["target_id"], event["details"]) == (
        "project.updated", before["id"], {"changed": ["name"]},
    )  # fmt: skip
    same = await hashes(house)
    assert (await change(house, who, "upsertProject", id=KITCHEN, name="Küche 🍳")).refusals == []
    assert await hashes(house) == same


async def test_a_name_that_is_blank_or_too_long_is_refused(house: House) -> None:
    for name, code in (("", "INVALID"), (" \n\t", "INVALID"), ("x" * 256, "PAYLOAD_TOO_LARGE")):
        found = await refused_alike(
            house, CAROL, "upsertProject", PROJECT, {"name": name}, {"id": KITCHEN, "name": name}
        )
        assert found.refusals == [(code, ["name"])]


async def test_an_id_of_another_type_or_a_nul_is_bad_input(house: House) -> None:
    before = await hashes(house)
    for given, argument in (
        ({"id": invented("Insight"), "name": "x"}, "id"),
        ({"id": "x", "name": "x"}, "id"),
        ({"name": "a\0"}, "variables.input.name"),
    ):
        answer = await asked(house.client, CAROL, "upsertProject", PROJECT, given)
        assert (answer.codes, answer.errors[0]["extensions"]["argument"]) == (["BAD_USER_INPUT"], argument)
    assert await hashes(house) == before


async def test_repeats_with_a_key_begin_one(house: House) -> None:
    since = await head(house)
    done = await asyncio.gather(
        *(change(house, CAROL, "upsertProject", PROJECT, key="once", name="Garden") for _ in range(10))
    )
    assert len({each.answer.raw for each in done}) == 1
    assert [event["action"] for event in await events(house, since)] == ["project.created"]
    assert len(await rows(house, "SELECT id FROM app.projects WHERE name = 'Garden'")) == 1
