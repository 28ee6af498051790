"""Completion: columns of resolved values become columns that orjson writes, nulls rise, failures keep their places.

A failed position holds FAILED until the nearest place that may be null turns it into null. Nothing is looked at value
by value where the types in a column say that it need not be.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection
from datetime import datetime
from itertools import accumulate, islice
from math import isfinite
from typing import Any, Final

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)
from graphql.pyutils import inspect, is_iterable

Kinds = set[type]
Fail = Callable[[int, Exception], None]


class _Failed:
    __slots__ = ()

    def __repr__(self) -> str:
        return "FAILED"


FAILED: Final = _Failed()
NULL: Final = type(None)
_INT: Final = 2**31
_PLAIN: Final = frozenset({str, int, bool, float, list, datetime})
_NULLS: Final = frozenset({NULL, type(Undefined)})


def kinds_of(values: Collection[Any]) -> Kinds:
    """The types in a column: the one look at it that is never spared."""
    return set(map(type, values))


def is_sound(kinds: Kinds, *, is_non_null: bool) -> bool:
    """Whether a column of these types has no place that fails or asks for a closer look before completion."""
    if kinds <= _PLAIN:
        return True
    if is_non_null and NULL in kinds:
        return False
    return not any(issubclass(kind, Exception) or kind is _Failed or kind is type(Undefined) for kind in kinds)


class Leaf:
    """How values of one scalar or enum go out. `complete` takes a whole column."""

    __slots__ = ("by_identity", "by_text", "coerce", "is_float", "is_int", "is_moment", "native", "type")

    def __init__(self, type_: GraphQLLeafType) -> None:
        self.type = type_
        coerce: Callable[[Any], Any] = type_.coerce_output_value
        self.coerce = coerce
        self.native: type | None = _NATIVE.get(coerce)
        self.is_int = coerce is GraphQLInt.coerce_output_value
        self.is_moment = getattr(coerce, "is_moment", False)
        self.is_float = coerce is GraphQLFloat.coerce_output_value
        self.by_text: dict[Any, str | None] | None = None
        self.by_identity: dict[int, str | None] | None = None
        if isinstance(type_, GraphQLEnumType):
            values = [each.value for each in type_.values.values()]
            self.by_text = {None: None} | {each: coerce(each) for each in values if type(each) is str}
            members = list(getattr(type_, "wrapped_cls", ()))
            self.by_identity = {id(None): None} | {id(each): coerce(each) for each in members}

    def complete(self, values: list[Any], kinds: Kinds, fail: Fail, *, is_non_null: bool) -> list[Any]:
        """The column on the wire; `fail` is told every place that went wrong, which then holds FAILED."""
        done = self.swiftly(values, kinds, is_non_null=is_non_null)
        if done is not None:
            return done
        return [self._one(at, value, fail, is_non_null=is_non_null) for at, value in enumerate(values)]

    def swiftly(self, values: list[Any], kinds: Kinds, *, is_non_null: bool) -> list[Any] | None:
        """The column on the wire, or None when one of its values has to be looked at alone."""
        if not is_sound(kinds, is_non_null=is_non_null):
            return None
        present = kinds - {NULL}
        native = self.native
        if not present:
            return values
        if native is not None and present == {native}:
            if self.is_int or self.is_float:
                numbers = values if len(present) == len(kinds) else [each for each in values if each is not None]
                is_fit = all(map(isfinite, numbers)) if self.is_float else -_INT <= min(numbers) <= max(numbers) < _INT
                return values if is_fit else None
            return values
        try:
            if self.by_text is not None and present == {str}:
                return list(map(self.by_text.__getitem__, values))
            if self.by_identity is not None:
                return list(map(self.by_identity.__getitem__, map(id, values)))
            coerce = self.coerce
            if NULL in kinds:
                done = [None if each is None else coerce(each) for each in values]
            else:
                done = list(map(coerce, values))
        except Exception:  # noqa: BLE001 - one value is wrong: each is then looked at alone
            return None
        is_fit = not (kinds_of(done) - kinds) & _NULLS and (NULL not in kinds or _nulls(done) == _nulls(values))
        return done if is_fit else None

    def _one(self, at: int, value: Any, fail: Fail, *, is_non_null: bool) -> Any:
        if value is FAILED or ((value is None or value is Undefined) and not is_non_null):
            return value if value is FAILED else None
        try:
            if isinstance(value, Exception):
                raise value  # noqa: TRY301 - a returned exception is a raised one, as in graphql-core
            if value is None or value is Undefined:
                fail(at, NullError())
                return FAILED
            done = self.coerce(value)
            if done is None or done is Undefined:
                told = f"{inspect(self.type)}.coerce_output_value({inspect(value)})"
                message = f"Expected `{told}` to return non-nullable value, returned: {inspect(done)}"
                raise TypeError(message)  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - a value that its type cannot carry nulls its own place alone
            fail(at, error)
            return FAILED
        return done


_NATIVE: Final[dict[Any, type]] = {
    GraphQLString.coerce_output_value: str,
    GraphQLID.coerce_output_value: str,
    GraphQLBoolean.coerce_output_value: bool,
    GraphQLInt.coerce_output_value: int,
    GraphQLFloat.coerce_output_value: float,
    str: str,
}


class NullError(Exception):
    """Null in a place that must not be null; the message is made where the field is known."""


def _nulls(values: list[Any]) -> int:
    return sum(each is None for each in values)


def settle(values: list[Any], fail: Fail, *, is_non_null: bool) -> list[Any]:
    """Objects or lists with the exceptions, and the nulls where there must be none, told and turned to FAILED."""
    done: list[Any] = []
    for at, value in enumerate(values):
        if isinstance(value, Exception):
            fail(at, value)
            done.append(FAILED)
        elif value is None or value is Undefined:
            if is_non_null:
                fail(at, NullError())
            done.append(FAILED if is_non_null else None)
        else:
            done.append(value)
    return done


class Written:
    """What stands in place of an object or a list of them: its whole answer, exactly what the document wants there."""

    __slots__ = ("answer",)

    def __init__(self, json: str) -> None:
        self.answer = orjson.Fragment(json)


class Rows:
    """One list level of a column: how many items each list has; None, FAILED or an answer where there is no list."""

    __slots__ = ("_starts", "lengths")

    def __init__(self, lengths: list[Any]) -> None:
        self.lengths = lengths
        self._starts: list[int] | None = None

    def place(self, index: int) -> tuple[int, int]:
        """The list that holds the item of this flat index, and its index there."""
        if self._starts is None:
            counts = (each if isinstance(each, int) else 0 for each in self.lengths)
            self._starts = list(accumulate(counts, initial=0))
        at = bisect_right(self._starts, index) - 1
        return at, index - self._starts[at]

    def gather(self, flat: list[Any]) -> list[Any]:
        """The lists again, of completed items."""
        items = iter(flat)
        return [list(islice(items, each)) if isinstance(each, int) else each for each in self.lengths]


def flatten(values: list[Any], kinds: Kinds, fail: Fail, name: str) -> tuple[Rows, list[Any]]:
    """All items of a settled column of lists; what is no list fails."""
    if kinds == {list}:
        return Rows(list(map(len, values))), [item for each in values for item in each]
    lengths: list[Any] = []
    flat: list[Any] = []
    for at, value in enumerate(values):
        if value is None or value is FAILED:
            lengths.append(value)
            continue
        if type(value) is Written:
            lengths.append(value.answer)
            continue
        try:
            if not is_iterable(value):
                raise GraphQLError(f"Expected Iterable, but did not find one for field '{name}'.")  # noqa: TRY301
            items = list(value)
        except Exception as error:  # noqa: BLE001 - a list that cannot be read nulls its own place alone
            fail(at, error)
            lengths.append(FAILED)
        else:
            flat += items
            lengths.append(len(items))
    return Rows(lengths), flat


def absorb(values: list[Any], *, is_non_null: bool) -> list[Any]:
    """Failures end where null is allowed."""
    return values if is_non_null else [None if each is FAILED else each for each in values]


def gather(flat: list[Any], levels: list[Rows], non_null: tuple[bool, ...], *, has_failed: bool) -> list[Any]:
    """The completed column of a field from its innermost values."""
    if not has_failed:
        for level in reversed(levels):
            flat = level.gather(flat)
        return flat
    values = absorb(flat, is_non_null=non_null[-1])
    for level, must in zip(reversed(levels), reversed(non_null[:-1]), strict=True):
        lists = level.gather(values)
        lists = [FAILED if isinstance(each, list) and any(item is FAILED for item in each) else each for each in lists]
        values = absorb(lists, is_non_null=must)
    return values


def may_come_written(type_: GraphQLObjectType) -> bool:
    """Whether a resolver may give objects of this type written: their class says so by `may_come_written`."""
    return _says(type_, "may_come_written")


def may_have_resolved(type_: GraphQLObjectType) -> bool:
    """Whether objects of this type have values in `resolved`, by a field's Python name, that need not be awaited any more.

    Their class says so by `may_have_resolved`. Where all objects of a column have one, the field's resolver is not called.
    """
    return _says(type_, "may_have_resolved")


def _says(type_: GraphQLObjectType, what: str) -> bool:
    definition = type_.extensions.get("strawberry-definition")
    return bool(getattr(getattr(definition, "origin", None), what, False))
