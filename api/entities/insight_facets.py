"""Facets of insights: how many have each severity and each type, all from one count by both at once.

What they count is given by `api/entities/insight.py`: the list without either dimension.
"""

from typing import Any

import strawberry
from sqlalchemy import ColumnElement, Select, Text, any_, cast, func, literal_column, select

from api.context import Context, Info
from api.execution.written import is_wanted
from api.filters import Where
from api.json_text import joined
from api.loader import Batch
from api.loaders import uuids
from api.paging import Alongside
from db import mirror, models
from db.types import InsightType, Role, Severity

T = models.table(models.Insight)
Groups = list[tuple[str, str, int]]
"""Severity, type, and how many have both."""
Chosen = tuple[set[object] | None, set[object] | None]
"""The severities and the types that are asked for; None for all."""


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


def _counts(role: Role, where: Where, *keys: ColumnElement[Any]) -> Select[Any]:
    """One look at a list without both dimensions, counted by both at once, and by `keys`."""
    groups = (*keys, T.c.severity, T.c.insight_type)
    tests = (mirror.where(role, T), *(clause() for clause in where.clauses))
    return select(*groups, func.count().label("count")).where(*tests).group_by(*groups)


def of_many(context: Context, where: Where) -> Batch:
    """The groups of many parents (None at the root) in one statement."""
    role = context.actor.role

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


def alongside(info: Info, where: Where) -> Alongside | None:
    """The groups of the root's list as JSON, for its page to bring along."""
    if not is_wanted(info, "facets"):
        return None
    role = info.context.actor.role

    def value() -> ColumnElement[Any]:
        group = _counts(role, where).subquery("group")
        columns = (group.c.severity, group.c.insight_type, cast(group.c.count, Text))
        text = joined(('["', columns[0], '","', columns[1], '",', columns[2], "]"))
        listed = func.coalesce(func.string_agg(text, literal_column("','")), literal_column("''"))
        return joined(("[", select(listed).scalar_subquery(), "]"))

    return Alongside("facets", value)


def facets_of(groups: Groups, chosen: Chosen) -> InsightFacets:
    """Each dimension's counts: narrowed by the other one, not by itself."""
    severities, types = chosen
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


def total_of(groups: Groups, chosen: Chosen) -> int:
    """How many are in the groups that the filter lets through."""
    severities, types = chosen
    return sum(
        count
        for severity, type_, count in groups
        if (severities is None or severity in severities) and (types is None or type_ in types)
    )


_GRAVEST_FIRST = [(each.value, each) for each in reversed(Severity)]
_TYPES = [(each.value, each) for each in InsightType]
