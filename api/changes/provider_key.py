"""A person's own key at a provider: set and removed by that person alone, kept sealed, never read back."""

from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import Executable, and_, bindparam, delete, literal, select
from sqlalchemy.dialects.postgresql import insert

from api.change import Change, Done, changed
from api.context import Info
from api.entities import ai_settings
from api.entities.ai_settings import AiSettings
from api.errors import UnavailableError
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed
from api.scalars import Secret
from db import mirror
from db.crypto import Address, Keyring, hint_of
from db.types import Provider, Role

K = ai_settings.K
ATTEMPTS: Final = 3
SEALED: Final = ("ciphertext", "wrapped_key", "key_id", "hint", "fingerprint", "set_at")
NEW_ID: Final = "SELECT app.uuidv7() AS id"

SET: Final = right(K, "insert", "update")
REMOVE: Final = right(K, "delete")


@strawberry.input(description="A key of the person's own at a provider. It takes the place of the one before.")
class SetProviderKeyInput:
    provider: Provider = strawberry.field(description="Whose key it is.")
    key: Secret = strawberry.field(description="The key; spaces around it do not count.")


@strawberry.input(description="A key to forget.")
class RemoveProviderKeyInput:
    provider: Provider = strawberry.field(description="Whose key it is.")


@strawberry.type(description="The settings as they are after the change. The key itself is never shown.")
class SetProviderKeyPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The settings with their keys; null when nothing was done.")
    async def ai_settings(self, info: Info) -> AiSettings | None:
        return await ai_settings.of_user(info.context, self.done.ids.get("user"))


@strawberry.type(description="The settings as they are after the change.")
class RemoveProviderKeyPayload(SetProviderKeyPayload):
    pass


def _current(role: Role) -> Executable:
    mine = and_(mirror.where(role, K, "update"), K.c.provider == bindparam("provider", type_=K.c.provider.type))
    return select(K.c.id, K.c.key_version).where(mine).with_for_update()


def _upsert(role: Role) -> Executable:
    """Writes nothing when the row is no longer the one, in the version before, that the key was sealed for."""
    names = ("organization_id", "user_id", "id", "provider", "key_version", *SEALED)
    # The same binds again, not `excluded`: that would need SELECT on what nobody may read.
    binds = {name: bindparam(name, type_=K.c[name].type) for name in names}
    changes = {name: binds[name] for name in ("key_version", *SEALED)} | {"needs_reentry": literal(value=False)}
    is_next = and_(K.c.id == binds["id"], K.c.key_version == binds["key_version"] - 1)
    return (
        insert(K)
        .values(binds)
        .on_conflict_do_update(
            index_elements=["organization_id", "user_id", "provider"],
            set_=changes,
            where=and_(mirror.where(role, K, "update"), is_next),
        )
        .returning(K.c.id)
    )


def _remove(role: Role) -> Executable:
    mine = and_(mirror.where(role, K, "delete"), K.c.provider == bindparam("provider", type_=K.c.provider.type))
    return delete(K).where(mine).returning(K.c.id)


async def _set(change: Change, given: SetProviderKeyInput, keyring: Keyring | None) -> dict[str, Any]:
    allowed(change, SET)
    secret = given.key.reveal().strip()
    if not secret:
        raise refused(UserErrorCode.INVALID, "key", message="This must not be blank.")
    if keyring is None:
        raise UnavailableError("This server has no keyring, so provider keys cannot be set.")
    actor = change.actor
    for _ in range(ATTEMPTS):
        address = await _next(change, given.provider)
        sealed = keyring.seal(secret, address)
        rows = await change.session.fetch(
            "set_provider_key",
            lambda: _upsert(actor.role),
            id=address.id,
            provider=address.provider,
            key_version=address.version,
            ciphertext=sealed.ciphertext,
            wrapped_key=sealed.wrapped_key,
            key_id=sealed.key_id,
            hint=hint_of(secret),
            fingerprint=keyring.fingerprint(secret, actor.organization_id),
            set_at=change.session.now,
        )
        if rows:
            change.record("provider_key.set", "AiSettings", actor.user_id, id=address.id)
            return {"user": actor.user_id}
    raise refused(UserErrorCode.CONFLICT, "provider")


async def _next(change: Change, provider: Provider) -> Address:
    """The row that the key will stand in: the one there is, locked, in its next version, or a new one."""
    actor = change.actor
    rows = await change.session.fetch("own_provider_key", lambda: _current(actor.role), provider=provider.value)
    if rows:
        id_, version = rows[0]["id"], rows[0]["key_version"] + 1
    else:
        [row] = await change.session.fetch_text(NEW_ID)
        id_, version = row["id"], 1
    return Address(actor.organization_id, str(actor.user_id), provider.value, id_, version)


async def _forget(change: Change, given: RemoveProviderKeyInput) -> dict[str, Any]:
    allowed(change, REMOVE)
    actor = change.actor
    rows = await change.session.fetch("remove_provider_key", lambda: _remove(actor.role), provider=given.provider.value)
    for row in rows:
        change.record("provider_key.removed", "AiSettings", actor.user_id, id=row["id"])
    return {"user": actor.user_id}


@strawberry.type
class ProviderKeyMutation:
    @strawberry.mutation(
        description="Set the caller's own key at a provider. The plan stays; the key is never shown.",
        metadata=takes(SET),
    )
    async def set_provider_key(
        self,
        info: Info,
        input: Annotated[SetProviderKeyInput, strawberry.argument(description="The key, and whose it is.")],
    ) -> SetProviderKeyPayload:
        done = await changed(info, input, lambda change: _set(change, input, info.context.keyring))
        return SetProviderKeyPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(
        description="Forget the caller's own key at a provider; without one nothing happens.", metadata=takes(REMOVE)
    )
    async def remove_provider_key(
        self,
        info: Info,
        input: Annotated[RemoveProviderKeyInput, strawberry.argument(description="Whose key.")],
    ) -> RemoveProviderKeyPayload:
        done = await changed(info, input, lambda change: _forget(change, input))
        return RemoveProviderKeyPayload(done=done, user_errors=done.errors)
