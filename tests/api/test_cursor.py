"""A cursor by itself: opaque, exact to the microsecond, and refused when a character of it is not ours."""

import base64
import string
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import orjson
import pytest
from sqlalchemy import BigInteger, Text, Uuid, literal_column, select
from sqlalchemy.dialects import postgresql

from api import cursor
from api.cursor import SortValue
from api.errors import BadUserInputError
from db.engine import Urls
from db.types import TIMESTAMPTZ
from tests.databases import superuser
from tests.stories.small_world import HERE

ELSEWHERE = "00000001-0002-4000-8000-000000000001"
ROW = "01940000-0000-7000-8000-000000000001"
TAG = "Conversation.updated_at-"
MOMENT = datetime(2026, 2, 14, 12, 30, 15, 123457, tzinfo=UTC)
ALPHABET = string.ascii_letters + string.digits + "-_"


def decode(text: str, *, tag: str = TAG, kind: type[SortValue] = datetime, organization: str = HERE) -> Any:
    return cursor.decode(text, tag, kind, organization, "after")


@pytest.mark.parametrize("value", [MOMENT, MOMENT.replace(microsecond=0), 7, -1, "Grüße, «so» it is", "😀" * 255])
def test_a_cursor_keeps_its_value_exactly(value: SortValue) -> None:
    text = cursor.encode(TAG, value, ROW, HERE)
    assert decode(text, kind=type(value)) == (value, ROW)
    assert set(text) <= set(ALPHABET)


@pytest.mark.parametrize("value", [MOMENT, 2**62, "a name"])
def test_every_changed_character_of_a_cursor_is_refused(value: SortValue) -> None:
    text = cursor.encode(TAG, value, ROW, HERE)
    changed = [text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in ALPHABET if other != text[at]]
    changed += [text[:at] + text[at + 1 :] for at in range(len(text))]
    for other in [
        *changed,
        text + "A",
        text + "=",
        " " + text,
        text + "\n",
        text * 2,
        text.swapcase(),
        "",
        "=",
        "é",
        "\x00",
        "A" * 10**6,
    ]:
        with pytest.raises(BadUserInputError):
            decode(other, kind=type(value))


@pytest.mark.parametrize(
    "meant",
    [{"tag": "Conversation.updated_at+"}, {"tag": "Message.updated_at-"}, {"organization": ELSEWHERE}, {"kind": int}],
    ids=["order", "list", "organization", "kind"],
)
def test_a_cursor_from_elsewhere_is_refused(meant: dict[str, Any]) -> None:
    with pytest.raises(BadUserInputError) as refused:
        decode(cursor.encode(TAG, MOMENT, ROW, HERE), **meant)
    assert refused.value.extensions == {"code": "BAD_USER_INPUT", "argument": "after"}


def test_a_cursor_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = cursor.encode(TAG, MOMENT, ROW, HERE)
    monkeypatch.setattr(cursor, "VERSION", cursor.VERSION + 1)
    with pytest.raises(BadUserInputError):
        decode(text)


@pytest.mark.parametrize("organization", [HERE, ELSEWHERE])
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_cursor_from_before_an_update_is_refused_with_the_argument_named(version: int, organization: str) -> None:
    """Versions 1 and 2 had version and list in the body, all before 4 had JSON there; with any check that is none."""
    body = orjson.dumps([version, TAG, MOMENT, ROW])
    begun = int.from_bytes(blake2b(organization.encode(), digest_size=4).digest(), "big")
    today = crc32(body[1:-1], cursor._begun(cursor.VERSION, TAG, "datetime", organization)).to_bytes(4, "big")
    for check in (
        blake2b(body + organization.encode(), digest_size=6).digest(),
        bytes(6),
        crc32(body, begun).to_bytes(4, "big"),
        today,
    ):
        for inside in (body, body[1:-1]):
            text = base64.urlsafe_b64encode(check + inside).decode().rstrip("=")
            with pytest.raises(BadUserInputError) as refused:
                decode(text)
            assert refused.value.extensions == {"code": "BAD_USER_INPUT", "argument": "after"}
            assert refused.value.message == "`after` is not a cursor of this list and order."


SINCE_2000: Final = 824_387_415_123_457  # microseconds to MOMENT
ID: Final = UUID(ROW).bytes


@pytest.mark.parametrize(
    ("body", "kind", "is_ours"),
    [
        (SINCE_2000.to_bytes(8, "big") + ID, datetime, True),
        (SINCE_2000.to_bytes(9, "big") + ID, datetime, False),
        (SINCE_2000.to_bytes(7, "big") + ID, datetime, False),
        (SINCE_2000.to_bytes(8, "big") + ID[1:], datetime, False),
        (SINCE_2000.to_bytes(8, "big") + ID + b"\0", datetime, False),
        ((2**63 - 1).to_bytes(8, "big") + ID, datetime, False),
        ((-(2**63)).to_bytes(8, "big", signed=True) + ID, datetime, False),
        ((2**63).to_bytes(9, "big") + ID, int, False),
        (b"a\xff" + ID, str, False),
        (b"a\0b" + ID, str, False),
        (b"\xed\xa0\x80" + ID, str, False),
        (ID, datetime, False),
        (ID[:8], datetime, False),
        (b"", datetime, False),
    ],
)
def test_what_has_a_right_check_has_to_be_spelled_as_ours_too(
    body: bytes, kind: type[SortValue], *, is_ours: bool
) -> None:
    (text,) = cursor.sealer(TAG, kind, HERE)([body])
    if is_ours:
        assert decode(text, kind=kind) == (MOMENT, ROW)
        return
    with pytest.raises(BadUserInputError):
        decode(text, kind=kind)


PAGES: list[list[SortValue]] = [
    [MOMENT, MOMENT.replace(microsecond=0), MOMENT.replace(year=9999)],
    [0, -1, 2**63 - 1],
    ['a"],["b', 'a","b', "],[", "", "é\n"],
]


@pytest.mark.parametrize("values", PAGES, ids=["moments", "numbers", "texts"])
def test_the_cursors_of_a_page_are_those_of_its_rows(values: list[SortValue]) -> None:
    places = [(value, f"{ROW[:-1]}{at}") for at, value in enumerate(values)]
    page = cursor.sealer(TAG, type(values[0]), HERE)([cursor.body(*place) for place in places])
    assert page == [cursor.encode(TAG, *place, HERE) for place in places]
    assert [decode(each, kind=type(value)) for each, value in zip(page, values, strict=True)] == places
    assert cursor.sealer(TAG, int, HERE)([]) == []


@pytest.mark.parametrize("value", [MOMENT, MOMENT.replace(microsecond=0), 2**62, "a name"])
def test_every_flipped_bit_of_a_cursor_is_refused(value: SortValue) -> None:
    text = cursor.encode(TAG, value, ROW, HERE)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for at in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(BadUserInputError):
            decode(base64.urlsafe_b64encode(flipped).decode().rstrip("="), kind=type(value))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            datetime,
            [MOMENT, MOMENT.replace(microsecond=0), MOMENT.replace(year=9999), datetime(1900, 1, 1, tzinfo=UTC)],
        ),
        (int, [0, -1, 2**63 - 1, -(2**63)]),
        (str, ["", "a name", "Grüße, «so» it is", "漢字 😀"]),
    ],
)
async def test_postgresql_gives_a_place_in_the_same_bytes(
    template: Urls, kind: type[SortValue], values: list[SortValue]
) -> None:
    type_: Any = {datetime: TIMESTAMPTZ, int: BigInteger(), str: Text()}[kind]
    place = cursor.place(kind, literal_column("$1", type_), literal_column("$2", Uuid()))
    written = (
        str(select(place).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
        .replace("$1", f"$1::{SQL[kind]}")
        .replace("$2", "$2::uuid")
    )
    async with superuser(template) as connection:
        for value in values:
            assert await connection.fetchval(written, value, ROW) == cursor.body(value, ROW)


SQL: Final = {datetime: "timestamptz", int: "bigint", str: "text"}
