"""Stretches of time: which one a list of logs shows, and how long one is.

A list of logs without a range shows the last 92 days: unbounded, PostgreSQL would open every month.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, case, cast, func

from api.errors import BadUserInputError
from api.filters import LIST_RANGE, DateTimeFilter, present

_MAX_INT: Final = 2**31 - 1
_MS_PER_S: Final = 1_000


def list_window(given: DateTimeFilter | None, now: datetime, argument: str) -> tuple[datetime, datetime | None]:
    """The window that a list of logs shows: the asked one, or the last 92 days before its end or before now.

    Raises BadUserInputError when inverted, empty or wider than 92 days; a beginning alone reaches until now.
    """
    start, end = (present(given.gte), present(given.lt)) if given else (None, None)
    if start is None:
        return (end or now) - LIST_RANGE, end
    if end is not None and start >= end:
        raise BadUserInputError(f"`{argument}` ends before it begins.", argument=argument)
    if (end or now) - start > LIST_RANGE:
        raise BadUserInputError(f"`{argument}` may span at most {LIST_RANGE.days} days.", argument=argument)
    return start, end


def elapsed_ms(start: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[int]:
    """Whole milliseconds from `start` to `end`, kept within a GraphQL Int; null where either is."""
    exact = func.extract("epoch", end - start) * _MS_PER_S
    # greatest() and least() skip nulls: what has not ended would have taken no time at all.
    return cast(case((exact.is_not(None), func.least(func.greatest(exact, 0), _MAX_INT))), Integer)
