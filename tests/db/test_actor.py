"""The text of BEGIN: what a caller can get into it, whatever was sent."""

import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.actor import Actor, begin_sql
from db.types import Role

ID = "00000000-0000-4000-8000-000000000001"
MEMBER = Actor(ID, ID, ID, Role.MEMBER)


@given(st.text() | st.uuids().map(lambda each: f"{each}'; RESET ROLE; --") | st.uuids().map(lambda each: f"{each}\0"))
def test_only_a_uuid_becomes_an_id_and_always_in_canonical_form(text: str) -> None:
    try:
        actor = Actor(organization_id=text, user_id=text, actor_id=text, role=Role.MEMBER)
    except ValueError:
        return
    sql = begin_sql(actor, read_only=True, request_id="r", timeout_ms=1)
    assert sql.count(str(uuid.UUID(text))) == 3
    assert text == str(uuid.UUID(text)) or text not in sql


@pytest.mark.parametrize("name", ["organization_id", "user_id", "actor_id"])
@given(text=st.text(max_size=31) | st.text(alphabet="ghxyz';- ", min_size=1))
def test_an_id_that_is_no_uuid_is_a_value_error(name: str, text: str) -> None:
    changed: Any = {name: text}
    with pytest.raises(ValueError, match=r"badly formed|invalid literal"):
        replace(MEMBER, **changed)


@given(st.text().filter(lambda text: not (0 < len(text) <= 64 and text.isascii() and text.replace("-", "a").isalnum())))
def test_a_request_id_is_letters_digits_and_hyphens_alone(text: str) -> None:
    with pytest.raises(ValueError, match="request id"):
        begin_sql(MEMBER, read_only=True, request_id=text, timeout_ms=1)


@pytest.mark.parametrize("text", ["r'; RESET ROLE; --", "r\n", "", "r" * 65, "ré", "١", "r\0"])
def test_hostile_request_ids_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="request id"):
        begin_sql(MEMBER, read_only=True, request_id=text, timeout_ms=1)


@given(st.text().filter(lambda text: not text.strip().lstrip("+-").replace("_", "").isdecimal()))
def test_a_timeout_is_a_number(text: Any) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        begin_sql(MEMBER, read_only=True, request_id="r", timeout_ms=text)


@pytest.mark.parametrize("role", ["postgres", "app_admin'; --", "member", ""])
def test_a_role_that_is_not_in_the_map_enters_no_text(role: Any) -> None:
    actor = replace(MEMBER, role=role)
    with pytest.raises(KeyError):
        begin_sql(actor, read_only=True, request_id="r", timeout_ms=1)
