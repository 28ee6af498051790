"""Keys, notes and exports of a house, and a second reading of RFC 6962 to compare with."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from audit_verifier.encoding import event_hash, prefixed
from audit_verifier.note import PrivateKey
from audit_verifier.verify import verify
from db.audit.checkpoints import Signer, sign
from db.audit.exports import extent, lines
from db.audit.notes import Notes
from db.engine import Urls
from tests.databases import clone
from tests.db.audit_house import House, found, happened

KEY = PrivateKey("minutebook.test", bytes(range(32)))


def signer_in(folder: Path) -> Signer:
    return Signer(KEY, Notes(folder / "checkpoints.log"))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, over leaf hashes, written as its definition."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"")
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return sha256(b"\x01" + root_of(leaves[:middle]) + root_of(leaves[middle:]))


EVENTS = 14


class Kept(NamedTuple):
    """A whole export of 14 events (9 and 10 are a tool call's), signed at 6, 12 and 14, and the notes kept elsewhere."""

    file: Path
    notes: Path
    content: list[Any]

    def events(self) -> list[list[Any]]:
        return [list(line) for line in self.content[1 : 1 + EVENTS]]

    def changed(self, folder: Path, events: list[Any]) -> Path:
        return write(folder / "changed", [self.content[0], *events, *self.content[1 + EVENTS :]])


@asynccontextmanager
async def kept_in(template: Urls, folder: Path) -> AsyncIterator[Kept]:
    async with clone(template) as urls:
        house, signer = await found(urls, "house"), signer_in(folder)
        await house.append(*(happened("made", number=number, title='Ä "x"\n') for number in range(6)))
        await signed(house, signer)
        await house.append({"action": "thing.bare"}, happened("none"), role="app_service")
        await house.record_tool_call()
        await house.append(happened("made", number=1), happened("made"))
        await signed(house, signer)
        await house.append(happened("made", number=2), happened("made", number=3))
        await signed(house, signer)
        file = await exported(house, folder / "export")
        yield Kept(file, signer.notes.path, read(file))


def verdict(file: Path, notes: Path | None = None, **options: Any) -> tuple[str, int, int | None]:
    report = verify(file, [str(KEY.public)], notes, **options)
    return report.verdict, report.code, report.first_bad_seq


async def signed(house: House, signer: Signer) -> Any:
    connection = await asyncpg.connect(house.urls.operator)
    try:
        return await sign(connection, house.organization, signer)
    finally:
        await connection.close()


async def exported(house: House, file: Path, first: int | None = None, last: int | None = None) -> Path:
    """An export without its event on record, so that what a test appended is all that there is."""
    connection = await asyncpg.connect(house.urls.operator)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            what = await extent(connection, house.organization, first, last)
            pieces = [piece async for _, piece in lines(connection, house.organization, what)]
    finally:
        await connection.close()
    return _put(file, b"".join(pieces))


def _put(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def read(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write(file: Path, content: Sequence[Any]) -> Path:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in content), encoding="utf-8")
    return file


def made_anew(content: list[Any]) -> list[Any]:
    """What a forger with all of the database makes of an export: every hash right again, the checkpoints gone."""
    header, events = content[0], [line for line in content[1:] if isinstance(line, list)]
    columns = header["columns"]
    head, made = bytes(32), []
    for number, row in enumerate(events, start=1):
        event = dict(zip(columns, row, strict=True)) | {"seq": number}
        leaf = leaf_of(header["organization_id"], event)
        event |= {"leaf": leaf.hex(), "prev_hash": head.hex()}
        head = event_hash(head, number, leaf)
        made.append(list((event | {"hash": head.hex()}).values()))
    ends = {"seq": len(made), "hash": head.hex()}
    return [header | {"to_seq": len(made), "head": ends, "checkpoints": []}, *made]


def leaf_of(organization_id: str, event: dict[str, Any]) -> bytes:
    def uuid(value: str | None) -> bytes | None:
        return None if value is None else bytes.fromhex(value.replace("-", ""))

    def text(value: str | None) -> bytes | None:
        return None if value is None else value.encode()

    def digest(value: str | None) -> bytes | None:
        return None if value is None else bytes.fromhex(value)

    fields = [
        b"minutebook:audit:v1", uuid(organization_id), event["seq"].to_bytes(8, "big"), uuid(event["id"]),
        text(event["action"]), uuid(event["actor_id"]), text(event["actor_role"]), text(event["target_type"]),
        uuid(event["target_id"]), digest(event["target_digest"]), text(event["request_id"]),
        event["occurred_at"].to_bytes(8, "big", signed=True), digest(event["payload_digest"]),
    ]  # fmt: skip
    return sha256(b"\x00" + b"".join(map(prefixed, fields)))


def flipped(value: Any, at: float) -> Any:
    """The value with one bit of one of its bytes changed; `at` from 0 to 1 says where. None becomes something."""
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ (1 << int(at * 40))
    if isinstance(value, float):
        return value / 2 + 0.01
    place = min(int(at * len(value)), len(value) - 1)
    if value[place] in "-= ":
        place -= 1
    is_hex = value[place] in "0123456789abcdef"
    other = format(int(value[place], 16) ^ 1, "x") if is_hex else chr(ord(value[place]) ^ 1)
    return value[:place] + other + value[place + 1 :]


def flipped_payload(payload: list[Any], at: float) -> list[Any]:
    """The same for `[salt, payload, redacted_at]`: a byte of the payload itself."""
    data = bytearray(base64.b64decode(payload[1]))
    data[min(int(at * len(data)), len(data) - 1)] ^= 1
    return [payload[0], base64.b64encode(bytes(data)).decode(), payload[2]]
