"""One event by parameters with types: the same event that the array in JSON would have made, under the same rules."""

import asyncio
import json
import re
import uuid
from typing import Any

import asyncpg
import pytest

from db.commit import append_sql
from tests.db.audit_house import House, found, happened
from tests.db.test_audit_chain import independent_head

ONE = "SELECT app.audit_append_one($1, $2, $3::text::uuid, $4::jsonb)"
ROLES = ("app_member", "app_observer", "app_admin", "app_auditor", "app_service", "none")
# What differs from event to event, whoever writes it; `leaf` and the hashes follow from that.
OWN = {"id", "seq", "occurred_at", "payload_digest", "leaf", "prev_hash", "hash", "salt"}


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


async def append_one(house: House, event: dict[str, Any], role: str = "app_member") -> int:
    async with house.acting(role) as connection:
        details = json.dumps(event["details"]) if "details" in event else None
        given = (event.get(name) for name in ("action", "target_type", "target_id"))
        seq: int = await connection.fetchval(ONE, *given, details)
        return seq


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("details", [{}, {"details": {"a": [1, "ä'\\"]}}, {"details": None}, {"details": "null"}])
async def test_either_function_writes_the_same_event(house: House, role: str, details: dict[str, Any]) -> None:
    events = [happened("made") | details, {"action": "thing.bare"} | details]
    for number, event in enumerate(events):
        assert await append_one(house, event, role) == 2 * number + 1
        assert await house.append(event, role=role) == 2 * number + 2
    rows = [{name: value for name, value in row.items() if name not in OWN} for row in await house.events()]
    assert (rows[0], rows[2]) == (rows[1], rows[3])
    assert independent_head(await house.events())[0] == 4
    assert (await house.verify(role="none"))["verdict"] == "OK"


async def test_writers_by_either_function_leave_one_whole_chain(house: House) -> None:
    async def write(number: int) -> None:
        async with gate:
            if number % 2:
                await append_one(house, happened("made", number=number))
            else:
                await house.append(happened("made", number=number), happened("kept"))

    gate = asyncio.Semaphore(12)
    await asyncio.gather(*(write(number) for number in range(80)))
    events = await house.events()
    assert independent_head(events)[0] == 120
    assert [event["occurred_at"] for event in events] == sorted(event["occurred_at"] for event in events)
    assert (await house.verify())["verdict"] == "OK"


async def test_an_append_waits_for_the_one_before_it_and_takes_its_time_after(house: House) -> None:
    await house.append(happened("made"))
    async with house.acting("app_member") as connection:
        await connection.fetchval(ONE, "thing.first", None, None, None)
        second = asyncio.create_task(append_one(house, {"action": "thing.second"}))
        await asyncio.sleep(0.3)
        assert not second.done()
        released = await connection.fetchval("SELECT clock_timestamp()")
    assert await second == 3
    assert (await house.events())[2]["occurred_at"] > released


async def test_each_organization_has_its_own_chain(house: House) -> None:
    neighbour = await found(house.urls, "neighbour")
    for number in (1, 2):
        assert await append_one(house, happened("made")) == number
    assert await append_one(neighbour, happened("made")) == 1
    assert await append_one(house, happened("made")) == 3
    assert [(await each.verify())["verdict"] for each in (house, neighbour)] == ["OK", "OK"]


@pytest.mark.parametrize("action", ["made", "thing.", ".made", "thing..made", "Thing.made", "thing.made\n", ""])
async def test_the_same_actions_are_refused(house: House, action: str) -> None:
    await append_one(house, happened("made"))
    with pytest.raises(asyncpg.CheckViolationError):
        await append_one(house, {"action": action})
    with pytest.raises(asyncpg.NotNullViolationError):
        await append_one(house, {})
    assert len(await house.events()) == 1


async def test_what_is_an_action_is_what_the_pattern_says(house: House) -> None:
    parts = ("", "a", "a_b", ".", "..", "A", "1", " ", "\n", "é", "-")
    texts = {"".join(each) for a in parts for b in parts for c in parts for each in ((a, b, c), (a, ".", b, ".", c))}
    texts |= {"a." + "x" * 98, "a." + "x" * 99}
    pattern = re.compile(r"(?=.{1,100}\Z)[a-z_]+([.][a-z_]+)+\Z")
    async with house.meddling() as owner:
        said = await owner.fetch("SELECT t, app.is_audit_action(t) AS is_one FROM unnest($1::text[]) AS t", list(texts))
    assert {row["t"]: row["is_one"] for row in said} == {text: bool(pattern.match(text)) for text in texts}
    assert {row["is_one"] for row in said} == {True, False}


async def test_appending_one_without_a_context_or_a_role_is_refused(house: House) -> None:
    for url in (house.urls.operator, house.urls.api):
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(ONE, "thing.made", None, None, None)
        finally:
            await connection.close()


@pytest.mark.parametrize("role", ROLES)
async def test_nobody_may_name_what_an_event_follows(house: House, role: str) -> None:
    names = "organization, 1::bigint, '\\x00', organization, 'thing.made', NULL, 'ADMIN', NULL, NULL, NULL, NULL, now(), NULL"
    async with house.acting(role) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="audit_link"):
            await connection.execute(
                f"SELECT app.audit_link({names}) FROM (SELECT '{house.organization}'::uuid) AS o (organization)"
            )
    assert await house.events() == []


async def test_nothing_in_an_event_ends_its_literal(house: House) -> None:
    evil = "'; DROP TABLE app.x; -- \\' \\\\ ä"
    event = {"action": "thing.made", "target_type": evil, "target_id": str(uuid.uuid4()), "details": {evil: evil}}
    for events in ([event], [event, event], [event | {"target_digest": "ab"}]):
        async with house.acting("app_member") as connection:
            await connection.execute(f"SELECT {append_sql(events)}")
    rows = await house.events()
    assert [(row["target_type"], json.loads(row["payload"])) for row in rows] == [(evil, {evil: evil})] * 4
    assert [row["target_digest"] for row in rows] == [None, None, None, b"\xab"]
    with pytest.raises(asyncpg.CheckViolationError):
        async with house.acting("app_member") as connection:
            await connection.execute(f"SELECT {append_sql([{'action': evil}])}")


async def test_an_event_that_says_more_than_the_usual_is_appended_by_the_array() -> None:
    usual = {"action": "thing.made", "details": {"a": 1}}
    assert append_sql([usual]).startswith("app.audit_append_one(")
    for events in ([usual, usual], [usual | {"target_digest": "ab"}], [usual | {"occurred_at": "2026-01-01"}]):
        assert append_sql(events).startswith("app.audit_append(")
