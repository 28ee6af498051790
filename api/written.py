"""Pages that PostgreSQL writes: what an answer wants of each row, as JSON made in the statement that reads it.

That is so where all that is wanted of a node is its columns, computed fields that say how they are written, and nodes
that are read along; otherwise the statement gives columns, and the API makes the answer of them. Text instead of values
costs PostgreSQL a microsecond a row, and spares the API three: docs/decisions/0009-written-pages.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Select, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from api.execution.complete import Written
from api.execution.plan import Field, How, Selection
from api.execution.written import wanted
from api.json_text import NULL, Part, Writer, joined, key_of, leaf, nullable
from api.node import Along, Source

Shape = tuple[Any, ...]

EDGES: Final = "edges"
_EDGE: Final = frozenset({"node", "cursor", "__typename"})
# Keys of answers are names: none has a per cent.
_GAP: Final = "%"


@dataclass(frozen=True, eq=False)
class Writing:
    """The JSON of a page's edges. Equal shapes are equal `text`s, but not equal edges: `frame` counts as well.

    `text` is of one row: the whole edge; where cursors are wanted, which the API makes, the node, and `frame` is what
    goes before, between and behind the two.
    """

    shape: Shape
    text: ColumnElement[str]
    frame: tuple[str, str, str] | None
    is_cursor_first: bool

    def edges(self, rows: Sequence[str], cursors: Sequence[str]) -> Written:
        """The page's edges, of the texts of its rows."""
        if self.frame is None:
            return Written(f"[{','.join(rows)}]")
        if not rows:
            return Written("[]")
        before, between, behind = self.frame
        pairs = zip(cursors, rows, strict=True) if self.is_cursor_first else zip(rows, cursors, strict=True)
        return Written(f"[{before}{f'{behind},{before}'.join(map(between.join, pairs))}{behind}]")


def writing_of(info: Any, source: Source[Any], along: Along) -> Writing | None:
    """How the edges of the resolver's connection are written; None where they cannot be."""
    lasting: dict[Any, Writing | None] | None = getattr(info, "lasting", None)  # the engine's; graphql-core has none
    if lasting is None:
        return None
    key = ("written", source, along)
    if key not in lasting:
        edge = wanted(info, EDGES)
        lasting[key] = _writing(edge, source, along) if edge else None
    return lasting[key]


def _writing(edge: Selection, source: Source[Any], along: Along) -> Writing | None:
    names = [each.name for each in edge.fields]
    if names.count("node") != 1 or names.count("cursor") > 1 or not set(names) <= _EDGE:
        return None
    (node,) = (each for each in edge.fields if each.name == "node")
    readable = {attribute: source.joined[attribute].source() for attribute, _ in along}
    wanted_node = node.selection(node.object) if node.object else None
    parts = node_parts(wanted_node, source, readable) if wanted_node else None
    if wanted_node is None or parts is None:
        return None
    before, *rest = _frame(edge)
    if "cursor" not in names:
        return Writing(shape_of(edge), joined([before, *parts, *rest]), None, is_cursor_first=False)
    between, behind = rest
    is_cursor_first = names.index("cursor") < names.index("node")
    return Writing(shape_of(wanted_node), joined(parts), (before, between, behind), is_cursor_first)


def _frame(edge: Selection) -> list[str]:
    """What is around the node, and around the cursor where there is one."""
    values = {"node": _GAP, "cursor": f'"{_GAP}"', "__typename": orjson.dumps(edge.type.name).decode()}
    return f"{{{','.join(f'{key_of(each)}{values[each.name]}' for each in edge.fields)}}}".split(_GAP)


def shape_of(selection: Selection) -> Shape:
    """What tells selections apart whose fields have no arguments."""
    below = (each.selection(each.object) if each.object else None for each in selection.fields)
    return (
        selection.type.name,
        *(
            (each.key, each.name, inner and shape_of(inner))
            for each, inner in zip(selection.fields, below, strict=True)
        ),
    )


def object_parts(selection: Selection, value_of: Callable[[Field], Sequence[Part] | None]) -> list[Part] | None:
    """The JSON of one object, of what `value_of` gives for its fields; None where that gives None for one."""
    parts: list[Part] = ["{"]
    for at, field in enumerate(selection.fields):
        value = (orjson.dumps(field.parent.name).decode(),) if field.how is How.TYPENAME else value_of(field)
        if value is None:
            return None
        parts += [f"{',' if at else ''}{key_of(field)}", *value]
    return [*parts, "}"]


def node_parts(
    selection: Selection, source: Source[Any], readable: Mapping[str, Source[Any]] = MappingProxyType({})
) -> list[Part] | None:
    """The JSON of one node of a source; `readable` are those of its `joined` that are read along."""
    return object_parts(selection, partial(_value, source=source, readable=readable))


def _value(field: Field, source: Source[Any], readable: Mapping[str, Source[Any]]) -> Sequence[Part] | None:
    for attribute, other in readable.items():
        if source.joined[attribute].field == field.name:
            return other_parts(field, other)
    if field.own is None or field.nodes[0].arguments:
        return None
    if field.how is How.ATTRIBUTE:
        return _column(field, source.columns.get(field.own.python_name))
    resolver = field.own.base_resolver if field.how is How.DIRECT else None
    writer: Writer | None = getattr(resolver.wrapped_func, "writer", None) if resolver else None
    return writer(field, source.columns) if writer else None


def _column(field: Field, column: ColumnElement[Any] | None) -> Sequence[Part] | None:
    if column is None or field.leaf is None or len(field.non_null) > 1:
        return None
    parts = leaf(field.leaf, column)
    return parts if parts is None or field.non_null[0] else nullable(column, parts)


def other_parts(field: Field, source: Source[Any]) -> Sequence[Part] | None:
    """A node that is read along: `null` where there is none, NULL where there has to be one."""
    parts = node_parts(field.selection(field.object), source) if field.object else None
    if parts is None:
        return None
    text = (source.id_column.is_not(None), joined(parts))
    return (case(text) if field.non_null[0] else case(text, else_=joined((NULL,))),)


def list_parts(rows: Select[Any], text: ColumnElement[str], order: Sequence[ColumnElement[Any]]) -> Sequence[Part]:
    """The JSON list of the rows' texts, in one value; NULL where one of them is NULL."""
    at = func.row_number().over(order_by=order).label("at")
    # OFFSET 0 keeps the text from being made for each place that names it.
    row = rows.with_only_columns(text.label("text"), at).offset(literal_column("0")).correlate(None).subquery("row")
    listed = func.string_agg(row.c.text, aggregate_order_by(literal_column("','"), row.c["at"]))
    whole = case((func.count() == func.count(row.c.text), func.coalesce(listed, literal_column("''"))))
    return ("[", select(whole).scalar_subquery(), "]")
