"""Budgets by the local day and month, their resets, and who is active."""

import uuid
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tests.db.usage_house import House, found, moment

ZONES = ("UTC", "Europe/Stockholm", "America/Chicago", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


@pytest.fixture
async def operator(urls: Any) -> Any:
    connection = await asyncpg.connect(urls.operator)
    yield connection
    await connection.close()


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def window(operator: Any, w: str, at: datetime, tz: str) -> tuple[datetime, datetime]:
    row = await operator.fetchrow("SELECT app.window_start($1, $2, $3), app.window_end($1, $2, $3)", w, at, tz)
    return row[0], row[1]


async def test_windows_agree_with_the_local_calendar_all_through_a_year(operator: Any) -> None:
    for zone in map(ZoneInfo, ZONES):
        for hours in range(0, 366 * 24, 37):
            at = datetime(2026, 1, 1, 0, 30, tzinfo=UTC) + timedelta(hours=hours)
            day = at.astimezone(zone).date()
            first = day.replace(day=1)
            expected = {
                "DAY": (day, day + timedelta(days=1)),
                "MONTH": (first, (first + timedelta(days=32)).replace(day=1)),
            }
            if hours % 5:  # every window by day, one in five by month
                del expected["MONTH"]
            for w, dates in expected.items():
                assert await window(operator, w, at, str(zone)) == tuple(local_midnight(d, zone) for d in dates)


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


async def test_the_days_of_a_clock_change_have_23_and_25_hours(operator: Any) -> None:
    for at, hours in (("2026-03-29T12:00:00Z", 23), ("2026-10-25T12:00:00Z", 25), ("2026-06-01T12:00:00Z", 24)):
        start, end = await window(operator, "DAY", moment(at), "Europe/Stockholm")
        assert end - start == timedelta(hours=hours)
    start, end = await window(operator, "MONTH", moment("2026-03-29T12:00:00Z"), "Europe/Stockholm")
    assert (start, end) == (moment("2026-02-28T23:00:00Z"), moment("2026-03-31T22:00:00Z"))


async def test_a_skipped_midnight_starts_the_day_at_its_first_instant(operator: Any) -> None:
    # Santiago springs from 24:00 to 01:00.
    start, _ = await window(operator, "DAY", moment("2026-09-06T12:00:00Z"), "America/Santiago")
    _, end = await window(operator, "DAY", moment("2026-09-05T12:00:00Z"), "America/Santiago")
    assert start == end == moment("2026-09-06T04:00:00Z")


async def test_windows_move_forward_only_even_over_a_doubled_midnight(operator: Any) -> None:
    at, starts = moment("2026-10-31T20:00:00Z"), []
    for _ in range(60):
        starts.append((await window(operator, "DAY", at, "America/Havana"))[0])
        at += timedelta(minutes=17)
    assert starts == sorted(starts)
    assert len(set(starts)) == 2


async def test_an_organizations_zone_must_be_one_of_the_servers_names(operator: Any) -> None:
    for zone in ("Mars/Olympus", "EST+5", "europe/stockholm", "PST", "localtime", "posix/UTC", "Foo/Bar3"):
        with pytest.raises(asyncpg.CheckViolationError) as caught:
            await found_in(operator, zone)
        assert caught.value.constraint_name == "timezone_exists"
    for zone in ZONES:
        await found_in(operator, zone)


async def found_in(operator: Any, zone: str) -> None:
    await operator.execute(
        "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ($1, 'x', 'TEAM', $2)",
        f"o-{uuid.uuid4()}",
        zone,
    )


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_organization_and_a_user_are_born_with_six_budgets_each(operator: Any, urls: Any) -> None:
    house = await found(urls, "house", "Asia/Kathmandu")
    rows = await operator.fetch(
        "SELECT subject_id, subject_type, metric, budget_window, limit_value, used, reserved, window_start FROM app.usage_budgets"
    )
    assert len(rows) == 12
    assert {(str(row["subject_id"]), row["subject_type"]) for row in rows} == {
        (house.organization, "ORGANIZATION"), (house.user, "USER"),
    }  # fmt: skip
    limits = {(row["subject_type"], row["metric"], row["budget_window"]): row["limit_value"] for row in rows}
    assert len(limits) == 12
    assert {key: value for key, value in limits.items() if value is not None} == {
        ("ORGANIZATION", "TOKENS", "MONTH"): 100_000, ("USER", "REQUESTS", "DAY"): 10,
    }  # fmt: skip
    for row in rows:
        assert row["used"] == row["reserved"] == 0
        local = row["window_start"].astimezone(ZoneInfo("Asia/Kathmandu"))
        assert local.time() == time()
        assert row["budget_window"] == "DAY" or local.day == 1


async def test_many_users_of_one_statement_all_get_their_budgets(operator: Any, house: House) -> None:
    await operator.execute(
        "INSERT INTO app.users (organization_id, role) SELECT $1, 'MEMBER' FROM generate_series(1, 50)",
        house.organization,
    )
    assert await operator.fetchval("SELECT count(*) FROM app.usage_budgets WHERE subject_type = 'USER'") == 51 * 6


async def test_usage_is_read_as_of_now_and_for_its_subjects_alone(house: House) -> None:
    neighbour, colleague = await found(house.urls, "neighbour"), await house.add_user()
    async with house.acting() as operator:
        await operator.execute("UPDATE app.usage_budgets SET used = 5, reserved = 2")
        await operator.execute(
            "UPDATE app.usage_budgets SET window_start = window_start - interval '2 days' WHERE budget_window = 'DAY'"
        )
    async with house.acting("app_member") as member:
        rows = await member.fetch("SELECT * FROM app.current_usage")
    assert {str(row["subject_id"]) for row in rows} == {house.user, house.organization}
    assert not {colleague, neighbour.user, neighbour.organization} & {str(row["subject_id"]) for row in rows}
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for row in rows:
        expected = (0, 0, today) if row["budget_window"] == "DAY" else (5, 2, today.replace(day=1))
        assert (row["used"], row["reserved"], row["window_start"]) == expected
        assert row["timezone"] == "UTC"
        assert row["resets_at"] == (next_day(today) if row["budget_window"] == "DAY" else next_month(today))


def next_day(today: datetime) -> datetime:
    return today + timedelta(days=1)


def next_month(today: datetime) -> datetime:
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


async def test_resets_follow_each_organizations_midnight_and_happen_once(urls: Any, operator: Any) -> None:
    for zone in ("UTC", "Europe/Stockholm", "America/Chicago"):
        await found(urls, zone.lower().replace("/", "-"), zone)
    start = moment("2026-03-28T12:00:00Z")
    await operator.execute(
        "UPDATE app.usage_budgets b SET used = 9, reserved = 1, window_start = app.window_start(budget_window, $1, o.timezone)"
        " FROM app.organizations o WHERE o.id = b.organization_id",
        start,
    )

    async def reset(name: str, at: str) -> int:
        return int(await operator.fetchval(f"SELECT app.reset_{name}_ai_usage($1)", moment(at)))

    days = 2 * 3  # of an organization and its user, three metrics each
    assert await reset("daily", "2026-03-28T22:30:00Z") == 0
    assert await reset("daily", "2026-03-28T23:00:00Z") == days  # Stockholm's midnight, before its short day
    assert await reset("daily", "2026-03-28T23:30:00Z") == 0
    assert await reset("daily", "2026-03-29T00:00:00Z") == days  # UTC's
    assert await reset("daily", "2026-03-28T12:00:00Z") == 0  # a clock put back moves nothing
    assert await reset("daily", "2026-03-29T06:00:00Z") == days  # Chicago's
    assert await reset("daily", "2026-03-29T22:00:00Z") == days  # 23 hours after its last one
    assert await reset("monthly", "2026-03-31T21:59:59Z") == 0
    assert await reset("monthly", "2026-04-03T12:00:00Z") == 3 * days  # the first was missed
    assert await reset("monthly", "2026-04-03T12:00:00Z") == 0
    assert await operator.fetchval("SELECT count(*) FROM app.usage_budgets WHERE used + reserved > 0") == 0


@pytest.mark.parametrize("role", ["app_admin", "app_service", "app_member"])
async def test_only_the_operator_resets(house: House, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with house.acting(role) as connection:
            await connection.execute("SELECT app.reset_daily_ai_usage()")


# ── activity ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_activity_counts_the_callers_organization_alone(house: House) -> None:
    neighbour, colleague = await found(house.urls, "neighbour"), await house.add_user()
    idle = await house.add_user()
    await neighbour.say(await neighbour.add_conversation(), ("2026-01-02T00:00:00Z", "m", 99))
    early, late = await house.add_conversation(), await house.add_conversation(at="2026-02-01T00:00:00Z")
    await house.say(early, ("2026-01-02T00:00:00Z", "m", 1), ("2026-01-03T00:00:00Z", "m", 1))
    await house.say(await house.add_conversation(colleague), ("2026-01-02T00:00:00Z", None, None), user=colleague)
    async with house.acting() as operator:
        await operator.execute("UPDATE app.ai_conversations SET deleted_at = now() WHERE id = $1", late)
        await operator.execute("SELECT app.ensure_partitions(2, '2026-01-01')")
        for tokens in (10, None):
            await operator.execute(
                "INSERT INTO app.ai_usage_logs (organization_id, id, user_id, tier, provider, tokens_used, cost_micro_usd, created_at)"
                " VALUES ($1, gen_random_uuid(), $2, 'FREE', 'OPENAI', $3, 7, '2026-01-02')",
                house.organization, colleague, tokens,
            )  # fmt: skip

    async def activity(since: str | None, until: str | None, most: int) -> list[Any]:
        async with house.acting("app_auditor") as auditor:
            bounds = [moment(text) if text else None for text in (since, until)]
            return [
                tuple(map(str, row))
                for row in await auditor.fetch("SELECT * FROM app.usage_activity($1, $2, $3)", *bounds, most)
            ]

    everything = await activity(None, None, 10)
    assert everything == [(house.user, "2", "2", "0", "0", "0"), (colleague, "1", "1", "2", "10", "14")]
    assert idle not in str(everything)
    assert await activity(None, None, 1) == everything[:1]
    january = await activity("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", 10)
    assert sorted(january) == sorted([(house.user, "1", "1", "0", "0", "0"), (colleague, "1", "1", "2", "10", "14")])
    assert january == sorted(january)  # ties go by user
    assert await activity("2026-01-03T00:00:00Z", "2026-01-03T00:00:01Z", 10) == [(house.user, "0", "1", "0", "0", "0")]


@pytest.mark.parametrize("role", ["app_member", "app_observer"])
async def test_members_and_observers_do_not_see_who_is_active(house: House, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with house.acting(role) as connection:
            await connection.fetch("SELECT * FROM app.usage_activity(NULL, NULL, 10)")
