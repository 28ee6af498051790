"""Bytes → a GraphQL request: JSON read strictly, every refusal a BAD_USER_INPUT that names the place, never a 500.

orjson reads what is plain. What holds a NUL, a surrogate or a long number is read again by the slow reader, which
keeps whole numbers exact and can say where the trouble is.
"""

import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

import orjson

from api.errors import BadUserInputError
from api.scalars import is_storable

_PLAIN_DIGITS: Final = 18
_LONGEST_NUMBER: Final = 400
_NEEDS_CARE: Final = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[0-9]{%d}" % (_PLAIN_DIGITS + 1))


# Bodies of plain documents, which dashboards send again and again: reading one costs as much as a statement's arguments.
_REMEMBERED: Final = 500
_REMEMBERED_BYTES: Final = 4_000
_remembered: OrderedDict[bytes, tuple[str, str | None]] = OrderedDict()


class Parameters(NamedTuple):
    """The four parameters of a GraphQL-over-HTTP request."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    extensions: dict[str, Any]


def parameters_of(body: bytes) -> Parameters:
    """Raises BadUserInputError that names the parameter, or the place inside `variables`."""
    if len(body) > _REMEMBERED_BYTES:
        return _parameters_of(body)
    known = _remembered.get(body)
    if known is None:
        found = _parameters_of(body)
        if found.variables or found.extensions:  # they are the caller's: nothing keeps them
            return found
        known = _remembered[body] = (found.query, found.operation_name)
        if len(_remembered) > _REMEMBERED:
            _remembered.popitem(last=False)
    else:
        _remembered.move_to_end(body)
    return Parameters(*known, {}, {})


def _parameters_of(body: bytes) -> Parameters:
    document = decode(body)
    if isinstance(document, list):
        raise BadUserInputError("Batches are not taken: send one operation.")
    if not isinstance(document, dict):
        raise BadUserInputError("The body must be a JSON object.")
    query = document.get("query")
    if not isinstance(query, str):
        raise BadUserInputError("`query` must be a string.", argument="query")
    operation_name = document.get("operationName")
    if not (operation_name is None or isinstance(operation_name, str)):
        raise BadUserInputError("`operationName` must be a string or null.", argument="operationName")
    return Parameters(query, operation_name, _map(document, "variables"), _map(document, "extensions"))


def decode(body: bytes) -> Any:
    """The JSON value of `body`. Whole numbers stay exact; NUL, lone surrogates and infinite numbers are refused."""
    if not _NEEDS_CARE.search(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    return _decode_carefully(body)


def _decode_carefully(body: bytes) -> Any:
    try:
        document = json.loads(
            body.decode("utf-8"), parse_int=_whole_number, parse_float=_number, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise BadUserInputError("The body is not valid JSON in UTF-8.") from None
    for path, value in _leaves(document):
        if isinstance(value, str) and not is_storable(value):
            raise BadUserInputError(f"`{path}` holds a NUL or a lone surrogate.", argument=path)
        if isinstance(value, float) and not math.isfinite(value):
            raise BadUserInputError(f"`{path}` holds a number that is too large.", argument=path)
    return document


def _whole_number(text: str) -> int | float:
    return int(text) if len(text) <= _LONGEST_NUMBER else math.inf


def _number(text: str) -> float:
    return float(text) if len(text) <= _LONGEST_NUMBER else math.inf


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _leaves(document: Any) -> Iterator[tuple[str, Any]]:
    """Every key and every leaf with its path; a key that cannot be shown is named by its parent."""
    stack: list[tuple[str, Any]] = [("", document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                yield path or "body", key
                stack.append((f"{path}.{key}" if path else key, child))
        elif isinstance(value, list):
            stack.extend((f"{path}[{index}]", child) for index, child in enumerate(value))
        else:
            yield path or "body", value


def _map(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadUserInputError(f"`{name}` must be an object or null.", argument=name)
    return value
