"""The proof that an audit event is in the tree that a checkpoint signed: RFC 6962, for anybody to check.

It reads at most 511 leaves, and 32 bytes per 256 events that come with the checkpoints: 0.1 MB for a million events.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import BigInteger, Select, bindparam, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from api.context import Context, Info
from api.entities.audit_event import SOURCE, AuditEvent
from api.loaders import by_id
from api.node import id_of
from api.paging import readable
from api.permissions import reads
from api.scalars import BigInt
from audit_verifier.merkle import BLOCK, KnownTree, needed_leaves
from db import mirror, models
from db.types import Role

T = models.table(models.AuditEvent)
K = models.table(models.AuditCheckpoint)

_DIGEST: Final = 32


@strawberry.type(
    description="That an event is in the tree of a signed checkpoint: from `leafHash`, `path` leads to `rootHash`."
)
class AuditProof:
    event: AuditEvent = strawberry.field(description="The event.")
    leaf_hash: str = strawberry.field(description="The tree's leaf, made from the event's values, in hexadecimal.")
    path: list[str] = strawberry.field(description="RFC 6962's audit path, the leaf's sibling first, in hexadecimal.")
    tree_size: BigInt = strawberry.field(description="How many events the checkpoint covers.")
    root_hash: str = strawberry.field(description="The tree's root according to the checkpoint, in hexadecimal.")
    checkpoint: str = strawberry.field(description="The signed note: C2SP tlog-checkpoint.")


EventId = Annotated[strawberry.ID, strawberry.argument(description="The ID of an AuditEvent.")]


@strawberry.type
class AuditProofQuery:
    @strawberry.field(
        description="Proof that an event is covered by the latest checkpoint; null while none covers it. Check it offline:"
        " an altered event has a path that leads elsewhere.",
        metadata=reads(lambda: (SOURCE, K)),
    )
    async def audit_proof(self, info: Info, id: EventId) -> AuditProof | None:
        context = info.context
        readable(context, SOURCE)
        event = await by_id(context, SOURCE, id_of(id, "AuditEvent", "id"))
        return None if event is None else await _proof(context, event)


async def _proof(context: Context, event: AuditEvent) -> AuditProof | None:
    role = context.actor.role
    found = await context.session.fetch("audit_checkpoint", _latest(role))
    if not found or found[0]["tree_size"] < event.seq:
        return None
    size, index = found[0]["tree_size"], event.seq - 1
    bounds = [(start + 1, end) for start, end in needed_leaves(index, size)]
    (low, high), (last_low, last_high) = bounds[0], bounds[-1]
    rows = await context.session.fetch(
        "audit_leaves", _leaves(role), low=low, high=high, last_low=last_low, last_high=last_high
    )
    leaves = {row["seq"] - 1: row["leaf"] for row in rows}
    data = found[0]["subtrees"]
    blocks = [data[at : at + _DIGEST] for at in range(0, min(len(data), size // BLOCK * _DIGEST), _DIGEST)]
    try:
        path = KnownTree(size, blocks, leaves).path(index)
        leaf = leaves[index]
    except KeyError:  # events are gone that must be there: which, the chain's verification says
        return None
    return AuditProof(
        event=event,
        leaf_hash=leaf.hex(),
        path=[node.hex() for node in path],
        tree_size=size,
        root_hash=found[0]["root_hash"].hex(),
        checkpoint=found[0]["note"],
    )


def _latest(role: Role) -> Callable[[], Select[Any]]:
    """The latest checkpoint, with the subtrees of all up to it."""

    def build() -> Select[Any]:
        earlier = K.alias("earlier")
        in_order: Any = aggregate_order_by(literal_column("''::bytea"), earlier.c.tree_size.asc())
        blocks = (
            select(func.string_agg(earlier.c.subtrees, in_order))
            .where(mirror.where(role, earlier), earlier.c.tree_size <= K.c.tree_size)
            .correlate(K)
            .scalar_subquery()
        )
        latest = select(K.c.tree_size, K.c.root_hash, K.c.note, blocks.label("subtrees")).where(mirror.where(role, K))
        return latest.order_by(K.c.tree_size.desc()).limit(literal_column("1"))

    return build


def _leaves(role: Role) -> Callable[[], Select[Any]]:
    def build() -> Select[Any]:
        def within(low: str, high: str) -> Any:
            return T.c.seq.between(bindparam(low, type_=BigInteger), bindparam(high, type_=BigInteger))

        wanted = or_(within("low", "high"), within("last_low", "last_high"))
        return select(T.c.seq, T.c.leaf).where(mirror.where(role, T), wanted)

    return build
