"""Signed checkpoints: made after 1,000 events or 10 minutes, as the operator; no login of the API may write one.

A log never signs what contradicts what it signed before: each new tree continues the last one's, here and in the file
of notes, or nothing is signed.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import asyncpg

from audit_verifier.encoding import GENESIS, event_hash
from audit_verifier.merkle import BLOCK, GrowingTree
from audit_verifier.note import Checkpoint, PrivateKey
from db.audit.notes import Notes

Connection: TypeAlias = "asyncpg.Connection[Any]"

MAX_EVENTS: Final = 1_000
MAX_AGE: Final = timedelta(minutes=10)
_PREFETCH: Final = 1_000  # a few milliseconds of hashing between two awaits

_UNCOVERED: Final = """
SELECT h.organization_id::text AS organization_id
FROM app.audit_heads h
CROSS JOIN LATERAL (
    SELECT coalesce(max(k.tree_size), 0) AS size FROM app.audit_checkpoints k WHERE k.organization_id = h.organization_id
) AS covered
LEFT JOIN app.audit_events e ON e.organization_id = h.organization_id AND e.seq = covered.size + 1
WHERE h.seq > covered.size
  AND (h.seq - covered.size >= $1 OR e.id IS NULL OR e.occurred_at <= clock_timestamp() - $2::interval)
ORDER BY 1"""
# One process at a time makes a checkpoint of an organization. On Citus this runs on the coordinator alone.
_LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('audit checkpoint ' || $1, 0))"
_LAST: Final = """
SELECT coalesce(max(tree_size), 0) AS size, (array_agg(root_hash ORDER BY tree_size DESC))[1] AS root,
       coalesce(string_agg(subtrees, ''::bytea ORDER BY tree_size), ''::bytea) AS subtrees
FROM app.audit_checkpoints WHERE organization_id = $1::text::uuid"""
_COVERED: Final = """
SELECT seq, leaf, hash FROM app.audit_events
WHERE organization_id = $1::text::uuid AND seq BETWEEN $2 AND $3 ORDER BY seq"""
_NEW: Final = """
SELECT seq, leaf, prev_hash, hash FROM app.audit_events
WHERE organization_id = $1::text::uuid AND seq > $2 AND seq <= $3 ORDER BY seq"""
_TOP: Final = "SELECT coalesce(max(seq), 0) FROM app.audit_events WHERE organization_id = $1::text::uuid"
# A statement of its own, whose commit waits for the disk: events up to here survive a crash. Others can be seen before
# they do (db/session.py), and a note about events that were lost with a crash would accuse an honest log.
_HORIZON: Final = f"SELECT ({_TOP}), pg_logical_emit_message(true, 'minutebook', '')"
_INSERT: Final = """
INSERT INTO app.audit_checkpoints (organization_id, tree_size, root_hash, subtrees, note, key_id)
VALUES ($1::text::uuid, $2, $3, $4, $5, $6)"""


class BrokenChainError(Exception):
    """The chain is not what was signed before, or not whole: it is not signed."""


@dataclass(frozen=True)
class Signer:
    """The key, and the file that its notes go to."""

    key: PrivateKey
    notes: Notes


async def due(connection: Connection, *, max_events: int = MAX_EVENTS, max_age: timedelta = MAX_AGE) -> list[str]:
    """The organizations with that many events, or with one of that age, beyond their last checkpoint."""
    return [row["organization_id"] for row in await connection.fetch(_UNCOVERED, max_events, max_age)]


async def sign(connection: Connection, organization_id: str, signer: Signer) -> Checkpoint | None:
    """A checkpoint of the chain as it is now; None when the last one has everything. As the operator.

    Raises BrokenChainError, NotesError and asyncpg's errors; then nothing was written to the database.
    """
    origin = signer.key.public.origin(organization_id)
    horizon = await connection.fetchval(_HORIZON, organization_id)
    async with connection.transaction(isolation="read_committed"):
        await connection.execute(_LOCK, organization_id)
        tree, head = await _last_tree(connection, organization_id)
        noted = await asyncio.to_thread(signer.notes.newest, origin)
        signed_size = tree.size
        if noted is not None and noted.size == tree.size:
            _same(tree, noted)
        async for row in connection.cursor(_NEW, organization_id, tree.size, horizon, prefetch=_PREFETCH):
            if row["seq"] != tree.size + 1:
                raise BrokenChainError(f"event {tree.size + 1} is missing")
            if row["prev_hash"] != head or row["hash"] != event_hash(head, row["seq"], row["leaf"]):
                raise BrokenChainError(f"event {row['seq']} does not continue the event before it")
            head = row["hash"]
            tree.append(row["leaf"])
            if noted is not None and noted.size == tree.size:
                _same(tree, noted)
        if noted is not None and noted.size > tree.size:
            if await connection.fetchval(_TOP, organization_id) >= noted.size:
                return None  # somebody signed while we waited for the lock: our horizon is older
            raise BrokenChainError(f"it has {tree.size} events; {noted.size} were signed: is this an old backup?")
        if tree.size == signed_size:
            return None
        checkpoint = Checkpoint(origin, tree.size, tree.root())
        note = signer.key.sign(checkpoint.text())
        await asyncio.to_thread(signer.notes.append, note)  # first: what the database can show is on disk elsewhere
        await connection.execute(
            _INSERT, organization_id, tree.size, checkpoint.root, b"".join(tree.blocks), note, signer.key.public.label
        )
    return checkpoint


async def _last_tree(connection: Connection, organization_id: str) -> tuple[GrowingTree, bytes]:
    """The tree of the last checkpoint, and the chain's hash there. Raises BrokenChainError."""
    last = await connection.fetchrow(_LAST, organization_id)
    size, data = last["size"], last["subtrees"]
    blocks = [data[at : at + 32] for at in range(0, len(data), 32)]
    start = size // BLOCK * BLOCK
    # The last event too where a block ends with it: its hash is what the next one continues.
    rows = await connection.fetch(_COVERED, organization_id, min(start + 1, size), size)
    found = {row["seq"]: row for row in rows}
    lost = next((seq for seq in range(start + 1, size + 1) if seq not in found), None)
    if lost is not None or (size and size not in found):
        raise BrokenChainError(f"event {lost or size} is missing")
    tree = GrowingTree(blocks, (found[seq]["leaf"] for seq in range(start + 1, size + 1)))
    if size and (tree.size, tree.root()) != (size, last["root"]):
        raise BrokenChainError(f"its first {size} events are not those that were signed")
    return tree, found[size]["hash"] if size else GENESIS


def _same(tree: GrowingTree, noted: Checkpoint) -> None:
    if tree.root() != noted.root:
        raise BrokenChainError(f"its first {noted.size} events are not those that were signed")
