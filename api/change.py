"""A change: effect and audit in one transaction, committed, and only then read back by the loaders that queries use.

With `@idempotent(key:)` what was done is kept in that transaction: ids and userErrors, never the answer. A repeat does
nothing and reads the same ids again; one that is still under way makes the next wait on the key's unique index.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Any, Final

import asyncpg
import orjson
import strawberry
from graphql import get_directive_values
from strawberry.directive import DirectiveLocation

from api.context import Info
from api.errors import BadUserInputError, user_error_code
from api.payload import RefusedError, UserError, UserErrorCode, user_error
from api.scalars import Secret, is_storable
from db import mirror
from db.actor import Actor
from db.session import Session

ATTEMPTS: Final = 3
KEY_LIFE: Final = timedelta(hours=24)
MAX_KEY: Final = 255

_CLAIM: Final = """/* {role} */ INSERT INTO app.idempotency_keys (organization_id, actor_id, key, request_hash, expires_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization_id, actor_id, key)
DO UPDATE SET request_hash = excluded.request_hash, expires_at = excluded.expires_at, result = NULL
WHERE idempotency_keys.expires_at <= $6 RETURNING id"""
_KNOWN: Final = """/* {role} */ SELECT request_hash, result FROM app.idempotency_keys
WHERE organization_id = $1 AND actor_id = $2 AND key = $3"""
_KEEP: Final = """/* {role} */ UPDATE app.idempotency_keys SET result = $4
WHERE organization_id = $1 AND actor_id = $2 AND key = $3"""


@strawberry.directive(
    locations=[DirectiveLocation.FIELD],
    description="Do it once: a repeat with this key within 24 hours has no further effect and gives an equal answer.",
)
def idempotent(
    key: Annotated[
        str, strawberry.argument(description="Chosen by the client for this one change; 1 to 255 characters.")
    ],
) -> None:
    """Read by `changed`; there is nothing to do to a value."""


@dataclass
class Change:
    """A change under way: the caller's READ COMMITTED transaction and the audit events that will end it.

    `paths` says which part of the input a violated constraint would be about, by the code that it is refused with.
    """

    session: Session
    events: list[dict[str, Any]] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        return self.session.actor

    def record(self, action: str, target_type: str | None = None, target_id: str | None = None, **details: Any) -> None:
        """One audit event. `details` hold ids and names of changed columns, never titles, content, keys or payloads."""
        event = {"action": action, "target_type": target_type, "target_id": target_id, "details": details or None}
        self.events.append(event)

    def refuse(self, code: UserErrorCode, *path: str, message: str | None = None) -> None:
        """A userError about one item; the rest of the change goes on."""
        self.errors.append(user_error(code, *path, message=message))


@dataclass(frozen=True)
class Done:
    """What was done: ids by name, and userErrors."""

    ids: dict[str, Any]
    errors: list[UserError]

    def text(self) -> str:
        errors = [(e.code.value, e.message, e.field, e.retry_at) for e in self.errors]
        return orjson.dumps({"ids": self.ids, "errors": errors}).decode()

    @classmethod
    def of(cls, text: str) -> "Done":
        kept = orjson.loads(text)
        errors = [
            UserError(
                code=UserErrorCode(code),
                message=message,
                field=path,
                retry_at=datetime.fromisoformat(retry_at) if retry_at else None,
            )
            for code, message, path, retry_at in kept["errors"]
        ]
        return cls(kept["ids"], errors)


Effect = Callable[[Change], Awaitable[dict[str, Any]]]


async def changed(info: Info, given: object, effect: Effect) -> Done:
    """Run `effect` in a transaction of its own and commit it with its audit events; ids in `Done.ids` are what it returned.

    An effect refuses by raising RefusedError (nothing stays) or by `Change.refuse` (the rest stays). A transaction that
    lost a race for a lock is tried again.
    """
    context = info.context
    await context.end_reading()
    claim = _claim_of(info, given)
    if not mirror.allows(context.actor.role, "idempotency_keys", "insert"):
        claim = None  # a role that may change nothing has nothing to do once
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with context.writing(context.session) as session:
                session.statements = context.session.statements
                return await _once(Change(session), effect, claim)
        except _UndoneError as undone:
            return undone.done
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class _Claim:
    key: str
    request_hash: bytes


class _UndoneError(Exception):
    """A change was refused, and nothing of its transaction is to stay."""

    def __init__(self, done: Done) -> None:
        super().__init__("undone")
        self.done = done


async def _once(change: Change, effect: Effect, claim: _Claim | None) -> Done:
    if claim is None:
        done, is_refused = await _effected(change, effect)
        if is_refused:
            raise _UndoneError(done)
    else:
        known = await _claimed(change.session, claim)
        if known is not None:
            return known
        done = await _kept(change, effect, claim)
    if change.events:
        await change.session.commit_with(change.events)
    return done


async def _kept(change: Change, effect: Effect, claim: _Claim) -> Done:
    """The effect behind a savepoint, so that a refusal leaves nothing but what is known under its key."""
    session, actor = change.session, change.actor
    await session.execute_text("SAVEPOINT effect")
    done, is_refused = await _effected(change, effect)
    if is_refused:
        await session.undo_to("effect")
        change.events.clear()
    sql = _KEEP.format(role=actor.db_role)
    await session.fetch_text(sql, actor.organization_id, actor.actor_id, claim.key, done.text())
    return done


async def _effected(change: Change, effect: Effect) -> tuple[Done, bool]:
    """What was done, and whether it was refused as a whole."""
    try:
        return Done(await effect(change), change.errors), False
    except RefusedError as refused:
        return Done(refused.done, list(refused.errors)), True
    except asyncpg.IntegrityConstraintViolationError as error:
        code = user_error_code(error)
        if code is None:
            raise
        return Done({}, [user_error(UserErrorCode(code), *change.paths.get(code, ()))]), True


async def _claimed(session: Session, claim: _Claim) -> Done | None:
    """None when the key is ours now, new or expired; what was done under it when it is known already.

    Of many who come by an expired key at once, one takes it over; the others wait for its row and find it taken.
    """
    actor = session.actor
    who = (actor.organization_id, actor.actor_id, claim.key)
    expires_at = session.now + KEY_LIFE
    if await session.fetch_text(_CLAIM.format(role=actor.db_role), *who, claim.request_hash, expires_at, session.now):
        return None
    [known] = await session.fetch_text(_KNOWN.format(role=actor.db_role), *who)
    if known["request_hash"] != claim.request_hash:
        return Done({}, [user_error(UserErrorCode.IDEMPOTENCY_MISMATCH)])
    return Done.of(known["result"])


def _claim_of(info: Info, given: object) -> _Claim | None:
    raw = info._raw_info
    definition = raw.schema.get_directive("idempotent")
    # A field may be selected several times, and any of its selections may carry the key.
    given_values = [
        get_directive_values(definition, node, raw.variable_values) for node in raw.field_nodes if definition
    ]
    keys = {values["key"] for values in given_values if values}
    if not keys:
        return None
    if len(keys) > 1:
        raise BadUserInputError("One change takes one `key`.", argument="key")
    key = keys.pop()
    if not 0 < len(key) <= MAX_KEY or not is_storable(key):
        raise BadUserInputError(f"`key` must have 1 to {MAX_KEY} characters.", argument="key")
    request = orjson.dumps([raw.field_name, _plain(given)], option=orjson.OPT_SORT_KEYS)
    return _Claim(key, hashlib.sha256(request).digest())


def _plain(value: Any) -> Any:
    """An input as JSON: what was left out is absent, which differs from null."""
    if isinstance(value, Secret):
        raise BadUserInputError("A change that holds a secret cannot be repeated by key.", argument="key")
    if is_dataclass(value):
        pairs = ((each.name, getattr(value, each.name)) for each in fields(value))
        return {name: _plain(part) for name, part in pairs if part is not strawberry.UNSET}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.value if isinstance(value, Enum) else value
