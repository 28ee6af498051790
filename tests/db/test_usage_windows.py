"""Budgets by the local day and month, their resets, who is active, and the rollups of conversations."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

ZONES = ("UTC", "Europe/Stockholm", "America/Chicago", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")


@dataclass(frozen=True)
class House:
    urls: Any
    organization: str
    user: str

    @asynccontextmanager
    async def acting(self, role: str = "none", user: str | None = None) -> AsyncIterator[Any]:
        login = {"app_service": self.urls.ingest, "none": self.urls.operator}.get(role, self.urls.api)
        who = "" if role in {"app_service", "none"} else user or self.user
        connection = await asyncpg.connect(login)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(
                    f"SELECT app.begin_request('{self.organization}', '{who}', '{self.user}', '{role}', 'req-1', 30000)"
                )
                yield connection
        finally:
            await connection.close()

    async def add_user(self) -> str:
        async with self.acting() as operator:
            return str(
                await operator.fetchval(
                    "INSERT INTO app.users (organization_id, role) VALUES ($1, 'MEMBER') RETURNING id",
                    self.organization,
                )
            )

    async def add_conversation(self, user: str | None = None, *, at: str = "2026-01-01T00:00:00Z") -> str:
        async with self.acting() as operator:
            return str(
                await operator.fetchval(
                    "INSERT INTO app.ai_conversations (organization_id, user_id, created_at, updated_at)"
                    " VALUES ($1, $2, $3, $3) RETURNING id",
                    self.organization,
                    user or self.user,
                    moment(at),
                )
            )

    async def say(
        self, conversation: str, *messages: tuple[str, str | None, int | None], user: str | None = None
    ) -> None:
        """messages: (time, model, tokens), inserted by one statement; the cost is the tokens times three."""
        async with self.acting() as operator:
            await operator.execute(
                "INSERT INTO app.ai_messages (organization_id, conversation_id, user_id, role, content, created_at, model,"
                " tokens_used, cost_micro_usd) SELECT $1, $2, $3, 'ASSISTANT', 'x', t, m, n, n * 3"
                " FROM unnest($4::timestamptz[], $5::text[], $6::bigint[]) AS x (t, m, n)",
                self.organization, conversation, user or self.user,
                [moment(at) for at, _, _ in messages], [model for _, model, _ in messages], [tokens for _, _, tokens in messages],
            )  # fmt: skip

    async def rollup(self, conversation: str) -> Any:
        async with self.acting() as operator:
            return await operator.fetchrow(
                "SELECT message_count, tokens_used, cost_micro_usd, last_message_at, model_used, updated_at"
                " FROM app.ai_conversations WHERE id = $1",
                conversation,
            )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def found(urls: Any, slug: str, zone: str = "UTC") -> House:
    connection = await asyncpg.connect(urls.operator)
    try:
        organization = await connection.fetchval(
            "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ($1, $1, 'TEAM', $2) RETURNING id",
            slug,
            zone,
        )
        user = await connection.fetchval(
            "INSERT INTO app.users (organization_id, role) VALUES ($1, 'MEMBER') RETURNING id", organization
        )
        return House(urls, str(organization), str(user))
    finally:
        await connection.close()


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


# ── rollups ──────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_rollups_are_the_sums_of_the_messages(house: House) -> None:
    conversation, other = await house.add_conversation(), await house.add_conversation()
    await house.say(conversation, ("2026-01-02T00:00:00Z", "small", 10), ("2026-01-02T00:01:00Z", None, None))
    await house.say(conversation, ("2026-01-03T00:00:00Z", None, 5))
    row = await house.rollup(conversation)
    assert tuple(row)[:3] == (3, 15, 45)
    assert row["last_message_at"] == row["updated_at"] == moment("2026-01-03T00:00:00Z")
    assert row["model_used"] == "small"
    assert (await house.rollup(other))["message_count"] == 0


async def test_the_model_is_the_latest_one_whatever_the_order_of_arrival(house: House) -> None:
    conversation = await house.add_conversation()
    for at, model, expected in (
        ("2026-01-05", "five", "five"),
        ("2026-01-03", "three", "five"),
        ("2026-01-09", None, "five"),
        ("2026-01-07", "seven", "seven"),
        ("2026-01-08", None, "seven"),
        ("2026-01-10", "ten", "ten"),
    ):
        await house.say(conversation, (f"{at}T00:00:00Z", model, 1))
        assert (await house.rollup(conversation))["model_used"] == expected
    assert (await house.rollup(conversation))["last_message_at"] == moment("2026-01-10T00:00:00Z")


async def test_concurrent_writers_lose_no_message_and_do_not_deadlock(house: House) -> None:
    conversations = [await house.add_conversation() for _ in range(4)]

    async def write(number: int) -> None:
        order = conversations if number % 2 else conversations[::-1]
        async with gate, house.acting("app_service") as service:
            await service.execute(
                "INSERT INTO app.ai_messages (organization_id, conversation_id, user_id, role, content, tokens_used)"
                " SELECT $1, c, $2, 'ASSISTANT', 'x', 1 FROM unnest($3::uuid[]) AS c",
                house.organization, house.user, order,
            )  # fmt: skip

    gate = asyncio.Semaphore(8)
    await asyncio.gather(*(write(number) for number in range(32)))
    for conversation in conversations:
        assert tuple(await house.rollup(conversation))[:2] == (32, 32)


async def test_a_change_moves_updated_at(house: House) -> None:
    conversation = await house.add_conversation()
    async with house.acting("app_member") as member:
        await member.execute("UPDATE app.ai_conversations SET title = 'x' WHERE id = $1", conversation)
    moved = (await house.rollup(conversation))["updated_at"]
    assert datetime.now(UTC) - moved < timedelta(minutes=1)
    await house.say(conversation, ("2026-01-02T00:00:00Z", None, 1))
    assert (await house.rollup(conversation))["updated_at"] == moved
