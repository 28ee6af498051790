"""Arguments made anew: what a document says as a literal is converted once, and copied for each call."""

from collections.abc import Callable
from datetime import date
from enum import Enum
from functools import partial
from typing import Any, Final

from strawberry.types.unset import UnsetType

_LASTING: Final = (str, int, float, bool, date, Enum, UnsetType, type(None))


def copier(value: Any) -> Callable[[], Any] | None:
    """What makes a value again, so that no resolver can change another's; None where that is not known."""
    if isinstance(value, _LASTING):
        return lambda: value
    is_input = hasattr(type(value), "__strawberry_definition__")
    parts = vars(value) if is_input else value
    if isinstance(parts, list):
        items = [copier(each) for each in parts]
        return None if None in items else lambda: [each() for each in items]  # type: ignore[misc]
    if not isinstance(parts, dict) or not (is_input or type(value) is dict):
        return None
    if all(isinstance(each, _LASTING) for each in parts.values()):
        copy: Callable[[], dict[str, Any]] = parts.copy
    else:
        entries = {name: copier(each) for name, each in parts.items()}
        if None in entries.values():
            return None
        copy = lambda: {name: each() for name, each in entries.items()}  # type: ignore[misc] # noqa: E731
    return partial(_input, type(value), copy) if is_input else copy


def _input(kind: type, attributes: Callable[[], dict[str, Any]]) -> Any:
    made: Any = object.__new__(kind)
    made.__dict__ = attributes()
    return made
