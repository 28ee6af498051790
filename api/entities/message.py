"""Messages: each question, answer and tool result of a conversation, with what it cost and where it came from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import orjson
import strawberry
from sqlalchemy import ColumnElement, Select, Text, any_, case, cast, column, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB

from api import json_text, registry
from api.connection import Listing, Order
from api.context import Context, Info
from api.entities import conversation, feedback, interaction
from api.entities import user as users
from api.entities.references import AiInteraction, Conversation, Feedback, User
from api.execution import batched
from api.execution.plan import Field
from api.filters import DateTimeFilter, Where, present
from api.json_text import Columns, Part, joined, key_of, written_by
from api.loader import Batch
from api.loaders import to_one, uuids
from api.node import Joined, Node, Source
from api.scalars import JSON, UUID, BigInt, DateTime, Money
from api.text import MaxChars, cut
from db import mirror, models
from db.actor import canonical
from db.types import MessageRole, QueryType, Role

T = models.table(models.Message)
C = models.table(models.Conversation)
F = models.table(models.Feedback)
MY_FEEDBACK = "joined_feedback"

# What stands for the kind and the title of a source that has none.
_ABSENT = {"kind": '""', "title": "null"}
# What a source may point at, by the `kind` that the AI backend wrote.
SOURCE_KINDS = {"document": "Document", "insight": "Insight", "project": "Project", "conversation": "Conversation"}


@strawberry.type(description="Something that an answer was based on.")
class SourceRef:
    kind: str = strawberry.field(description="What it is, as the AI backend named it: `document`, `insight`, …")
    title: str | None = strawberry.field(description="Its title at the time of the answer.")
    recorded: strawberry.Private[Any]

    @strawberry.field(description="The reference as it was recorded.")
    def raw(self) -> JSON:
        return JSON(orjson.dumps(self.recorded).decode())  # JSON on the wire is JSON text here

    @strawberry.field(description="The thing itself, when it is one of this API's and the viewer may see it.")
    @batched
    @staticmethod
    async def node(parents: list["SourceRef"], info: Info) -> list[Node | None]:
        places = [(SOURCE_KINDS.get(each.kind), _uuid_in(each.recorded)) for each in parents]
        return await registry.load_each(info.context, places)


def _written_sources(field: Field, columns: Columns) -> Sequence[Part] | None:
    """What `_source_ref` makes of each, as far as it is kind and title."""
    assert field.object is not None  # noqa: S101 - a list of SourceRef
    source = (
        func.jsonb_array_elements(columns["references"]).table_valued(column("raw", JSONB)).render_derived("source")
    )
    parts: list[Part] = []
    for wanted in field.selection(field.object).fields:
        if wanted.name not in _ABSENT:
            return None
        value = source.c.raw.op("->")(literal_column(f"'{wanted.name}'"))
        is_text = func.jsonb_typeof(value) == literal_column("'string'")
        text = case((is_text, cast(value, Text)), else_=literal_column(f"'{_ABSENT[wanted.name]}'"))
        parts += [f"{',' if parts else ''}{key_of(wanted)}", text]
    each = func.string_agg(joined(("{", *parts, "}")), literal_column("','"))
    listed = func.coalesce(select(each).select_from(source).scalar_subquery(), literal_column("''"))
    # Most messages have none: an expression of a sub-select costs a microsecond and a half.
    return (case((columns["references"].is_(None), joined(("[]",))), else_=joined(("[", listed, "]"))),)


@strawberry.type(description="How often an answer was rated up and down, as far as the viewer may see.")
class FeedbackSummary:
    up: int = strawberry.field(description="Thumbs up.")
    down: int = strawberry.field(description="Thumbs down.")


@strawberry.type(description="One message of a conversation.")
class Message(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    role: MessageRole = strawberry.field(description="Who wrote it.")
    content_length: int = strawberry.field(description="The length of the whole content in characters.")
    query_type: QueryType | None = strawberry.field(description="What the question was about.")
    query_params: JSON | None = strawberry.field(description="What was extracted from the question.")
    model: str | None = strawberry.field(description="The model that wrote it.")
    tokens_used: BigInt | None = strawberry.field(description="Tokens that it took.")
    cost: Money | None = strawberry.field(description="What it cost, in US dollars.")
    created_at: DateTime = strawberry.field(description="When it was written.")
    text: strawberry.Private[str]
    references: strawberry.Private[str | None]
    conversation_id: strawberry.Private[str]
    user_id: strawberry.Private[str]

    @strawberry.field(description="The text, or its beginning.")
    @written_by(lambda field, columns: json_text.leaf(field.leaf, columns["text"]) if field.leaf else None)
    def content(self, max_chars: MaxChars = strawberry.UNSET) -> str:
        return cut(self.text, max_chars) if max_chars is not strawberry.UNSET else self.text

    @strawberry.field(description="What the answer was based on.")
    @written_by(_written_sources)
    def sources(self) -> list[SourceRef]:
        return [_source_ref(raw) for raw in orjson.loads(self.references or "[]")]

    conversation: Conversation = to_one(
        lambda: conversation.ANY_STATE, "conversation_id", description="The conversation that it belongs to."
    )

    user: User = to_one(lambda: users.SOURCE, "user_id", description="Whose conversation it is.")

    my_feedback: Feedback | None = to_one(
        lambda: feedback.MINE,
        "database_id",
        by="message_id",
        joined=MY_FEEDBACK,
        description="The viewer's own rating of it.",
    )

    @strawberry.field(description="How it was rated.")
    @batched
    @staticmethod
    async def feedback_summary(parents: list["Message"], info: Info) -> list[FeedbackSummary]:
        context = info.context
        if not feedback.SOURCE.is_readable(context.actor.role):
            return [FeedbackSummary(up=0, down=0)] * len(parents)
        loader = context.loader("feedback_summary", lambda: _feedback_summaries(context))
        return await loader.load_all([each.database_id for each in parents])

    interaction: AiInteraction | None = to_one(
        lambda: interaction.SOURCE, "database_id", by="message_id", description="The call to the model that wrote it."
    )

    @strawberry.field(description="Whether the viewer may rate it: an assistant's answer in a conversation of its own.")
    def viewer_can_rate(self, info: Info) -> bool:
        actor = info.context.actor
        row = {"organization_id": actor.organization_id, "user_id": self.user_id}
        return self.role == MessageRole.ASSISTANT and mirror.can(actor, "ai_feedback", "insert", row)


def _source_ref(recorded: Any) -> SourceRef:
    """A reference as far as it can be understood: an AI backend may have written any JSON into the array."""
    known = recorded if isinstance(recorded, dict) else {}
    kind, title = known.get("kind"), known.get("title")
    return SourceRef(
        kind=kind if isinstance(kind, str) else "", title=title if isinstance(title, str) else None, recorded=recorded
    )


def _uuid_in(recorded: Any) -> str | None:
    database_id = recorded.get("id") if isinstance(recorded, dict) else None
    try:
        return canonical(database_id) if database_id and isinstance(database_id, str) else None
    except ValueError:
        return None


def _feedback_summaries(context: Context) -> Batch:
    def build() -> Select[Any]:
        votes = select(
            F.c.message_id,
            func.count().filter(F.c.rating == 5).label("up"),
            func.count().filter(F.c.rating == 1).label("down"),
        )
        wanted = F.c.message_id == any_(uuids("keys"))
        return votes.where(mirror.where(context.actor.role, F), wanted).group_by(F.c.message_id)

    async def load(keys: list[str]) -> list[FeedbackSummary]:
        rows = await context.session.fetch("feedback_summaries", build, keys=keys)
        found = {row["message_id"]: FeedbackSummary(up=row["up"], down=row["down"]) for row in rows}
        return [found.get(key) or FeedbackSummary(up=0, down=0) for key in keys]

    return load


def _in_a_live_conversation(role: Role) -> ColumnElement[bool]:
    live = (mirror.where(role, C), C.c.id == T.c.conversation_id, C.c.deleted_at.is_(None))
    return exists(select(C.c.id).where(*live))


@strawberry.input(description="Narrows messages. Every part that is given must hold.")
class MessageFilter:
    role: list[MessageRole] | None = strawberry.field(default=strawberry.UNSET, description="Written by one of these.")
    query_type: list[QueryType] | None = strawberry.field(default=strawberry.UNSET, description="About one of these.")
    created_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it was written.")

    def where(self) -> Where:
        """The clauses of this filter."""
        where = Where()
        where.one_of(T.c.role, "role", present(self.role))
        where.one_of(T.c.query_type, "queryType", present(self.query_type))
        where.during(T.c.created_at, "createdAt", present(self.created_at))
        return where


FilterArgument = Annotated[MessageFilter | None, strawberry.argument(description="Which messages.")]

SOURCE: Source[Message] = Source(
    Message,
    T,
    {
        "database_id": T.c.id,
        "role": T.c.role,
        "content_length": T.c.content_length,
        "query_type": T.c.query_type,
        "query_params": T.c.query_params,
        "model": T.c.model,
        "tokens_used": T.c.tokens_used,
        "cost": T.c.cost_micro_usd,
        "created_at": T.c.created_at,
        "text": T.c.content,
        "references": T.c.sources,
        "conversation_id": T.c.conversation_id,
        "user_id": T.c.user_id,
    },
    extra=(_in_a_live_conversation,),
    joined={MY_FEEDBACK: Joined("myFeedback", lambda: feedback.MINE, F.c.message_id, T.c.id)},
)
# Under a conversation that was already found there is nothing to hide any more.
IN_CONVERSATION = Listing(replace(SOURCE, extra=()), Order("created_at", T.c.created_at, is_descending=False))
