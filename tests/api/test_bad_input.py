"""Bad values for every argument of the schema: a typed error that names it, never a 500, never PostgreSQL's words."""

import json
import re
from typing import Any, Final

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType

from api.node import global_id
from tests.api.reach import (
    DAYS,
    ROUTES,
    SCHEMA,
    SOMEBODY,
    Place,
    fields_with_arguments,
    literal_of,
    operation,
    places,
    with_value,
)
from tests.client import Answer, Client

WHO: Final = "jon"  # an admin: may read the tables behind every root field
CANARY: Final = "canary-9c41"
DATABASES_WORDS: Final = re.compile(
    rb"invalid input|asyncpg|sqlstate|syntax for|out of range|relation |column |app\.|violates|22P02|22021|traceback|encode",
    re.IGNORECASE,
)
LONG: Final = CANARY * 80_000
NOT_A_TEXT: Final[tuple[Any, ...]] = (1, 1.5, True, {"key": CANARY}, [[]])
NOT_STORABLE: Final = (f"{CANARY}\x00", f"{CANARY}\ud800", f"\udfff{CANARY}")
TIMES: Final = (
    "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00", "2026-01-01", "infinity", "now", "2026-01-01T24:00:01Z", "",
)  # fmt: skip
# By the named type: values that must be refused wherever one of it is asked for.
REFUSED: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (2**31, -(2**31) - 1, 2**63, 10**30, 10**399, 1.5, 1e300, "1", True, {}, [[]], CANARY),
    "Float": (CANARY, "1", True, {}, [[]], 10**399),
    "Boolean": ("true", 1, 0, {}, [[]]),
    "String": (*NOT_A_TEXT, *NOT_STORABLE, LONG),
    "ID": (
        1.5,
        True,
        {},
        [[]],
        *NOT_STORABLE,
        LONG,
        "",
        CANARY,
        1,
        2**63,
        SOMEBODY.rstrip("=")[:-3],
        global_id("User", CANARY),
    ),
    "UUID": (*NOT_A_TEXT, *NOT_STORABLE, LONG, "", CANARY, "0" * 32, "{00000000-0000-4000-8000-000000000000}"),
    "BigInt": (2**63, -(2**63) - 1, 10**399, 1.5, True, {}, [[]], "", "1.0", "1e3", "0x1", CANARY, "٣", "1" * 5_000),
    "DateTime": (*NOT_A_TEXT, *NOT_STORABLE, LONG, CANARY, *TIMES),
    "Vector": (
        [],
        [[]],
        ["a"],
        [None],
        [1e39],
        [0.0] * 384,
        [1.0] * 383,
        [1.0] * 1_536,
        [1.0] * 5_000,
        CANARY,
        "AAAA",
        LONG,
        1,
        True,
        {},
    ),
}
NOT_OBJECTS: Final[tuple[Any, ...]] = (1, True, CANARY, [[]], {"key": CANARY})
# By name: what is of the right type and still not valid. `None` means: null.
UNFIT: Final[dict[str, tuple[Any, ...]]] = {
    "first": (0, -1, 101, 2**31 - 1),
    "last": (0, -1, 101, 2**31 - 1),
    "limit": (0, -1, 10_001, 2**31 - 1),
    "maxChars": (0, -1, -(2**31)),
    "maxMessages": (0, -1, 51, 2**31 - 1),
    "after": ("", "A", CANARY, "=" * 40, "A" * 2_000),
    "before": ("", "A", CANARY, "=" * 40, "A" * 2_000),
    "range": (
        {"from": DAYS[1], "to": DAYS[0]},
        {"from": DAYS[0], "to": DAYS[0]},
        {"from": "2020-01-01T00:00:00Z", "to": DAYS[1]},
    ),
    "text": ("", "  ", "x" * 2_001),
    "model": ("", "another-model"),
    "groupBy": (["USER", "USER"],),
    "fromSeq": ("0", "-1", str(2**62)),
    "toSeq": ("0", "-1", str(2**62)),
}
REACHES: Final = (-1, 11, 2**31 - 1)  # before and after of neighbors
INVERTED: Final = {"gte": DAYS[1], "lt": DAYS[0]}
OF_ANOTHER_TYPE: Final = global_id("Feedback", "01940000-0000-7000-8000-000000000001")
ANY_TYPE: Final = {"id", "ids", "targetId"}
PLACES: Final = tuple(places())
FIRST_OF_KIND: Final = frozenset({place.kind: place for place in reversed(PLACES)}.values())


def bad_values(place: Place) -> list[Any]:
    """What must be refused at this place."""
    kind = SCHEMA.type_map[place.kind]
    if isinstance(kind, GraphQLInputObjectType):
        values: list[Any] = list(NOT_OBJECTS)
        values += [INVERTED, {"gte": INVERTED["gte"], "lt": INVERTED["gte"]}] if place.kind == "DateTimeFilter" else []
    elif isinstance(kind, GraphQLEnumType):
        values = ["NOPE", "active", "", 1, True, {}, [[]], CANARY]
    else:
        values = list(REFUSED[place.kind])
        if place not in FIRST_OF_KIND:  # the type's own code has seen them all once: these show that it is asked here
            values = values[PLACES.index(place) % 4 :: 4]
    if place.kind == "ID" and place.name not in ANY_TYPE:
        values.append(OF_ANOTHER_TYPE)
    values += (
        REACHES if (place.kind, place.name) in {("Int", "before"), ("Int", "after")} else UNFIT.get(place.name, ())
    )
    if place.is_list:
        values = [[value] for value in values if not isinstance(value, list)] + [[None], [valid_one(place)] * 101, 1.5]
    return values


def valid_one(place: Place) -> Any:
    kind = SCHEMA.type_map[place.kind]
    return next(iter(kind.values)) if hasattr(kind, "values") else {"ID": SOMEBODY, "String": "x"}[place.kind]


async def ask(client: Client, query: str, **variables: Any) -> Answer:
    """The answer to an operation whose texts may be what no UTF-8 encodes."""
    return await post(client, json.dumps({"query": query, "variables": variables}).encode())


async def post(client: Client, body: bytes) -> Answer:
    """The answer to a body as it is."""
    headers = {"Authorization": f"Bearer {client.token(WHO)}", "Content-Type": "application/json"}
    response = await client.http.post("/graphql", content=body, headers=headers)
    return Answer(response.status_code, response.json(), response.content, ())


def is_clean(answer: Answer) -> bool:
    """Whether the answer is one of ours: a known status, typed errors, no word of the database."""
    codes = set(answer.codes)
    return (
        answer.status in {200, 400}
        and not codes & {"INTERNAL", "UNAVAILABLE", "TIMEOUT"}
        and not DATABASES_WORDS.search(without_names(answer.raw))
    )


def without_names(raw: bytes) -> bytes:
    """The answer without `locations`, whose word for a column is GraphQL's."""
    return re.sub(rb'"locations":\[[^]]*\]', b"", raw)


def names(answer: Answer, place: Place) -> bool:
    """Whether every error carries a code of ours, and one names the argument or a part of it."""
    parts = {place.argument, *place.path}
    given = [str(error["extensions"].get("argument", "")) for error in answer.errors]
    return any(parts & set(re.findall(r"\w+", each)) for each in given)


def test_every_type_with_arguments_can_be_reached() -> None:
    assert {kind.name for kind, _, _ in fields_with_arguments()} <= set(ROUTES)
    assert len(PLACES) > 200


def test_every_kind_of_argument_has_its_bad_values() -> None:
    assert all(bad_values(place) for place in PLACES)


@pytest.mark.parametrize("parent", sorted({place.parent for place in PLACES}))
async def test_the_routes_to_arguments_lead_somewhere(ask_world: Client, parent: str) -> None:
    route = ROUTES[parent]
    closing = "}" * (route.count("{") - route.count("}") + 1)
    answer = await ask_world.ask(f"{{{route}__typename{closing}", WHO)
    assert f'"__typename":"{parent}"'.encode() in answer.raw


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_a_bad_value_in_a_variable_is_refused_by_its_name(ask_world: Client, place: Place) -> None:
    text = operation(place)
    for value in bad_values(place):
        answer = await ask(ask_world, text, **{place.argument: with_value(place, value)})
        shown = repr(value)[:80]
        assert answer.errors, (shown, answer.body)
        assert is_clean(answer), (shown, answer.raw)
        assert set(answer.codes) <= {"BAD_USER_INPUT", "QUERY_TOO_COMPLEX"}, (shown, answer.errors)
        assert names(answer, place), (shown, answer.errors)
        assert CANARY.encode() not in answer.raw, (shown, answer.errors)


# Literals go through other code than variables; the values that tell them apart are these.
@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_a_bad_literal_is_refused_by_its_name(ask_world: Client, place: Place) -> None:
    argument = SCHEMA.type_map[place.parent].fields[place.field].args[place.argument]  # type: ignore[attr-defined]
    for value in bad_values(place):
        if isinstance(value, str) and len(value) > 20_000:
            continue
        literal = literal_of(with_value(place, value), argument.type)
        answer = await ask(ask_world, operation(place, literal))
        shown = literal[:120]
        assert answer.errors, (shown, answer.body)
        assert is_clean(answer), (shown, answer.raw)
        codes = {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "QUERY_TOO_COMPLEX"}
        assert set(answer.codes) <= codes, (shown, answer.errors)
        located = all(error.get("locations") for error in answer.errors)
        too_long = answer.codes == ["QUERY_TOO_COMPLEX"]
        assert names(answer, place) or too_long or (located and "BAD_USER_INPUT" not in answer.codes), (
            shown,
            answer.errors,
        )
        assert CANARY.encode() not in answer.raw, (shown, answer.errors)


# Values of the right form: accepted or refused, but never an accident.
UNUSUAL: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (0, -1, 2**31 - 1, -(2**31), 1.0),
    "Float": (1e308, -1e308, 5e-324, -0.0, 2**63),
    "String": (
        "",
        "%_\\",
        "'; DROP TABLE app.users; --",
        "\U0010ffff",
        "\U0010ffff" * 3,
        "\ud7ff",
        "é" * 999,
        "🙂",
        "\u202e",
    ),
    "ID": (
        global_id("Nope", "01940000-0000-7000-8000-000000000001"),
        global_id("User", "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12),
    ),
    "UUID": ("ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"),
    "BigInt": (str(2**63 - 1), -(2**63), "-0", 0),
    "DateTime": ("1900-01-01T00:00:00Z", "2999-12-31T23:59:59.999999-23:59", "2026-01-01t00:00:00.5z"),
    "Vector": ([1e38] * 384, [1e-38] + [0] * 383),
}


@pytest.mark.parametrize("place", [place for place in PLACES if place.kind in UNUSUAL], ids=str)
async def test_an_unusual_value_is_answered_or_refused_cleanly(ask_world: Client, place: Place) -> None:
    text = operation(place)
    values: list[Any] = [[value] if place.is_list else value for value in UNUSUAL[place.kind]]
    for value in [*values, *([[]] if place.is_list else [])]:
        answer = await ask(ask_world, text, **{place.argument: with_value(place, value)})
        assert is_clean(answer), (value, answer.raw)
        assert set(answer.codes) <= {"BAD_USER_INPUT"}, (value, answer.errors)


async def test_empty_lists_find_nothing(ask_world: Client) -> None:
    lists = [place for place in PLACES if place.is_list and place.name not in {"groupBy", "ids"}]
    assert len(lists) > 15
    for place in lists:
        answer = await ask(ask_world, operation(place), **{place.argument: with_value(place, [])})
        assert "errors" not in answer.body, (str(place), answer.errors)
        if place.kind not in {"Vector", "MetricDimension"} and "edges" in json.dumps(answer.body):
            assert not re.search(r'"edges": \[\{"node": \{"__typename"', json.dumps(answer.data)), str(place)


@pytest.mark.parametrize(
    "name", ["conversations", "insights", "auditEvents", "toolCalls", "documents", "patterns", "feedback"]
)
async def test_first_and_last_together_are_refused(ask_world: Client, name: str) -> None:
    answer = await ask_world.ask(f"{{{name}(first:1,last:1){{edges{{cursor}}}}}}", WHO)
    assert [error["extensions"] for error in answer.errors] == [{"code": "BAD_USER_INPUT", "argument": "first"}]


# ── what no JSON encoder writes ──────────────────────────────────────────────────────────────────────────────────────
RAW: Final = [
    ("NaN", ""), ("Infinity", ""), ("-Infinity", ""), ("1e400", "first"), ("-1e999", "first"), ("9" * 5_000, "first"),
    ("-" + "9" * 5_000, "first"), ("1." + "0" * 5_000, "first"), ('"\\u0000"', "first"), ('"\\ud800"', "first"),
    ('"\\udc00\\ud800"', "first"), ("9" * 400, "first"), ("[" * 100_000, ""), ('{"a":' * 50_000, ""), ("01", ""), ("0x1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "argument"), RAW, ids=[value[:12] for value, _ in RAW])
async def test_what_is_no_json_or_too_large_for_it_is_refused(ask_world: Client, value: str, argument: str) -> None:
    query = json.dumps("query($first:Int){conversations(first:$first){edges{cursor}}}")
    body = f'{{"query":{query},"variables":{{"first":{value}}}}}'.encode()
    answer = await post(ask_world, body)
    assert is_clean(answer), answer.raw
    assert answer.codes == ["BAD_USER_INPUT"]
    assert argument in answer.errors[0]["extensions"].get("argument", "")
