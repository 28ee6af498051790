"""A cursor by itself: opaque, exact to the microsecond, and refused when a character of it is not ours."""

import string
from datetime import UTC, datetime
from typing import Any

import pytest

from api import cursor
from api.cursor import SortValue
from api.errors import BadUserInputError
from tests.stories.small_world import HERE

ELSEWHERE = "00000001-0002-4000-8000-000000000001"
ROW = "01940000-0000-7000-8000-000000000001"
TAG = "Conversation.updated_at-"
MOMENT = datetime(2026, 2, 14, 12, 30, 15, 123457, tzinfo=UTC)
ALPHABET = string.ascii_letters + string.digits + "-_"


def decode(text: str, *, tag: str = TAG, kind: type[SortValue] = datetime, organization: str = HERE) -> Any:
    return cursor.decode(text, tag, kind, organization, "after")


@pytest.mark.parametrize("value", [MOMENT, MOMENT.replace(microsecond=0), 7, -1, "Grüße, «so» it is"])
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
