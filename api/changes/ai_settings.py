"""Changing AI settings: a person its preferred provider, an admin a person's tier."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import Executable, and_, bindparam
from sqlalchemy.dialects.postgresql import insert

from api.change import Change, Done, changed
from api.context import Info
from api.entities import ai_settings
from api.entities.ai_settings import AiSettings
from api.node import id_of
from api.payload import MutationPayload
from api.permissions import Right, right, takes
from api.rows import allowed
from db import mirror
from db.types import Provider, Role, Tier

T = ai_settings.T
SET_TIER = "SELECT app.set_user_tier($1, $2)"

PREFER = right(T, "insert", columns=("preferred_provider",))
SET_A_TIER = Right(calls="set_user_tier")


@strawberry.input(description="The provider to ask first.")
class SetPreferredProviderInput:
    provider: Provider = strawberry.field(description="Which one.")


@strawberry.input(description="A person's plan.")
class SetUserTierInput:
    user_id: strawberry.ID = strawberry.field(description="Whose plan.")
    tier: Tier = strawberry.field(description="Which plan. It decides how many requests a day are allowed.")


@strawberry.type(description="The settings as they are after the change.")
class SetPreferredProviderPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The settings; null when nothing was done.")
    async def ai_settings(self, info: Info) -> AiSettings | None:
        return await ai_settings.of_user(info.context, self.done.ids.get("user"))


@strawberry.type(description="The settings as they are after the change.")
class SetUserTierPayload(SetPreferredProviderPayload):
    pass


def _prefer(role: Role) -> Executable:
    names = ("organization_id", "user_id", "preferred_provider")
    row = insert(T).values({name: bindparam(name, type_=T.c[name].type) for name in names})
    provider = row.excluded.preferred_provider
    return row.on_conflict_do_update(
        index_elements=["organization_id", "user_id"],
        set_={"preferred_provider": provider},
        where=and_(mirror.where(role, T, "update"), T.c.preferred_provider != provider),
    ).returning(T.c.user_id)


async def _set_provider(change: Change, given: SetPreferredProviderInput) -> dict[str, Any]:
    allowed(change, PREFER)
    role, user_id = change.actor.role, change.actor.user_id
    values = {"preferred_provider": given.provider.value}
    if await change.session.fetch("prefer_provider", lambda: _prefer(role), **values):
        change.record("ai_settings.updated", "AiSettings", user_id, changed=list(values), new=values)
    return {"user": user_id}


async def _set_tier(change: Change, given: SetUserTierInput) -> dict[str, Any]:
    user_id = id_of(given.user_id, "User", "userId")
    allowed(change, SET_A_TIER)
    change.paths["NOT_FOUND"] = ("userId",)
    # It appends its event itself, and so comes last.
    await change.session.fetch_text(SET_TIER, user_id, given.tier.value)
    return {"user": user_id}


@strawberry.type
class AiSettingsMutation:
    @strawberry.mutation(
        description="Choose the provider to ask first. Makes the settings if there are none yet.",
        metadata=takes(PREFER),
    )
    async def set_preferred_provider(
        self,
        info: Info,
        input: Annotated[SetPreferredProviderInput, strawberry.argument(description="What to choose.")],
    ) -> SetPreferredProviderPayload:
        done = await changed(info, input, lambda change: _set_provider(change, input))
        return SetPreferredProviderPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(
        description="Set a person's plan and, with it, how many requests a day it may make. For admins.",
        metadata=takes(SET_A_TIER),
    )
    async def set_user_tier(
        self,
        info: Info,
        input: Annotated[SetUserTierInput, strawberry.argument(description="Whose plan, and which.")],
    ) -> SetUserTierPayload:
        done = await changed(info, input, lambda change: _set_tier(change, input))
        return SetUserTierPayload(done=done, user_errors=done.errors)
