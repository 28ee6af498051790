"""Writes an organization's chain for the offline verifier: docs/audit-format.md, from one snapshot, in batches.

Nothing is judged here. What is missing or changed in the database goes out as it is, and the verifier finds it.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from audit_verifier.encoding import CALL, GENESIS, OUTCOME, RECORDS
from audit_verifier.export import COLUMNS, SHAPE
from audit_verifier.merkle import BLOCK, GrowingTree
from db.actor import operator_context_sql
from db.audit.checkpoints import Connection

BATCH: Final = 2_000
_PREFETCH: Final = 5_000

_TIMES: Final = frozenset({"occurred_at", "timestamp", "completed_at", "created_at", "redacted_at"})
_HASHES: Final = frozenset({"target_digest", "payload_digest", "leaf", "prev_hash", "hash", "payload_hash"})
_EVENT: Final = COLUMNS[:-2]


def _column(name: str) -> str:
    """A column as the export has it: times in microseconds, hashes in hexadecimal, uuids as text."""
    if name in _TIMES:
        return f'(extract(epoch FROM "{name}") * 1000000)::bigint AS "{name}"'
    if name in _HASHES:
        return f"encode({name}, 'hex') AS {name}"
    return f"{name}::text" if name == "id" or name.endswith("_id") else f'"{name}"'


def _columns(names: Iterable[str]) -> str:
    return ", ".join(_column(name) for name in names)


_EXTENT: Final = """
SELECT h.seq AS head_seq, encode(h.hash, 'hex') AS head_hash, coalesce(h.pruned_seq, 0) AS pruned_seq, h.pruned_hash,
       (SELECT max(e.seq) FROM app.audit_events e WHERE e.organization_id = o.id) AS top_seq
FROM app.organizations o LEFT JOIN app.audit_heads h ON h.organization_id = o.id WHERE o.id = $1::text::uuid"""
_CHECKPOINTS: Final = """
SELECT tree_size, encode(root_hash, 'hex') AS root_hash, key_id, note,
       (extract(epoch FROM created_at) * 1000000)::bigint AS created_at
FROM app.audit_checkpoints WHERE organization_id = $1::text::uuid AND tree_size BETWEEN $2 AND $3 ORDER BY tree_size"""
_EVENTS: Final = f"""
SELECT {_columns(_EVENT)} FROM app.audit_events
WHERE organization_id = $1::text::uuid AND seq BETWEEN $2 AND $3 ORDER BY seq"""
_DETAILS: Final = f"""
SELECT event_id::text AS key, salt, payload, {_column("redacted_at")} FROM app.audit_payloads
WHERE organization_id = $1::text::uuid AND event_id = ANY ($2::text[]::uuid[])"""
_CALLS: Final = f"""
SELECT id::text AS key, {_columns(CALL)} FROM app.tool_calls
WHERE organization_id = $1::text::uuid AND id = ANY ($2::text[]::uuid[])"""
_OUTCOMES: Final = f"""
SELECT tool_call_id::text AS key, {_columns(OUTCOME)} FROM app.tool_call_outcomes
WHERE organization_id = $1::text::uuid AND tool_call_id = ANY ($2::text[]::uuid[])"""
_PAYLOADS: Final = f"""
SELECT tool_call_id::text || part AS key, salt, payload, {_column("redacted_at")} FROM app.tool_call_payloads
WHERE organization_id = $1::text::uuid AND tool_call_id = ANY ($2::text[]::uuid[])"""
_BLOCKS: Final = """
SELECT coalesce(string_agg(subtrees, ''::bytea ORDER BY tree_size), ''::bytea) FROM app.audit_checkpoints
WHERE organization_id = $1::text::uuid"""
_LEAVES: Final = """
SELECT leaf FROM app.audit_events
WHERE organization_id = $1::text::uuid AND seq > $2 AND seq <= $3 ORDER BY seq"""
_HASH: Final = "SELECT hash FROM app.audit_events WHERE organization_id = $1::text::uuid AND seq = $2"

_PARTS: Final = {"tool_call.recorded": "CALL", "tool_call.completed": "OUTCOME"}


class RangeError(ValueError):
    """The chain has no such range."""


@dataclass(frozen=True)
class Extent:
    """What is exported: events `first` to `last`, and what the database says about the chain's ends."""

    first: int
    last: int
    head_seq: int | None
    head_hash: str | None
    pruned_seq: int
    pruned_hash: bytes | None


async def put_on_record(connection: Connection, organization_id: str, first: int | None, last: int | None) -> None:
    """The event that says that the operator reads everything: committed before anything is read."""
    event = {
        "action": "audit.exported",
        "target_type": "Organization",
        "target_id": organization_id,
        "details": {"from_seq": first, "to_seq": last},
    }
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(operator_context_sql(organization_id))
        await connection.fetch("SELECT seq FROM app.audit_append($1::jsonb)", orjson.dumps([event]).decode())


async def extent(connection: Connection, organization_id: str, first: int | None, last: int | None) -> Extent:
    """The range that was asked for, or all of the chain. Raises RangeError."""
    row = await connection.fetchrow(_EXTENT, organization_id)
    pruned, end = row["pruned_seq"] or 0, max(row["head_seq"] or 0, row["top_seq"] or 0)
    found = Extent(
        pruned + 1 if first is None else first,
        end if last is None else last,
        row["head_seq"],
        row["head_hash"],
        pruned,
        row["pruned_hash"],
    )
    is_empty = end == pruned and first is None and last is None
    if not is_empty and not pruned < found.first <= found.last <= end:
        raise RangeError(f"the chain has events {pruned + 1} to {end}")
    return found


async def lines(connection: Connection, organization_id: str, what: Extent) -> AsyncIterator[tuple[int, bytes]]:
    """The file, in pieces, each with the number of events in it. One snapshot: call it inside REPEATABLE READ."""
    rows = await connection.fetch(_CHECKPOINTS, organization_id, what.first - 1, what.last)
    checkpoints = [row for row in rows if row["tree_size"] > 0]
    yield 0, _line(await _header(connection, organization_id, what, [row["tree_size"] for row in checkpoints]))
    for start in range(what.first, what.last + 1, BATCH):
        events = await connection.fetch(_EVENTS, organization_id, start, min(start + BATCH - 1, what.last))
        yield len(events), await _encoded(connection, organization_id, events)
    for row in checkpoints:
        yield 0, _line({"checkpoint": list(row.values())})


async def _header(connection: Connection, organization_id: str, what: Extent, sizes: Sequence[int]) -> dict[str, Any]:
    tree, prev_hash = await _before(connection, organization_id, what)
    return {
        **SHAPE,
        "organization_id": organization_id,
        "exported_at": datetime.now(UTC).isoformat(),
        "from_seq": what.first,
        "to_seq": what.last,
        "head": None if what.head_seq is None else {"seq": what.head_seq, "hash": what.head_hash},
        "pruned_seq": what.pruned_seq,
        "before": {"hash": prev_hash.hex(), "nodes": [node.hex() for node in tree.nodes]},
        "checkpoints": list(sizes),
    }


async def _before(connection: Connection, organization_id: str, what: Extent) -> tuple[GrowingTree, bytes]:
    """The tree of the events before the first, and the hash that the first continues. Raises RangeError."""
    size = what.first - 1
    if size == 0:
        return GrowingTree(), GENESIS
    data = await connection.fetchval(_BLOCKS, organization_id)
    count = min(len(data) // 32, size // BLOCK)
    tree = GrowingTree(data[at * 32 : at * 32 + 32] for at in range(count))
    async for row in connection.cursor(_LEAVES, organization_id, tree.size, size, prefetch=_PREFETCH):
        tree.append(row["leaf"])
    if tree.size != size:
        raise RangeError(f"event {tree.size + 1}, which stands before the range, is missing or pruned")
    if size == what.pruned_seq:
        return tree, what.pruned_hash or GENESIS
    return tree, await connection.fetchval(_HASH, organization_id, size)


async def _encoded(connection: Connection, organization_id: str, events: Sequence[Any]) -> bytes:
    async def beside(sql: str, keys: Sequence[str]) -> dict[str, list[Any]]:
        rows = await connection.fetch(sql, organization_id, keys) if keys else ()
        return {row[0]: list(row.values())[1:] for row in rows}

    committed = {event["target_id"] for event in events if event["action"] in RECORDS and event["target_digest"]}
    targets = sorted(committed - {None})
    details = await beside(_DETAILS, [event["id"] for event in events])
    records = {"CALL": await beside(_CALLS, targets), "OUTCOME": await beside(_OUTCOMES, targets)}
    payloads = await beside(_PAYLOADS, targets)
    found = bytearray()
    for event in events:
        record, part = None, _PARTS.get(event["action"])
        if part and event["target_digest"] and (row := records[part].get(event["target_id"])):
            record = [*row, _payload(payloads.get(event["target_id"] + part))]
        found += _line([*event.values(), _payload(details.get(event["id"])), record])
    return bytes(found)


def _payload(row: Sequence[Any] | None) -> list[Any] | None:
    if row is None:
        return None
    salt, payload, redacted_at = row
    return [
        None if salt is None else salt.hex(),
        None if payload is None else base64.b64encode(payload).decode(),
        redacted_at,
    ]


def _line(value: Any) -> bytes:
    return orjson.dumps(value) + b"\n"
