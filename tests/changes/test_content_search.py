"""Recording what was chosen from a search: by its person, once."""

import asyncio
import uuid

import pytest

from api.node import global_id
from tests.changes.house import House, refusals
from tests.security.people import AT, NEVER_ISSUED, NORTH, SOUTH, timed, uid

SEARCH = timed(AT, NORTH, "search", "ana", "open")
OPEN, CHOSEN = (global_id("ContentSearch", timed(AT, NORTH, "search", "ana", state)) for state in ("open", "chosen"))
CONTENT = "0194aa00-0000-4000-8000-00000000beef"
STATE = "search{id query resultsCount selectedContentId}"


def search_of(slug: str, person: str) -> str:
    return global_id("ContentSearch", timed(AT, slug, "search", person, "open"))


async def test_searches_that_do_not_exist_for_the_caller_are_refused_alike(house: House) -> None:
    invented = [global_id("ContentSearch", each) for each in (NEVER_ISSUED, timed(AT, NORTH, "never issued"))]
    ids = [search_of(SOUTH, "ana"), search_of(NORTH, "ben"), *invented]
    async with house.untouched():
        answers = [
            await house.change("selectSearchResult", {"searchId": id_, "contentId": CONTENT}, STATE) for id_ in ids
        ]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("NOT_FOUND", ["searchId"])]
    assert answers[0].data["selectSearchResult"]["search"] is None


async def test_an_admin_sees_a_members_search_and_may_not_choose_for_it(house: House) -> None:
    asked = {"contentId": CONTENT}
    async with house.untouched():
        members = await house.change("selectSearchResult", {"searchId": OPEN, **asked}, STATE, "carol.north")
        foreign = await house.change(
            "selectSearchResult", {"searchId": search_of(SOUTH, "ana"), **asked}, STATE, "carol.north"
        )
    assert refusals(members) == [("FORBIDDEN", ["searchId"])]
    assert refusals(foreign) == [("NOT_FOUND", ["searchId"])]
    own = await house.change(
        "selectSearchResult", {"searchId": search_of(NORTH, "carol"), **asked}, STATE, "carol.north"
    )
    assert refusals(own) == []


async def test_observers_auditors_and_services_choose_nothing(house: House) -> None:
    ids = [OPEN, *(search_of(NORTH, who) for who in ("olga", "dave")), search_of(SOUTH, "ana")]
    ids.append(global_id("ContentSearch", NEVER_ISSUED))
    asked = [{"searchId": each, "contentId": CONTENT} for each in ids]
    people = ["olga.north", "dave.north", "service:north"]
    async with house.untouched():
        answers = [await house.change("selectSearchResult", each, STATE, who) for each in asked for who in people]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("FORBIDDEN", None)]


@pytest.mark.parametrize("content", [CONTENT, CONTENT.upper(), str(uuid.UUID(int=7))])
async def test_a_choice_is_recorded_once(house: House, content: str) -> None:
    first = await house.change("selectSearchResult", {"searchId": OPEN, "contentId": content}, STATE)
    assert first.data["selectSearchResult"]["search"]["selectedContentId"] == content.lower()
    assert refusals(first) == []
    async with house.untouched():
        for other in (content, str(uuid.uuid4())):
            again = await house.change("selectSearchResult", {"searchId": OPEN, "contentId": other}, STATE)
            assert refusals(again) == [("IMMUTABLE", ["searchId"])]
            assert again.data["selectSearchResult"]["search"] == first.data["selectSearchResult"]["search"]
    assert await house.events() == [("content_search.selected", SEARCH, {"selected_content_id": content.lower()})]


async def test_a_choice_of_long_ago_stays(house: House) -> None:
    async with house.untouched():
        answer = await house.change("selectSearchResult", {"searchId": CHOSEN, "contentId": CONTENT}, STATE)
    assert refusals(answer) == [("IMMUTABLE", ["searchId"])]
    assert answer.data["selectSearchResult"]["search"]["selectedContentId"] == uid("both", "content", "plan")


async def test_of_many_choices_at_the_same_moment_one_holds(house: House) -> None:
    choices = [str(uuid.uuid4()) for _ in range(10)]
    answers = await asyncio.gather(
        *(house.change("selectSearchResult", {"searchId": OPEN, "contentId": each}, STATE) for each in choices)
    )
    won = [choice for choice, answer in zip(choices, answers, strict=True) if not refusals(answer)]
    assert len(won) == 1
    assert {answer.data["selectSearchResult"]["search"]["selectedContentId"] for answer in answers} == set(won)
    assert await house.events() == [("content_search.selected", SEARCH, {"selected_content_id": won[0]})]


@pytest.mark.parametrize(
    ("given", "argument"), [({"contentId": "42"}, "$input.contentId"), ({"searchId": "U2Vh"}, "searchId")]
)
async def test_what_is_no_id_is_bad_input(house: House, given: dict[str, str], argument: str) -> None:
    async with house.untouched():
        answer = await house.change("selectSearchResult", {"searchId": OPEN, "contentId": CONTENT, **given}, STATE)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["argument"] == argument
