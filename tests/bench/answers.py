"""Whether two sides said the same: answers reduced to what they mean, whatever names and notations a side has."""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

from tests.bench.operations import PEER, Operation

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)\Z")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?\Z")
_CURSORS: Final = {"cursor", "startCursor", "endCursor"}


class DifferentAnswerError(AssertionError):
    """A side's answer is not the one of the others, or is an error."""


def meaning(operation: Operation, side: str, body: bytes) -> Any:
    """The data of an answer in one notation. Raises DifferentAnswerError for an answer with errors."""
    answer = orjson.loads(body)
    if answer.get("errors") or not answer.get("data"):
        raise DifferentAnswerError(f"{operation.name} by {side} failed: {body[:600].decode(errors='replace')}")
    data = answer["data"]
    if side == PEER and operation.name in _FROM_PEER:
        data = _FROM_PEER[operation.name](data)
    _check_cursors(operation, side, data)
    return _plain(data, operation.name)


def difference(one: Any, other: Any, path: str = "data") -> str | None:
    """Where two meanings part; None when they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        found = (difference(one[key], other[key], f"{path}.{key}") for key in one)
        return next((each for each in found if each), None)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (difference(a, b, f"{path}[{at}]") for at, (a, b) in enumerate(zip(one, other, strict=True)))
        return next((each for each in found if each), None)
    return None if one == other else f"{path}: {str(one)[:200]} ≠ {str(other)[:200]}"


def _plain(value: Any, operation: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(each, operation, name) for name, each in value.items()}
    if isinstance(value, list):
        items = [_plain(each, operation) for each in value]
        return sorted(items, key=_sorted_text) if key in {"budgets", "bySeverity", "byType"} else items
    if key in _CURSORS:
        return value is not None
    if key == "id" and isinstance(value, str):
        return _database_id(value)
    if isinstance(value, str) and _TIME.match(value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    if isinstance(value, float | int) and not isinstance(value, bool):
        return format(Decimal(str(value)).normalize(), "f")
    if isinstance(value, str) and operation in {"O6", "O8"} and _NUMBER.match(value):
        return format(Decimal(value).normalize(), "f")
    return value


def _sorted_text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _database_id(value: str) -> str:
    if "-" in value:
        return value
    return base64.b64decode(value + "=" * (-len(value) % 4)).decode().partition(":")[2]


def _check_cursors(operation: Operation, side: str, data: Any) -> None:
    """Cursors are each side's own; that there are as many as rows, and all different, is everybody's."""
    for connection in _connections(data):
        edges = connection["edges"]
        cursors = [edge["cursor"] for edge in edges if "cursor" in edge]
        info = connection.get("pageInfo")
        if len(set(cursors)) != len(cursors) or not all(cursors):
            raise DifferentAnswerError(f"{operation.name} by {side}: cursors that are not one a row")
        if info and cursors and (info["startCursor"], info["endCursor"]) != (cursors[0], cursors[-1]):
            raise DifferentAnswerError(f"{operation.name} by {side}: pageInfo does not fit the edges")


def _connections(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [each for item in value for each in _connections(item)]
    if not isinstance(value, dict):
        return []
    own = [value] if "edges" in value else []
    return own + [each for item in value.values() for each in _connections(item)]


def _peer_transcript(data: Any) -> Any:
    for edge in data["node"]["messages"]["edges"]:
        sources = edge["node"]["sources"] or []
        sources = orjson.loads(sources) if isinstance(sources, str) else sources
        edge["node"]["sources"] = [{"kind": each["kind"], "title": each.get("title")} for each in sources]
    return data


def _peer_badge(data: Any) -> Any:
    insights, rows = data["insights"], data["facets"]["nodes"]
    insights["totalCount"] = {"value": insights["totalCount"]}
    facets = {
        name: [{dimension: row["value"], "count": int(row["count"])} for row in rows if row["dimension"] == dimension]
        for name, dimension in (("bySeverity", "severity"), ("byType", "type"))
    }
    return {"insights": insights | {"facets": facets}}


def _peer_calls(data: Any) -> Any:
    for edge in data["toolCalls"]["edges"]:
        outcome = edge["node"].pop("outcome") or {"status": "PENDING", "completedAt": None}
        edge["node"] |= outcome
    return data


def _peer_viewer(data: Any) -> Any:
    role = data["user"].pop("role")
    shared = {name: data[name] for name in ("user", "organization", "aiSettings")}
    return {"viewer": {**shared, "role": role, "usage": {"budgets": data["budgets"]["nodes"]}}}


def _peer_feedback(data: Any) -> Any:
    return {"submitFeedback": {"feedback": data["peerSubmitFeedback"]["feedback"], "userErrors": []}}


def _peer_metrics(data: Any) -> Any:
    rows = [dict(row) for row in data["peerAiMetrics"]["nodes"]]
    for row in rows:
        row["keys"] = [{"value": row.pop("model")}]
        row["cost"] = str(Decimal(row.pop("costMicroUsd")).scaleb(-6))
    return {"aiMetrics": {"rows": rows}}


_FROM_PEER: Final[Mapping[str, Any]] = {
    "O3": _peer_transcript,
    "O4": _peer_badge,
    "O5": _peer_calls,
    "O6": _peer_viewer,
    "O7": _peer_feedback,
    "O8": _peer_metrics,
}
