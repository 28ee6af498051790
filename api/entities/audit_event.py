"""Audit events: who did what, chained by hashes so that nothing can be changed or left out unnoticed.

One list per organization in the order of `seq`, not partitioned by month: it is read whole, without a default range.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import BigInteger, ColumnElement, Select, Text, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from api import registry
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Context, Info
from api.entities import user as users
from api.entities.references import User
from api.enums import described
from api.errors import BadUserInputError
from api.execution import batched
from api.filters import DateTimeFilter, Where, present
from api.loader import Batch
from api.loaders import to_one, uuids
from api.node import Node, Source, parse_id
from api.paging import readable, root_page
from api.payloads import Beside
from api.permissions import reads
from api.scalars import JSON, UUID, BigInt, DateTime, clean_text
from db import mirror, models
from db.types import ActorRole, Role

T = models.table(models.AuditEvent)
P = models.table(models.AuditPayload)
K = models.table(models.AuditCheckpoint)

MAX_ACTION: Final = 100
MAX_VERIFIED: Final = 100_000
# A service and the operator have ids, but are nobody's users.
PEOPLE: Final = frozenset(ActorRole) - {ActorRole.SERVICE, ActorRole.OPERATOR}

UTF8: Final[ColumnElement[str]] = literal_column("'UTF8'")
HEX: Final[ColumnElement[str]] = literal_column("'hex'")

PAYLOAD: Final = Beside(
    P,
    P.c.event_id,
    {"details": func.convert_from(P.c.payload, UTF8), "redacted_at": P.c.redacted_at},
    at="occurred_at",
)


@described(
    "What a verification of the audit chain found.",
    OK="Every event is as it was written.",
    REDACTED="The same, though some payloads were erased, as is allowed.",
    PRUNED="The same, though the oldest events were removed, as is allowed.",
    TAMPERED="Something was changed or is missing.",
    UNVERIFIED="Nothing was verified, so nothing is proved: there is no event, or none that was not removed.",
)
class ChainVerdict(Enum):
    OK = "OK"
    REDACTED = "REDACTED"
    PRUNED = "PRUNED"
    TAMPERED = "TAMPERED"
    UNVERIFIED = "UNVERIFIED"


NO_PROOF: Final = frozenset({ChainVerdict.TAMPERED.value, ChainVerdict.UNVERIFIED.value})


@strawberry.type(description="One event of the audit log. It never changes; its details can be erased.")
class AuditEvent(Node):
    seq: BigInt = strawberry.field(description="Its place in the organization's chain, from 1, without gaps.")
    action: str = strawberry.field(description="What was done, as a dotted verb: `tool_call.recorded`, …")
    actor_role: ActorRole = strawberry.field(description="What the actor was.")
    target_type: str | None = strawberry.field(description="The type of what it was done to.")
    target_database_id: UUID | None = strawberry.field(description="The raw id of what it was done to.")
    request_id: str | None = strawberry.field(description="The request that did it.")
    occurred_at: DateTime = strawberry.field(description="When it was done.")
    hash: str = strawberry.field(description="The chain's hash up to this event, SHA-256 in hexadecimal.")
    prev_hash: str = strawberry.field(description="The hash of the event before it; zeros for the first.")
    database_id: strawberry.Private[str]
    actor_id: strawberry.Private[str | None]

    actor: User | None = to_one(
        lambda: users.SOURCE, "person_id", description="Who did it; null for a service and for the operator."
    )

    @strawberry.field(description="What it was done to, if that still exists and the viewer may see it.")
    @batched
    @staticmethod
    async def target(parents: list["AuditEvent"], info: Info) -> list[Node | None]:
        return await registry.load_each(info.context, [(each.target_type, each.target_database_id) for each in parents])

    details: JSON | None = PAYLOAD.shown(
        "details",
        is_on_record=True,
        description="Ids and names of what changed; null once redacted. Reading it is on record.",
    )
    redacted_at: DateTime | None = PAYLOAD.shown(
        "redacted_at", is_on_record=False, description="When its details were erased."
    )

    @property
    def person_id(self) -> str | None:
        """The actor's id, if it is a person's."""
        return self.actor_id if self.actor_role in PEOPLE else None


@strawberry.type(description="What a verification of a stretch of the audit chain found.")
class ChainVerification:
    ok: bool = strawberry.field(description="Whether something was verified, and nothing of it was tampered with.")
    verdict: ChainVerdict = strawberry.field(description="What was found.")
    checked: BigInt = strawberry.field(description="How many events were verified.")
    from_seq: BigInt = strawberry.field(description="The first event that was verified; UNVERIFIED: that there may be.")
    to_seq: BigInt = strawberry.field(description="The last event that was verified; UNVERIFIED: that there is, or 0.")
    head_hash: str | None = strawberry.field(description="The hash of the last one, in hexadecimal.")
    first_broken_seq: BigInt | None = strawberry.field(description="The first event that is not as it was written.")
    reason: str | None = strawberry.field(description="What is wrong with it, or why the verdict is not OK.")
    checkpoint: str | None = strawberry.field(description="The latest signed note about the chain up to there.")


async def of_targets(context: Context, targets: Sequence[Node], action: str) -> list[AuditEvent | None]:
    """The first event of this action on each target, batched over both; None for who may not read the log."""
    if not SOURCE.is_readable(context.actor.role):
        return [None] * len(targets)
    loader = context.loader("audit_events_of_targets", lambda: _of_targets(context))
    return await loader.load_all([(each.database_id, action) for each in targets])


def _of_targets(context: Context) -> Batch:
    def build() -> Select[Any]:
        targets = T.c.target_id == any_(uuids("targets"))
        actions = T.c.action == any_(bindparam("actions", type_=ARRAY(Text)))
        # Backwards, so that of several the first is what remains in the dictionary.
        return SOURCE.select(context.actor.role).where(targets, actions).order_by(T.c.seq.desc())

    async def load(keys: list[tuple[str, str]]) -> list[AuditEvent | None]:
        targets, actions = (sorted(set(values)) for values in zip(*keys, strict=True))
        rows = await context.session.fetch("audit_events_of_targets", build, targets=targets, actions=actions)
        found: dict[Any, AuditEvent] = {(node.target_database_id, node.action): node for node in SOURCE.build_all(rows)}
        return [found.get(key) for key in keys]

    return load


@strawberry.input(description="Narrows audit events. Every part that is given must hold.")
class AuditEventFilter:
    action: list[str] | None = strawberry.field(default=strawberry.UNSET, description="One of these actions.")
    actor_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Done by this person.")
    target_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Done to this object, of whatever type."
    )
    occurred_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it was done.")

    def where(self) -> Where:
        """The clauses of this filter. Raises BadUserInputError."""
        where = Where()
        for action in present(self.action) or ():
            clean_text(action, "action", MAX_ACTION)
        where.one_of(T.c.action, "action", present(self.action))
        where.identified(T.c.actor_id, "actorId", present(self.actor_id), "User")
        if (target := present(self.target_id)) is not None:
            type_name, database_id = parse_id(target, "targetId")
            where.equals(T.c.target_type, "targetType", type_name)
            where.equals(T.c.target_id, "targetId", database_id)
        where.during(T.c.occurred_at, "occurredAt", present(self.occurred_at))
        return where


FilterArgument = Annotated[AuditEventFilter | None, strawberry.argument(description="Which events.")]
FromSeq = Annotated[
    BigInt | None, strawberry.argument(description="The first event, which must exist; the chain's first if not given.")
]
ToSeq = Annotated[
    BigInt | None, strawberry.argument(description="The last event, which must exist; the chain's last if not given.")
]


@strawberry.type
class AuditEventQuery:
    @strawberry.field(description="The audit log, latest event first.")
    async def audit_events(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: FilterArgument = strawberry.UNSET,
    ) -> Connection[AuditEvent] | None:
        where = filter.where() if filter else Where()
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)

    @strawberry.field(
        description="Verify the audit chain, or a stretch of at most 100,000 events of it.",
        metadata=reads(lambda: (SOURCE, K)),
    )
    async def verify_audit_chain(
        self, info: Info, from_seq: FromSeq = strawberry.UNSET, to_seq: ToSeq = strawberry.UNSET
    ) -> ChainVerification | None:
        context = info.context
        readable(context, SOURCE)
        start, end = present(from_seq), present(to_seq)
        await _affordable(context, start, end)
        statement = _verification(context.actor.role)
        rows = await context.session.fetch("verify_audit_chain", statement, from_seq=start, to_seq=end)
        row = dict(rows[0])
        _existing(row, start, end)
        return ChainVerification(ok=row["verdict"] not in NO_PROOF, **row)


async def _affordable(context: Context, start: int | None, end: int | None) -> None:
    """Raises BadUserInputError for a stretch that is none, or longer than one call verifies."""
    if start is not None and start < 1:
        raise BadUserInputError("`fromSeq` must be 1 or more.", argument="fromSeq")
    if end is not None and end < (start or 1):
        raise BadUserInputError("`toSeq` must be 1 or more, and not before `fromSeq`.", argument="toSeq")
    # What is not given goes to PostgreSQL as null: it compares with the chain's head, so that a cut tail is found.
    low, high = start, end
    if low is None or high is None:
        rows = await context.session.fetch("audit_extent", lambda: _extent(context.actor.role))
        low, high = low or rows[0][0] or 1, high or rows[0][1] or 0
    if high - low >= MAX_VERIFIED:
        raise BadUserInputError(
            f"One call verifies at most {MAX_VERIFIED} events: give `fromSeq` and `toSeq`.", argument="toSeq"
        )


def _existing(row: dict[str, Any], start: int | None, end: int | None) -> None:
    """Raises BadUserInputError for a bound that the chain does not reach.

    A caller that knows a later event than the chain's last has found a cut: it must hear of it, not of what is left.
    """
    if row["verdict"] != ChainVerdict.UNVERIFIED.value or (start is None and end is None):
        return
    is_end = end is not None and (start is None or start <= row["to_seq"])
    argument = "toSeq" if is_end else "fromSeq"
    raise BadUserInputError(f"`{argument}` is no event that can be verified: {row['reason']}.", argument=argument)


def _extent(role: Role) -> Select[Any]:
    return select(func.min(T.c.seq), func.max(T.c.seq)).where(mirror.where(role, T))


def _verification(role: Role) -> Callable[[], Select[Any]]:
    def build() -> Select[Any]:
        ends = (bindparam(name, type_=BigInteger) for name in ("from_seq", "to_seq"))
        names = ("verdict", "checked", "from_seq", "to_seq", "head_hash", "first_broken_seq", "reason")
        found = func.app.verify_audit_chain(*ends).table_valued(*names).render_derived(name="found")
        upto = (mirror.where(role, K), K.c.tree_size <= func.coalesce(found.c.to_seq, 0))
        note = select(K.c.note).where(*upto).order_by(K.c.tree_size.desc()).limit(1)
        return select(
            found.c.verdict,
            func.coalesce(found.c.checked, 0).label("checked"),
            func.coalesce(found.c.from_seq, 0).label("from_seq"),
            func.coalesce(found.c.to_seq, 0).label("to_seq"),
            func.encode(found.c.head_hash, HEX).label("head_hash"),
            found.c.first_broken_seq,
            found.c.reason,
            note.scalar_subquery().label("checkpoint"),
        )

    return build


SOURCE: Source[AuditEvent] = Source(
    AuditEvent,
    T,
    {
        "database_id": T.c.id,
        "seq": T.c.seq,
        "action": T.c.action,
        "actor_id": T.c.actor_id,
        "actor_role": T.c.actor_role,
        "target_type": T.c.target_type,
        "target_database_id": T.c.target_id,
        "request_id": T.c.request_id,
        "occurred_at": T.c.occurred_at,
        "hash": func.encode(T.c.hash, HEX),
        "prev_hash": func.encode(T.c.prev_hash, HEX),
    },
)
LISTING = Listing(SOURCE, Order("seq", T.c.seq, kind=int))
