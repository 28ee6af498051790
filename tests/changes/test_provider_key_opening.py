"""Opening people's keys for the product's AI backend: by one function, for the service alone, always on record."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from db.actor import Actor
from db.crypto import Keyring, UnopenableError
from db.engine import Pools, open_pools
from db.keys import open_key
from tests.changes.changing import ANA, CAROL, DAVE, OLGA, SERVICE, events, hashes, head, is_whole, run
from tests.changes.house import House
from tests.changes.test_provider_key import KEY, keyring_of, ring, setting, stored
from tests.security.looking import acting, logins
from tests.security.people import SOUTH, Principal, principal, uid


def actor(who: Principal) -> Actor:
    return Actor(who.organization_id, who.user_id, who.actor_id, who.role)


@pytest.fixture
async def pools(house: House) -> AsyncIterator[Pools]:
    found = await open_pools(house.urls, api_size=1, ingest_size=2)
    yield found
    await found.close()


async def test_the_service_of_another_organization_finds_no_key_and_leaves_no_trace(house: House, pools: Pools) -> None:
    await setting(house, ANA)
    before, stranger = await hashes(house), actor(principal(SOUTH, "service"))
    for user_id in (ANA.user_id, uid("nobody")):
        assert await open_key(pools, stranger, keyring_of(house), user_id=str(user_id), provider="OPENAI") is None
    assert await hashes(house) == before


async def test_the_service_opens_a_key_and_that_is_on_record(house: House, pools: Pools) -> None:
    await setting(house, ANA)
    since, row = await head(house), await stored(house, ANA)
    ours, user_id = (pools, actor(SERVICE), keyring_of(house)), str(ANA.user_id)
    assert await open_key(*ours, user_id=user_id, provider="OPENAI", request_id="req-7") == KEY
    assert await open_key(*ours, user_id=user_id, provider="GOOGLE") is None
    [event] = await events(house, since)
    assert (event["action"], event["actor_role"], event["actor_id"]) == (
        "provider_key.opened",
        "SERVICE",
        SERVICE.actor_id,
    )
    assert row is not None
    assert (event["target_id"], event["details"]) == (ANA.user_id, {"id": row["id"]})
    with pytest.raises(UnopenableError):
        await open_key(pools, actor(SERVICE), Keyring.parse(ring("other")), user_id=user_id, provider="OPENAI")
    assert len(await events(house, since)) == 2
    await run(house, "UPDATE app.user_provider_keys SET needs_reentry = true WHERE user_id = $1", ANA.user_id)
    assert await open_key(*ours, user_id=user_id, provider="OPENAI") is None
    assert await is_whole(house)


async def test_nothing_is_opened_that_cannot_be_put_on_record(house: House, pools: Pools) -> None:
    await setting(house, ANA)
    await run(house, "REVOKE EXECUTE ON FUNCTION app.audit_append(jsonb) FROM app_definer")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await open_key(pools, actor(SERVICE), keyring_of(house), user_id=str(ANA.user_id), provider="OPENAI")


async def test_nobody_but_the_service_is_handed_a_sealed_key(house: House, pools: Pools) -> None:
    before = await hashes(house)
    for who in (ANA, OLGA, CAROL, DAVE):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await open_key(pools, actor(who), keyring_of(house), user_id=str(who.user_id), provider="ANTHROPIC")
    assert await hashes(house) == before


async def test_the_service_reads_no_sealed_byte_past_that_function(house: House) -> None:
    async with logins(house.urls) as connections:
        for column in ("ciphertext", "wrapped_key", "fingerprint"):
            async with acting(connections[True], SERVICE) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"SELECT {column} FROM app.user_provider_keys")
