"""Changing budgets: an admin sets how much may be used. What was used is nobody's to change."""

from typing import Annotated, Any

import strawberry

from api.change import Change, Done, changed
from api.context import Info
from api.entities import budget
from api.entities.budget import UsageBudget
from api.errors import BadUserInputError
from api.filters import present
from api.loaders import by_id
from api.node import parse_id
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import Right, takes
from api.rows import allowed
from api.scalars import BigInt
from db.types import BudgetMetric, BudgetWindow

SUBJECTS = ("Organization", "User")
SET_LIMIT = "SELECT app.set_budget_limit($1, $2, $3, $4) AS id"

LIMIT = Right(calls="set_budget_limit")


@strawberry.input(description="How much may be used: a limit, or none at all.")
class SetBudgetLimitInput:
    subject_id: strawberry.ID = strawberry.field(description="Whose budget: the organization, or a person of it.")
    metric: BudgetMetric = strawberry.field(description="What it counts.")
    window: BudgetWindow = strawberry.field(description="How long its window lasts.")
    limit: BigInt | None = strawberry.field(
        default=strawberry.UNSET, description="How much may be used, 0 or more. COST counts micro-dollars."
    )
    unlimited: bool | None = strawberry.field(
        default=strawberry.UNSET, description="True removes the limit; otherwise `limit` is required."
    )


@strawberry.type(description="The budget as it is after the change.")
class SetBudgetLimitPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The budget; null when nothing was done.")
    async def budget(self, info: Info) -> UsageBudget | None:
        return await by_id(info.context, budget.SOURCE, self.done.ids.get("budget"))


def _limit_of(given: SetBudgetLimitInput) -> int | None:
    """The new limit, None for none. Raises RefusedError."""
    limit: int | None = present(given.limit)
    if present(given.unlimited):
        if limit is not None:
            raise refused(UserErrorCode.INVALID, "unlimited", message="Give a limit or unlimited: true, not both.")
        return None
    if limit is None:
        raise refused(UserErrorCode.INVALID, "limit", message="Give a limit or unlimited: true.")
    if limit < 0:
        raise refused(UserErrorCode.INVALID, "limit", message="A limit is 0 or more.")
    return limit


async def _set_limit(change: Change, given: SetBudgetLimitInput) -> dict[str, Any]:
    subject, subject_id = parse_id(given.subject_id, "subjectId")
    if subject not in SUBJECTS:
        raise BadUserInputError("`subjectId` must be the ID of an Organization or a User.", argument="subjectId")
    allowed(change, LIMIT)
    limit = _limit_of(given)
    is_ours = subject_id == change.actor.organization_id
    if is_ours != (subject == "Organization"):  # the other organization, or ours spelled as a person
        raise refused(UserErrorCode.NOT_FOUND, "subjectId")
    change.paths["NOT_FOUND"] = ("subjectId",)
    # It appends its event itself, and so comes last.
    [row] = await change.session.fetch_text(SET_LIMIT, subject_id, given.metric.value, given.window.value, limit)
    return {"budget": row["id"]}


@strawberry.type
class BudgetMutation:
    @strawberry.mutation(description="Set or remove the limit of a budget. For admins.", metadata=takes(LIMIT))
    async def set_budget_limit(
        self,
        info: Info,
        input: Annotated[SetBudgetLimitInput, strawberry.argument(description="Which budget, how much.")],
    ) -> SetBudgetLimitPayload:
        done = await changed(info, input, lambda change: _set_limit(change, input))
        return SetBudgetLimitPayload(done=done, user_errors=done.errors)
