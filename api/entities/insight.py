"""Insights: what the assistant noticed on its own. Everybody in the organization sees them, members dismiss them."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import orjson
import strawberry
from sqlalchemy import ColumnElement, Select, Text, any_, bindparam, cast, func, literal_column, or_, select
from sqlalchemy import DateTime as SqlDateTime

from api.child_pages import child_pages
from api.connection import After, Before, Connection, Count, First, Last, Listing, Order, Page, count_of
from api.context import Context, Info
from api.entities import project
from api.entities import user as users
from api.entities.references import Project, User
from api.enums import SortDirection, described
from api.execution.written import is_wanted
from api.filters import DateTimeFilter, Where, plain, present
from api.json_text import joined
from api.loader import Batch
from api.loaders import to_one, uuids
from api.node import Joined, Node, Source
from api.paging import Alongside, root_page
from api.scalars import JSON, UUID, DateTime
from api.selection import selects
from db import mirror, models
from db.types import InsightType, Role, Severity

T = models.table(models.Insight)
P = models.table(models.Project)
PROJECT = "joined_project"
Groups = list[tuple[str, str, int]]
"""Severity, type, and how many have both."""


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


@strawberry.type(description="How many insights have a severity.")
class SeverityCount:
    severity: Severity = strawberry.field(description="The severity.")
    count: int = strawberry.field(description="How many have it.")


@strawberry.type(description="How many insights are of a type.")
class InsightTypeCount:
    type: InsightType = strawberry.field(description="The type.")
    count: int = strawberry.field(description="How many are of it.")


@strawberry.type(description="Counts of the same filter, each without its own dimension.")
class InsightFacets:
    by_severity: list[SeverityCount] = strawberry.field(description="By severity, the gravest first.")
    by_type: list[InsightTypeCount] = strawberry.field(description="By type, in the order of the enum.")


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


def _counts(role: Role, where: Where, *keys: ColumnElement[Any]) -> Select[Any]:
    """One look at a list without both dimensions, counted by both at once, and by `keys`."""
    groups = (*keys, T.c.severity, T.c.insight_type)
    tests = (mirror.where(role, T), *(clause() for clause in where.clauses))
    return select(*groups, func.count().label("count")).where(*tests).group_by(*groups)


def _of_many(context: Context, given: InsightFilter | None) -> Batch:
    """The groups of many parents (None at the root) in one statement."""
    where, role = _without_dimensions(given), context.actor.role

    async def load(parents: list[str | None]) -> list[Groups]:
        if parents == [None]:
            return [[tuple(row) for row in await _grouped(())]]
        found: dict[str | None, Groups] = {parent: [] for parent in parents}
        for parent, *group in await _grouped((T.c.project_id,), parents=parents):
            found[parent].append(tuple(group))
        return [found[parent] for parent in parents]

    async def _grouped(keys: tuple[ColumnElement[Any], ...], **values: Any) -> list[Any]:
        def build() -> Select[Any]:
            counts = _counts(role, where, *keys)
            return counts.where(T.c.project_id == any_(uuids("parents"))) if keys else counts

        return await context.session.fetch(("facets", bool(keys), where.shape), build, **where.values, **values)

    return load


def _alongside(info: Info, given: InsightFilter | None) -> Alongside | None:
    """The groups of the root's list as JSON, for its page to bring along."""
    if not is_wanted(info, "facets"):
        return None
    where, role = _without_dimensions(given), info.context.actor.role

    def value() -> ColumnElement[Any]:
        group = _counts(role, where).subquery("group")
        columns = (group.c.severity, group.c.insight_type, cast(group.c.count, Text))
        text = joined(('["', columns[0], '","', columns[1], '",', columns[2], "]"))
        listed = func.coalesce(func.string_agg(text, literal_column("','")), literal_column("''"))
        return joined(("[", select(listed).scalar_subquery(), "]"))

    return Alongside("facets", value)


def _without_dimensions(given: InsightFilter | None) -> Where:
    return where_of(given, without=("severity", "type"))


def _facets_of(groups: Groups, given: InsightFilter | None) -> InsightFacets:
    """Each dimension's counts: narrowed by the other one, not by itself."""
    severities, types = _chosen(given)
    by_severity: dict[str, int] = {}
    by_type: dict[str, int] = {}
    for severity, type_, count in groups:
        if types is None or type_ in types:
            by_severity[severity] = by_severity.get(severity, 0) + count
        if severities is None or severity in severities:
            by_type[type_] = by_type.get(type_, 0) + count
    return InsightFacets(
        by_severity=[
            SeverityCount(severity=each, count=by_severity[text])
            for text, each in _GRAVEST_FIRST
            if text in by_severity
        ],
        by_type=[InsightTypeCount(type=each, count=by_type[text]) for text, each in _TYPES if text in by_type],
    )


def _total_of(groups: Groups, given: InsightFilter | None) -> int:
    """How many are in the groups that the filter lets through."""
    severities, types = _chosen(given)
    return sum(
        count
        for severity, type_, count in groups
        if (severities is None or severity in severities) and (types is None or type_ in types)
    )


_GRAVEST_FIRST = [(each.value, each) for each in reversed(Severity)]
_TYPES = [(each.value, each) for each in InsightType]


def _chosen(given: InsightFilter | None) -> tuple[set[object] | None, set[object] | None]:
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
    if found.alongside is not None:
        groups: Groups = orjson.loads(found.alongside)
        found.resolved = {"facets": _facets_of(groups, given), "total_count": count_of(_total_of(groups, given))}
        return found
    context = info.context
    loader = context.loader(("facets", parent is None, where.key), lambda: _of_many(context, given))

    async def facets() -> InsightFacets:
        return _facets_of(await loader.load(parent), given)

    async def total() -> Count:
        return count_of(_total_of(await loader.load(parent), given))

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
        order, alongside = order_of(order_by or None), _alongside(info, filter or None)
        found = await root_page(info, InsightConnection, LISTING, page, where, order, alongside=alongside)
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
