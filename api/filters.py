"""Filters: what an input narrows, as clauses that are built once per shape and values that are bound each time.

A clause is a function because building SQLAlchemy expressions costs more than running the statement.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

import strawberry
from sqlalchemy import ColumnElement, and_, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY

from api.errors import BadUserInputError
from api.node import id_of
from api.scalars import DateTime, clean_text

MAX_VALUES: Final = 100
MAX_TEXT: Final = 1_000
LIST_RANGE: Final = timedelta(days=92)
METRICS_RANGE: Final = timedelta(days=400)

Clause = Callable[[], ColumnElement[bool]]
Column = ColumnElement[Any]


@strawberry.input(description="Narrows a text. Every part that is given must hold.")
class StringFilter:
    eq: str | None = strawberry.field(default=strawberry.UNSET, description="Exactly this text.")
    in_: list[str] | None = strawberry.field(
        default=strawberry.UNSET, name="in", description="One of these texts, at most 100."
    )
    starts_with: str | None = strawberry.field(
        default=strawberry.UNSET, description="Texts that begin like this, case-sensitive."
    )


@strawberry.input(description="Narrows a time. Every part that is given must hold.")
class DateTimeFilter:
    gte: DateTime | None = strawberry.field(default=strawberry.UNSET, description="At this time or later.")
    lt: DateTime | None = strawberry.field(default=strawberry.UNSET, description="Before this time.")


@strawberry.input(description="A half-open range of time: from ≤ t < to.")
class TimeRange:
    from_: DateTime = strawberry.field(name="from", description="The first moment inside the range.")
    to: DateTime = strawberry.field(description="The first moment after the range.")


@dataclass
class Where:
    """The narrowing of one list: `shape` names the clauses, `values` fills their binds."""

    shape: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, key: str, clause: Clause, **values: Any) -> None:
        """One more clause, named `key`; its binds are filled with `values`."""
        self.shape += (key,)
        self.clauses += (clause,)
        self.values |= values

    def equals(self, column: Column, name: str, value: object) -> None:
        """`column` is `value`, unless that is absent."""
        if value is None or value is strawberry.UNSET:
            return
        self.add(f"{name}=", lambda: column == bindparam(name, type_=column.type), **{name: plain(value)})

    def one_of(
        self, column: Column, name: str, values: Iterable[object] | None, *, argument: str | None = None
    ) -> None:
        """`column` is one of `values`, unless absent. An empty list finds nothing."""
        if values is None or values is strawberry.UNSET:
            return
        chosen = [plain(value) for value in values]
        if len(chosen) > MAX_VALUES:
            raise BadUserInputError(
                f"`{argument or name}` takes at most {MAX_VALUES} values.", argument=argument or name
            )
        if len(chosen) == 1:  # = keeps the order of an index that = ANY would lose
            self.equals(column, name, chosen[0])
            return
        self.add(f"{name}∈", lambda: column == any_(bindparam(name, type_=ARRAY(column.type))), **{name: chosen})

    def identified(self, column: Column, name: str, value: str | None, type_name: str) -> None:
        """`column` is the uuid of the global id `value` of that type, unless absent."""
        if value is not None and value is not strawberry.UNSET:
            self.equals(column, name, id_of(value, type_name, name))

    def text(self, column: Column, name: str, given: StringFilter | None) -> None:
        """A StringFilter on `column`. startsWith is a range under "C": LIKE can't use an index under RLS."""
        if given is None or given is strawberry.UNSET:
            return
        for text in (given.eq, given.starts_with, *(given.in_ or ())):
            if isinstance(text, str):
                clean_text(text, name, MAX_TEXT)
        self.equals(column, f"{name}_eq", given.eq)
        self.one_of(column, f"{name}_in", given.in_, argument=f"{name}.in")
        prefix = given.starts_with
        if prefix:
            low, high = f"{name}_low", f"{name}_high"
            self.add(
                f"{name}^",
                lambda: and_(column.collate("C") >= bindparam(low), column.collate("C") < bindparam(high)),
                **{low: prefix, high: after_prefix(prefix)},
            )

    def during(self, column: Column, name: str, given: DateTimeFilter | None) -> None:
        """A DateTimeFilter on `column`. Raises BadUserInputError for an inverted one."""
        if given is None or given is strawberry.UNSET:
            return
        start, end = present(given.gte), present(given.lt)
        if start is not None and end is not None and start >= end:
            raise BadUserInputError(f"`{name}` ends before it begins.", argument=name)
        self.since(column, name, start)
        self.before(column, name, end)

    def since(self, column: Column, name: str, start: datetime | None) -> None:
        """`column` >= start, unless absent."""
        if start is not None:
            self.add(
                f"{name}>=", lambda: column >= bindparam(f"{name}_from", type_=column.type), **{f"{name}_from": start}
            )

    def before(self, column: Column, name: str, end: datetime | None) -> None:
        """`column` < end, unless absent."""
        if end is not None:
            self.add(f"{name}<", lambda: column < bindparam(f"{name}_to", type_=column.type), **{f"{name}_to": end})

    @property
    def key(self) -> tuple[Any, ...]:
        """Hashable: equal for equal filters with equal values."""
        return (self.shape, tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in sorted(self.values.items())))


def plain(value: object) -> object:
    """An enum member's stored text; anything else as it is."""
    return value.value if isinstance(value, Enum) else value


def present(value: Any) -> Any:
    """None where the client left the value out."""
    return None if value is strawberry.UNSET else value


def after_prefix(prefix: str) -> str:
    """The least text (in code point order) that is greater than every text beginning with `prefix`."""
    trimmed = prefix.rstrip("\U0010ffff")
    if not trimmed:
        return prefix + "\U0010ffff"
    last = ord(trimmed[-1]) + 1
    return trimmed[:-1] + chr(0xE000 if 0xD800 <= last <= 0xDFFF else last)


def checked_range(given: TimeRange, widest: timedelta, argument: str = "range") -> tuple[datetime, datetime]:
    """The two ends of a range. Raises BadUserInputError when inverted, empty or wider than `widest`."""
    start, end = given.from_, given.to
    if start >= end:
        raise BadUserInputError(f"`{argument}` ends before it begins.", argument=argument)
    if end - start > widest:
        raise BadUserInputError(f"`{argument}` may span at most {widest.days} days.", argument=argument)
    return start, end


def limited(given: int | None, *, default: int, most: int, argument: str = "limit") -> int:
    """A number from 1 to `most`, or the default. Raises BadUserInputError."""
    if given is None or given is strawberry.UNSET:
        return default
    if not 1 <= given <= most:
        raise BadUserInputError(f"`{argument}` must be between 1 and {most}.", argument=argument)
    return given
