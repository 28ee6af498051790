"""The organization's name and zone: the admin's alone, checked against what it was, and no way around a budget."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from api.changes import organization as changes
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
    refused_alike,
    rows,
    run,
)
from tests.changes.house import House
from tests.client import client_of
from tests.security.conftest import UNLIMITED
from tests.security.looking import Row
from tests.security.people import NORTH, SOUTH, principal, uid, user_id

STATE = "organization { id name timezone updatedAt }"


async def organization(house: House, slug: str = NORTH) -> Row:
    [found] = await rows(house, "SELECT * FROM app.organizations WHERE id = $1", uid(slug))
    return found


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


# ── whose ────────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_admin_of_one_organization_changes_nothing_of_another_one(house: House) -> None:
    wanda = principal(SOUTH, "wanda")  # an admin there, a member in the north
    before = await hashes(house, but=uid(SOUTH))
    done = await change(house, wanda, "updateOrganization", STATE, name="Southern Builders")
    assert done["organization"]["name"] == "Southern Builders"
    assert done["organization"]["id"] == global_id("Organization", uid(SOUTH))
    assert await hashes(house, but=uid(SOUTH)) == before
    found = await refused_alike(house, principal(NORTH, "wanda"), "updateOrganization", STATE, {"name": "Mine"})
    assert found.refusals == [("FORBIDDEN", None)]


async def test_only_an_admin_changes_the_organization(house: House) -> None:
    given: list[dict[str, Any]] = [{"name": "Mine"}, {"timezone": "Nowhere"}, {"name": None}, {}]
    for who in (ANA, OLGA, DAVE, SERVICE):
        found = await refused_alike(house, who, "updateOrganization", STATE, *given)
        assert (str(who), found.refusals, found["organization"]) == (str(who), [("FORBIDDEN", None)], None)


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("given", "details"),
    [
        ({"name": "Northern Builders"}, {"changed": ["name"]}),
        (
            {"timezone": "Asia/Kathmandu"},
            {
                "changed": ["timezone"],
                "old": {"timezone": "Europe/Stockholm"},
                "new": {"timezone": "Asia/Kathmandu"},
            },
        ),
        (
            {"name": "N", "timezone": "UTC"},
            {"changed": ["name", "timezone"], "old": {"timezone": "Europe/Stockholm"}, "new": {"timezone": "UTC"}},
        ),
    ],
)
async def test_what_is_given_changes_and_what_is_left_out_stays(
    house: House, given: dict[str, str], details: dict[str, Any]
) -> None:
    before, since = await organization(house), await head(house)
    done = await change(house, CAROL, "updateOrganization", STATE, **given)
    assert done.refusals == []
    after = await organization(house)
    assert after == {**before, **given, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert {name: done["organization"][name] for name in given} == given
    [event] = await events(house, since)
    assert (event["action"], event["target_id"], event["details"]) == ("organization.updated", uid(NORTH), details)


async def test_nothing_or_what_is_so_already_changes_nothing(house: House) -> None:
    before = await organization(house)
    same = await hashes(house)
    for given in ({}, {"name": before["name"]}, {"timezone": before["timezone"], "name": before["name"]}):
        assert (await change(house, CAROL, "updateOrganization", STATE, **given)).refusals == []
    assert await hashes(house) == same


async def test_a_name_that_cannot_be_is_refused_and_what_cannot_be_takes_the_rest_with_it(house: House) -> None:
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"name": None}, "INVALID", "name"),
        ({"name": " \t"}, "INVALID", "name"),
        ({"name": "x" * 256}, "PAYLOAD_TOO_LARGE", "name"),
        ({"name": None, "timezone": "UTC"}, "INVALID", "name"),
        ({"name": "Good", "timezone": "Mars/Base"}, "INVALID", "timezone"),
    ]
    for given, code, path in bad:
        found = await refused_alike(house, CAROL, "updateOrganization", STATE, given)
        assert (found.refusals, found["organization"]) == ([(code, [path])], None)


# What PostgreSQL or Python alone would take: abbreviations, POSIX rules, other cases, folders, files, the machine's own.
NO_ZONES = [
    None, "", " ", "Mars/Base", "europe/stockholm", "Europe", "Europe/", "CEST", "<+05>-5", "UTC+3", "+02:00", "localtime",
    "posixrules", "posix/UTC", "right/UTC", "Factory", "../../etc/passwd", "/etc/localtime", "zone.tab", "tzdata.zi",
    "Europe/Stockholm ", "Europe/Malmö", "x" * 65, "x" * 5_000,
]  # fmt: skip


async def test_only_names_of_the_iana_list_are_zones(house: House) -> None:
    before = await hashes(house)
    for zone in NO_ZONES:
        found = await change(house, CAROL, "updateOrganization", STATE, timezone=zone)
        assert (zone, found.refusals, found["organization"]) == (zone, [("INVALID", ["timezone"])], None)
    assert await hashes(house) == before


async def test_a_zone_that_python_does_not_know_is_refused_although_postgresql_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their lists are of different years: a zone that one side cannot compute in would fail every later read."""

    def older(name: str) -> ZoneInfo:
        if name == "Asia/Tokyo":
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)

    monkeypatch.setattr(changes, "ZoneInfo", older)
    found = await refused_alike(house, CAROL, "updateOrganization", STATE, {"timezone": "Asia/Tokyo"})
    assert found.refusals == [("INVALID", ["timezone"])]
    assert (await change(house, CAROL, "updateOrganization", STATE, timezone="Asia/Seoul")).refusals == []


async def test_a_text_that_cannot_be_stored_is_bad_input(house: House) -> None:
    before = await hashes(house)
    for name in ("name", "timezone"):
        assert (await asked(house.client, CAROL, "updateOrganization", STATE, {name: "a\0"})).codes == [
            "BAD_USER_INPUT"
        ]
    assert await hashes(house) == before


async def test_a_zone_that_is_taken_can_be_read_with_every_budget_in_it(house: House) -> None:
    budgets = "organization { timezone budgets { timezone resetsAt windowStart } }"
    for zone in ("UTC", "Etc/GMT+12", "America/Argentina/Buenos_Aires", "Pacific/Kiritimati", "Asia/Kathmandu"):
        found = await change(house, CAROL, "updateOrganization", budgets, timezone=zone)
        assert {each["timezone"] for each in found["organization"]["budgets"]} == {zone}
        settings = await house.client.ask("{ viewer { aiSettings { lastResetDate } } }", CAROL.who)
        assert settings.data["viewer"]["aiSettings"]["lastResetDate"]


# ── meanwhile ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_stale_change_is_a_conflict_that_shows_what_is_there(house: House) -> None:
    before = await organization(house)
    stale = stamp(before["updated_at"] - timedelta(microseconds=1))
    same = await hashes(house)
    done = await change(house, CAROL, "updateOrganization", STATE, name="Late", expectedUpdatedAt=stale)
    assert done.refusals == [("CONFLICT", ["expectedUpdatedAt"])]
    assert done["organization"]["name"] == before["name"]
    assert await hashes(house) == same
    seen = done["organization"]["updatedAt"]
    assert (
        await change(house, CAROL, "updateOrganization", STATE, name="In time", expectedUpdatedAt=seen)
    ).refusals == []
    either: list[dict[str, Any]] = [{"expectedUpdatedAt": None}, {}]
    for expected in either:
        assert (await change(house, CAROL, "updateOrganization", name="Whatever", **expected)).refusals == []


async def test_of_many_editors_of_the_same_state_one_wins(house: House) -> None:
    for _ in range(3):
        seen, since = stamp((await organization(house))["updated_at"]), await head(house)
        done = await asyncio.gather(
            *(
                change(house, CAROL, "updateOrganization", STATE, name=f"{since} by {n}", expectedUpdatedAt=seen)
                for n in range(10)
            )
        )
        assert sorted(each.refusals for each in done) == [[]] + 9 * [[("CONFLICT", ["expectedUpdatedAt"])]]
        [event] = await events(house, since)
        assert event["action"] == "organization.updated"
        [winner] = [each for each in done if not each.refusals]
        assert winner["organization"]["name"] == (await organization(house))["name"]


# ── budgets in another zone ──────────────────────────────────────────────────────────────────────────────────────────
AT = datetime(2026, 6, 15, 13, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 15, tzinfo=UTC)
BUDGETS = "SELECT * FROM app.usage_budgets ORDER BY organization_id, id"
# At that moment it is the 15th in all of them; the day began before UTC's, or after it.
EARLIER, LATER = "Asia/Tokyo", "America/Chicago"


async def use(house: House, count: int) -> None:
    """Ben's requests of the day's window, whenever it began."""
    sql = (
        "UPDATE app.usage_budgets SET used = $1 WHERE subject_id = $2 AND metric = 'REQUESTS' AND budget_window = 'DAY'"
    )
    await run(house, sql, count, user_id(NORTH, "ben"))


async def used(house: House, home: Path, at: datetime = AT) -> int:
    """What they read as at that moment."""
    ben = global_id("User", user_id(NORTH, "ben"))
    query = "query($u: ID!) { node(id: $u) { ... on User { aiSettings { dailyUsage } } } }"
    async with client_of(house.urls, home, clock=lambda: at, **UNLIMITED) as client:
        return int((await client.ask(query, CAROL.who, u=ben)).data["node"]["aiSettings"]["dailyUsage"])


async def rolled_over(house: House, at: datetime = AT) -> int:
    """How many of the day's windows the reset moves on at that moment, as a spend does."""
    [row] = await rows(house, "SELECT app.reset_daily_ai_usage($1) AS n", at)
    return int(row["n"])


async def move(house: House, zone: str) -> None:
    assert (await change(house, CAROL, "updateOrganization", timezone=zone)).refusals == []


@pytest.fixture
async def utc(house: House) -> House:
    """The north on UTC, on a day of June on which Ben has made seven requests."""
    await move(house, "UTC")
    await run(house, "UPDATE app.usage_budgets SET window_start = $1 WHERE organization_id = $2", MIDNIGHT, uid(NORTH))
    await use(house, 7)
    return house


async def test_another_zone_by_itself_takes_nothing_from_a_budget(utc: House, tmp_path: Path) -> None:
    before = await rows(utc, BUDGETS)
    for zone, count in ((EARLIER, 7), (LATER, 0), ("UTC", 7), (EARLIER, 7)):
        await move(utc, zone)
        assert (zone, await used(utc, tmp_path)) == (zone, count)
        assert await rows(utc, BUDGETS) == before


async def test_a_day_that_began_earlier_elsewhere_is_not_opened_again(utc: House, tmp_path: Path) -> None:
    await move(utc, EARLIER)
    assert await rolled_over(utc) == 0
    tokyo_midnight = datetime(2026, 6, 15, 15, tzinfo=UTC)
    assert await used(utc, tmp_path, tokyo_midnight - timedelta(microseconds=1)) == 7
    assert await used(utc, tmp_path, tokyo_midnight) == 0
    assert await rolled_over(utc, tokyo_midnight) > 0
    assert await rolled_over(utc, tokyo_midnight) == 0


async def test_a_day_that_was_opened_elsewhere_is_not_opened_again_on_the_way_back(utc: House, tmp_path: Path) -> None:
    await move(utc, LATER)
    count = await rolled_over(utc)
    assert count > 0
    await use(utc, 3)
    for zone in ("UTC", LATER, EARLIER, "UTC"):
        await move(utc, zone)
        assert (zone, await rolled_over(utc), await used(utc, tmp_path)) == (zone, 0, 3)
    assert await used(utc, tmp_path, MIDNIGHT + timedelta(days=1)) == 0
    assert await rolled_over(utc, MIDNIGHT + timedelta(days=1)) == count
    assert await rolled_over(utc, MIDNIGHT + timedelta(days=1)) == 0
