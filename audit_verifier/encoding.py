"""The bytes that are hashed: docs/audit-format.md, for what an export holds. Hashes are hexadecimal text there.

Text that comes back in every event is encoded once: a million events name a few actions and a few people.
"""

import hashlib
import struct
from collections.abc import Sequence
from typing import Any, Final

NULL: Final = b"\xff\xff\xff\xff"
GENESIS: Final = bytes(32)
EVENT: Final = "minutebook:audit:v1"
MAX_KNOWN: Final = 10_000

pack_length: Final = struct.Struct(">i").pack
pack_int8: Final = struct.Struct(">q").pack
pack_float8: Final = struct.Struct(">d").pack


class MalformedError(ValueError):
    """A value that no export of an untouched chain holds."""


def prefixed(value: bytes | None) -> bytes:
    """lp(x)."""
    return NULL if value is None else pack_length(len(value)) + value


def uuid_bytes(value: str) -> bytes:
    """The 16 bytes of a uuid's text."""
    data = bytes.fromhex(value.replace("-", ""))
    if len(data) != 16:
        raise MalformedError("a uuid that is none")
    return data


def digest_bytes(value: str) -> bytes:
    """The 32 bytes of a hexadecimal SHA-256."""
    data = bytes.fromhex(value)
    if len(data) != 32:
        raise MalformedError("a hash that is none")
    return data


class Known(dict[str | None, bytes]):
    """lp of a text, or of a uuid, remembered; forgotten all at once when it holds too many."""

    def __init__(self, *, is_uuid: bool = False) -> None:
        super().__init__({None: NULL})
        self._is_uuid = is_uuid

    def __missing__(self, value: str | None) -> bytes:
        if not isinstance(value, str):
            raise MalformedError("a text that is none")
        if len(self) > MAX_KNOWN:
            self.clear()
            self[None] = NULL
        encoded = self[value] = prefixed(uuid_bytes(value) if self._is_uuid else value.encode())
        return encoded


def event_start(organization_id: str) -> bytes:
    """What the fields of every event of an organization begin with, after the 00 of a leaf."""
    return b"\x00" + prefixed(EVENT.encode()) + prefixed(uuid_bytes(organization_id))


def event_hash(prev_hash: bytes, seq: int, leaf: bytes) -> bytes:
    """The chain's hash up to an event."""
    return hashlib.sha256(b"\x01" + prev_hash + pack_int8(seq) + leaf).digest()


# What an export gives of a tool call's row and of an outcome's, in this order, and how each is encoded.
CALL: Final = {
    "id": "uuid",
    "user_id": "uuid",
    "session_id": "uuid",
    "conversation_id": "uuid",
    "interaction_id": "uuid",
    "tool_name": "text",
    "ai_confidence": "float8",
    "timestamp": "int8",
    "payload_hash": "hash",
    "created_at": "int8",
}
OUTCOME: Final = {
    "tool_call_id": "uuid",
    "user_id": "uuid",
    "status": "text",
    "timestamp": "int8",
    "completed_at": "int8",
    "payload_hash": "hash",
    "created_at": "int8",
}
RECORDS: Final = {
    "tool_call.recorded": ("minutebook:tool_call:v1", CALL),
    "tool_call.completed": ("minutebook:tool_call_outcome:v1", OUTCOME),
}


_ENCODERS: Final[dict[str, Any]] = {
    "uuid": uuid_bytes,
    "text": str.encode,
    "int8": pack_int8,
    "float8": pack_float8,
    "hash": digest_bytes,
}


def record_digest(action: str, organization_id: str, row: Sequence[Any]) -> str:
    """What an event of this action commits to, in hexadecimal. `row` as in `RECORDS`."""
    name, columns = RECORDS[action]
    parts = [prefixed(name.encode()), prefixed(uuid_bytes(organization_id))]
    for kind, value in zip(columns.values(), row, strict=True):
        parts.append(NULL if value is None else prefixed(_ENCODERS[kind](value)))
    return hashlib.sha256(b"".join(parts)).hexdigest()
