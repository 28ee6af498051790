"""Tool calls: what the assistant did for a person. A call never changes: its outcome is a second row, joined here.

Ordered by the caller's own `timestamp`; `created_at`, which picks the months, follows from it within a day.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import ColumnElement, FromClause, Select, and_, bindparam, case, cast, func, literal_column, or_, select
from sqlalchemy.dialects import postgresql

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import audit_event as audit_events
from api.entities import conversation as conversations
from api.entities import interaction as interactions
from api.entities import user as users
from api.entities.references import AiInteraction, AuditEvent, Conversation, User
from api.enums import described
from api.errors import BadUserInputError
from api.execution import batched
from api.filters import MAX_VALUES, METRICS_RANGE, DateTimeFilter, TimeRange, Where, checked_range, present
from api.loaders import to_one
from api.node import Joined, Node, Source
from api.paging import readable, root_page
from api.payloads import Beside
from api.permissions import reads
from api.scalars import JSON, UUID, BigInt, DateTime, clean_text
from api.windows import elapsed_ms, list_window
from db import mirror, models
from db.types import OutcomeStatus, PayloadPart, Role

T = models.table(models.ToolCall)
O = models.table(models.ToolCallOutcome)  # noqa: E741 - tables are one letter here
U = models.table(models.User)
USER = "joined_user"
P = models.table(models.ToolCallPayload)

# A CHECK keeps `timestamp` between created_at - 24 h and created_at + 5 s.
EARLIEST: Final = timedelta(hours=24)
LATEST: Final = timedelta(seconds=5)
MAX_NAME: Final = 100


@described("How a tool call went.", PENDING="Not ended yet.", SUCCESS="Ended well.", ERROR="Failed.")
class ToolCallStatus(Enum):
    PENDING = "PENDING"
    SUCCESS = OutcomeStatus.SUCCESS.value
    ERROR = OutcomeStatus.ERROR.value


def _member(part: PayloadPart, name: str) -> ColumnElement[Any]:
    """One member of a payload's JSON, as the text it was written in; null in rows of the other part."""
    document = cast(func.convert_from(P.c.payload, literal_column("'UTF8'")), postgresql.JSON)
    text = func.nullif(
        cast(func.json_extract_path(document, literal_column(f"'{name}'")), postgresql.TEXT), literal_column("'null'")
    )
    return case((P.c.part == literal_column(f"'{part.value}'"), text))


PAYLOAD: Final = Beside(
    P,
    P.c.tool_call_id,
    {
        "params": _member(PayloadPart.CALL, "params"),
        "result": _member(PayloadPart.OUTCOME, "result"),
        "error_details": _member(PayloadPart.OUTCOME, "errorDetails"),
        "redacted_at": P.c.redacted_at,
    },
    created_at=P.c.created_at,
    unrecorded=frozenset({Role.MEMBER}),
)


@strawberry.type(
    description="A call of a tool. `params`, `result` and `errorDetails` can be erased: they are null once redacted. "
    "The events are null for who may not read the audit log."
)
class ToolCall(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    session_id: UUID = strawberry.field(description="The session that it belongs to; a conversation's raw id if any.")
    tool_name: str = strawberry.field(description="The tool that was called.")
    status: ToolCallStatus = strawberry.field(description="How it went.")
    ai_confidence: float | None = strawberry.field(description="How sure the assistant was, from 0 to 1.")
    timestamp: DateTime = strawberry.field(description="When it was made, by the caller's clock.")
    completed_at: DateTime | None = strawberry.field(description="When it ended.")
    duration_ms: int | None = strawberry.field(description="How long it took, in milliseconds.")
    user_id: strawberry.Private[str]
    conversation_id: strawberry.Private[str | None]
    interaction_id: strawberry.Private[str | None]
    created_at: strawberry.Private[datetime]

    user: User | None = to_one(lambda: users.SOURCE, "user_id", joined=USER, description="For whom it was made.")

    conversation: Conversation | None = to_one(
        lambda: conversations.SOURCE,
        "conversation_id",
        description="The conversation that it belongs to, if the viewer may see it.",
    )

    interaction: AiInteraction | None = to_one(
        lambda: interactions.SOURCE,
        "interaction_id",
        description="The call to a model that asked for it, if the viewer may see it.",
    )

    params: JSON | None = PAYLOAD.shown(
        "params", is_on_record=True, description="What it was called with. Admins and auditors read it on record."
    )
    result: JSON | None = PAYLOAD.shown(
        "result", is_on_record=True, description="What it returned. Admins and auditors read it on record."
    )
    error_details: JSON | None = PAYLOAD.shown(
        "error_details", is_on_record=True, description="What went wrong. Admins and auditors read it on record."
    )
    redacted_at: DateTime | None = PAYLOAD.shown(
        "redacted_at", is_on_record=False, description="When its payloads were erased."
    )

    @strawberry.field(description="The event that committed to the call.")
    @batched
    @staticmethod
    async def recorded_event(parents: list["ToolCall"], info: Info) -> list[AuditEvent | None]:
        return await audit_events.of_targets(info.context, parents, "tool_call.recorded")

    @strawberry.field(description="The event that committed to its outcome.")
    @batched
    @staticmethod
    async def completed_event(parents: list["ToolCall"], info: Info) -> list[AuditEvent | None]:
        return await audit_events.of_targets(info.context, parents, "tool_call.completed")


@strawberry.type(description="How often a tool was called.")
class ToolUsageRow:
    tool_name: str = strawberry.field(description="The tool.")
    count: BigInt = strawberry.field(description="How many calls there were.")
    errors: BigInt = strawberry.field(description="How many of them failed.")


@strawberry.input(description="Narrows tool calls. Every part that is given must hold.")
class ToolCallFilter:
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Made for this person.")
    session_id: UUID | None = strawberry.field(default=strawberry.UNSET, description="Of this session.")
    tool_name: list[str] | None = strawberry.field(default=strawberry.UNSET, description="Of one of these tools.")
    status: list[ToolCallStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="That went one of these ways."
    )
    timestamp: DateTimeFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Made in this range of at most 92 days; the last 92 days if not given."
    )


def where_of(given: ToolCallFilter | None, now: datetime) -> Where:
    """The clauses of a filter over the last 92 days, or over the range that it names. Raises BadUserInputError."""
    where = Where()
    window = list_window(present(given.timestamp) if given else None, now, "timestamp")
    within(where, *window)
    if given:
        where.identified(T.c.user_id, "userId", present(given.user_id), "User")
        where.equals(T.c.session_id, "sessionId", given.session_id)
        for name in present(given.tool_name) or ():
            clean_text(name, "toolName", MAX_NAME)
        where.one_of(T.c.tool_name, "toolName", present(given.tool_name))
        if (statuses := present(given.status)) is not None:
            _went(where, statuses, window)
    return where


def within(where: Where, start: datetime, end: datetime | None, table: FromClause = T, prefix: str = "") -> None:
    """Calls made from `start` to before `end`, and what follows from that for the months to look in."""
    where.since(table.c.timestamp, f"{prefix}timestamp", start)
    where.since(table.c.created_at, f"{prefix}created_at", start - LATEST)
    if end is not None:
        where.before(table.c.timestamp, f"{prefix}timestamp", end)
        where.before(table.c.created_at, f"{prefix}created_at", end + EARLIEST)


def _went(where: Where, statuses: list[ToolCallStatus], window: tuple[datetime, datetime | None]) -> None:
    if len(statuses) > MAX_VALUES:
        raise BadUserInputError(f"`status` takes at most {MAX_VALUES} values.", argument="status")
    # Each once: they stand in the statement's text, and name it.
    ended = sorted({status.value for status in statuses} - {ToolCallStatus.PENDING.value})
    if ToolCallStatus.PENDING in statuses:
        among = [O.c.status == literal_column(f"'{status}'") for status in ended]
        where.add(f"pending or {ended}", lambda: or_(O.c.tool_call_id.is_(None), *among))
        return
    if len(ended) == 1:
        where.equals(O.c.status, "status", ended[0])
    else:
        where.one_of(O.c.status, "status", ended)
    within(where, *window, O, "outcome_")


def with_outcome(role: Role, *more: ColumnElement[bool]) -> FromClause:
    """Calls with their outcomes; the outcomes' mirror stands in the join, or calls without one would be lost."""
    same = (O.c.tool_call_id == T.c.id, O.c.created_at == T.c.created_at)
    return T.outerjoin(O, and_(mirror.where(role, O), *same, *more))


def _with_recent_outcome(role: Role) -> FromClause:
    # The bound says nothing new; it spares PostgreSQL planning the months of outcomes that the window leaves out.
    return with_outcome(role, O.c.created_at >= bindparam("created_at_from", type_=O.c.created_at.type))


def _from_outcome(role: Role) -> FromClause:
    # Two comparisons: after an equality PostgreSQL expects one row of the join, and sorts all instead of stopping early.
    same = (O.c.tool_call_id == T.c.id, T.c.created_at >= O.c.created_at, T.c.created_at <= O.c.created_at)
    return O.join(T, and_(mirror.where(role, O), *same))


def listing_of(given: ToolCallFilter | None) -> Listing[ToolCall]:
    """What lists the calls of a filter: calls of one outcome are led by the outcomes, which repeat the call's time."""
    statuses = present(given.status) if given else None
    return ENDED if statuses in ([ToolCallStatus.SUCCESS], [ToolCallStatus.ERROR]) else RECENT


def _months(order: Order, bind: str, is_less: bool) -> tuple[ColumnElement[bool], ...]:  # noqa: FBT001, ARG001 - Listing.bounds
    place = bindparam(bind, type_=T.c.timestamp.type)
    if is_less:
        return (T.c.created_at <= place + literal_column("interval '24 hours'"),)
    return (T.c.created_at >= place - literal_column("interval '5 seconds'"),)


FilterArgument = Annotated[ToolCallFilter | None, strawberry.argument(description="Which calls.")]
UsageRange = Annotated[TimeRange, strawberry.argument(description="Calls made in this range, at most 400 days.")]


@strawberry.type
class ToolCallQuery:
    @strawberry.field(
        description="The tool calls that the viewer may see, latest first; the last 92 days if no range is given."
    )
    async def tool_calls(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: FilterArgument = strawberry.UNSET,
    ) -> Connection[ToolCall] | None:
        where = where_of(filter or None, info.context.now)
        return await root_page(info, Connection, listing_of(filter or None), Page.of(first, after, last, before), where)

    @strawberry.field(
        description="How often each tool was called, among the calls that the viewer may see.",
        metadata=reads(lambda: (SOURCE, O)),
    )
    async def tool_usage(self, info: Info, range: UsageRange) -> list[ToolUsageRow] | None:
        context = info.context
        readable(context, SOURCE)
        where = Where()
        within(where, *checked_range(range, METRICS_RANGE))
        await context.session.plan_for_values()
        rows = await context.session.fetch("tool_usage", lambda: _usage(context.actor.role, where), **where.values)
        return [ToolUsageRow(tool_name=row[0], count=row[1], errors=row[2]) for row in rows]


def _usage(role: Role, where: Where) -> Select[Any]:
    count = func.count().label("count")
    errors = func.count().filter(O.c.status == literal_column(f"'{OutcomeStatus.ERROR.value}'"))
    statement = _RECENT_SOURCE.narrow(select(T.c.tool_name, count, errors.label("errors")), role)
    clauses = (clause() for clause in where.clauses)
    return statement.where(*clauses).group_by(T.c.tool_name).order_by(count.desc(), T.c.tool_name)


SOURCE: Source[ToolCall] = Source(
    ToolCall,
    T,
    {
        "database_id": T.c.id,
        "session_id": T.c.session_id,
        "tool_name": T.c.tool_name,
        "status": func.coalesce(O.c.status, literal_column(f"'{ToolCallStatus.PENDING.value}'")),
        "ai_confidence": T.c.ai_confidence,
        "timestamp": T.c.timestamp,
        "completed_at": O.c.completed_at,
        "duration_ms": elapsed_ms(T.c.timestamp, O.c.completed_at),
        "user_id": T.c.user_id,
        "conversation_id": T.c.conversation_id,
        "interaction_id": T.c.interaction_id,
        "created_at": T.c.created_at,
    },
    origin=with_outcome,
    is_partitioned=True,
    joined={USER: Joined("user", lambda: users.SOURCE, U.c.id, T.c.user_id, is_shared=True)},
)
LISTING = Listing(SOURCE, Order("timestamp", T.c.timestamp), _months)
# For lists whose filter comes from `where_of`, which always has a beginning.
_RECENT_SOURCE = replace(SOURCE, origin=_with_recent_outcome)
RECENT = Listing(_RECENT_SOURCE, LISTING.order, _months)
ENDED = Listing(replace(SOURCE, key=O.c.tool_call_id, origin=_from_outcome), Order("timestamp", O.c.timestamp), _months)
