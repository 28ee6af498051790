"""The preferred provider is a person's own; the tier is the admin's to set, and sets the day's limit with it."""

import asyncio

import asyncpg
import pytest

from api.node import global_id
from db.policies import CALLS, REQUEST_ROLES
from tests.changes.changing import (
    ANA,
    BEN,
    CAROL,
    DAVE,
    OLGA,
    SERVICE,
    change,
    events,
    hashes,
    head,
    invented,
    is_whole,
    refused_alike,
    rows,
    run,
)
from tests.changes.house import House
from tests.databases import superuser
from tests.security.looking import Row, acting, logins
from tests.security.people import SOUTH, Principal, principal, uid, user_id

SETTINGS = "aiSettings { tier preferredProvider createdAt }"
LIMITS = {"FREE": 10, "PREMIUM": 100, "BYOK": None}


async def settings(house: House, user: str | None, organization: str = uid("north")) -> Row | None:
    found = await rows(
        house, "SELECT * FROM app.user_ai_settings WHERE organization_id = $1 AND user_id = $2", organization, user
    )
    return found[0] if found else None


async def budgets(house: House, user: str | None) -> dict[tuple[str, str], Row]:
    """The person's in the north."""
    sql = "SELECT * FROM app.usage_budgets WHERE organization_id = $1 AND subject_id = $2"
    return {(row["metric"], row["budget_window"]): row for row in await rows(house, sql, uid("north"), user)}


def person(slug: str, name: str) -> str:
    return global_id("User", user_id(slug, name))


# ── the tier ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_person_of_another_organization_has_no_tier_to_set(house: House) -> None:
    strangers = [{"userId": id_, "tier": "PREMIUM"} for id_ in (person(SOUTH, "ana"), invented("User"))]
    found = await refused_alike(house, CAROL, "setUserTier", "aiSettings { tier }", *strangers)
    assert found.refusals == [("NOT_FOUND", ["userId"])]
    assert found["aiSettings"] is None


async def test_only_an_admin_sets_tiers(house: House) -> None:
    anybody = [person("north", "ana"), person("north", "ben"), person(SOUTH, "ana"), invented("User")]
    given = [{"userId": id_, "tier": "PREMIUM"} for id_ in anybody]
    for who in (ANA, OLGA, DAVE, SERVICE):
        found = await refused_alike(house, who, "setUserTier", "aiSettings { tier }", *given)
        assert (str(who), found.refusals) == (str(who), [("FORBIDDEN", None)])


@pytest.mark.parametrize("tier", LIMITS)
async def test_a_tier_brings_its_limit_of_the_day_and_one_event_at_the_end(house: House, tier: str) -> None:
    await run(house, "DELETE FROM app.user_ai_settings WHERE user_id = $1", BEN.user_id)
    before, since = await budgets(house, BEN.user_id), await head(house)
    start = "PREMIUM" if tier == "FREE" else "FREE"
    if start != "FREE":
        await change(house, CAROL, "setUserTier", userId=person("north", "ben"), tier=start)
        before, since = await budgets(house, BEN.user_id), await head(house)
    done = await change(house, CAROL, "setUserTier", SETTINGS, userId=person("north", "ben"), tier=tier)
    assert done.refusals == []
    assert done["aiSettings"]["tier"] == tier
    assert done["aiSettings"]["createdAt"] is not None
    found = await settings(house, BEN.user_id)
    assert found is not None
    assert (found["tier"], found["preferred_provider"]) == (tier, "OPENAI")
    after = await budgets(house, BEN.user_id)
    assert after["REQUESTS", "DAY"]["limit_value"] == LIMITS[tier]
    untouched = {"limit_value", "updated_at"}
    for key, row in before.items():
        left_out = untouched if key == ("REQUESTS", "DAY") else set()
        assert {name: row[name] for name in row.keys() - left_out} == {
            name: after[key][name] for name in row.keys() - left_out
        }
    [event] = await events(house, since)
    assert event == {
        "action": "ai_settings.tier_set", "actor_id": CAROL.user_id, "actor_role": "ADMIN",
        "target_type": "AiSettings", "target_id": BEN.user_id,
        "details": {
            "changed": ["tier", "limit_value"],
            "old": {"tier": start, "limit_value": LIMITS[start]},
            "new": {"tier": tier, "limit_value": LIMITS[tier]},
        },
    }  # fmt: skip
    assert await is_whole(house)


async def test_the_tier_that_is_there_already_changes_nothing_but_a_limit_of_its_own(house: House) -> None:
    ana = person("north", "ana")
    before = await hashes(house)
    assert (await change(house, CAROL, "setUserTier", SETTINGS, userId=ana, tier="FREE"))["aiSettings"][
        "tier"
    ] == "FREE"
    assert await hashes(house) == before
    await change(house, CAROL, "setBudgetLimit", subjectId=ana, metric="REQUESTS", window="DAY", limit="3")
    since = await head(house)
    await change(house, CAROL, "setUserTier", userId=ana, tier="FREE")
    assert (await budgets(house, ANA.user_id))["REQUESTS", "DAY"]["limit_value"] == LIMITS["FREE"]
    [event] = await events(house, since)
    assert event["details"]["changed"] == ["limit_value"]


async def test_the_tier_of_one_who_is_in_two_organizations_changes_in_one(house: House) -> None:
    wanda = person("north", "wanda")
    assert wanda == person(SOUTH, "wanda")
    before = await hashes(house, but=uid("north"))
    await change(house, CAROL, "setUserTier", userId=wanda, tier="PREMIUM")
    assert await hashes(house, but=uid("north")) == before


async def test_admins_at_once_take_turns_and_each_event_begins_where_the_last_one_ended(house: House) -> None:
    tiers = ["PREMIUM", "BYOK", "FREE"] * 4
    since = await head(house)
    done = await asyncio.gather(
        *(change(house, CAROL, "setUserTier", userId=person("north", "ben"), tier=tier) for tier in tiers)
    )
    assert all(each.refusals == [] for each in done)
    details = [event["details"] for event in await events(house, since)]
    assert details
    assert [each["old"] for each in details[1:]] == [each["new"] for each in details[:-1]]
    found = await settings(house, BEN.user_id)
    assert found is not None
    assert {"tier": found["tier"], "limit_value": LIMITS[found["tier"]]} == details[-1]["new"]
    assert await is_whole(house)


async def test_repeats_with_a_key_set_the_tier_once(house: House) -> None:
    since = await head(house)
    answers = await asyncio.gather(
        *(
            change(house, CAROL, "setUserTier", SETTINGS, key="once", userId=person("north", "ben"), tier="BYOK")
            for _ in range(10)
        )
    )
    assert len({each.answer.raw for each in answers}) == 1
    assert [event["action"] for event in await events(house, since)] == ["ai_settings.tier_set"]


async def test_an_id_of_another_type_is_refused_by_name(house: House) -> None:
    answer = await house.client.ask(
        "mutation($u: ID!) { setUserTier(input: {userId: $u, tier: FREE}) { userErrors { code } } }",
        CAROL.who, u=invented("Project"),
    )  # fmt: skip
    assert (answer.codes, answer.errors[0]["extensions"]["argument"]) == (["BAD_USER_INPUT"], "userId")


# ── behind the API ───────────────────────────────────────────────────────────────────────────────────────────────────
FUNCTIONS = {
    "set_user_tier": "SELECT app.set_user_tier($1, 'PREMIUM')",
    "set_budget_limit": "SELECT app.set_budget_limit($1, 'REQUESTS', 'DAY', 5)",
}


@pytest.mark.parametrize("function", FUNCTIONS)
async def test_the_database_lets_an_admin_alone_call_it_and_finds_nobody_across_the_wall(
    house: House, function: str
) -> None:
    sql = FUNCTIONS[function]
    async with logins(house.urls) as connections:
        for who in (ANA, OLGA, DAVE, SERVICE, CAROL):
            for slug in ("north", SOUTH):
                async with acting(connections[who.user_id is None], who) as connection:
                    state = None
                    try:
                        await connection.execute(sql, user_id(slug, "ben"))
                    except asyncpg.PostgresError as error:
                        state = error.sqlstate
                due = "42501" if who is not CAROL else None if slug == "north" else "23503"
                assert (str(who), slug, state) == (str(who), slug, due)


async def test_a_definer_function_is_executed_by_whom_the_matrix_names(house: House) -> None:
    for function, roles in CALLS.items():
        [found] = await rows(
            house,
            "SELECT array_agg(r ORDER BY r) AS roles FROM unnest($1::text[]) AS r, pg_catalog.pg_proc AS p"
            " WHERE p.pronamespace = 'app'::regnamespace AND p.proname = $2"
            " AND has_function_privilege('app_' || r, p.oid, 'EXECUTE')",
            list(REQUEST_ROLES), function,
        )  # fmt: skip
        assert found["roles"] == sorted(roles), function


# ── the preferred provider ───────────────────────────────────────────────────────────────────────────────────────────
async def test_preferring_a_provider_touches_neither_a_colleague_nor_the_other_organization(house: House) -> None:
    wanda = principal("north", "wanda")
    before = await hashes(house, but=uid("north"))
    colleague = await settings(house, BEN.user_id)
    assert (await change(house, wanda, "setPreferredProvider", provider="GOOGLE")).refusals == []
    assert await hashes(house, but=uid("north")) == before
    assert await settings(house, BEN.user_id) == colleague


async def test_one_without_settings_of_its_own_prefers_nothing(house: House) -> None:
    for who in (OLGA, DAVE, SERVICE):
        found = await refused_alike(house, who, "setPreferredProvider", "aiSettings { tier }", {"provider": "GOOGLE"})
        assert (str(who), found.refusals) == (str(who), [("FORBIDDEN", None)])


@pytest.mark.parametrize("who", [ANA, CAROL], ids=str)
async def test_the_first_choice_makes_the_row_with_its_defaults(house: House, who: Principal) -> None:
    await run(house, "DELETE FROM app.user_ai_settings WHERE user_id = $1", who.user_id)
    since = await head(house)
    done = await change(house, who, "setPreferredProvider", SETTINGS, provider="ANTHROPIC")
    assert done["aiSettings"]["preferredProvider"] == "ANTHROPIC"
    found = await settings(house, who.user_id)
    assert found is not None
    assert (found["tier"], found["preferred_provider"]) == ("FREE", "ANTHROPIC")
    [event] = await events(house, since)
    assert (event["action"], event["target_id"], event["details"]) == (
        "ai_settings.updated",
        who.user_id,
        {"changed": ["preferred_provider"], "new": {"preferred_provider": "ANTHROPIC"}},
    )


async def test_a_choice_writes_its_column_alone_and_a_second_time_nothing(house: House) -> None:
    await run(house, "UPDATE app.user_ai_settings SET tier = 'BYOK' WHERE user_id = $1", ANA.user_id)
    before = await settings(house, ANA.user_id)
    await change(house, ANA, "setPreferredProvider", provider="GOOGLE")
    after = await settings(house, ANA.user_id)
    assert before is not None
    assert after is not None
    assert {name for name in after if after[name] != before[name]} == {"preferred_provider", "updated_at"}
    same = await hashes(house)
    assert (await change(house, ANA, "setPreferredProvider", SETTINGS, provider="GOOGLE"))["aiSettings"][
        "tier"
    ] == "BYOK"
    assert await hashes(house) == same


async def test_choosing_for_the_first_time_in_parallel_makes_one_row(house: House) -> None:
    await run(house, "DELETE FROM app.user_ai_settings WHERE user_id = $1", ANA.user_id)
    providers = ["GOOGLE", "ANTHROPIC"] * 4
    done = await asyncio.gather(*(change(house, ANA, "setPreferredProvider", provider=each) for each in providers))
    assert all(each.refusals == [] for each in done)
    async with superuser(house.urls) as connection:
        count = await connection.fetchval("SELECT count(*) FROM app.user_ai_settings WHERE user_id = $1", ANA.user_id)
    assert count == 1
