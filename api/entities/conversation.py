"""Conversations: what a person and the assistant said to each other. Private to their person and to the service."""

from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, ClassVar

import strawberry
from sqlalchemy import ColumnElement, Select, Text, any_, bindparam, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from api.child_pages import Below, child_pages, lists, to_many
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Context, Info
from api.entities import interaction, message, project, tool_call
from api.entities import user as users
from api.entities.references import AiInteraction, Message, Project, ToolCall, User
from api.enums import SortDirection, described
from api.execution import batched
from api.filters import DateTimeFilter, StringFilter, Where, limited, present
from api.loader import Batch
from api.loaders import to_one, uuids
from api.node import Node, Source
from api.paging import root_page
from api.scalars import JSON, UUID, BigInt, DateTime, Money, clean_text
from db import mirror, models
from db.types import Role

T = models.table(models.Conversation)
M = models.table(models.Message)

MAX_SESSION_MESSAGES = 50
MAX_SEARCH = 200


@described(
    "Which conversations a list shows.",
    ACTIVE="Those that are not deleted.",
    DELETED="Those that are deleted and can be restored.",
    ALL="Both.",
)
class ConversationState(Enum):
    ACTIVE = "ACTIVE"
    DELETED = "DELETED"
    ALL = "ALL"


@described("What conversations are ordered by.", CREATED_AT="When they began.", UPDATED_AT="When they last changed.")
class ConversationOrderField(Enum):
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


@strawberry.type(description="What an agent needs to go on with a conversation, computed from it and never stored.")
class AiSessionContext:
    messages: list[Message] = strawberry.field(description="The last messages, oldest first.")
    created_at: DateTime = strawberry.field(description="When the conversation began.")
    last_interaction_at: DateTime = strawberry.field(description="When its last message was written.")
    metadata: JSON | None = strawberry.field(description="What the product keeps with the conversation.")
    user_id: strawberry.Private[str]

    user: User = to_one(lambda: users.SOURCE, "user_id", description="Whose conversation it is.")


def _messages(filter: "message.MessageFilter | None" = None, **given: Any) -> Below:
    where = filter.where() if filter else Where()
    return Below(message.IN_CONVERSATION, M.c.conversation_id, Page.of(**given), where)


@strawberry.type(description="A conversation of one person with the assistant.")
class Conversation(Node):
    may_have_resolved: ClassVar[bool] = True
    database_id: UUID = strawberry.field(description="The raw id; also the session id of its tool calls.")
    title: str | None = strawberry.field(description="Its title.")
    model_used: str | None = strawberry.field(description="The model that answered last.")
    metadata: JSON | None = strawberry.field(description="What the product keeps with it.")
    message_count: int = strawberry.field(description="How many messages it has.")
    tokens_used: BigInt = strawberry.field(description="Tokens of all its messages.")
    cost: Money = strawberry.field(description="Cost of all its messages, in US dollars.")
    last_message_at: DateTime | None = strawberry.field(description="When its last message was written.")
    created_at: DateTime = strawberry.field(description="When it began.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    deleted_at: DateTime | None = strawberry.field(description="When it was deleted.")
    user_id: strawberry.Private[str]
    project_id: strawberry.Private[str | None]

    user: User = to_one(lambda: users.SOURCE, "user_id", description="Whose conversation it is.")

    project: Project | None = to_one(lambda: project.SOURCE, "project_id", description="The project it is about.")

    @strawberry.field(description="Its messages, oldest first.")
    @lists(_messages)
    @batched
    @staticmethod
    async def messages(
        parents: list["Conversation"],
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: "message.FilterArgument" = strawberry.UNSET,
    ) -> list[Connection[Message]]:
        listing, by, page, where = _messages(filter, first=first, after=after, last=last, before=before)
        return await child_pages(info, Connection, listing, by, parents, page, where)

    @strawberry.field(description="All messages as one list of `{role, content, timestamp}`, oldest first.")
    @batched
    @staticmethod
    async def transcript(parents: list["Conversation"], info: Info) -> list[JSON]:
        loader = info.context.loader("transcripts", lambda: _transcripts(info.context))
        return await loader.load_all([each.database_id for each in parents])

    @strawberry.field(description="What an agent needs to go on.")
    @batched
    @staticmethod
    async def session_context(
        parents: list["Conversation"],
        info: Info,
        max_messages: Annotated[
            int | None, strawberry.argument(description="At most so many messages, 1 to 50; 50 if not given.")
        ] = strawberry.UNSET,
    ) -> list[AiSessionContext]:
        most = MAX_SESSION_MESSAGES
        size = limited(max_messages, default=most, most=most, argument="maxMessages")
        page = Page(size, is_backward=True, after=None, before=None)
        by = M.c.conversation_id
        pages = await child_pages(info, Connection, message.IN_CONVERSATION, by, parents, page, nodes=("messages",))
        return [
            AiSessionContext(
                messages=[edge.node for edge in found.edges],
                created_at=each.created_at,
                last_interaction_at=each.last_message_at or each.created_at,
                metadata=each.metadata,
                user_id=each.user_id,
            )
            for each, found in zip(parents, pages, strict=True)
        ]

    tool_calls: Connection[ToolCall] = to_many(
        lambda: tool_call.LISTING, "conversation_id", description="The tools that were called for it, latest first."
    )

    interactions: Connection[AiInteraction] | None = to_many(
        lambda: interaction.LISTING, "conversation_id", description="The calls to models for it, latest first."
    )

    @strawberry.field(description="Whether the viewer may change it.")
    def viewer_can_update(self, info: Info) -> bool:
        return self._can_update(info.context)

    @strawberry.field(description="Whether the viewer may delete and restore it.")
    def viewer_can_delete(self, info: Info) -> bool:
        return self._can_update(info.context)

    def _can_update(self, context: Context) -> bool:
        row = {"organization_id": context.actor.organization_id, "user_id": self.user_id}
        return mirror.can(context.actor, T.name, "update", row)


def _transcripts(context: Context) -> Batch:
    def build() -> Select[Any]:
        entry = func.jsonb_build_object(
            "role", func.lower(M.c.role), "content", M.c.content, "timestamp", M.c.created_at
        )
        entries = func.jsonb_agg(aggregate_order_by(entry, M.c.created_at, M.c.id))
        wanted = M.c.conversation_id == any_(uuids("keys"))
        tests = (mirror.where(context.actor.role, M), wanted)
        return select(M.c.conversation_id, cast(entries, Text)).where(*tests).group_by(M.c.conversation_id)

    async def load(keys: list[str]) -> list[str]:
        rows = await context.session.fetch("transcripts", build, keys=keys)
        found = {row[0]: row[1] for row in rows}
        return [found.get(key, "[]") for key in keys]

    return load


def _mentions(role: Role) -> ColumnElement[bool]:
    """A conversation whose title or messages contain the text; the mirror keeps it to a caller's own rows."""
    needle = func.lower(bindparam("search", type_=Text))
    message_has = func.strpos(func.lower(M.c.content), needle) > 0
    said = select(M.c.id).where(mirror.where(role, M), M.c.conversation_id == T.c.id, message_has)
    return or_(func.strpos(func.lower(T.c.title), needle) > 0, exists(said))


@strawberry.input(description="Narrows conversations. Every part that is given must hold.")
class ConversationFilter:
    project_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this project.")
    title: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="With such a title.")
    search: str | None = strawberry.field(
        default=strawberry.UNSET, description="With this text in the title or in a message, case-insensitive."
    )
    created_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it began.")
    updated_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it last changed.")
    state: ConversationState | None = strawberry.field(
        default=strawberry.UNSET, description="Deleted or not; ACTIVE if not given."
    )


@strawberry.input(description="The order of conversations.")
class ConversationOrder:
    field: ConversationOrderField = strawberry.field(description="What they are ordered by.")
    direction: SortDirection = strawberry.field(description="The direction.")


def where_of(given: ConversationFilter | None, role: Role) -> Where:
    """The clauses of a filter; without one, what is not deleted."""
    where = Where()
    state = (given and present(given.state)) or ConversationState.ACTIVE
    if state is not ConversationState.ALL:
        is_active = state is ConversationState.ACTIVE
        where.add(state.value, lambda: T.c.deleted_at.is_(None) if is_active else T.c.deleted_at.is_not(None))
    if given:
        where.identified(T.c.project_id, "projectId", present(given.project_id), "Project")
        where.text(T.c.title, "title", given.title)
        where.during(T.c.created_at, "createdAt", given.created_at)
        where.during(T.c.updated_at, "updatedAt", given.updated_at)
        if search := present(given.search):
            where.add("search", lambda: _mentions(role), search=clean_text(search, "search", MAX_SEARCH))
    return where


def order_of(given: ConversationOrder | None) -> Order:
    """The asked order; latest change first if none."""
    if not given:
        return LISTING.order
    name = given.field.value
    return Order(name, T.c[name], is_descending=given.direction is SortDirection.DESC)


FilterArgument = Annotated[ConversationFilter | None, strawberry.argument(description="Which conversations.")]
OrderArgument = Annotated[
    ConversationOrder | None, strawberry.argument(description="In which order; the last changed first if not given.")
]


@strawberry.type
class ConversationQuery:
    @strawberry.field(description="The viewer's conversations; for a service, the organization's.")
    async def conversations(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: FilterArgument = strawberry.UNSET,
        order_by: OrderArgument = strawberry.UNSET,
    ) -> Connection[Conversation] | None:
        where = where_of(filter or None, info.context.actor.role)
        page = Page.of(first, after, last, before)
        return await root_page(info, Connection, LISTING, page, where, order_of(order_by or None))


ANY_STATE: Source[Conversation] = Source(
    Conversation,
    T,
    {
        "database_id": T.c.id,
        "title": T.c.title,
        "model_used": T.c.model_used,
        "metadata": T.c.metadata,
        "message_count": T.c.message_count,
        "tokens_used": T.c.tokens_used,
        "cost": T.c.cost_micro_usd,
        "last_message_at": T.c.last_message_at,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "deleted_at": T.c.deleted_at,
        "user_id": T.c.user_id,
        "project_id": T.c.project_id,
    },
)
SOURCE: Source[Conversation] = replace(ANY_STATE, extra=(lambda _role: T.c.deleted_at.is_(None),))
LISTING = Listing(ANY_STATE, Order("updated_at", T.c.updated_at))
