"""The scalars of the wire: how each value looks outside, and what of the outside is let in.

`SCALARS` goes to `StrawberryConfig(scalar_map=…)`. A refusal never repeats the value that it refuses.
"""

import base64
import binascii
import ipaddress
import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, NewType, NoReturn, TypeAlias

import orjson
import strawberry
from graphql import EnumValueNode, GraphQLError, Undefined, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

from api.errors import BadUserInputError

MAX_TEXT_CHARS: Final = 32_768
MAX_JSON_BYTES: Final = 65_536
MAX_JSON_DEPTH: Final = 32
MAX_DIMENSIONS: Final = 4_096
MAX_SECRET_CHARS: Final = 4_096
INT64: Final = range(-(2**63), 2**63)
YEARS: Final = range(1900, 3000)

DateTime: TypeAlias = datetime
Date: TypeAlias = date
UUID = NewType("UUID", str)
JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)
Money = NewType("Money", int)
Vector = NewType("Vector", list[float])
IPAddress = NewType("IPAddress", str)

_FLOAT32_MAX: Final = 3.4028234663852886e38
_MICRO: Final = 1_000_000
_DATE_TIME: Final = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_DATE: Final = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}\Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\Z")
_MONEY: Final = re.compile(r"(-?)(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,6}))?\Z")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class Secret:
    """A value that comes in and never goes out: it has no text but `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied")


def is_storable(text: str) -> bool:
    """Whether PostgreSQL and UTF-8 can hold it: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def clean_text(value: str, argument: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """`value` as it came. Raises BadUserInputError that names the argument: too long, NUL, or a lone surrogate."""
    if len(value) > max_chars:
        raise BadUserInputError(f"`{argument}` takes at most {max_chars} characters.", argument=argument)
    if not is_storable(value):
        raise BadUserInputError(f"`{argument}` holds a NUL or a lone surrogate.", argument=argument)
    return value


def date_time_text(value: datetime) -> str:
    """UTC, microseconds, Z: one form, so that equal times are equal texts."""
    if value.tzinfo is UTC and value.microsecond:  # orjson is thrice as fast, and leaves microseconds of zero out
        return orjson.dumps(value, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


# As OPT_UTC_Z writes it; the engine lets such a value through as it is.
date_time_text.is_moment = True  # type: ignore[attr-defined]


def money_text(micro_usd: int) -> str:
    """Micro-dollars → dollars with six decimals."""
    dollars, rest = divmod(abs(micro_usd), _MICRO)
    return f"{'-' if micro_usd < 0 else ''}{dollars}.{rest:06}"


def json_fragment(value: object) -> object:
    """JSON text as PostgreSQL gave it goes out as it is; a parsed value is encoded with the answer."""
    return orjson.Fragment(value) if isinstance(value, str) else value


def _refuse(what: str) -> NoReturn:
    raise BadUserInputError(f"{what}.")


def _parse_date_time(value: object) -> datetime:
    found = _DATE_TIME.match(value) if isinstance(value, str) else None
    if found and int(found[1]) in YEARS:
        try:
            return datetime.fromisoformat(found[0].upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    _refuse("A DateTime is an RFC 3339 time with an offset, such as 2001-02-03T04:05:06.000000Z")


def _parse_date(value: object) -> date:
    found = _DATE.match(value) if isinstance(value, str) else None
    if found and int(found[1]) in YEARS:
        try:
            return date.fromisoformat(found[0])
        except ValueError:
            pass
    _refuse("A Date is written as 2001-02-03")


def _parse_uuid(value: object) -> UUID:
    if isinstance(value, str) and _UUID.match(value):
        return UUID(value.lower())
    _refuse("A UUID is 32 hexadecimal digits in five groups")


def _parse_big_int(value: object) -> BigInt:
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in INT64:
        return BigInt(value)
    _refuse("A BigInt is a whole number from -2^63 to 2^63 - 1, as a string or a number")


def _parse_money(value: object) -> Money:
    found = _MONEY.match(value) if isinstance(value, str) else None
    if not found:
        _refuse('Money is an amount of US dollars with at most six decimals, as a string: "1.250000"')
    micro_usd = int(found[2]) * _MICRO + int((found[3] or "").ljust(6, "0"))
    return Money(-micro_usd if found[1] else micro_usd)


def _parse_json(value: object) -> object:
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [child for each in level for child in _json_children(each)]
        if not level:
            break
    else:
        _refuse(f"JSON may be nested {MAX_JSON_DEPTH} levels deep")
    if len(orjson.dumps(value)) > MAX_JSON_BYTES:
        _refuse(f"JSON may take {MAX_JSON_BYTES} bytes")
    return value


def _json_children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        _refuse("A number in JSON must be finite")
    if isinstance(value, int) and value not in INT64:
        _refuse("A whole number in JSON must fit 64 bits")
    if isinstance(value, str) and not is_storable(value):
        _refuse("JSON holds a NUL or a lone surrogate")
    return []


def _parse_vector(value: object) -> Vector:
    if isinstance(value, str):
        value = _floats_of_base64(value)
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DIMENSIONS:
        _refuse(f"A Vector has 1 to {MAX_DIMENSIONS} numbers")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= _FLOAT32_MAX:
            _refuse("A Vector is a list of finite 32-bit floats, or their base64 in little-endian order")
    return Vector([float(number) for number in value])


def _floats_of_base64(text: str) -> list[float]:
    if len(text) > MAX_DIMENSIONS * 16 // 3 + 4:
        _refuse(f"A Vector has 1 to {MAX_DIMENSIONS} numbers")
    try:
        packed = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (binascii.Error, struct.error, ValueError):
        _refuse("A Vector is a list of finite 32-bit floats, or their base64 in little-endian order")


def _parse_secret(value: object) -> Secret:
    if isinstance(value, str) and 0 < len(value) <= MAX_SECRET_CHARS and is_storable(value):
        return Secret(value)
    _refuse(f"A Secret is a text of 1 to {MAX_SECRET_CHARS} characters")


def _serialize_secret(_: object) -> NoReturn:
    raise TypeError("a secret was about to be shown")


def _parse_ip_address(value: object) -> IPAddress:
    if isinstance(value, str) and "%" not in value:
        try:
            return IPAddress(str(ipaddress.ip_address(value)))
        except ValueError:
            pass
    _refuse("An IPAddress is an IPv4 or IPv6 address")


def _defined(value: object) -> object:
    """A literal without the variables that were not given: absent from an object, null in a list."""
    if isinstance(value, dict):
        return {key: _defined(child) for key, child in value.items() if child is not Undefined}
    if isinstance(value, list):
        return [_defined(child) for child in value]
    return None if value is Undefined else value


def _scalar(
    name: str, description: str, serialize: Callable[[Any], Any], parse: Callable[[Any], Any], url: str | None = None
) -> ScalarDefinition:
    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
        # A bare word is the value of an enum. Taken for a text it would be the one text that a log of queries shows.
        is_bare = isinstance(node, EnumValueNode) and name != "JSON"
        try:
            return parse(node if is_bare else _defined(value_from_ast_untyped(node, variables)))
        except BadUserInputError as error:  # with its place in the document, from which the argument's name is found
            raise GraphQLError(error.message, node, extensions=error.extensions) from None

    return strawberry.scalar(
        name=name,
        description=description,
        serialize=serialize,
        parse_value=parse,
        parse_literal=parse_literal,
        specified_by_url=url,
    )


_RFC: Final = "https://datatracker.ietf.org/doc/html/"

SCALARS: Final[Mapping[object, ScalarDefinition]] = MappingProxyType(
    {
        datetime: _scalar(
            "DateTime",
            "A moment in UTC with microseconds and Z. Input takes any RFC 3339 time that carries its offset.",
            date_time_text,
            _parse_date_time,
            _RFC + "rfc3339",
        ),
        date: _scalar("Date", "A calendar day: YYYY-MM-DD.", date.isoformat, _parse_date, _RFC + "rfc3339"),
        UUID: _scalar("UUID", "A raw uuid in lower case.", str, _parse_uuid, _RFC + "rfc9562"),
        JSON: _scalar(
            "JSON",
            "Any JSON value. Input: finite numbers, at most 32 levels and 64 kB.",
            json_fragment,
            _parse_json,
            _RFC + "rfc8259",
        ),
        BigInt: _scalar("BigInt", "A 64-bit whole number, as a string; input may be a number.", str, _parse_big_int),
        Money: _scalar("Money", "US dollars with six decimals, as a string.", money_text, _parse_money),
        Vector: _scalar(
            "Vector",
            "An embedding: a list of floats, or base64 of little-endian float32. The server checks the dimension.",
            list,
            _parse_vector,
        ),
        Secret: _scalar("Secret", "Write-only: it exists on inputs alone.", _serialize_secret, _parse_secret),
        IPAddress: _scalar("IPAddress", "An IPv4 or IPv6 address.", str, _parse_ip_address),
    }
)
