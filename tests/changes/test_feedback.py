"""Rating answers: whose, which, how often."""

import asyncio

import pytest

from api.changes.feedback import _put
from db.statement import Statement
from db.types import Role
from tests.changes.house import House, gid, hidden, refusals
from tests.databases import superuser
from tests.security.people import NORTH, uid

ANSWER = gid("Message", "answer", "ana", "live")
RATING = uid(NORTH, "feedback", "ana", "live")
MINE = "SELECT id, rating, feedback_text FROM app.ai_feedback WHERE message_id = $1"
NOT_FOUND = [("NOT_FOUND", ["messageId"])]
SUBMITTED = "feedback{id rating thumb text}message{id feedbackSummary{up down}}"


@pytest.mark.parametrize(
    ("field", "more"), [("submitFeedback", {"thumb": "DOWN", "text": "No"}), ("withdrawFeedback", {})]
)
async def test_messages_that_do_not_exist_for_the_caller_are_refused_alike(
    house: House, field: str, more: dict[str, str]
) -> None:
    ids = [*hidden("Message", "answer", "ana", "live"), gid("Message", "answer", "ana", "deleted")]
    async with house.untouched():
        answers = [await house.change(field, {"messageId": each, **more}, "message{id}") for each in ids]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == NOT_FOUND


@pytest.mark.parametrize(("field", "more"), [("submitFeedback", {"thumb": "DOWN"}), ("withdrawFeedback", {})])
async def test_observers_auditors_and_services_rate_nothing(house: House, field: str, more: dict[str, str]) -> None:
    ids = [gid("Message", "answer", who, "live") for who in ("olga", "dave", "ana")]
    ids += hidden("Message", "answer", "ana", "live")
    people = ["olga.north", "dave.north", "service:north"]
    async with house.untouched():
        answers = [await house.change(field, {"messageId": each, **more}, who=who) for each in ids for who in people]
    assert len({answer.raw for answer in answers}) == 1
    assert refusals(answers[0]) == [("FORBIDDEN", None)]


async def test_only_answers_are_rated(house: House) -> None:
    question = gid("Message", "question", "ana", "live")
    async with house.untouched():
        answer = await house.change("submitFeedback", {"messageId": question, "thumb": "UP"}, "feedback{id}message{id}")
    assert refusals(answer) == [("INVALID", ["messageId"])]
    assert (answer.data["submitFeedback"]["feedback"], answer.data["submitFeedback"]["message"]) == (None, None)


@pytest.mark.parametrize(("text", "code"), [("x" * 10_001, "PAYLOAD_TOO_LARGE"), (" \n", "INVALID"), ("", "INVALID")])
async def test_a_text_that_is_too_long_or_blank_is_refused(house: House, text: str, code: str) -> None:
    async with house.untouched():
        answer = await house.change("submitFeedback", {"messageId": ANSWER, "thumb": "UP", "text": text})
    assert refusals(answer) == [(code, ["text"])]


async def test_an_id_of_another_type_and_a_nul_are_bad_input(house: House) -> None:
    conversation = gid("Conversation", "conversation", "ana", "live")
    for given in ({"messageId": conversation, "thumb": "UP"}, {"messageId": ANSWER, "thumb": "UP", "text": "a\0"}):
        async with house.untouched():
            answer = await house.change("submitFeedback", given)
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.body.get("data") is None


@pytest.mark.parametrize("person", ["ana", "carol"])
async def test_a_rating_is_given_once_and_then_changed(house: House, person: str) -> None:
    who, message = f"{person}.north", gid("Message", "answer", person, "live")
    await house.rows("DELETE FROM app.ai_feedback WHERE message_id = $1", uid(NORTH, "answer", person, "live"))
    first = await house.change(
        "submitFeedback", {"messageId": message, "thumb": "DOWN", "text": "Wrong"}, SUBMITTED, who
    )
    again = await house.change("submitFeedback", {"messageId": message, "thumb": "UP"}, SUBMITTED, who)
    down, up = (answer.data["submitFeedback"] for answer in (first, again))
    assert down["message"] == {"id": message, "feedbackSummary": {"up": 0, "down": 1}}
    assert up["message"] == {"id": message, "feedbackSummary": {"up": 1, "down": 0}}
    assert down["feedback"] == {"id": up["feedback"]["id"], "rating": 1, "thumb": "DOWN", "text": "Wrong"}
    assert (up["feedback"]["rating"], up["feedback"]["thumb"]) == (5, "UP")
    assert len(await house.rows(MINE, uid(NORTH, "answer", person, "live"))) == 1


async def test_a_text_that_is_left_out_stays_and_null_empties_it(house: House) -> None:
    texts = []
    for given in ({"text": "Why"}, {}, {"text": None}, {}):
        answer = await house.change("submitFeedback", {"messageId": ANSWER, "thumb": "DOWN", **given}, SUBMITTED)
        texts.append(answer.data["submitFeedback"]["feedback"]["text"])
    assert texts == ["Why", "Why", None, None]


async def test_ratings_at_the_same_moment_are_one_row_and_each_is_on_record(house: House) -> None:
    await house.rows("DELETE FROM app.ai_feedback WHERE id = $1", RATING)
    answers = await asyncio.gather(
        *(house.change("submitFeedback", {"messageId": ANSWER, "thumb": "UP"}, SUBMITTED) for _ in range(20))
    )
    assert {answer.data["submitFeedback"]["feedback"]["rating"] for answer in answers} == {5}
    assert len({answer.data["submitFeedback"]["feedback"]["id"] for answer in answers}) == 1
    assert [action for action, *_ in await house.events()] == ["feedback.submitted"] * 20


async def test_a_rating_is_withdrawn_once_and_that_is_all_that_happens(house: House) -> None:
    select = "deletedId message{id myFeedback{id}}"
    first = await house.change("withdrawFeedback", {"messageId": ANSWER}, select)
    assert first.data["withdrawFeedback"] == {
        "deletedId": gid("Feedback", "feedback", "ana", "live"),
        "message": {"id": ANSWER, "myFeedback": None},
        "userErrors": [],
    }
    async with house.untouched():
        again = await house.change("withdrawFeedback", {"messageId": ANSWER}, select)
    assert again.data["withdrawFeedback"] == {**first.data["withdrawFeedback"], "deletedId": None}
    assert await house.events() == [("feedback.withdrawn", RATING, {"message": uid(NORTH, "answer", "ana", "live")})]


async def test_the_record_names_what_changed_and_never_what_was_said(house: House) -> None:
    await house.change("submitFeedback", {"messageId": ANSWER, "thumb": "DOWN", "text": "SECRET"})
    await house.change("submitFeedback", {"messageId": ANSWER, "thumb": "UP"})
    said = {"message": uid(NORTH, "answer", "ana", "live")}
    assert await house.events() == [
        ("feedback.submitted", RATING, {**said, "rating": 1, "changed": ["feedback_text", "rating"]}),
        ("feedback.submitted", RATING, {**said, "rating": 5, "changed": ["rating"]}),
    ]


DELETION = "UPDATE app.ai_conversations SET deleted_at = now() WHERE id = $1"


async def test_a_rating_waits_for_a_deletion_under_way(house: House) -> None:
    async with superuser(house.urls) as connection:
        async with connection.transaction():
            await connection.execute(DELETION, uid(NORTH, "conversation", "ana", "live"))
            rating = asyncio.ensure_future(house.change("submitFeedback", {"messageId": ANSWER, "thumb": "DOWN"}))
            await asyncio.wait([rating], timeout=0.3)
            assert not rating.done()
        assert refusals(await rating) == NOT_FOUND
    assert await house.events() == []


async def test_a_deletion_waits_for_a_rating_under_way(house: House) -> None:
    statement = Statement(_put(Role.MEMBER, ["rating"]), "app_member")
    values = {"message_id": uid(NORTH, "answer", "ana", "live"), "rating": 1, "feedback_text": None}
    values |= {"organization_id": uid(NORTH), "user_id": uid(NORTH, "user", "ana")}
    async with superuser(house.urls) as connection, superuser(house.urls) as other:
        async with connection.transaction():
            [row] = await connection.fetch(statement.sql, *statement.arguments(values))
            assert str(row["id"]) == RATING
            gone = asyncio.ensure_future(other.execute(DELETION, uid(NORTH, "conversation", "ana", "live")))
            await asyncio.wait([gone], timeout=0.3)
            assert not gone.done()
        await gone
