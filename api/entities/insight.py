"""Insights: what the assistant noticed on its own. Everybody in the organization sees them, members dismiss them."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import orjson
import strawberry
from sqlalchemy import ColumnElement, bindparam, or_
from sqlalchemy import DateTime as SqlDateTime

from api.child_pages import child_pages
from api.connection import After, Before, Connection, Count, First, Last, Listing, Order, Page, count_of
from api.context import Info
from api.entities import project
from api.entities import user as users
from api.entities.insight_facets import Chosen, Groups, InsightFacets, alongside, facets_of, of_many, total_of
from api.entities.references import Project, User
from api.enums import SortDirection, described
from api.filters import DateTimeFilter, Where, plain, present
from api.loaders import to_one
from api.node import Joined, Node, Source
from api.paging import root_page
from api.scalars import JSON, UUID, DateTime
from api.selection import selects
from db import mirror, models
from db.types import InsightType, Severity

T = models.table(models.Insight)
P = models.table(models.Project)
PROJECT = "joined_project"


@described("What insights are ordered by.", CREATED_AT="When they were noticed.", SEVERITY="How much they matter.")
class InsightOrderField(Enum):
    CREATED_AT = "created_at"
    SEVERITY = "severity_rank"


@strawberry.type(description="Something that the assistant noticed.")
class Insight(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    type: InsightType = strawberry.field(description="What kind of finding it is.")
    title: str = strawberry.field(description="It in a few words.")
    description: str = strawberry.field(description="It in full.")
    data: JSON | None = strawberry.field(description="The figures behind it.")
    severity: Severity = strawberry.field(description="How much it matters.")
    is_dismissed: bool = strawberry.field(description="Whether somebody put it aside.")
    dismissed_at: DateTime | None = strawberry.field(description="When it was put aside.")
    expires_at: DateTime | None = strawberry.field(description="When it stops to matter.")
    created_at: DateTime = strawberry.field(description="When it was noticed.")
    severity_rank: strawberry.Private[int]
    project_id: strawberry.Private[str | None]
    dismissed_by_id: strawberry.Private[str | None]

    project: Project | None = to_one(
        lambda: project.SOURCE, "project_id", joined=PROJECT, description="The project that it is about."
    )

    dismissed_by: User | None = to_one(lambda: users.SOURCE, "dismissed_by_id", description="Who put it aside first.")

    @strawberry.field(description="Whether it stopped to matter.")
    def is_expired(self, info: Info) -> bool:
        return self.expires_at is not None and self.expires_at <= info.context.now

    @strawberry.field(description="Whether the viewer may put it aside and take it up again.")
    def viewer_can_dismiss(self, info: Info) -> bool:
        actor = info.context.actor
        return mirror.can(actor, T.name, "update", {"organization_id": actor.organization_id}) and mirror.allows(
            actor.role, T.name, "update", frozenset({"is_dismissed"})
        )


@strawberry.type(description="A page of insights.")
class InsightConnection(Connection[Insight]):
    faceter: strawberry.Private[Any] = None

    @strawberry.field(description="Counts for narrowing the list further. Counted only when selected.")
    async def facets(self) -> InsightFacets | None:
        return await self.faceter()  # type: ignore[no-any-return]


@strawberry.input(description="Narrows insights. Dismissed and expired ones are hidden unless asked for.")
class InsightFilter:
    project_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this project.")
    severity: list[Severity] | None = strawberry.field(
        default=strawberry.UNSET, description="Of one of these severities."
    )
    type: list[InsightType] | None = strawberry.field(default=strawberry.UNSET, description="Of one of these types.")
    dismissed: bool | None = strawberry.field(
        default=strawberry.UNSET, description="true: the dismissed alone; false: the others. null: both."
    )
    include_expired: bool | None = strawberry.field(default=strawberry.UNSET, description="Expired ones as well.")
    created_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it was noticed.")


@strawberry.input(description="The order of insights.")
class InsightOrder:
    field: InsightOrderField = strawberry.field(description="What they are ordered by.")
    direction: SortDirection = strawberry.field(description="The direction.")


def where_of(given: InsightFilter | None, *, without: tuple[str, ...] = ()) -> Where:
    """The clauses of a filter, leaving out the dimensions `without`; dismissed and expired are hidden by default."""
    where = Where()
    is_dismissed = present(given.dismissed) if given and given.dismissed is not strawberry.UNSET else False
    if not given or given.dismissed is not None:
        where.add(
            "dismissed" if is_dismissed else "open", lambda: T.c.is_dismissed if is_dismissed else ~T.c.is_dismissed
        )
    if not given or not present(given.include_expired):
        where.add("live", _live)
    if given:
        where.identified(T.c.project_id, "projectId", present(given.project_id), "Project")
        where.during(T.c.created_at, "createdAt", given.created_at)
        if "severity" not in without:
            where.one_of(T.c.severity, "severity", present(given.severity))
        if "type" not in without:
            where.one_of(T.c.insight_type, "type", present(given.type))
    return where


def _live() -> ColumnElement[bool]:
    now = bindparam("now", type_=SqlDateTime(timezone=True))
    return or_(T.c.expires_at.is_(None), T.c.expires_at > now)


def order_of(given: InsightOrder | None) -> Order:
    """The asked order; the latest first if none."""
    if not given:
        return LISTING.order
    name = given.field.value
    kind = int if given.field is InsightOrderField.SEVERITY else LISTING.order.kind
    return Order(name, T.c[name], is_descending=given.direction is SortDirection.DESC, kind=kind)


FilterArgument = Annotated[InsightFilter | None, strawberry.argument(description="Which insights.")]
OrderArgument = Annotated[
    InsightOrder | None, strawberry.argument(description="In which order; the latest first if not given.")
]


def _without_dimensions(given: InsightFilter | None) -> Where:
    return where_of(given, without=("severity", "type"))


def _chosen(given: InsightFilter | None) -> Chosen:
    """The severities and the types that are asked for; None for all."""
    asked = (given.severity, given.type) if given else (None, None)
    severities, types = (None if present(each) is None else {plain(one) for one in each or ()} for each in asked)
    return severities, types


def _with_facets(
    found: InsightConnection, info: Info, where: Where, given: InsightFilter | None, parent: str | None
) -> InsightConnection:
    """The page with its facets, and its count from the same groups: it need not be counted once more."""
    if not selects(info, "facets"):
        return found
    chosen = _chosen(given)
    if found.alongside is not None:
        groups: Groups = orjson.loads(found.alongside)
        found.resolved = {"facets": facets_of(groups, chosen), "total_count": count_of(total_of(groups, chosen))}
        return found
    context = info.context
    loader = context.loader(("facets", parent is None, where.key), lambda: of_many(context, _without_dimensions(given)))

    async def facets() -> InsightFacets:
        return facets_of(await loader.load(parent), chosen)

    async def total() -> Count:
        return count_of(total_of(await loader.load(parent), chosen))

    found.faceter, found.counter = facets, total
    return found


async def of_projects(
    info: Info, projects: Sequence[Node], page: Page, given: InsightFilter | None, order: InsightOrder | None
) -> list[InsightConnection]:
    """The insights of each project."""
    by, where = T.c.project_id, where_of(given)
    pages = await child_pages(info, InsightConnection, LISTING, by, projects, page, where, order_of(order))
    ids = (each.database_id for each in projects)
    return [_with_facets(found, info, where, given, parent) for found, parent in zip(pages, ids, strict=True)]


@strawberry.type
class InsightQuery:
    @strawberry.field(description="What the assistant noticed; what is neither dismissed nor expired unless asked for.")
    async def insights(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: FilterArgument = strawberry.UNSET,
        order_by: OrderArgument = strawberry.UNSET,
    ) -> InsightConnection | None:
        where = where_of(filter or None)
        page = Page.of(first, after, last, before)
        order, facets = order_of(order_by or None), alongside(info, _without_dimensions(filter or None))
        found = await root_page(info, InsightConnection, LISTING, page, where, order, alongside=facets)
        return _with_facets(found, info, where, filter or None, None)


SOURCE = Source(
    Insight,
    T,
    {
        "database_id": T.c.id,
        "type": T.c.insight_type,
        "title": T.c.title,
        "description": T.c.description,
        "data": T.c.data,
        "severity": T.c.severity,
        "is_dismissed": T.c.is_dismissed,
        "dismissed_at": T.c.dismissed_at,
        "expires_at": T.c.expires_at,
        "created_at": T.c.created_at,
        "severity_rank": T.c.severity_rank,
        "project_id": T.c.project_id,
        "dismissed_by_id": T.c.dismissed_by,
    },
    joined={PROJECT: Joined("project", lambda: project.SOURCE, P.c.id, T.c.project_id)},
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
