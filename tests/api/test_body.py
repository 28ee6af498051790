"""A body is read once where it can be, and nothing of a caller's is kept by that."""

import orjson
import pytest

from api import body as bodies
from api.body import parameters_of
from api.errors import BadUserInputError


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_remembered", type(bodies._remembered)())


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every body that was decoded."""
    seen: list[bytes] = []
    decode = bodies.decode

    def told(body: bytes) -> object:
        seen.append(body)
        return decode(body)

    monkeypatch.setattr(bodies, "decode", told)
    return seen


def test_a_plain_document_is_decoded_once_and_given_anew_each_time(read: list[bytes]) -> None:
    body = orjson.dumps({"query": "query A { viewer { role } }", "operationName": "A", "variables": {}})
    first, second = parameters_of(body), parameters_of(body)
    assert tuple(first) == tuple(second) == ("query A { viewer { role } }", "A", {}, {})
    assert read == [body]
    first.variables["mine"] = 1
    first.extensions["mine"] = 1
    assert (second.variables, second.extensions, parameters_of(body).variables) == ({}, {}, {})
    assert read == [body]


@pytest.mark.parametrize("more", [{"variables": {"text": "secret"}}, {"extensions": {"trace": "secret"}}])
def test_what_a_caller_sends_besides_is_kept_nowhere(read: list[bytes], more: dict[str, object]) -> None:
    body = orjson.dumps({"query": "{ viewer { role } }", **more})
    assert parameters_of(body) == parameters_of(body)
    assert read == [body, body]
    assert not bodies._remembered


def test_a_body_that_is_refused_is_refused_again(read: list[bytes]) -> None:
    for body in (b"[]", b"{}", b'{"query": 1}', b'{"query": "{ a }", "variables": []}', b"no"):
        for _ in range(2):
            with pytest.raises(BadUserInputError):
                parameters_of(body)
    assert len(read) == 10


def test_no_more_is_remembered_than_there_is_room_for(read: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_REMEMBERED", 2)
    one, two, three = (orjson.dumps({"query": f"{{ a{at} }}"}) for at in range(3))
    for body in (one, two, one, three, one, two):  # three takes the place of two, which was asked for longer ago
        parameters_of(body)
    assert read == [one, two, three, two]
    large = orjson.dumps({"query": f"{{ a }} #{'x' * 4_000}"})
    parameters_of(large)
    assert large not in bodies._remembered
