"""A person's own keys at providers: set, replaced and removed by that person alone, opened by the service on record."""

import asyncio
import secrets
from base64 import b64encode
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

from api.auth import OWN_ISSUER
from api.schema import build_schema
from api.settings import OWN_AUDIENCE, load
from db.crypto import Address, Keyring, Sealed, UnopenableError
from tests.changes.changing import (
    ANA,
    BEN,
    CAROL,
    DAVE,
    OLGA,
    SERVICE,
    Change,
    asked,
    change,
    events,
    hashes,
    head,
    is_whole,
    rows,
    run,
)
from tests.changes.house import House
from tests.client import Client, client_of
from tests.security.looking import Row
from tests.security.people import NORTH, SOUTH, Principal, principal

KEY = "sk-ant-api03-0123456789abcdef"
KEYS = "aiSettings { tier keys { provider hint keyVersion needsReentry } }"
WANDA = principal(NORTH, "wanda")


async def stored(house: House, who: Principal, provider: str = "OPENAI") -> Row | None:
    found = await rows(
        house,
        "SELECT * FROM app.user_provider_keys WHERE organization_id = $1 AND user_id = $2 AND provider = $3",
        who.organization_id, who.user_id, provider,
    )  # fmt: skip
    return found[0] if found else None


async def setting(house: House, who: Principal, provider: str = "OPENAI", key: str = KEY) -> Change:
    answer = await asked(house.client, who, "setProviderKey", KEYS, {"provider": provider, "key": key})
    return Change(answer, answer.data["setProviderKey"])


async def removing(house: House, who: Principal, provider: str = "ANTHROPIC") -> Change:
    return await change(house, who, "removeProviderKey", KEYS, provider=provider)


def address_of(row: Row) -> Address:
    return Address(row["organization_id"], row["user_id"], row["provider"], row["id"], row["key_version"])


def opened(house: House, row: Row | None) -> str:
    """What the server's keyring makes of a stored row."""
    assert row is not None
    return keyring_of(house).open(Sealed(row["ciphertext"], row["wrapped_key"], row["key_id"]), address_of(row))


def keyring_of(house: House) -> Keyring:
    """The server's own."""
    keyring = house.client.settings.sealing_keys()
    assert keyring is not None
    return keyring


def keys_of(payload: Any) -> dict[str, Any]:
    return {key["provider"]: key for key in payload["aiSettings"]["keys"]}


# ── whose keys ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_key_is_set_in_one_organization_and_for_nobody_else(house: House) -> None:
    others = (
        "SELECT * FROM app.user_provider_keys WHERE (organization_id, user_id) IS DISTINCT FROM ($1, $2) ORDER BY id"
    )
    where = (WANDA.organization_id, WANDA.user_id)
    south, before = await hashes(house, but=WANDA.organization_id), await rows(house, others, *where)
    assert (await setting(house, WANDA)).refusals == []
    assert (await removing(house, WANDA)).refusals == []
    assert await hashes(house, but=WANDA.organization_id) == south
    assert await rows(house, others, *where) == before
    assert await stored(house, principal(SOUTH, "wanda")) is None


async def test_who_is_no_member_has_no_keys_and_changes_nothing(house: House) -> None:
    before = await hashes(house)
    for who in (OLGA, DAVE, SERVICE):
        for found in (await setting(house, who), await setting(house, who, key=" "), await removing(house, who)):
            assert (found.refusals, found["aiSettings"]) == ([("FORBIDDEN", None)], None), str(who)
    assert await hashes(house) == before


@pytest.mark.parametrize("who", [ANA, CAROL], ids=str)
async def test_a_member_and_an_admin_set_their_own_and_the_tier_stays(house: House, who: Principal) -> None:
    since, tiers = await head(house), await rows(house, "SELECT * FROM app.user_ai_settings ORDER BY user_id")
    found = await setting(house, who, key=f" \n{KEY}\t")
    assert found.refusals == []
    assert found["aiSettings"]["tier"] == "FREE"
    shown = {"provider": "OPENAI", "hint": "cdef", "keyVersion": 1, "needsReentry": False}
    assert keys_of(found)["OPENAI"] == shown
    row = await stored(house, who)
    assert opened(house, row) == KEY
    assert row is not None
    assert KEY.encode() not in row["ciphertext"] + row["wrapped_key"] + row["fingerprint"]
    assert await rows(house, "SELECT * FROM app.user_ai_settings ORDER BY user_id") == tiers
    [event] = await events(house, since)
    assert (event["action"], event["target_type"], event["target_id"]) == (
        "provider_key.set",
        "AiSettings",
        who.user_id,
    )
    assert (event["actor_id"], event["details"]) == (who.actor_id, {"id": row["id"]})
    assert await is_whole(house)


async def test_without_row_level_security_the_apis_own_statements_still_keep_to_ones_own(house: House) -> None:
    others = (
        "SELECT * FROM app.user_provider_keys WHERE (organization_id, user_id) IS DISTINCT FROM ($1, $2) ORDER BY id"
    )
    await run(house, "ALTER TABLE app.user_provider_keys DISABLE ROW LEVEL SECURITY")
    before = await rows(house, others, WANDA.organization_id, WANDA.user_id)
    assert (await setting(house, WANDA, "ANTHROPIC"))["aiSettings"]["keys"][0]["keyVersion"] == 2
    await removing(house, WANDA)
    assert await stored(house, WANDA, "ANTHROPIC") is None
    assert await rows(house, others, WANDA.organization_id, WANDA.user_id) == before


# ── replacing and removing ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_replaced_key_is_the_next_version_of_its_row_and_needs_no_reentry(house: House) -> None:
    await setting(house, ANA)
    first = await stored(house, ANA)
    await run(house, "UPDATE app.user_provider_keys SET needs_reentry = true WHERE user_id = $1", ANA.user_id)
    found = await setting(house, ANA, key="short")
    assert keys_of(found)["OPENAI"] == {"provider": "OPENAI", "hint": "", "keyVersion": 2, "needsReentry": False}
    second = await stored(house, ANA)
    assert first is not None
    assert second is not None
    assert (second["id"], second["key_version"]) == (first["id"], 2)
    assert second["set_at"] > first["set_at"]
    assert opened(house, second) == "short"
    with pytest.raises(UnopenableError):  # the old bytes, put back into the row as it is now
        opened(house, second | {name: first[name] for name in ("ciphertext", "wrapped_key")})


async def test_a_key_that_was_sealed_elsewhere_or_never_is_replaced_like_any_other(house: House) -> None:
    found = await setting(house, ANA, "ANTHROPIC")
    assert keys_of(found)["ANTHROPIC"]["keyVersion"] == 2
    assert opened(house, await stored(house, ANA, "ANTHROPIC")) == KEY
    await run(
        house,
        "UPDATE app.user_provider_keys SET ciphertext = NULL, wrapped_key = NULL, key_id = NULL WHERE user_id = $1",
        ANA.user_id,
    )
    shown = (await house.client.ask("{viewer{aiSettings{keys{needsReentry}}}}", ANA.who)).data
    assert shown["viewer"]["aiSettings"]["keys"] == [{"needsReentry": True}]
    await setting(house, ANA, "ANTHROPIC")
    assert opened(house, await stored(house, ANA, "ANTHROPIC")) == KEY


async def test_keys_set_at_the_same_moment_leave_one_row_that_opens(house: House) -> None:
    since, given = await head(house), [f"{KEY}-{n}" for n in range(8)]
    done = await asyncio.gather(*(setting(house, BEN, "GOOGLE", key) for key in given))
    assert [each.refusals for each in done] == [[]] * 8
    row = await stored(house, BEN, "GOOGLE")
    assert row is not None
    assert (row["key_version"], opened(house, row) in given) == (8, True)
    assert len(await events(house, since)) == 8


async def test_setting_and_removing_at_the_same_moment_leaves_a_key_that_opens_or_none(house: House) -> None:
    for _ in range(5):
        done = await asyncio.gather(*(do(house, BEN, "GOOGLE") for do in (setting, removing) * 3))
        assert [each.refusals for each in done] == [[]] * 6
        row = await stored(house, BEN, "GOOGLE")
        assert row is None or opened(house, row) == KEY


async def test_a_key_is_removed_once_and_a_second_time_nothing_happens(house: House) -> None:
    since, before = await head(house), await stored(house, ANA, "ANTHROPIC")
    for _ in range(2):
        found = await removing(house, ANA)
        assert (found.refusals, found["aiSettings"]["keys"]) == ([], [])
        after = await hashes(house)
    assert await stored(house, ANA, "ANTHROPIC") is None
    assert await stored(house, BEN, "ANTHROPIC") is not None
    [event] = await events(house, since)
    assert before is not None
    assert (event["action"], event["details"]) == ("provider_key.removed", {"id": before["id"]})
    await removing(house, ANA)
    assert await hashes(house) == after


# ── refused ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_blank_key_is_invalid_and_changes_nothing(house: House) -> None:
    before = await hashes(house)
    for key in (" ", "\t\r\n", "\u00a0\u2003"):
        found = await setting(house, ANA, "ANTHROPIC", key)
        assert (found.refusals, found["aiSettings"]) == ([("INVALID", ["key"])], None)
    assert await hashes(house) == before


async def test_a_change_that_holds_a_key_cannot_be_repeated_by_key_and_a_removal_can(house: House) -> None:
    before = await hashes(house)
    given = {"provider": "OPENAI", "key": KEY}
    answer = await asked(house.client, ANA, "setProviderKey", KEYS, given, key="once")
    assert answer.codes == ["BAD_USER_INPUT"]
    assert KEY not in answer.raw.decode()
    assert await hashes(house) == before
    twice = [await change(house, ANA, "removeProviderKey", KEYS, key="once", provider="ANTHROPIC") for _ in range(2)]
    assert twice[0].answer.raw == twice[1].answer.raw


async def test_selecting_a_keys_value_is_a_validation_error(house: House) -> None:
    for field in ("key", "value", "secret", "ciphertext", "wrappedKey", "fingerprint", "keyId"):
        answer = await house.client.ask(f"{{viewer{{aiSettings{{keys{{{field}}}}}}}}}", ANA.who)
        assert (answer.codes, answer.statements) == (["GRAPHQL_VALIDATION_FAILED"], ())


def test_no_type_that_goes_out_has_a_secret() -> None:
    kinds = [kind for kind in build_schema().type_map.values() if isinstance(kind, GraphQLObjectType)]
    assert not [kind for kind in kinds for field in kind.fields.values() if get_named_type(field.type).name == "Secret"]


# ── the keyring ──────────────────────────────────────────────────────────────────────────────────────────────────────
def ring(*ids: str) -> str:
    return ",".join(f"{id_}:{b64encode(secrets.token_bytes(32)).decode()}" for id_ in ids)


def served(house: House, home: Path, **environment: str) -> AbstractAsyncContextManager[Client]:
    return client_of(house.urls, home, EMBEDDER="none", **environment)  # type: ignore[arg-type]


async def test_production_without_a_keyring_sets_no_key_and_can_open_none(house: House, tmp_path: Path) -> None:
    secret = load({"MINUTEBOOK_HOME": str(tmp_path)}).own_secret()
    issuer = {"JWT_SECRET": secret, "JWT_ISSUER": OWN_ISSUER, "JWT_AUDIENCE": OWN_AUDIENCE}
    await setting(house, ANA)
    before = await hashes(house)
    async with served(house, tmp_path, ENVIRONMENT="prod", **issuer) as client:
        answer = await asked(client, ANA, "setProviderKey", KEYS, {"provider": "OPENAI", "key": KEY})
        assert (answer.codes, answer.body["data"]) == (["UNAVAILABLE"], None)
        assert "keyring" in answer.errors[0]["message"]
        assert await hashes(house) == before
        keys = (await client.ask("{viewer{aiSettings{keys{needsReentry}}}}", ANA.who)).data["viewer"]["aiSettings"][
            "keys"
        ]
        assert keys == [{"needsReentry": True}] * 2
        assert (await asked(client, ANA, "removeProviderKey", "", {"provider": "OPENAI"})).data
    assert not (tmp_path / "keyring").exists()


async def test_a_key_whose_wrapping_key_left_the_keyring_must_be_set_again(house: House, tmp_path: Path) -> None:
    one, two = ring("one"), ring("two")
    shown = "{viewer{aiSettings{keys{provider needsReentry}}}}"

    async def needs_reentry(keyring: str, *, setting: bool = False) -> bool:
        async with served(house, tmp_path, KEYRING=keyring) as client:
            if setting:
                await asked(client, ANA, "setProviderKey", "", {"provider": "OPENAI", "key": KEY})
            keys = (await client.ask(shown, ANA.who)).data["viewer"]["aiSettings"]["keys"]
        return bool({key["provider"]: key["needsReentry"] for key in keys}["OPENAI"])

    assert not await needs_reentry(one, setting=True)
    assert not await needs_reentry(f"{two},{one}")
    assert await needs_reentry(two)
    assert not await needs_reentry(two, setting=True)
    assert await needs_reentry(one)
