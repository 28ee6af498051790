"""JSON that PostgreSQL writes: expressions for the values of columns, as `api/scalars.py` and orjson would write them.

A value that the wire cannot carry gives NULL, and with it the whole object: it is then read column by column, and the
usual way says what is wrong with it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    Integer,
    Numeric,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal_column,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.execution.complete import Leaf
from api.execution.plan import Field
from api.scalars import json_fragment, money_text
from db.types import TIMESTAMPTZ

Part = str | ColumnElement[Any]
Columns = Mapping[str, ColumnElement[Any]]
Writer = Callable[[Field, Columns], Sequence[Part] | None]
F = TypeVar("F", bound=Callable[..., Any])

NULL: Final = "null"
_LEAST: Final[ColumnElement[int]] = literal_column(str(-(2**31)))
_GREATEST: Final[ColumnElement[int]] = literal_column(str(2**31 - 1))
# RFC 3339 with microseconds and Z, always six digits.
_MOMENT: Final[ColumnElement[str]] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_MOMENTS: Final[tuple[Any, Any]] = (
    literal_column("timestamptz '0001-01-01 00:00:00Z'"),
    literal_column("timestamptz '9999-12-31 23:59:59.999999Z'"),
)
_BASE64_LINE: Final = 57


def written_by(writer: Writer) -> Callable[[F], F]:
    """Say how PostgreSQL writes a computed field's value, from the columns behind the node's attributes.

    The writer is given the field as it was planned; None stands for: not as it is asked for here.
    """

    def declare(resolver: F) -> F:
        resolver.writer = writer  # type: ignore[attr-defined]
        return resolver

    return declare


def key_of(field: Field) -> str:
    """The field's key in its object."""
    return f"{orjson.dumps(field.key).decode()}:"


def joined(parts: Sequence[Part]) -> ColumnElement[str]:
    """One text of parts; neighbouring literals are one."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return reduce(lambda text, more: text.concat(more), map(_expression, merged))


def _expression(part: Part) -> ColumnElement[str]:
    if not isinstance(part, str):
        return part
    # Keys of answers are names; still, whatever stands here ends no literal.
    return literal_column("'" + part.replace("'", "''") + "'", Text)


def leaf(kind: Leaf, column: ColumnElement[Any]) -> Sequence[Part] | None:
    """The value of a column as this scalar or enum goes out, NULL for NULL; None where this is not known."""
    type_: Any = column.type
    if kind.by_text is not None:
        is_same = all(text == name for text, name in kind.by_text.items())
        return ('"', column, '"') if is_same and isinstance(type_, String) else None
    if kind.is_int and isinstance(type_, Integer):
        text = cast(column, Text)
        return (case((column.between(_LEAST, _GREATEST), text)) if isinstance(type_, BigInteger) else text,)
    if kind.is_float and isinstance(type_, Double):
        return (_float(column),)
    if kind.native is bool and isinstance(type_, Boolean):
        return (cast(column, Text),)
    if kind.native is str:
        return _text(type_, column, is_number=kind.coerce is str)
    if kind.is_moment and isinstance(type_, type(TIMESTAMPTZ)):
        moment = func.to_char(column.op("AT TIME ZONE")(literal_column("'UTC'")), _MOMENT)
        return ('"', case((column.between(*_MOMENTS), moment)), '"')
    if kind.coerce is json_fragment and isinstance(type_, JSONB):
        return (cast(column, Text),)
    if kind.coerce is money_text and isinstance(type_, Integer):
        return ('"', cast(cast(column, Numeric) * literal_column("0.000001"), Text), '"')
    return None


def _text(type_: Any, column: ColumnElement[Any], *, is_number: bool) -> Sequence[Part] | None:
    if isinstance(type_, Uuid) or (is_number and isinstance(type_, Integer)):
        return ('"', cast(column, Text), '"')
    return (cast(func.to_json(column), Text),) if isinstance(type_, String) else None


def _float(column: ColumnElement[Any]) -> ColumnElement[str]:
    """As orjson spells it, where both have digits alone: beyond that their exponents differ."""
    is_plain = or_(
        column == literal_column("0"), func.abs(column).between(literal_column("0.0001"), literal_column("1e14"))
    )
    is_whole = column == func.trunc(column)
    return case(
        (is_plain, cast(column, Text).concat(case((is_whole, literal_column("'.0'")), else_=literal_column("''"))))
    )


def nullable(column: ColumnElement[Any], parts: Sequence[Part]) -> Sequence[Part]:
    """`null` where the column is NULL."""
    return (case((column.is_(None), _expression(NULL)), else_=joined(parts)),)


def global_id(field: Field, columns: Columns) -> Sequence[Part] | None:
    """`api.node.global_id` of a row."""
    name = f"{field.parent.name}:"
    if len(name) + 36 > _BASE64_LINE:  # beyond that PostgreSQL breaks the line
        return None
    of = joined((name, cast(columns["database_id"], Text)))
    return ('"', func.encode(func.convert_to(of, literal_column("'UTF8'")), literal_column("'base64'")), '"')
