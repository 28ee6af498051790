"""Changing conversations: begin, rename, move, delete, restore, and say something."""

from datetime import timedelta
from typing import Annotated, Any

import orjson
import strawberry
from sqlalchemy import ColumnElement, Executable, bindparam, insert, update

from api.change import Change, Done, changed
from api.connection import Edge
from api.context import Info
from api.entities import conversation, message
from api.entities.conversation import Conversation
from api.entities.message import Message
from api.filters import present
from api.loaders import by_id
from api.node import global_id, id_of
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed, locked, text_of, unchanged_since
from api.scalars import JSON, MAX_TEXT_CHARS, DateTime
from db import mirror
from db.types import MessageRole

T = conversation.T
M = message.T
MAX_TITLE = 255
RESTORABLE = timedelta(days=30)

BEGIN = right(T, "insert", not_by_services="A service begins conversations for a person, by ingest.")
EDIT = right(T, "update", columns=("title", "project_id"))
# A deletion is a mark, and taking it back another.
DELETE = right(T, "update", columns=("deleted_at",))
SAY = right(M, "insert", not_by_services="A service appends messages by ingest.")


@strawberry.input(description="A conversation to begin.")
class CreateConversationInput:
    title: str | None = strawberry.field(default=strawberry.UNSET, description="Its title, at most 255 characters.")
    project_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="What it is about.")
    first_message: str | None = strawberry.field(default=strawberry.UNSET, description="What the person says first.")
    metadata: JSON | None = strawberry.field(default=strawberry.UNSET, description="What the product keeps with it.")


@strawberry.input(description="What to change of a conversation. What is left out stays; null empties.")
class UpdateConversationInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")
    title: str | None = strawberry.field(default=strawberry.UNSET, description="Its title, at most 255 characters.")
    project_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="What it is about.")
    expected_updated_at: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Change it only if it was last changed then; otherwise CONFLICT."
    )


@strawberry.input(description="A conversation to delete. It can be restored for 30 days.")
class DeleteConversationInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")


@strawberry.input(description="A conversation to restore, at most 30 days after it was deleted.")
class RestoreConversationInput:
    id: strawberry.ID = strawberry.field(description="The conversation.")


@strawberry.input(description="Something that a person says.")
class SendMessageInput:
    conversation_id: strawberry.ID = strawberry.field(description="Where.")
    content: str = strawberry.field(description="What, at most 32,768 characters.")


@strawberry.type(description="The conversation as it is after the change.")
class CreateConversationPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The conversation; null when nothing was done.")
    async def conversation(self, info: Info) -> Conversation | None:
        return await by_id(info.context, conversation.ANY_STATE, self.done.ids.get("conversation"))


@strawberry.type(
    description="The conversation as it is after the change, or as it is instead where there was a CONFLICT."
)
class UpdateConversationPayload(CreateConversationPayload):
    pass


@strawberry.type(description="The conversation as it is after the change.")
class RestoreConversationPayload(CreateConversationPayload):
    pass


@strawberry.type(description="The deleted conversation.")
class DeleteConversationPayload(CreateConversationPayload):
    @strawberry.field(description="The id to remove from lists.")
    def deleted_id(self) -> strawberry.ID | None:
        database_id = self.done.ids.get("conversation")
        return strawberry.ID(global_id("Conversation", database_id)) if database_id else None


@strawberry.type(description="The message that was sent.")
class SendMessagePayload(CreateConversationPayload):
    @strawberry.field(description="The message; null when nothing was done.")
    async def message(self, info: Info) -> Message | None:
        return await by_id(info.context, message.SOURCE, self.done.ids.get("message"))

    @strawberry.field(description="The message as an item of the conversation's list.")
    async def message_edge(self, info: Info) -> Edge[Message] | None:
        node = await by_id(info.context, message.SOURCE, self.done.ids.get("message"))
        if node is None:
            return None
        places = message.IN_CONVERSATION.places(info.context)
        return Edge(node=node, cursor=places.cursors([node])[0])


def _insert_conversation() -> Executable:
    names = ("organization_id", "user_id", "title", "project_id", "metadata")
    return insert(T).values({name: bindparam(name, type_=T.c[name].type) for name in names}).returning(T.c.id)


def _insert_message() -> Executable:
    names = ("organization_id", "user_id", "conversation_id", "role", "content")
    return insert(M).values({name: bindparam(name, type_=M.c[name].type) for name in names}).returning(M.c.id)


async def _say(change: Change, conversation_id: str, content: str) -> str:
    values = {"conversation_id": conversation_id, "role": MessageRole.USER.value, "content": content}
    [row] = await change.session.fetch("insert_message", _insert_message, **values)
    change.record("message.sent", "Message", row["id"])
    return str(row["id"])


async def _create(change: Change, given: CreateConversationInput) -> dict[str, Any]:
    allowed(change, BEGIN)
    metadata = present(given.metadata)
    project_id = present(given.project_id)
    first_message = text_of(present(given.first_message), "firstMessage", most=MAX_TEXT_CHARS)
    change.paths["NOT_FOUND"] = ("projectId",)
    [row] = await change.session.fetch(
        "insert_conversation",
        _insert_conversation,
        title=text_of(present(given.title), "title", most=MAX_TITLE),
        project_id=None if project_id is None else id_of(project_id, "Project", "projectId"),
        metadata=None if metadata is None else orjson.dumps(metadata).decode(),
    )
    change.record("conversation.created", "Conversation", row["id"])
    if first_message is not None:
        await _say(change, row["id"], first_message)
    return {"conversation": row["id"]}


def _active() -> tuple[ColumnElement[bool], ...]:
    return (T.c.deleted_at.is_(None),)


def _update(names: tuple[str, ...], change: Change) -> Executable:
    values = {name: bindparam(f"new_{name}", type_=T.c[name].type) for name in names}
    wanted = T.c.id == bindparam("id", type_=T.c.id.type)
    return update(T).where(mirror.where(change.actor.role, T, "update"), wanted).values(values)


async def _set(change: Change, database_id: str, **values: Any) -> None:
    names = tuple(sorted(values))
    binds = {f"new_{name}": value for name, value in values.items()}
    await change.session.fetch(("update_conversation", names), lambda: _update(names, change), id=database_id, **binds)


async def _change(change: Change, given: UpdateConversationInput) -> dict[str, Any]:
    database_id = id_of(given.id, "Conversation", "id")
    allowed(change, EDIT)
    row = await locked(change, T, database_id, "id", columns=(T.c.updated_at,), tests=_active)
    done = {"conversation": database_id}
    if not unchanged_since(change, given.expected_updated_at, row["updated_at"]):
        return done
    values: dict[str, Any] = {}
    if given.title is not strawberry.UNSET:
        values["title"] = text_of(given.title, "title", most=MAX_TITLE)
    if given.project_id is not strawberry.UNSET:
        values["project_id"] = None if given.project_id is None else id_of(given.project_id, "Project", "projectId")
    if values:
        change.paths["NOT_FOUND"] = ("projectId",)
        await _set(change, database_id, **values)
        change.record("conversation.updated", "Conversation", database_id, changed=sorted(values))
    return done


async def _delete(change: Change, given: DeleteConversationInput) -> dict[str, Any]:
    database_id = id_of(given.id, "Conversation", "id")
    allowed(change, DELETE)
    row = await locked(change, T, database_id, "id", columns=(T.c.deleted_at,))
    if row["deleted_at"] is None:
        await _set(change, database_id, deleted_at=change.session.now)
        change.record("conversation.deleted", "Conversation", database_id)
    return {"conversation": database_id}


async def _restore(change: Change, given: RestoreConversationInput) -> dict[str, Any]:
    database_id = id_of(given.id, "Conversation", "id")
    allowed(change, DELETE)
    row = await locked(change, T, database_id, "id", columns=(T.c.deleted_at,))
    if row["deleted_at"] is not None:
        if row["deleted_at"] < change.session.now - RESTORABLE:
            raise refused(UserErrorCode.NOT_FOUND, "id")
        await _set(change, database_id, deleted_at=None)
        change.record("conversation.restored", "Conversation", database_id)
    return {"conversation": database_id}


async def _send(change: Change, given: SendMessageInput) -> dict[str, Any]:
    conversation_id = id_of(given.conversation_id, "Conversation", "conversationId")
    content = text_of(given.content, "content", most=MAX_TEXT_CHARS)
    allowed(change, SAY)
    # Locked, so that a deletion at the same moment comes wholly before or wholly after.
    await locked(change, T, conversation_id, "conversationId", tests=_active)
    return {"conversation": conversation_id, "message": await _say(change, conversation_id, content or "")}


@strawberry.type
class ConversationMutation:
    @strawberry.mutation(description="Begin a conversation.", metadata=takes(BEGIN))
    async def create_conversation(
        self, info: Info, input: Annotated[CreateConversationInput, strawberry.argument(description="What to begin.")]
    ) -> CreateConversationPayload:
        done = await changed(info, input, lambda change: _create(change, input))
        return CreateConversationPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(description="Rename a conversation, or say what it is about.", metadata=takes(EDIT))
    async def update_conversation(
        self, info: Info, input: Annotated[UpdateConversationInput, strawberry.argument(description="What to change.")]
    ) -> UpdateConversationPayload:
        done = await changed(info, input, lambda change: _change(change, input))
        return UpdateConversationPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(description="Delete a conversation; it can be restored for 30 days.", metadata=takes(DELETE))
    async def delete_conversation(
        self, info: Info, input: Annotated[DeleteConversationInput, strawberry.argument(description="What to delete.")]
    ) -> DeleteConversationPayload:
        done = await changed(info, input, lambda change: _delete(change, input))
        return DeleteConversationPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(description="Restore a deleted conversation.", metadata=takes(DELETE))
    async def restore_conversation(
        self,
        info: Info,
        input: Annotated[RestoreConversationInput, strawberry.argument(description="What to restore.")],
    ) -> RestoreConversationPayload:
        done = await changed(info, input, lambda change: _restore(change, input))
        return RestoreConversationPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(
        description="Say something in a conversation. A person writes only USER messages.", metadata=takes(SAY)
    )
    async def send_message(
        self, info: Info, input: Annotated[SendMessageInput, strawberry.argument(description="What to say, and where.")]
    ) -> SendMessagePayload:
        done = await changed(info, input, lambda change: _send(change, input))
        return SendMessagePayload(done=done, user_errors=done.errors)
