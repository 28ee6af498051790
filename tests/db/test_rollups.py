"""A conversation's rollups: the sums of its messages, whatever the order and the number of writers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.db.usage_house import House, found, moment


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


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
