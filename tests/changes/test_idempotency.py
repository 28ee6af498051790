"""`@idempotent(key:)`: one effect, equal answers, in one transaction with what it did."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from api.cli.database import forget_expired_keys
from db.session import Session
from tests.changes.house import House, gid, hidden, refusals
from tests.client import client_of
from tests.security.conftest import UNLIMITED
from tests.security.people import NORTH, SOUTH, uid

LIVE = gid("Conversation", "conversation", "ana", "live")
STATE = "conversation{id title messages(first:3){edges{node{id role content}}}}"
BEGIN = {"title": "Kitchen budget", "firstMessage": "Why is lumber over?"}
DAY = timedelta(hours=24)
MISMATCH = [("IDEMPOTENCY_MISMATCH", None)]

Later: TypeAlias = Callable[[timedelta], House]


async def begin(house: House, who: str = "ana.north", key: str | None = "one", /, **more: Any) -> Any:
    return await house.change("createConversation", {**BEGIN, **more}, STATE, who, key=key)


async def begun(house: House, title: str = BEGIN["title"]) -> int:
    [row] = await house.rows("SELECT count(*) AS count FROM app.ai_conversations WHERE title = $1", title)
    return int(row["count"])


async def test_the_same_key_is_another_organizations_and_anothers_own(house: House) -> None:
    people = ["ana.south", "ana.north", "ben.north", "carol.north"]
    answers = [await begin(house, who) for who in people]
    assert all(refusals(answer) == [] for answer in answers)
    assert len({answer.raw for answer in answers}) == len(people)
    assert [(await begin(house, who)).raw for who in people] == [answer.raw for answer in answers]
    assert await begun(house) == len(people)


async def test_one_person_in_two_organizations_has_two_of_every_key(house: House) -> None:
    text = 'mutation{createConversation(input:{title:"Both"})@idempotent(key:"one"){conversation{id}}}'
    answers = {
        slug: {(await house.client.ask(text, "wanda", organization=slug)).raw for _ in range(3)}
        for slug in (NORTH, SOUTH)
    }
    assert [len(each) for each in answers.values()] == [1, 1]
    assert answers[NORTH] != answers[SOUTH]
    assert await begun(house, "Both") == 2


async def test_fifty_repeats_at_once_have_one_effect_and_fifty_equal_answers(house: House) -> None:
    answers = await asyncio.gather(*(begin(house) for _ in range(50)))
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == []
    assert await begun(house) == 1
    assert [action for action, *_ in await house.events()] == ["conversation.created", "message.sent"]


async def test_another_request_under_the_same_key_is_refused_and_changes_nothing(house: House) -> None:
    first = await begin(house, projectId=None)
    async with house.untouched():
        for more in ({"title": "Other"}, {}, {"projectId": None, "metadata": None}, {"projectId": gid("Project", "x")}):
            answer = await begin(house, **more)
            assert refusals(answer) == MISMATCH
            assert answer.data["createConversation"]["conversation"] is None
        other = await house.change("updateConversation", {"id": LIVE, "title": "T"}, "conversation{id}", key="one")
        assert refusals(other) == MISMATCH
        again = await begin(house, projectId=None)
    assert again.raw == first.raw


async def test_another_mutation_with_an_equal_input_is_another_request(house: House) -> None:
    deleted = await house.change("deleteConversation", {"id": LIVE}, "conversation{deletedAt}", key="one")
    async with house.untouched():
        restored = await house.change("restoreConversation", {"id": LIVE}, "conversation{deletedAt}", key="one")
    assert (refusals(deleted), refusals(restored)) == ([], MISMATCH)


async def test_of_different_requests_at_once_under_one_key_one_is_done(house: House) -> None:
    answers = await asyncio.gather(*(begin(house, title=f"Title {at % 5}") for at in range(20)))
    done = [answer for answer in answers if not refusals(answer)]
    assert len({answer.raw for answer in done}) == 1
    assert len(done) == 4
    assert all(refusals(answer) == MISMATCH for answer in answers if answer not in done)


async def test_each_alias_has_its_key(house: House) -> None:
    def part(alias: str, key: str, title: str) -> str:
        directive = f'@idempotent(key:"{key}")' if key else ""
        return f'{alias}:createConversation(input:{{title:"{title}"}}){directive}{{conversation{{id title}} userErrors{{code}}}}'

    parts = (("a", "1", "A"), ("b", "2", "A"), ("c", "1", "A"), ("d", "1", "B"), ("e", "", "A"))
    text = f"mutation{{{' '.join(part(*each) for each in parts)}}}"
    first, again = [(await house.client.ask(text, "ana.north")).data for _ in range(2)]
    assert first["a"] == first["c"]
    assert first["d"] == {"conversation": None, "userErrors": [{"code": "IDEMPOTENCY_MISMATCH"}]}
    assert len({first[alias]["conversation"]["id"] for alias in "abe"}) == 3
    assert {alias: again[alias] for alias in "abcd"} == {alias: first[alias] for alias in "abcd"}
    assert await begun(house, "A") == 4


async def test_a_repeat_shows_the_nodes_as_they_are_now(house: House) -> None:
    made = (await begin(house)).data["createConversation"]["conversation"]
    await house.change("updateConversation", {"id": made["id"], "title": "New"})
    again = (await begin(house)).data["createConversation"]["conversation"]
    assert again == {**made, "title": "New"}


async def test_a_refusal_is_repeated_although_it_would_be_done_now(house: House) -> None:
    deleted = gid("Conversation", "conversation", "ana", "deleted")
    asked = {"conversationId": deleted, "content": "Why?"}
    refused = await house.change("sendMessage", asked, "message{id}", key="one")
    assert refusals(refused) == [("NOT_FOUND", ["conversationId"])]
    await house.change("restoreConversation", {"id": deleted})
    async with house.untouched():
        again = await house.change("sendMessage", asked, "message{id}", key="one")
    assert again.raw == refused.raw
    assert refusals(await house.change("sendMessage", asked, "message{id}", key="two")) == []


async def test_refusals_of_single_items_are_repeated_with_what_was_done(house: House) -> None:
    asked = {"ids": [gid("Insight", "insight", "open"), *hidden("Insight", "insight", "open")]}
    first = await house.change("dismissInsights", asked, "insights{id isDismissed}", key="one")
    assert refusals(first) == [("NOT_FOUND", ["ids", "1"]), ("NOT_FOUND", ["ids", "2"])]
    async with house.untouched():
        again = await house.change("dismissInsights", asked, "insights{id isDismissed}", key="one")
    assert again.raw == first.raw


async def test_a_conflict_is_repeated(house: House) -> None:
    asked = {"id": LIVE, "title": "T", "expectedUpdatedAt": "2020-01-01T00:00:00Z"}
    first = await house.change("updateConversation", asked, "conversation{title}", key="one")
    assert refusals(first) == [("CONFLICT", ["expectedUpdatedAt"])]
    async with house.untouched():
        again = await house.change("updateConversation", asked, "conversation{title}", key="one")
    assert again.raw == first.raw


async def test_whoever_may_change_nothing_is_refused_with_a_key_as_without(house: House) -> None:
    people, keys = ["olga.north", "dave.north"], [None, "two"]
    async with house.untouched():
        answers = [
            await house.change("dismissInsights", {"ids": []}, "insights{id}", who, key=key)
            for who in people
            for key in keys
        ]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("FORBIDDEN", None)]


async def test_a_service_has_keys_too(house: House) -> None:
    asked = {"id": LIVE, "title": "T"}
    answers = [
        await house.change("updateConversation", asked, "conversation{title}", "service:north", key="one")
        for _ in range(3)
    ]
    assert len({answer.raw for answer in answers}) == 1
    assert len(await house.events()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\0b"])
async def test_a_key_that_cannot_be_kept_is_bad_input(house: House, key: str) -> None:
    async with house.untouched():
        answer = await house.client.ask(
            f'mutation{{createConversation(input:{{title:"T"}})@idempotent(key:"{_escaped(key)}"){{conversation{{id}}}}}}',
            "ana.north",
        )
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["argument"] == "key"


def _escaped(text: str) -> str:
    return "".join(char if char.isascii() and char.isprintable() else f"\\u{ord(char):04x}" for char in text)


async def test_a_change_that_ended_in_an_error_keeps_no_key(house: House) -> None:
    async with house.untouched():
        wrong = await begin(house, projectId=LIVE)
    assert wrong.codes == ["BAD_USER_INPUT"]
    assert refusals(await begin(house)) == []


async def test_a_key_counts_wherever_its_field_is_asked(house: House) -> None:
    field = 'createConversation(input:{title:"Merged"})'
    text = f'mutation{{{field}{{conversation{{id}}}} {field}@idempotent(key:"one"){{conversation{{title}}}}}}'
    answers = {(await house.client.ask(text, "ana.north")).raw for _ in range(2)}
    assert len(answers) == 1
    assert await begun(house, "Merged") == 1


@pytest.fixture
async def later(house: House, tmp_path: Path) -> AsyncIterator[Later]:
    """The same world, asked so much later."""
    shift = timedelta()
    async with client_of(house.urls, tmp_path, clock=lambda: datetime.now(UTC) + shift, **UNLIMITED) as client:

        def at(after: timedelta) -> House:
            nonlocal shift
            shift = after
            return House(house.urls, client)

        yield at


async def test_a_key_holds_for_a_day_and_is_free_then(house: House, later: Later) -> None:
    first = await begin(house)
    held = await begin(later(DAY - timedelta(minutes=1)))
    assert held.raw == first.raw
    free = later(DAY + timedelta(minutes=1))
    second = await begin(free)
    assert refusals(second) == []
    assert second.raw != first.raw
    assert (await begin(free)).raw == second.raw
    assert await begun(house) == 2
    assert (await begin(later(2 * DAY))).raw == second.raw


async def test_of_fifty_who_come_by_an_expired_key_one_takes_it_over(house: House, later: Later) -> None:
    first = await begin(house)
    free = later(DAY + timedelta(minutes=1))
    answers = await asyncio.gather(*(begin(free) for _ in range(50)))
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == []
    assert answers[0].raw != first.raw
    assert await begun(house) == 2


async def test_an_expired_key_may_stand_for_another_request(house: House, later: Later) -> None:
    await begin(house)
    free = later(DAY + timedelta(minutes=1))
    answers = await asyncio.gather(*(begin(free, title=f"Title {at % 5}") for at in range(20)))
    done = [answer for answer in answers if not refusals(answer)]
    assert len({answer.raw for answer in done}) == 1
    assert len(done) == 4
    assert all(refusals(answer) == MISMATCH for answer in answers if answer not in done)


async def test_a_refused_change_leaves_an_expired_key_as_it_was(house: House, later: Later) -> None:
    await begin(house)
    free = later(DAY + timedelta(minutes=1))
    async with house.untouched():
        assert (await begin(free, projectId=LIVE)).codes == ["BAD_USER_INPUT"]


async def test_an_expired_key_is_swept(house: House) -> None:
    first = await begin(house)
    ana = uid(NORTH, "user", "ana")
    assert await forget_expired_keys(house.urls.operator) == 0
    await house.rows("UPDATE app.idempotency_keys SET expires_at = now() WHERE key = 'one' AND actor_id = $1", ana)
    assert await forget_expired_keys(house.urls.operator) == 1
    assert (await begin(house)).raw != first.raw
    assert await begun(house) == 2


# Where the process may die: before what was done is stored, or after, when the answer is lost.
DEATHS: dict[str, tuple[bool, int]] = {"before the commit": (False, 0), "after the commit": (True, 1)}


@pytest.mark.parametrize("death", DEATHS)
async def test_a_retry_after_a_crash_has_one_effect(house: House, monkeypatch: pytest.MonkeyPatch, death: str) -> None:
    is_stored, done = DEATHS[death]
    with monkeypatch.context() as patch:
        patch.setattr(Session, "_commit", _dying(Session._commit, is_stored=is_stored))
        lost = await begin(house)
    assert lost.codes == ["UNAVAILABLE"]
    assert await begun(house) == done
    answers = [await begin(house) for _ in range(2)]
    assert [refusals(answer) for answer in answers] == [[], []]
    assert answers[0].raw == answers[1].raw
    assert await begun(house) == 1
    assert [action for action, *_ in await house.events()] == ["conversation.created", "message.sent"]


def _dying(commit: Callable[..., Any], *, is_stored: bool) -> Callable[..., Any]:
    async def die(*given: Any) -> None:
        if is_stored:
            await commit(*given)
        raise ConnectionResetError("the connection is gone")

    return die
