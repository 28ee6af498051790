"""JSON that PostgreSQL writes of single values: the bytes of the API, or nothing."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from graphql import GraphQLLeafType
from sqlalchemy import BigInteger, Boolean, Double, Integer, Text, Uuid, literal_column, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import INET, JSONB

from api import json_text
from api.execution.complete import Leaf
from api.schema import build_schema
from db.engine import Urls
from db.types import TIMESTAMPTZ
from tests.databases import superuser

SCHEMA: Final = build_schema()
MOMENT: Final = datetime(2026, 2, 14, 12, 30, 15, 123_450, tzinfo=UTC)
HARD: Final = "a \"quoted\" \\ back\tslash\nline\r \x01\x1f\x7f é 漢字 😀 \u2028 100% {} 'single' $1 :name"

SAME: Final[list[tuple[str, Any, str, list[Any]]]] = [
    ("String", Text(), "text", ["", "a", HARD, "".join(map(chr, range(1, 128)))]),
    ("UUID", Uuid(), "uuid", ["01940000-0000-7000-8000-00000000000a"]),
    ("ID", Text(), "text", ["an id"]),
    ("Boolean", Boolean(), "boolean", [True, False]),
    ("Int", Integer(), "integer", [0, -1, 2**31 - 1, -(2**31)]),
    ("Int", BigInteger(), "bigint", [0, 2**31 - 1, -(2**31)]),
    ("BigInt", BigInteger(), "bigint", [0, 2**63 - 1, -(2**63)]),
    ("BigInt", Integer(), "integer", [7]),
    ("Money", BigInteger(), "bigint", [0, 1, -1, 999_999, 1_000_000, -1_234_567, 10**18, 2**63 - 1, -(2**63)]),
    ("Float", Double(), "float8", [0.0, -0.0, 1.0, -3.0, 0.5, 0.1, 1 / 3, 0.0001, 12345.678, 1e14, 99999999999999.5]),
    ("DateTime", TIMESTAMPTZ, "timestamptz", [
        MOMENT, MOMENT.replace(microsecond=0), MOMENT.replace(microsecond=1), MOMENT.replace(year=1900), MOMENT.replace(year=2),
        MOMENT.replace(year=9999, month=12, day=30, hour=23, minute=59, second=59, microsecond=999_999),
    ]),
    ("MessageRole", Text(), "text", ["USER", "ASSISTANT"]),
]  # fmt: skip
NOTHING: Final[list[tuple[str, Any, str, list[Any]]]] = [
    ("Int", BigInteger(), "bigint", [2**31, -(2**31) - 1, 2**63 - 1]),
    ("Float", Double(), "float8", [float("nan"), float("inf"), float("-inf"), 1e-5, 1e15, 1e300, -1e-7, 5e-324]),
    (
        "DateTime",
        TIMESTAMPTZ,
        "timestamptz",
        ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "10000-01-01 00:00:00+00"],
    ),
]
UNKNOWN: Final = [
    ("String", INET()), ("String", Integer()), ("Int", Text()), ("Float", Integer()), ("Date", TIMESTAMPTZ), ("IPAddress", INET()),
    ("MessageRole", Integer()), ("SortDirection", JSONB()),
]  # fmt: skip


def leaf(name: str) -> Leaf:
    kind = SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLLeafType)
    return Leaf(kind)


async def written(urls: Urls, name: str, type_: Any, sql_type: str, value: Any, *, zone: str = "UTC") -> str | None:
    """What PostgreSQL writes; a moment may be given as its text."""
    parts = json_text.leaf(leaf(name), literal_column("$1", type_))
    assert parts is not None
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    given = "$1::text::timestamptz" if isinstance(value, str) and sql_type == "timestamptz" else f"$1::{sql_type}"
    sql = str(select(json_text.joined(parts)).compile(dialect=dialect)).replace("$1", f"({given})").replace("%%", "%")
    async with superuser(urls) as connection:
        await connection.execute(f"SET timezone = '{zone}'")
        text: str | None = await connection.fetchval(sql, value)
        return text


@pytest.mark.parametrize(
    ("name", "type_", "sql_type", "values"), SAME, ids=[f"{each[0]} in {each[2]}" for each in SAME]
)
async def test_a_value_is_the_same_bytes(
    template: Urls, name: str, type_: Any, sql_type: str, values: list[Any]
) -> None:
    kind = leaf(name)
    for value in values:
        text = await written(template, name, type_, sql_type, value)
        assert text is not None, value
        assert text.encode() == orjson.dumps(kind.coerce(value), option=orjson.OPT_UTC_Z), value


@pytest.mark.parametrize(("name", "type_", "sql_type", "values"), NOTHING, ids=[each[0] for each in NOTHING])
async def test_what_the_wire_has_no_form_for_or_another_is_nothing(
    template: Urls, name: str, type_: Any, sql_type: str, values: list[Any]
) -> None:
    for value in values:
        assert await written(template, name, type_, sql_type, value) is None, value


@pytest.mark.parametrize(("name", "type_"), UNKNOWN)
def test_a_column_of_another_kind_is_not_written_at_all(name: str, type_: Any) -> None:
    assert json_text.leaf(leaf(name), literal_column("x", type_)) is None


async def test_json_goes_out_as_it_is_kept(template: Urls) -> None:
    kept = '{"a": [1, 2.50, null, "\\u00e9"], "b": {"c": "\\"x"}}'
    assert (
        await written(template, "JSON", JSONB(), "text::jsonb", kept)
        == '{"a": [1, 2.50, null, "é"], "b": {"c": "\\"x"}}'
    )


async def test_a_moment_is_in_utc_whatever_the_session_s_zone(template: Urls) -> None:
    for zone in ("Asia/Kolkata", "America/New_York"):
        assert (
            await written(template, "DateTime", TIMESTAMPTZ, "timestamptz", MOMENT, zone=zone)
            == '"2026-02-14T12:30:15.123450Z"'
        )
