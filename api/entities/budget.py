"""Budgets: how much may be used in a day or month, and how much was.

A window that has passed reads as unused: the row itself is rolled over by the next spend, not by a job.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import strawberry
from sqlalchemy import BigInteger, FromClause, Select, and_, any_, bindparam, case, func, literal, literal_column

from api import registry
from api.context import Context, Info
from api.entities import organization
from api.entities.references import Organization, User
from api.execution import batched
from api.execution.plan import Field
from api.json_text import Part, joined
from api.loader import Batch, Loader
from api.loaders import uuids
from api.node import Node, Source
from api.scalars import BigInt, DateTime, Money
from api.selection import selected
from api.written import list_parts, node_parts, object_parts
from db import mirror, models
from db.types import TIMESTAMPTZ, BudgetMetric, BudgetWindow, Role, SubjectType

T = models.table(models.UsageBudget)
O = models.table(models.Organization)  # noqa: E741 - one letter, as everywhere

NOW = bindparam("now", type_=TIMESTAMPTZ)
WINDOW_START = func.app.window_start(T.c.budget_window, NOW, O.c.timezone, type_=TIMESTAMPTZ)
WINDOW_END = func.app.window_end(T.c.budget_window, NOW, O.c.timezone, type_=TIMESTAMPTZ)
IS_PAST = T.c.window_start < WINDOW_START
SUM_ROWS = 1_000
SUBJECTS = {SubjectType.ORGANIZATION.value: "Organization", SubjectType.USER.value: "User"}

BudgetSubject = Annotated[
    Organization | User,
    strawberry.union("BudgetSubject", description="Whose budget it is: a person's or the organization's."),
]


@strawberry.type(description="How much may be used in a window, and how much was. COST counts micro-dollars.")
class UsageBudget(Node):
    metric: BudgetMetric = strawberry.field(description="What it counts.")
    window: BudgetWindow = strawberry.field(description="How long its window lasts.")
    limit: BigInt | None = strawberry.field(description="How much may be used; null: without limit.")
    used: BigInt = strawberry.field(description="How much was used in this window.")
    reserved: BigInt = strawberry.field(description="How much is set aside for requests under way.")
    window_start: DateTime = strawberry.field(description="When this window began.")
    resets_at: DateTime = strawberry.field(description="When the next window begins.")
    timezone: str = strawberry.field(description="The time zone that windows follow.")
    database_id: strawberry.Private[str]
    subject_type: strawberry.Private[str]
    subject_id: strawberry.Private[str]

    @strawberry.field(description="How much is left; null: without limit.")
    def remaining(self) -> BigInt | None:
        return None if self.limit is None else BigInt(max(0, self.limit - self.used - self.reserved))

    @strawberry.field(description="Whose budget it is.")
    @batched
    @staticmethod
    async def subject(parents: list["UsageBudget"], info: Info) -> list[BudgetSubject]:
        places = [(SUBJECTS[each.subject_type], each.subject_id) for each in parents]
        return await registry.load_each(info.context, places)  # type: ignore[return-value] # these two types alone

    @property
    def local_date(self) -> date:
        """The day on which the window began, where the organization is."""
        return self.window_start.astimezone(ZoneInfo(self.timezone)).date()


@strawberry.type(description="What the caller used this month and what is left.")
class UsageSummary:
    budgets: list[UsageBudget] = strawberry.field(description="The caller's budgets and its organization's.")
    tokens: BigInt = strawberry.field(description="Tokens of this month.")
    requests: BigInt = strawberry.field(description="Requests of this month.")
    cost: Money = strawberry.field(description="Cost of this month, in US dollars.")


def _with_zone(role: Role) -> FromClause:
    return T.join(O, and_(mirror.where(role, O), O.c.id == T.c.organization_id))


SOURCE = Source(
    UsageBudget,
    T,
    {
        "metric": T.c.metric,
        "window": T.c.budget_window,
        "limit": T.c.limit_value,
        "used": case((IS_PAST, literal_column("0", BigInteger)), else_=T.c.used),
        "reserved": case((IS_PAST, literal_column("0", BigInteger)), else_=T.c.reserved),
        "window_start": func.greatest(T.c.window_start, WINDOW_START, type_=T.c.window_start.type),
        "resets_at": WINDOW_END,
        "timezone": O.c.timezone,
        "database_id": T.c.id,
        "subject_type": T.c.subject_type,
        "subject_id": T.c.subject_id,
    },
    origin=_with_zone,
    also=(O,),
)
_MY_SUBJECTS = [bindparam(name, type_=T.c.subject_id.type) for name in ("user_id", "organization_id")]
ORDER = (T.c.subject_type.desc(), T.c.subject_id, T.c.metric.desc(), T.c.budget_window)


def _by_subject(context: Context, columns: tuple[str, ...]) -> Batch:
    def build() -> Select[Any]:
        wanted = T.c.subject_id == any_(uuids("keys"))
        return SOURCE.select(context.actor.role, columns=columns).where(wanted).order_by(*ORDER)

    async def load(subject_ids: list[str]) -> list[list[UsageBudget]]:
        found: dict[str, list[UsageBudget]] = {subject_id: [] for subject_id in subject_ids}
        rows = await context.session.fetch(("budgets_by_subject", columns), build, keys=subject_ids)
        for budget in SOURCE.build_all(rows):
            found[budget.subject_id].append(budget)
        return [found[subject_id] for subject_id in subject_ids]

    return load


def _loader(context: Context, columns: tuple[str, ...] = tuple(SOURCE.columns)) -> Loader:
    return context.loader(("budgets", columns), lambda: _by_subject(context, columns))


async def of_subject(context: Context, subject_id: str) -> list[UsageBudget]:
    """The budgets of a person or an organization, batched; empty where the viewer may see none."""
    if not SOURCE.is_readable(context.actor.role):
        return []
    return await _loader(context).load(subject_id)  # type: ignore[no-any-return]


async def requests_of(context: Context, user_id: str, window: BudgetWindow) -> tuple[BigInt, date]:
    """A person's requests in the current window, and the local day on which it began."""
    for budget in await of_subject(context, user_id):
        if (budget.metric, budget.window) == (BudgetMetric.REQUESTS, window):
            return budget.used, budget.local_date
    zone = ZoneInfo((await organization.current(context)).timezone)
    return BigInt(0), context.now.astimezone(zone).date()


async def summary(info: Info) -> UsageSummary | None:
    """The caller's month; the organization's for who is no member of it. None where the role may see no budgets.

    Where the windows end is worked out for each row, so only where that was selected.
    """
    context = info.context
    actor = context.actor
    if not SOURCE.is_readable(actor.role):
        return None
    subjects = [actor.organization_id]
    if actor.user_id is not None and actor.role is not Role.OBSERVER:
        subjects.insert(0, actor.user_id)
    columns = SOURCE.columns_for(selected(info, "budgets"), "metric", "window", "used", "subject_id")
    groups: list[list[UsageBudget]] = await _loader(context, columns).load_all(subjects)
    month = {budget.metric: budget.used for budget in groups[0] if budget.window == BudgetWindow.MONTH}
    return UsageSummary(
        budgets=[budget for group in groups for budget in group],
        tokens=BigInt(month.get(BudgetMetric.TOKENS, 0)),
        requests=BigInt(month.get(BudgetMetric.REQUESTS, 0)),
        cost=Money(month.get(BudgetMetric.COST, 0)),
    )


def summary_parts(field: Field, role: Role) -> Sequence[Part] | None:
    """The JSON of `summary`, for a person and where its budgets alone are wanted; None where it cannot be written."""
    if not SOURCE.is_readable(role) or field.object is None:
        return None

    def value_of(part: Field) -> Sequence[Part] | None:
        budget = node_parts(part.selection(part.object), SOURCE) if part.name == "budgets" and part.object else None
        if budget is None:
            return None
        rows = SOURCE.select(role, columns=()).where(T.c.subject_id.in_(_MY_SUBJECTS))
        return list_parts(rows, joined(budget), ORDER)

    return object_parts(field.selection(field.object), value_of)


async def of_organization(context: Context) -> list[UsageBudget] | None:
    """The organization's budgets, with its people's (up to 1,000 rows) for admin, auditor and service."""
    actor = context.actor
    if not SOURCE.is_readable(actor.role):
        return None
    if actor.role in (Role.MEMBER, Role.OBSERVER):
        return await of_subject(context, actor.organization_id)
    rows = await context.session.fetch(
        "budgets_of_organization",
        lambda: SOURCE.select(actor.role).order_by(T.c.subject_type, *ORDER[1:]).limit(literal(SUM_ROWS)),
    )
    return SOURCE.build_all(rows)
