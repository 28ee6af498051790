"""Interactions: each call to a model, with its outcome, latency and cost. What was sent and answered stands beside it.

A payload is read only where it is selected, by who may, and on record; a preview never touches the whole of it.
"""

from typing import Annotated, Final

import strawberry
from sqlalchemy import Integer, bindparam, func

from api.child_pages import to_many
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Context, Info
from api.entities import conversation as conversations
from api.entities import message as messages
from api.entities import metrics
from api.entities import tool_call as tool_calls
from api.entities import user as users
from api.entities.references import Conversation, Message, ToolCall, User
from api.errors import BadUserInputError
from api.execution import batched
from api.filters import LIST_RANGE, StringFilter, TimeRange, Where, checked_range, present
from api.loaders import to_one
from api.node import Node, Source
from api.paging import root_page
from api.payloads import Beside
from api.permissions import reads
from api.scalars import JSON, UUID, BigInt, DateTime, IPAddress, Money, clean_text
from api.windows import elapsed_ms
from db import models
from db.types import InteractionStatus, Provider, Tier

T = models.table(models.AiInteraction)
P = models.table(models.AiInteractionPayload)

DEFAULT_PREVIEW: Final = 500
MAX_PREVIEW: Final = 2_000
MAX_HASH: Final = 255

LATENCY_MS: Final = func.coalesce(T.c.latency_ms, elapsed_ms(T.c.created_at, T.c.completed_at))
PAYLOAD: Final = Beside(
    P, P.c.interaction_id, {name: P.c[name] for name in ("request", "response", "request_head", "response_head")},
    created_at=P.c.created_at,
)  # fmt: skip
# A role without a right to the column must not even name it.
ADDRESS: Final = Beside(
    T, T.c.id, {"ip_address": func.host(T.c.ip_address)}, frozenset({"ip_address"}), created_at=T.c.created_at
)

PreviewChars = Annotated[
    int | None, strawberry.argument(description="How many characters, 1 to 2,000; 500 if not given.")
]


@strawberry.type(
    description="A call to a model. Payloads are shown on record; they are null for who has no right to them, "
    "or once redacted."
)
class AiInteraction(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    type: str = strawberry.field(description="The kind of call, as the AI backend named it: `chat`, `insights`, …")
    model_name: str | None = strawberry.field(description="The model that was called.")
    provider: Provider | None = strawberry.field(description="Who runs the model.")
    tier: Tier | None = strawberry.field(description="The person's plan at the time.")
    tokens_used: BigInt | None = strawberry.field(description="Tokens, in and out.")
    request_bytes: int = strawberry.field(description="The size of the whole request.")
    response_bytes: int | None = strawberry.field(description="The size of the whole response.")
    latency_ms: int | None = strawberry.field(description="How long the answer took, in milliseconds.")
    error_code: str | None = strawberry.field(description="The code of the failure.")
    error_message: str | None = strawberry.field(description="What the failure said.")
    status: InteractionStatus = strawberry.field(description="How the call went.")
    cost: Money = strawberry.field(description="What it cost, in US dollars.")
    prompt_hash: str | None = strawberry.field(description="A hash of the prompt: equal for equal prompts.")
    file_metadata: JSON | None = strawberry.field(description="What is known of the files that were sent along.")
    created_at: DateTime = strawberry.field(description="When the call was made.")
    completed_at: DateTime | None = strawberry.field(description="When it was answered or given up.")
    redacted_at: DateTime | None = strawberry.field(description="When its payloads were erased.")
    user_id: strawberry.Private[str | None]
    conversation_id: strawberry.Private[str | None]
    message_id: strawberry.Private[str | None]

    user: User | None = to_one(
        lambda: users.SOURCE, "user_id", description="For whom it was made; null for nobody in particular."
    )

    conversation: Conversation | None = to_one(
        lambda: conversations.SOURCE,
        "conversation_id",
        description="The conversation that it belongs to, if the viewer may see it.",
    )

    message: Message | None = to_one(
        lambda: messages.SOURCE, "message_id", description="The message that it wrote, if the viewer may see it."
    )

    request: JSON | None = PAYLOAD.shown(
        "request", is_on_record=True, description="What was sent. Reading it is on record."
    )
    response: JSON | None = PAYLOAD.shown(
        "response", is_on_record=True, description="What was answered. Reading it is on record."
    )
    ip_address: IPAddress | None = ADDRESS.shown(
        "ip_address", is_on_record=False, description="Where it came from; null for who has no right to addresses."
    )

    @strawberry.field(
        description="The beginning of what was sent, as text. Reading it is on record.",
        metadata=reads(lambda: (PAYLOAD,)),
    )
    @batched
    @staticmethod
    async def request_preview(
        parents: list["AiInteraction"], info: Info, max_chars: PreviewChars = strawberry.UNSET
    ) -> list[str | None]:
        return await _previews(info.context, "request_head", parents, present(max_chars))

    @strawberry.field(
        description="The beginning of the answer, as text. Reading it is on record.", metadata=reads(lambda: (PAYLOAD,))
    )
    @batched
    @staticmethod
    async def response_preview(
        parents: list["AiInteraction"], info: Info, max_chars: PreviewChars = strawberry.UNSET
    ) -> list[str | None]:
        return await _previews(info.context, "response_head", parents, present(max_chars))

    tool_calls: Connection[ToolCall] | None = to_many(
        lambda: tool_calls.LISTING, "interaction_id", description="The tools that were called in it, latest first."
    )


async def _previews(
    context: Context, name: str, parents: list[AiInteraction], max_chars: int | None
) -> list[str | None]:
    size = DEFAULT_PREVIEW if max_chars is None else max_chars
    if not 1 <= size <= MAX_PREVIEW:
        raise BadUserInputError(f"`maxChars` must be between 1 and {MAX_PREVIEW}.", argument="maxChars")
    heads = await PAYLOAD.read(context, name, parents, is_on_record=True)
    return [None if head is None else str(head)[:size] for head in heads]


@strawberry.input(description="Narrows calls to models. Every part that is given must hold.")
class InteractionFilter:
    range: TimeRange = strawberry.field(description="Made in this range, at most 92 days.")
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Made for this person.")
    status: list[InteractionStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="With one of these outcomes."
    )
    model_name: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="To such a model.")
    type: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="Of such a kind.")
    prompt_hash: str | None = strawberry.field(default=strawberry.UNSET, description="With exactly this prompt hash.")
    error_code: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="Failed with such a code.")
    min_latency_ms: int | None = strawberry.field(
        default=strawberry.UNSET, description="That took at least so many milliseconds."
    )

    def where(self) -> Where:
        """The clauses of this filter. Raises BadUserInputError."""
        where = Where()
        start, end = checked_range(self.range, LIST_RANGE)
        where.since(T.c.created_at, "range", start)
        where.before(T.c.created_at, "range", end)
        where.identified(T.c.user_id, "userId", present(self.user_id), "User")
        where.one_of(T.c.status, "status", present(self.status))
        where.text(T.c.model_name, "modelName", self.model_name)
        where.text(T.c.type, "type", self.type)
        where.text(T.c.error_code, "errorCode", self.error_code)
        if (prompt_hash := present(self.prompt_hash)) is not None:
            where.equals(T.c.prompt_hash, "promptHash", clean_text(prompt_hash, "promptHash", MAX_HASH))
        if (least := present(self.min_latency_ms)) is not None:
            where.add("slow", lambda: bindparam("min_latency_ms", type_=Integer) <= LATENCY_MS, min_latency_ms=least)
        return where


@strawberry.input(description="Narrows the calls that are measured. Every part that is given must hold.")
class MetricFilter:
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Made for this person.")
    status: list[InteractionStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="With one of these outcomes."
    )
    model_name: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="To such a model.")
    type: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="Of such a kind.")

    def where(self) -> Where:
        """The clauses of this filter."""
        where = Where()
        where.identified(T.c.user_id, "userId", present(self.user_id), "User")
        where.one_of(T.c.status, "status", present(self.status))
        where.text(T.c.model_name, "modelName", self.model_name)
        where.text(T.c.type, "type", self.type)
        return where


FilterArgument = Annotated[InteractionFilter, strawberry.argument(description="Which calls; a range is required.")]
MetricFilterArgument = Annotated[MetricFilter | None, strawberry.argument(description="Which calls are measured.")]
GroupByArgument = Annotated[
    list[metrics.MetricDimension] | None,
    strawberry.argument(description="At most three different dimensions; all calls together if not given."),
]

LOG: Final = metrics.Log(
    T,
    {
        "MODEL": T.c.model_name,
        "PROVIDER": T.c.provider,
        "TYPE": T.c.type,
        "STATUS": T.c.status,
        "TIER": T.c.tier,
        "ERROR_CODE": T.c.error_code,
        "USER": T.c.user_id,
    },
    is_error=T.c.status == InteractionStatus.FAILED.value,
    latency_ms=LATENCY_MS,
)


@strawberry.type
class InteractionQuery:
    @strawberry.field(description="Calls to models, latest first.")
    async def ai_interactions(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        *,
        filter: FilterArgument,
    ) -> Connection[AiInteraction] | None:
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), filter.where())

    @strawberry.field(
        description="Measures of calls to models: count, errors, tokens, cost and latency.",
        metadata=reads(lambda: (T,)),
    )
    async def ai_metrics(
        self,
        info: Info,
        range: metrics.RangeArgument,
        group_by: GroupByArgument = strawberry.UNSET,
        granularity: metrics.GranularityArgument = strawberry.UNSET,
        filter: MetricFilterArgument = strawberry.UNSET,
        limit: metrics.LimitArgument = strawberry.UNSET,
    ) -> metrics.MetricResult | None:
        where = filter.where() if filter else None
        return await metrics.measure(info.context, LOG, range, present(group_by), granularity, limit, where)


SOURCE: Source[AiInteraction] = Source(
    AiInteraction,
    T,
    {
        "database_id": T.c.id,
        "type": T.c.type,
        "model_name": T.c.model_name,
        "provider": T.c.provider,
        "tier": T.c.tier,
        "tokens_used": T.c.tokens_used,
        "request_bytes": T.c.request_bytes,
        "response_bytes": T.c.response_bytes,
        "latency_ms": LATENCY_MS,
        "error_code": T.c.error_code,
        "error_message": T.c.error_message,
        "status": T.c.status,
        "cost": T.c.cost_micro_usd,
        "prompt_hash": T.c.prompt_hash,
        "file_metadata": T.c.file_metadata,
        "created_at": T.c.created_at,
        "completed_at": T.c.completed_at,
        "redacted_at": T.c.redacted_at,
        "user_id": T.c.user_id,
        "conversation_id": T.c.conversation_id,
        "message_id": T.c.message_id,
    },
    is_partitioned=True,
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
