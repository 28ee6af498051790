"""Rating answers: one rating per person and message, given, changed and withdrawn by that person alone."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import Executable, Select, and_, bindparam, delete, select, true
from sqlalchemy.dialects.postgresql import insert

from api.change import Change, Done, changed
from api.context import Info
from api.entities import conversation, feedback, message
from api.entities.feedback import RATINGS, Feedback, Thumb
from api.entities.message import Message
from api.filters import present
from api.loaders import by_id
from api.node import global_id, id_of
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed, text_of
from db import mirror
from db.types import MessageRole, Role

T = feedback.T
M = message.T
C = conversation.T
MAX_TEXT = 10_000
ONE_EACH = (T.c.organization_id, T.c.message_id, T.c.user_id)

SUBMIT = right(T, "insert", "update", columns=("rating", "feedback_text"))
WITHDRAW = right(T, "delete")


@strawberry.input(description="A rating of an answer; it replaces the one given before.")
class SubmitFeedbackInput:
    message_id: strawberry.ID = strawberry.field(description="The assistant's answer.")
    thumb: Thumb = strawberry.field(description="Up or down.")
    text: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Why, at most 10,000 characters. Left out, what was said before stays; null empties it.",
    )


@strawberry.input(description="A rating to withdraw.")
class WithdrawFeedbackInput:
    message_id: strawberry.ID = strawberry.field(description="The answer that was rated.")


@strawberry.type
class _OfMessage(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The rated message; null when nothing was done.")
    async def message(self, info: Info) -> Message | None:
        return await by_id(info.context, message.SOURCE, self.done.ids.get("message"))


@strawberry.type(description="The rating as it is now.")
class SubmitFeedbackPayload(_OfMessage):
    @strawberry.field(description="The rating; null when nothing was done.")
    async def feedback(self, info: Info) -> Feedback | None:
        return await by_id(info.context, feedback.SOURCE, self.done.ids.get("feedback"))


@strawberry.type(description="The message without the rating.")
class WithdrawFeedbackPayload(_OfMessage):
    @strawberry.field(description="The id of the rating that is gone; null when there was none.")
    def deleted_id(self) -> strawberry.ID | None:
        database_id = self.done.ids.get("feedback")
        return strawberry.ID(global_id("Feedback", database_id)) if database_id else None


def _message_in_reach(role: Role) -> Select[Any]:
    # The conversation is locked, so that a deletion at the same moment comes wholly before or wholly after.
    together = and_(C.c.organization_id == M.c.organization_id, C.c.id == M.c.conversation_id)
    wanted = (M.c.id == bindparam("message_id", type_=M.c.id.type), C.c.deleted_at.is_(None))
    found = select(M.c.role).join_from(M, C, together).where(mirror.where(role, M), mirror.where(role, C, "update"))
    return found.where(*wanted).with_for_update(key_share=True, of=C)


async def _reach(change: Change, message_id: str) -> None:
    """Raises RefusedError where the message is not the caller's own, or its conversation is deleted."""
    role = change.actor.role
    rows = await change.session.fetch("message_in_reach", lambda: _message_in_reach(role), message_id=message_id)
    if not rows:
        raise refused(UserErrorCode.NOT_FOUND, "messageId")


def _put(role: Role, replaced: list[str]) -> Executable:
    """The id of the rating that is put; null where the message is no assistant's, no row where it is out of reach.

    One statement: what is inserted is read from the row that is locked, so the lock comes first.
    """
    reached = _message_in_reach(role).cte("reached")
    names = (*(column.key for column in ONE_EACH), "rating", "feedback_text")
    row = select(*(bindparam(name, type_=T.c[name].type).label(name) for name in names)).select_from(reached)
    answers = row.where(reached.c.role == MessageRole.ASSISTANT)
    put = insert(T).from_select(list(names), answers)
    put = put.on_conflict_do_update(index_elements=ONE_EACH, set_={name: put.excluded[name] for name in replaced})
    rated = put.returning(T.c.id).cte("rated")
    return select(rated.c.id).select_from(reached.outerjoin(rated, true()))


def _remove(role: Role) -> Executable:
    wanted = T.c.message_id == bindparam("message_id", type_=T.c.message_id.type)
    return delete(T).where(mirror.where(role, T, "delete"), wanted).returning(T.c.id)


async def submit(change: Change, given: SubmitFeedbackInput) -> dict[str, Any]:
    """The effect of submitFeedback inside its transaction. Raises RefusedError."""
    message_id = id_of(given.message_id, "Message", "messageId")
    text = text_of(present(given.text), "text", most=MAX_TEXT)
    allowed(change, SUBMIT)
    rating = RATINGS[given.thumb.value]
    names = ["rating"] if given.text is strawberry.UNSET else ["feedback_text", "rating"]
    values = {"message_id": message_id, "rating": rating, "feedback_text": text}
    role = change.actor.role
    rows = await change.session.fetch(("put_feedback", *names), lambda: _put(role, names), **values)
    if not rows:
        raise refused(UserErrorCode.NOT_FOUND, "messageId")
    [row] = rows
    if row["id"] is None:
        raise refused(UserErrorCode.INVALID, "messageId", message="Only an assistant's answer can be rated.")
    change.record("feedback.submitted", "Feedback", row["id"], message=message_id, rating=rating, changed=names)
    return {"feedback": row["id"], "message": message_id}


async def _withdraw(change: Change, given: WithdrawFeedbackInput) -> dict[str, Any]:
    message_id = id_of(given.message_id, "Message", "messageId")
    allowed(change, WITHDRAW)
    await _reach(change, message_id)
    role = change.actor.role
    rows = await change.session.fetch("remove_feedback", lambda: _remove(role), message_id=message_id)
    if not rows:
        return {"message": message_id}
    change.record("feedback.withdrawn", "Feedback", rows[0]["id"], message=message_id)
    return {"message": message_id, "feedback": rows[0]["id"]}


@strawberry.type
class FeedbackMutation:
    @strawberry.mutation(
        description="Rate an assistant's answer in a conversation of one's own.", metadata=takes(SUBMIT)
    )
    async def submit_feedback(
        self,
        info: Info,
        input: Annotated[SubmitFeedbackInput, strawberry.argument(description="What to say of what.")],
    ) -> SubmitFeedbackPayload:
        done = await changed(info, input, lambda change: submit(change, input))
        return SubmitFeedbackPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(
        description="Withdraw one's rating of an answer. Without one, nothing happens.", metadata=takes(WITHDRAW)
    )
    async def withdraw_feedback(
        self,
        info: Info,
        input: Annotated[WithdrawFeedbackInput, strawberry.argument(description="Which rating.")],
    ) -> WithdrawFeedbackPayload:
        done = await changed(info, input, lambda change: _withdraw(change, input))
        return WithdrawFeedbackPayload(done=done, user_errors=done.errors)
