"""Cursors: a place in an ordered list, opaque to clients, checked strictly, carrying no authority.

base64url of a check, the sort value in full precision and the id, in PostgreSQL's own bytes: a statement can give them as
they are (`place`). The check is over these and begins with the version, the list, its order, the value's kind and the
organization: another's cursor is refused instead of silently pointing elsewhere.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import orjson
from sqlalchemy import BigInteger, ColumnElement, cast, func, literal_column

from api.errors import BadUserInputError
from api.scalars import is_storable

VERSION: Final = 4
# Of a name of 255 characters of four bytes, and some more.
MAX_LENGTH: Final = 2_048
_CHECK_SIZE: Final = 4
_ID_SIZE: Final = 16
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_MICROSECOND: Final = timedelta(microseconds=1)
# PostgreSQL counts a timestamptz in microseconds from here.
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

SortValue = datetime | int | str
Seal = Callable[[Sequence[bytes]], list[str]]


def place(kind: type[SortValue], column: ColumnElement[Any], id_column: ColumnElement[Any]) -> ColumnElement[bytes]:
    """What `body` makes of a row, as an expression."""
    if kind is datetime:
        value = func.timestamptz_send(column)
    elif kind is int:
        value = func.int8send(cast(column, BigInteger))
    else:
        value = func.convert_to(column, literal_column("'UTF8'"))
    return value.op("||")(func.uuid_send(id_column))


def body(value: SortValue, database_id: str) -> bytes:
    """The value's bytes and the id's. Times keep their microseconds."""
    if type(value) is str:
        before = value.encode()
    else:
        number = (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
        before = number.to_bytes(8, "big", signed=True)  # type: ignore[union-attr]
    return before + bytes.fromhex(database_id.replace("-", ""))


def _value(kind: type[SortValue], given: bytes) -> SortValue:
    """Raises ValueError (UnicodeError) or OverflowError for what no column can hold."""
    if kind is str:
        text = given.decode()
        if not is_storable(text):
            raise ValueError("a text that PostgreSQL does not keep")
        return text
    number = int.from_bytes(given, "big", signed=True)
    return _EPOCH + number * _MICROSECOND if kind is datetime else number


@lru_cache(4_096)
def _begun(version: int, tag: str, kind: str, organization_id: str) -> int:
    """Where the check of a list's cursors begins. 32 bits are enough to notice a mistake."""
    of = orjson.dumps([version, tag, kind, organization_id])
    return int.from_bytes(blake2b(of, digest_size=_CHECK_SIZE).digest(), "big")


def sealer(tag: str, kind: type[SortValue], organization_id: str) -> Seal:
    """From the bodies of one list's places to their cursors, for a page at once."""
    begun = _begun(VERSION, tag, kind.__name__, organization_id)

    def seal(bodies: Sequence[bytes]) -> list[str]:
        checked = [binascii.b2a_base64(crc32(each, begun).to_bytes(_CHECK_SIZE, "big") + each) for each in bodies]
        return b"".join(checked).translate(_URL_SAFE, b"=").decode().split()

    return seal


def encode(tag: str, value: SortValue, database_id: str, organization_id: str) -> str:
    """The cursor of one row."""
    return sealer(tag, type(value), organization_id)([body(value, database_id)])[0]


def decode(cursor: str, tag: str, kind: type[SortValue], organization_id: str, argument: str) -> tuple[SortValue, str]:
    """The sort value and the id. Raises BadUserInputError for anything that `encode` did not make for this list."""
    try:
        raw = base64.b64decode(cursor[:MAX_LENGTH] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        value, database_id = _value(kind, raw[_CHECK_SIZE:-_ID_SIZE]), str(UUID(bytes=raw[-_ID_SIZE:]))
        is_ours = encode(tag, value, database_id, organization_id) == cursor
    except (binascii.Error, ValueError, OverflowError):
        is_ours = False
    if not is_ours:
        raise BadUserInputError(f"`{argument}` is not a cursor of this list and order.", argument=argument)
    return value, database_id
