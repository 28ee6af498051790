"""A node by its id and the list below it in one statement: what the page of one conversation or project asks for.

The list is known before the node is: whose it is, is in the id. So where one list is wanted of the node, and PostgreSQL
can write that, its page is an array beside the node's own columns. Otherwise, and wherever anything is unusual, the node
is read by itself, and the field of the list as ever: both give the same.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import FieldNode
from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from api.child_pages import Below, counts_of, within
from api.connection import Connection
from api.context import Info
from api.execution.complete import may_have_resolved
from api.execution.plan import Field
from api.execution.written import of_field, wanted_of
from api.loaders import created_bounds
from api.node import Node, Source
from api.paging import JSON, PLACE, Pager
from api.selection import selected, selects

JSONS = "jsons"
PLACES = "places"


class _Plan(NamedTuple):
    """What follows from the document alone: the list's field, and the columns of the node."""

    field: Field
    below: Callable[..., Below]
    columns: tuple[str, ...]


async def node_and_list(info: Info, source: Source[Any], database_id: str) -> list[Node | None]:
    """The node, with its list resolved, as the one item: None where the caller may see none. Empty where this is no way."""
    lasting: dict[Any, _Plan | None] = getattr(info, "lasting", {})
    key = ("node and list", source)
    if key not in lasting:
        lasting[key] = _plan(info, source)
    plan, context = lasting[key], info.context
    if plan is None or not source.is_readable(context.actor.role):
        return []
    below_info = of_field(info, plan.field)
    try:
        below = plan.below(**plan.field.arguments(info._raw_info.variable_values, below_info))
        pager = Pager(below_info, below.listing, below.listing.order, below.page, below.where)
    except Exception:  # noqa: BLE001 - a wrong argument: it is the field's own failure, which says so when it is asked
        return []
    if pager.writing is None or not below.listing.source.is_readable(context.actor.role):
        return []
    bounds = created_bounds([database_id]) if below.listing.source.is_partitioned else None
    values = pager.values | ({"parents_from": bounds[0]} if bounds else {})
    rows = await context.session.fetch(
        ("node and list", source, plan.columns, below.by.key, bounds is None, *pager.shape),
        lambda: _select(source, plan.columns, pager, below.by, is_bounded=bool(bounds)),
        **values,
        key=database_id,
    )
    if not rows:
        return [None]
    (node,) = source.build_all(rows)
    jsons, places = vars(node).pop(JSONS) or (), vars(node).pop(PLACES, None)
    read = pager.read(list(zip(jsons, places, strict=True) if places else zip(jsons, strict=True)))
    if read is not None:
        counts = counts_of(pager, below.by)
        found = pager.connection(list(read), Connection, lambda: counts.load(database_id))
        node.resolved = {plan.field.own.python_name: found} if plan.field.own else {}
    return [node]


def _plan(info: Info, source: Source[Any]) -> _Plan | None:
    """None where the operation asks for more than this node, or of the node for more or less than one list."""
    wanted = wanted_of(info, source.name)
    if wanted is None or not may_have_resolved(wanted.type) or source.is_partitioned or not _is_alone(info):
        return None
    found = [(each, below) for each in wanted.fields if (below := _below(each)) is not None]
    if len(found) != 1:
        return None
    ((field, below),) = found
    if not selects(of_field(info, field), "edges", "pageInfo"):
        return None
    return _Plan(field, below, source.columns_for(selected(info)))


def _below(field: Field) -> Callable[..., Below] | None:
    resolver = field.own.base_resolver if field.own else None
    return getattr(resolver.wrapped_func, "below", None) if resolver else None


def _is_alone(info: Info) -> bool:
    """Whether the operation asks for this one thing: several nodes are better read together."""
    selections = info._raw_info.operation.selection_set.selections
    return len(selections) == 1 and isinstance(selections[0], FieldNode) and info._raw_info.path.prev is None


def _select(
    source: Source[Any], columns: tuple[str, ...], pager: Pager[Any], by: ColumnElement[Any], *, is_bounded: bool
) -> Select[Any]:
    rows = pager.select(*within(pager, by == source.id_column, is_bounded=is_bounded), with_keys=True)
    page = rows.correlate(source.table).subquery("page")
    is_descending = pager.order.is_descending != pager.page.is_backward
    keys = [page.c[pager.order.attribute], page.c["database_id"]]
    order = [key.desc() if is_descending else key for key in keys]
    arrays = [(JSON, JSONS), (PLACE, PLACES)] if pager.has_places else [(JSON, JSONS)]
    listed = select(*(func.array_agg(aggregate_order_by(page.c[one], *order)).label(all_) for one, all_ in arrays))
    lists_of = listed.select_from(page).lateral("list")
    node = source.select(pager.context.actor.role, columns=columns).add_columns(*lists_of.c)
    return node.where(source.id_column == bindparam("key", type_=source.id_column.type))
