import base64
import copy
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
import strawberry
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from api.errors import BadUserInputError, as_graphql_error
from api.scalars import (
    JSON,
    SCALARS,
    UUID,
    BigInt,
    Date,
    DateTime,
    IPAddress,
    Money,
    Secret,
    Vector,
    clean_text,
    date_time_text,
    money_text,
)

BY_NAME = {each.name: each for each in SCALARS.values()}
seen: list[Any] = []


@strawberry.type
class Query:
    @strawberry.field
    def echo(
        self,
        time: DateTime | None = None,
        day: Date | None = None,
        id: UUID | None = None,
        data: JSON | None = None,
        count: BigInt | None = None,
        amount: Money | None = None,
        embedding: Vector | None = None,
        key: Secret | None = None,
        address: IPAddress | None = None,
    ) -> str:
        seen[:] = [time, day, id, data, count, amount, embedding, key, address]
        return "ok"

    @strawberry.field
    def stored(self) -> JSON:
        return JSON('{"a":  1.10}')

    @strawberry.field
    def spent(self) -> Money:
        return Money(-1234)

    @strawberry.field
    def leaked(self) -> Secret:
        return Secret("sk-canary")


schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=dict(SCALARS)))


def parse(scalar: str, value: object) -> Any:
    function = BY_NAME[scalar].parse_value
    assert function is not None
    return function(value)


REFUSED: list[tuple[str, object]] = [
    ("DateTime", "2025-01-31T09:30:00"),
    ("DateTime", "2025-01-31"),
    ("DateTime", "2025-02-30T00:00:00Z"),
    ("DateTime", "0000-01-01T00:00:00Z"),
    ("DateTime", "9999-12-31T23:59:59-12:00"),
    ("DateTime", "2025-01-31T09:30:00+99:99"),
    ("DateTime", "2025-01-31T24:00:01Z"),
    ("DateTime", "2025-01-31T09:30:00Z\n"),
    ("DateTime", "٢٠٢٥-01-31T09:30:00Z"),
    ("DateTime", 1738315800),
    ("DateTime", True),
    ("Date", "2025-02-29"),
    ("Date", "20250101"),
    ("UUID", "0198c2a4"),
    ("UUID", "{0198c2a4-0000-7000-8000-000000000001}"),
    ("UUID", "0198c2a4000070008000000000000001"),
    ("UUID", 5),
    ("JSON", float("nan")),
    ("JSON", {"a": [float("inf")]}),
    ("JSON", {"a": "\x00"}),
    ("JSON", {"\ud800": 1}),
    ("JSON", 2**63),
    ("JSON", ["x" * 70_000]),
    ("BigInt", 2**63),
    ("BigInt", str(2**63)),
    ("BigInt", "9" * 5_000),
    ("BigInt", "1.0"),
    ("BigInt", 1.0),
    ("BigInt", True),
    ("BigInt", "-0x1"),
    ("BigInt", "١"),
    ("Money", 1.5),
    ("Money", "1.2345678"),
    ("Money", "NaN"),
    ("Vector", []),
    ("Vector", [1, "2"]),
    ("Vector", [float("nan")]),
    ("Vector", [1e39]),
    ("Vector", [True]),
    ("Vector", [0.5] * 5_000),
    ("Vector", "not base64!"),
    ("Vector", base64.b64encode(b"abc").decode()),
    ("Vector", base64.b64encode(struct.pack("<f", float("inf"))).decode()),
    ("Vector", None),
    ("Secret", ""),
    ("Secret", "a\x00b"),
    ("Secret", 5),
    ("IPAddress", "300.1.1.1"),
    ("IPAddress", "fe80::1%eth0"),
    ("IPAddress", 5),
]


@pytest.mark.parametrize(("scalar", "value"), REFUSED)
def test_a_value_outside_a_scalar_is_refused_without_being_repeated(scalar: str, value: object) -> None:
    with pytest.raises(BadUserInputError) as refused:
        parse(scalar, value)
    assert refused.value.extensions == {"code": "BAD_USER_INPUT"}
    if isinstance(value, str) and len(value) > 4:
        assert value not in refused.value.message


def test_json_deeper_than_32_levels_is_refused_however_deep() -> None:
    value: Any = 1
    for _ in range(32):
        value = [value]
    assert parse("JSON", value) == value
    for depth in (1, 5_000):
        deep = value
        for _ in range(depth):
            deep = {"a": deep}
        with pytest.raises(BadUserInputError):
            parse("JSON", deep)


def test_a_time_comes_in_with_any_offset_and_goes_out_in_one_form() -> None:
    assert parse("DateTime", "2025-03-30t02:30:00.5+02:00") == datetime(2025, 3, 30, 0, 30, 0, 500_000, UTC)
    assert (
        date_time_text(datetime(2025, 3, 30, 2, 30, tzinfo=timezone(timedelta(hours=2))))
        == "2025-03-30T00:30:00.000000Z"
    )


@given(st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_time_survives_the_wire_to_the_microsecond(time: datetime) -> None:
    assert parse("DateTime", date_time_text(time)) == time


@given(st.integers(-(2**53), 2**53))
def test_every_amount_survives_the_wire_to_the_micro_dollar(micro_usd: int) -> None:
    text = money_text(micro_usd)
    assert Decimal(text) * 1_000_000 == micro_usd
    assert parse("Money", text) == micro_usd


def test_small_and_negative_amounts_have_six_decimals() -> None:
    assert [money_text(each) for each in (0, 1_234, -1_234, -2_500_000)] == [
        "0.000000",
        "0.001234",
        "-0.001234",
        "-2.500000",
    ]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_both_forms_of_a_vector_are_the_same_vector(numbers: list[float]) -> None:
    packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    assert parse("Vector", packed) == parse("Vector", numbers) == numbers


def test_text_with_nul_or_a_lone_surrogate_is_refused_and_named() -> None:
    assert clean_text("grün 🪵", "title") == "grün 🪵"
    for value in ("a\x00", "a\ud800", "a" * 50_000):
        with pytest.raises(BadUserInputError) as refused:
            clean_text(value, "title")
        assert refused.value.extensions == {"code": "BAD_USER_INPUT", "argument": "title"}


def test_a_secret_has_no_text_and_never_goes_out() -> None:
    secret = Secret("sk-canary")
    assert "canary" not in f"{secret!r} {secret} {[secret]}"
    with pytest.raises(TypeError):
        copy.copy(secret)
    result = schema.execute_sync("{ leaked }")
    assert result.data is None
    assert result.errors
    shown = as_graphql_error(result.errors[0], request_id="r").formatted
    assert shown["message"] == "Something went wrong on our side."
    assert "canary" not in str(shown)


def test_json_text_of_the_database_goes_out_untouched() -> None:
    result = schema.execute_sync("{ stored spent }")
    assert result.errors is None
    assert orjson.dumps(result.data) == b'{"stored":{"a":  1.10},"spent":"-0.001234"}'


def test_every_scalar_comes_in_as_a_literal_and_as_a_variable() -> None:
    literal = """query ($part: JSON, $missing: JSON) { echo(
        time: "2025-01-31T09:30:00Z", day: "2025-01-31", id: "0198C2A4-0000-7000-8000-000000000001",
        data: {a: [1, 2.5, null, "x", $part], b: $missing}, count: 7, amount: "1.25", embedding: [1, 0.5],
        key: "k", address: "::1") }"""
    assert schema.execute_sync(literal, {"part": {"c": True}}).errors is None
    assert seen[3] == {"a": [1, 2.5, None, "x", {"c": True}]}
    assert seen[2] == "0198c2a4-0000-7000-8000-000000000001"
    assert seen[4:7] == [7, 1_250_000, [1.0, 0.5]]
    variables = "query ($c: BigInt, $k: Secret, $d: JSON) { echo(count: $c, key: $k, data: $d) }"
    assert schema.execute_sync(variables, {"c": str(-(2**63)), "k": "sk", "d": None}).errors is None
    assert seen[4] == -(2**63)
    assert seen[7].reveal() == "sk"


def test_a_wrong_variable_is_named_and_its_value_is_not_repeated() -> None:
    result = schema.execute_sync(
        "query ($k: Secret, $c: BigInt) { echo(key: $k, count: $c) }", {"k": {"sk": "canary"}, "c": 2**63}
    )
    shown = [as_graphql_error(each, request_id="r").formatted for each in result.errors or []]
    assert [each["extensions"] for each in shown] == [
        {"code": "BAD_USER_INPUT", "argument": "$k"},
        {"code": "BAD_USER_INPUT", "argument": "$c"},
    ]
    assert "canary" not in str(shown)
    assert str(2**63) not in str(shown)


def test_what_graphql_core_quotes_is_cut_from_its_messages() -> None:
    result = schema.execute_sync("query ($c: [String]) { echo(count: $c) }", {"c": {"a": "canary"}})
    assert isinstance((result.errors or [])[0], GraphQLError)
    result = schema.execute_sync("query ($x: Boolean!) { echo @skip(if: $x) }", {"x": "canary"})
    shown = as_graphql_error((result.errors or [])[0], request_id="r").formatted
    assert shown["message"] == "Variable '$x' has invalid value: Boolean cannot represent a non boolean value."
    assert shown["extensions"] == {"code": "BAD_USER_INPUT", "argument": "$x"}
