"""Who is no longer a member, or no longer what it was, is treated so within five seconds, whoever changed it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from api.auth import OWN_ISSUER
from api.cli.members import _remove, _set_role
from tests.changes.changing import ANA, BEN, CAROL, change
from tests.changes.house import House
from tests.client import Answer
from tests.security.people import NORTH, SOUTH, principal

WITHIN_S = 5.0
ROLE = "{ viewer { role } }"


async def seconds_until(ask: Callable[[], Awaitable[bool]]) -> float:
    """How long it takes to come true; far more than allowed when it does not."""
    start = time.monotonic()
    while not await ask():
        if time.monotonic() - start > 2 * WITHIN_S:
            return float("inf")
        await asyncio.sleep(0.1)
    return time.monotonic() - start


async def test_a_removed_member_is_refused_and_a_new_role_counts_within_five_seconds(house: House) -> None:
    client = house.client
    tool = {"name": "paint"}
    for who in (ANA, BEN, CAROL):  # each is known now, for as long as it is believed
        assert (await client.ask(ROLE, who.who)).data["viewer"]["role"] == who.role.value
    assert (await change(house, CAROL, "upsertTool", **tool)).refusals == []

    operator = house.urls.operator
    await _remove(operator, NORTH, (OWN_ISSUER, ANA.who))
    await _set_role(operator, NORTH, (OWN_ISSUER, CAROL.who), "MEMBER")

    async def is_refused() -> bool:
        return (await client.ask(ROLE, ANA.who)).status == 401

    async def is_demoted() -> bool:
        return (await change(house, CAROL, "upsertTool", **tool)).refusals == [("FORBIDDEN", None)]

    waited = await asyncio.gather(seconds_until(is_refused), seconds_until(is_demoted))
    assert max(waited) < WITHIN_S + 0.5  # the last look comes up to a tenth of a second, and one request, late
    refused: Answer = await client.ask(ROLE, ANA.who)
    assert refused.codes == ["UNAUTHENTICATED"]
    assert (await client.ask(ROLE, BEN.who)).status == 200
    namesake = principal(SOUTH, "ana")
    assert (await client.ask(ROLE, namesake.who)).status == 200
