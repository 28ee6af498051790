"""Cursors: a place in an ordered list, opaque to clients, checked strictly, carrying no authority.

base64url of [version, order's tag, sort value in full precision, id] and a check over these and the organization,
so that a cursor of another list, order or organization is refused instead of silently pointing elsewhere.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from zlib import crc32

import orjson

from api.errors import BadUserInputError
from api.scalars import INT64, is_storable

VERSION: Final = 2
MAX_LENGTH: Final = 1_024
_CHECK_SIZE: Final = 4
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")

SortValue = datetime | int | str
_PARSE: Final[dict[type[SortValue], Callable[[str], SortValue]]] = {
    datetime: datetime.fromisoformat,
    int: int,
    str: str,
}


@lru_cache(4_096)
def _begun(organization_id: str) -> int:
    """Where the check of this organization's cursors begins. 32 bits are enough to notice a mistake."""
    return int.from_bytes(blake2b(organization_id.encode(), digest_size=_CHECK_SIZE).digest(), "big")


def _check(body: bytes, organization_id: str) -> bytes:
    return crc32(body, _begun(organization_id)).to_bytes(_CHECK_SIZE, "big")


def _is_storable(value: SortValue) -> bool:
    """The check is no signature: a cursor made by hand may hold what no column can."""
    if isinstance(value, datetime):
        return value.utcoffset() == timedelta()
    return value in INT64 if isinstance(value, int) else is_storable(value)


def encode(tag: str, value: SortValue, database_id: str, organization_id: str) -> str:
    """The cursor of one row. Times keep their microseconds."""
    return encoder(tag, organization_id)(value, database_id)


def encoder(tag: str, organization_id: str) -> Callable[[SortValue, str], str]:
    """`encode` for the rows of one list: most of a page's text is cursors, so what is the same for all is done once."""
    begun, version = _begun(organization_id), VERSION

    def encode_one(value: SortValue, database_id: str) -> str:
        body = orjson.dumps([version, tag, value, database_id])
        check = crc32(body, begun).to_bytes(_CHECK_SIZE, "big")
        encoded = binascii.b2a_base64(check + body, newline=False)
        return encoded.translate(_URL_SAFE).decode().rstrip("=")

    return encode_one


def decode(cursor: str, tag: str, kind: type[SortValue], organization_id: str, argument: str) -> tuple[SortValue, str]:
    """The sort value and the id. Raises BadUserInputError for anything that `encode` did not make for this list."""
    try:
        raw = base64.b64decode(cursor[:MAX_LENGTH] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        body = raw[_CHECK_SIZE:]
        version, found, plain, database_id = orjson.loads(body)
        value = _PARSE[kind](plain)
        is_ours = (
            (version, found) == (VERSION, tag)
            and _UUID.match(database_id) is not None
            and raw[:_CHECK_SIZE] == _check(body, organization_id)
            and encode(tag, value, database_id, organization_id) == cursor
            and _is_storable(value)
        )
    except (binascii.Error, ValueError, TypeError, UnicodeError):
        is_ours = False
    if not is_ours:
        raise BadUserInputError(f"`{argument}` is not a cursor of this list and order.", argument=argument)
    return value, database_id
