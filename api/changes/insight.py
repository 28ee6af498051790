"""Putting insights aside and taking them up again, many at once: each by itself, so that one refusal spoils no other.

A hundred cost what one costs: one statement locks them, one changes those that are not so already.
"""

import asyncio
from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import ColumnElement, Executable, any_, bindparam, false, null, select, true, update
from sqlalchemy.dialects.postgresql import ARRAY

from api.change import Change, Done, changed
from api.context import Info
from api.entities import insight
from api.entities.insight import Insight
from api.errors import BadUserInputError
from api.loaders import by_id
from api.node import id_of
from api.payload import MutationPayload, UserErrorCode
from api.permissions import right, takes
from api.rows import allowed
from db import mirror
from db.types import Role

T = insight.T
MAX_IDS: Final = 100
DISMISSAL: Final = frozenset({"is_dismissed", "dismissed_by", "dismissed_at"})

DISMISS: Final = right(T, "update", columns=DISMISSAL)


@strawberry.input(description="Insights to put aside, for everybody in the organization.")
class DismissInsightsInput:
    ids: list[strawberry.ID] = strawberry.field(description="At most 100 insights.")


@strawberry.input(description="Insights to take up again.")
class RestoreInsightsInput:
    ids: list[strawberry.ID] = strawberry.field(description="At most 100 insights.")


@strawberry.type(description="The insights that are put aside now.")
class DismissInsightsPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(
        description="Those of the asked that are as asked, in that order, each once; also those that were so already."
    )
    async def insights(self, info: Info) -> list[Insight]:
        ids: list[str] = self.done.ids.get("insights", [])
        found = await asyncio.gather(*(by_id(info.context, insight.SOURCE, database_id) for database_id in ids))
        return [node for node in found if node is not None]


@strawberry.type(description="The insights that are not put aside any more.")
class RestoreInsightsPayload(DismissInsightsPayload):
    pass


def _among() -> ColumnElement[bool]:
    return T.c.id == any_(bindparam("ids", type_=ARRAY(T.c.id.type)))


def _lock(role: Role) -> Executable:
    # In the order of their ids: two people with overlapping lists wait for each other instead of deadlocking.
    found = select(T.c.id).where(mirror.where(role, T, "update"), _among())
    return found.order_by(T.c.id).with_for_update(key_share=True)


def _dismiss(role: Role) -> Executable:
    by = bindparam("user_id", type_=T.c.dismissed_by.type)
    at = bindparam("now", type_=T.c.dismissed_at.type)
    rows = update(T).where(mirror.where(role, T, "update"), _among(), ~T.c.is_dismissed)
    return rows.values(is_dismissed=true(), dismissed_by=by, dismissed_at=at).returning(T.c.id)


def _restore(role: Role) -> Executable:
    rows = update(T).where(mirror.where(role, T, "update"), _among(), T.c.is_dismissed)
    return rows.values(is_dismissed=false(), dismissed_by=null(), dismissed_at=null()).returning(T.c.id)


STATEMENTS: Final = {"insight.dismissed": _dismiss, "insight.restored": _restore}


async def _set(change: Change, given: list[strawberry.ID], action: str) -> dict[str, Any]:
    if len(given) > MAX_IDS:
        raise BadUserInputError(f"`ids` takes at most {MAX_IDS} ids.", argument="ids")
    wanted = [id_of(each, "Insight", f"ids.{at}") for at, each in enumerate(given)]
    allowed(change, DISMISS)
    role, session = change.actor.role, change.session
    seen = {row["id"] for row in await session.fetch("lock_insights", lambda: _lock(role), ids=wanted)}
    for at, database_id in enumerate(wanted):
        if database_id not in seen:
            change.refuse(UserErrorCode.NOT_FOUND, "ids", str(at))
    done = [database_id for database_id in dict.fromkeys(wanted) if database_id in seen]
    if done:
        rows = await session.fetch(action, lambda: STATEMENTS[action](role), ids=done)
        are_new = {row["id"] for row in rows}
        for database_id in done:
            if database_id in are_new:
                change.record(action, "Insight", database_id)
    return {"insights": done}


@strawberry.type
class InsightMutation:
    @strawberry.mutation(
        description="Put insights aside. Who did so first stays; what cannot be found spoils no other.",
        metadata=takes(DISMISS),
    )
    async def dismiss_insights(
        self,
        info: Info,
        input: Annotated[DismissInsightsInput, strawberry.argument(description="Which insights.")],
    ) -> DismissInsightsPayload:
        done = await changed(info, input, lambda change: _set(change, input.ids, "insight.dismissed"))
        return DismissInsightsPayload(done=done, user_errors=done.errors)

    @strawberry.mutation(description="Take insights up again, whoever put them aside.", metadata=takes(DISMISS))
    async def restore_insights(
        self,
        info: Info,
        input: Annotated[RestoreInsightsInput, strawberry.argument(description="Which insights.")],
    ) -> RestoreInsightsPayload:
        done = await changed(info, input, lambda change: _set(change, input.ids, "insight.restored"))
        return RestoreInsightsPayload(done=done, user_errors=done.errors)
