"""Cursors: a place in an ordered list, opaque to clients, checked strictly, carrying no authority.

base64url of a check and of the sort value in full precision and the id, as JSON. The check is over these and begins with
the version, the list, its order and the organization: another's cursor is refused instead of silently pointing elsewhere.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from zlib import crc32

import orjson

from api.errors import BadUserInputError
from api.scalars import INT64, is_storable

VERSION: Final = 3
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


Cursors = Callable[[Iterable[tuple[SortValue, str]]], list[str]]


@lru_cache(4_096)
def _begun(version: int, tag: str, organization_id: str) -> int:
    """Where the check of a list's cursors begins. 32 bits are enough to notice a mistake."""
    of = orjson.dumps([version, tag, organization_id])
    return int.from_bytes(blake2b(of, digest_size=_CHECK_SIZE).digest(), "big")


def _sealed(bodies: list[bytes], begun: int) -> list[str]:
    checked = [binascii.b2a_base64(crc32(body, begun).to_bytes(_CHECK_SIZE, "big") + body) for body in bodies]
    return b"".join(checked).translate(_URL_SAFE, b"=").decode().split()


def _is_storable(value: SortValue) -> bool:
    """The check is no signature: a cursor made by hand may hold what no column can."""
    if isinstance(value, datetime):
        return value.utcoffset() == timedelta()
    return value in INT64 if isinstance(value, int) else is_storable(value)


def encode(tag: str, value: SortValue, database_id: str, organization_id: str) -> str:
    """The cursor of one row. Times keep their microseconds."""
    return encoder(tag, organization_id)([(value, database_id)])[0]


def encoder(tag: str, organization_id: str) -> Cursors:
    """`encode` for a page of one list at once: most of a page's text is cursors."""
    begun = _begun(VERSION, tag, organization_id)

    def encode_all(places: Iterable[tuple[SortValue, str]]) -> list[str]:
        found = list(places)
        if not found:
            return []
        if type(found[0][0]) is str:  # a text may hold what stands between two places
            return _sealed([orjson.dumps(each)[1:-1] for each in found], begun)
        return _sealed(orjson.dumps(found, option=orjson.OPT_UTC_Z)[2:-2].split(b"],["), begun)

    return encode_all


def decode(cursor: str, tag: str, kind: type[SortValue], organization_id: str, argument: str) -> tuple[SortValue, str]:
    """The sort value and the id. Raises BadUserInputError for anything that `encode` did not make for this list."""
    try:
        raw = base64.b64decode(cursor[:MAX_LENGTH] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        plain, database_id = orjson.loads(b"[%b]" % raw[_CHECK_SIZE:])
        value = _PARSE[kind](plain)
        is_ours = (
            _UUID.match(database_id) is not None
            and encode(tag, value, database_id, organization_id) == cursor
            and _is_storable(value)
        )
    except (binascii.Error, ValueError, TypeError, UnicodeError):
        is_ours = False
    if not is_ours:
        raise BadUserInputError(f"`{argument}` is not a cursor of this list and order.", argument=argument)
    return value, database_id
