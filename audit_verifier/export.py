"""The form of an export: NDJSON of a header, the events as arrays in the order of the header's columns, checkpoints.

What is read here is judged nowhere: a value of the wrong type raises, and says where.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit_verifier.encoding import CALL, OUTCOME, digest_bytes, uuid_bytes

FORMAT: Final = "minutebook-audit-export/1"
COLUMNS: Final = (
    "seq", "id", "action", "actor_id", "actor_role", "target_type", "target_id", "target_digest", "request_id",
    "occurred_at", "payload_digest", "leaf", "prev_hash", "hash", "details", "record",
)  # fmt: skip
SHAPE: Final = {
    "format": FORMAT,
    "columns": list(COLUMNS),
    "details_columns": ["salt", "payload", "redacted_at"],
    "record_columns": {"tool_call.recorded": [*CALL, "payload"], "tool_call.completed": [*OUTCOME, "payload"]},
}
CHECKPOINT_COLUMNS: Final = ("tree_size", "root_hash", "key_id", "note", "created_at")


class ExportError(ValueError):
    """The file is not an export, or not a whole one: nothing can be said about the chain."""


@dataclass(frozen=True)
class Header:
    """What an export says about itself. None of it is believed: events and checkpoints have to agree with it."""

    organization_id: str
    from_seq: int
    to_seq: int
    head_seq: int | None
    head_hash: str | None
    pruned_seq: int
    prev_hash: bytes
    nodes: tuple[bytes, ...]
    """The tree before `from_seq`: the roots of its perfect subtrees."""
    sizes: tuple[int, ...]
    """The sizes of the checkpoints that stand at the end."""

    @property
    def is_whole(self) -> bool:
        """Whether it says that it goes from the chain's first event to its head."""
        return self.from_seq == 1 and self.to_seq >= self.last_seq

    @property
    def last_seq(self) -> int:
        """Up to where it says that the chain goes."""
        return max(self.to_seq, self.head_seq or 0)


def header_of(line: str) -> Header:
    """Raises ExportError."""
    try:
        found = json.loads(line)
        wrong = next((name for name, value in SHAPE.items() if found[name] != value), None)
        head = found["head"] or {"seq": None, "hash": None}
        header = Header(
            organization_id=found["organization_id"],
            from_seq=_number(found["from_seq"]),
            to_seq=_number(found["to_seq"]),
            head_seq=None if head["seq"] is None else _number(head["seq"]),
            head_hash=head["hash"],
            pruned_seq=_number(found["pruned_seq"]),
            prev_hash=digest_bytes(found["before"]["hash"]),
            nodes=tuple(digest_bytes(node) for node in found["before"]["nodes"]),
            sizes=tuple(_number(size) for size in found["checkpoints"]),
        )
        uuid_bytes(header.organization_id)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ExportError(f"it does not begin with a header of {FORMAT}") from None
    if wrong:
        raise ExportError(f"its {wrong} is not that of this version")
    if header.from_seq < 1 or header.to_seq < header.from_seq - 1 or list(header.sizes) != sorted(set(header.sizes)):
        raise ExportError("its header contradicts itself")
    return header


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("not a number")
    return value


def checkpoint_of(line: str) -> Mapping[str, Any]:
    """One of the last lines. Raises ExportError."""
    if not line.endswith("\n"):
        raise ExportError("it ends in the middle of a line")
    try:
        found = dict(zip(CHECKPOINT_COLUMNS, json.loads(line)["checkpoint"], strict=True))
        _number(found["tree_size"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ExportError("a checkpoint of it cannot be read") from None
    return found
