"""Provider keys at rest: opened for a service on record, and wrapped anew when the keyring's primary key changes.

The plaintext exists where `open_key` is called and nowhere else; rotation sees it for a moment, to prove that it opens.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import orjson

from db.actor import Actor, operator_context_sql
from db.crypto import DEMO, Address, Keyring, Sealed, UnopenableError
from db.engine import Pools
from db.session import Limits, act_as

Connection: TypeAlias = "asyncpg.Connection[Any]"
Progress: TypeAlias = Callable[[int, int], None]

USUAL: Final = Limits()
REWRAPPED: Final = "provider_keys.rewrapped"

_OPEN: Final = """/* app_service */ SELECT id, ciphertext, wrapped_key, key_id, key_version
FROM app.open_provider_key($1, $2)"""
_USED: Final = """SELECT key_id, count(*) AS keys FROM app.user_provider_keys
WHERE key_id IS NOT NULL GROUP BY 1 ORDER BY 1"""
_STALE: Final = """SELECT organization_id, count(*) AS keys FROM app.user_provider_keys
WHERE key_id = ANY ($1::text[]) GROUP BY 1 ORDER BY 1"""
_BATCH: Final = """SELECT id, user_id, provider, ciphertext, wrapped_key, key_id, key_version
FROM app.user_provider_keys
WHERE organization_id = $1 AND id > $2 AND key_id = ANY ($3::text[]) ORDER BY id LIMIT $4 FOR UPDATE"""
_REWRAP: Final = """UPDATE app.user_provider_keys AS k
SET wrapped_key = n.wrapped_key, fingerprint = n.fingerprint, key_id = $5
FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS n (id, wrapped_key, fingerprint)
WHERE k.organization_id = $1 AND k.id = n.id"""
_APPEND: Final = "SELECT seq FROM app.audit_append($1::jsonb)"
_BEFORE_ALL: Final = "00000000-0000-0000-0000-000000000000"


async def open_key(
    pools: Pools,
    actor: Actor,
    keyring: Keyring,
    *,
    user_id: str,
    provider: str,
    request_id: str = "-",
    limits: Limits = USUAL,
) -> str | None:
    """A person's own key at a provider, for the service `actor`; None where there is none to use. Keep it out of logs.

    In a transaction of its own, committed before anything is opened: no caller's rollback takes the event back.
    Raises UnopenableError, and what the transaction raises: nothing is opened that is not on record.
    """
    async with act_as(pools, actor, read_only=False, request_id=request_id, limits=limits) as session:
        rows = await session.fetch_text(_OPEN, user_id, provider)
    if not rows:
        return None
    [row] = rows
    address = Address(actor.organization_id, user_id, provider, row["id"], row["key_version"])
    return keyring.open(Sealed(row["ciphertext"], row["wrapped_key"], row["key_id"]), address)


async def used_keys(connection: Connection) -> dict[str, int]:
    """How many provider keys of all organizations each key id wraps, as the operator; the demo's among them."""
    return {row["key_id"]: row["keys"] for row in await connection.fetch(_USED)}


@dataclass
class Rotation:
    """What a rotation did. `unopenable` names rows that stay as they were: (organization, id)."""

    rewrapped: int = 0
    unopenable: list[tuple[str, str]] = field(default_factory=list)


class _Renewed(NamedTuple):
    id: str
    wrapped_key: bytes
    fingerprint: bytes


async def rotate(connection: Connection, keyring: Keyring, *, batch: int, progress: Progress) -> Rotation:
    """Wrap with the primary key whatever another key of the ring wraps, as the operator, its uuids as text.

    Each batch is rows of one organization and one transaction with its audit event; what is done is seen in the rows,
    so a rotation that was cut off anywhere goes on where it stopped. `progress` gets how many are done, of how many.
    """
    old = [key_id for key_id in keyring if key_id != keyring.primary]
    stale = await connection.fetch(_STALE, old)
    total = sum(row["keys"] for row in stale)
    done = Rotation()
    progress(0, total)
    for row in stale:
        after: str | None = _BEFORE_ALL
        while after is not None:
            after = await _rotate_batch(connection, keyring, row["organization_id"], old, after, batch, done)
            progress(done.rewrapped + len(done.unopenable), total)
    return done


async def _rotate_batch(
    connection: Connection,
    keyring: Keyring,
    organization_id: str,
    old: list[str],
    after: str,
    batch: int,
    done: Rotation,
) -> str | None:
    """The id of the batch's last row; None when there was no row left."""
    async with connection.transaction(isolation="read_committed"):
        rows = await connection.fetch(_BATCH, organization_id, after, old, batch)
        renewed, unopenable = _renewed(keyring, organization_id, rows)
        if renewed:
            ids, wrapped_keys, fingerprints = (list(column) for column in zip(*renewed, strict=True))
            await connection.execute(_REWRAP, organization_id, ids, wrapped_keys, fingerprints, keyring.primary)
            await connection.execute(operator_context_sql(organization_id))
            await connection.fetch(_APPEND, _event(organization_id, ids))
    done.rewrapped += len(renewed)
    done.unopenable += [(organization_id, id_) for id_ in unopenable]
    return str(rows[-1]["id"]) if rows else None


def _renewed(keyring: Keyring, organization_id: str, rows: list[asyncpg.Record]) -> tuple[list[_Renewed], list[str]]:
    renewed, unopenable = [], []
    for row in rows:
        address = Address(organization_id, row["user_id"], row["provider"], row["id"], row["key_version"])
        sealed = Sealed(row["ciphertext"], row["wrapped_key"], row["key_id"])
        try:
            again = keyring.rewrap(sealed, address)
            fingerprint = keyring.fingerprint(keyring.open(again, address), organization_id)
        except UnopenableError:
            unopenable.append(row["id"])
        else:
            renewed.append(_Renewed(row["id"], again.wrapped_key, fingerprint))
    return renewed, unopenable


def _event(organization_id: str, ids: list[str]) -> str:
    changed = ["fingerprint", "key_id", "wrapped_key"]
    event = {
        "action": REWRAPPED,
        "target_type": "Organization",
        "target_id": organization_id,
        "details": {"ids": ids, "changed": changed},
    }
    return orjson.dumps([event]).decode()


class Uses(NamedTuple):
    """Key ids by what the keyring knows of them, each with how many provider keys it wraps."""

    known: dict[str, int]
    lacking: dict[str, int]
    demo: int


def uses(found: dict[str, int], keyring: Keyring | None) -> Uses:
    """What `used_keys` found, beside the keyring: ids in its order, and those in use that it lacks."""
    counts = Counter(found)
    ring = tuple(keyring or ())
    lacking = {key_id: count for key_id, count in found.items() if key_id != DEMO and key_id not in ring}
    return Uses({key_id: counts[key_id] for key_id in ring}, lacking, counts[DEMO])
