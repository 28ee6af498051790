"""What is appended to the audit chain, and what an independent reader of docs/audit-format.md computes from it."""

import asyncio
import hashlib
import json
import re
import struct
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.types import ActorRole
from tests.db.audit_house import House, found, happened

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GENESIS = bytes(32)


# ── docs/audit-format.md, written down a second time ─────────────────────────────────────────────────────────────
def lp(value: bytes | str | uuid.UUID | None) -> bytes:
    if value is None:
        return struct.pack(">i", -1)
    data = value.bytes if isinstance(value, uuid.UUID) else value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


def int8(value: int) -> bytes:
    return struct.pack(">q", value)


def time8(value: datetime) -> bytes:
    return int8((value - EPOCH) // timedelta(microseconds=1))


def leaf_of(event: Any) -> bytes:
    fields = [b"minutebook:audit:v1", event["organization_id"], int8(event["seq"]), event["id"], event["action"]]
    fields += [event[name] for name in ("actor_id", "actor_role", "target_type", "target_id", "target_digest")]
    fields += [event["request_id"], time8(event["occurred_at"]), event["payload_digest"]]
    return hashlib.sha256(b"\x00" + b"".join(map(lp, fields))).digest()


def hash_of(prev_hash: bytes, seq: int, leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + prev_hash + int8(seq) + leaf).digest()


def call_digest(call: Any) -> bytes:
    confidence = call["ai_confidence"]
    names = ("organization_id", "id", "user_id", "session_id", "conversation_id", "interaction_id", "tool_name")
    fields = [b"minutebook:tool_call:v1", *(call[name] for name in names)]
    fields += [None if confidence is None else struct.pack(">d", confidence), time8(call["timestamp"])]
    fields += [call["payload_hash"], time8(call["created_at"])]
    return hashlib.sha256(b"".join(map(lp, fields))).digest()


def outcome_digest(outcome: Any) -> bytes:
    fields = [b"minutebook:tool_call_outcome:v1", outcome["organization_id"], outcome["tool_call_id"]]
    fields += [outcome["user_id"], outcome["status"], time8(outcome["timestamp"]), time8(outcome["completed_at"])]
    fields += [outcome["payload_hash"], time8(outcome["created_at"])]
    return hashlib.sha256(b"".join(map(lp, fields))).digest()


def independent_head(events: Iterable[Any]) -> tuple[int, bytes]:
    """Follow a chain from its genesis; AssertionError at the first byte that differs."""
    seq, head = 0, GENESIS
    for event in events:
        assert event["seq"] == seq + 1
        assert event["prev_hash"] == head
        assert event["leaf"] == leaf_of(event)
        assert event["hash"] == hash_of(head, event["seq"], event["leaf"])
        if event["payload_digest"] is not None and event["payload"] is not None:
            assert event["payload_digest"] == hashlib.sha256(event["salt"] + event["payload"]).digest()
        seq, head = event["seq"], event["hash"]
    return seq, head


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


# ── appending ────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_another_organizations_events_are_neither_seen_nor_counted(house: House) -> None:
    neighbour = await found(house.urls, "neighbour")
    await house.append(happened("made"), happened("kept"))
    await neighbour.append(happened("made"))
    assert (await house.verify())["checked"] == 2
    assert (await neighbour.verify())["checked"] == 1
    async with neighbour.meddling("audit_events") as owner:
        await owner.execute(
            "UPDATE app.audit_events SET action = 'thing.forged' WHERE organization_id = $1", neighbour.organization
        )
    assert (await neighbour.verify())["verdict"] == "TAMPERED"
    assert (await house.verify())["verdict"] == "OK"


async def test_an_independent_reader_computes_the_same_hashes(house: House) -> None:
    await house.append(happened("made", title='Ä\n"quoted"', count=3), {"action": "thing.bare"})
    await house.append(happened("null", value=None), role="app_service")
    call = await house.record_tool_call()
    events = await house.events()
    assert len(events) == 5
    seq, head = independent_head(events)
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["to_seq"], verdict["head_hash"]) == ("OK", seq, head)
    async with house.acting("app_admin") as connection:
        row = await connection.fetchrow("SELECT * FROM app.tool_calls WHERE id = $1", call)
        outcome = await connection.fetchrow("SELECT * FROM app.tool_call_outcomes WHERE tool_call_id = $1", call)
    assert [call_digest(row), outcome_digest(outcome)] == [event["target_digest"] for event in events[3:]]


async def test_the_vector_in_the_documentation_is_right(house: House) -> None:
    text = (Path(__file__).parents[2] / "docs" / "audit-format.md").read_text()
    written = dict(re.findall(r"^(payload_digest|leaf|hash) +([0-9a-f]{64})$", text, re.MULTILINE))
    organization, event, actor, target = (uuid.UUID(f"018f4e3c-0000-7000-8000-{n:012d}") for n in range(1, 5))
    payload_digest = hashlib.sha256(b"\x11" * 32 + b'{"a": 1}').digest()
    row = {
        "organization_id": organization, "seq": 1, "id": event, "action": "conversation.created", "actor_id": actor,
        "actor_role": "MEMBER", "target_type": "Conversation", "target_id": target, "target_digest": None,
        "request_id": "req-1", "occurred_at": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "payload_digest": payload_digest,
    }  # fmt: skip
    leaf = leaf_of(row)
    assert written == {
        "payload_digest": payload_digest.hex(),
        "leaf": leaf.hex(),
        "hash": hash_of(GENESIS, 1, leaf).hex(),
    }


async def test_who_acts_comes_from_the_context_and_not_from_the_event(house: House) -> None:
    forged = {
        "actor_id": str(uuid.uuid4()),
        "actor_role": "OPERATOR",
        "occurred_at": "2020-01-01T00:00:00Z",
        "id": str(uuid.uuid4()),
    }
    await house.append(happened("made") | forged, role="app_service")
    (event,) = await house.events()
    assert (str(event["actor_id"]), event["actor_role"], event["request_id"]) == (house.user, "SERVICE", "req-1")
    assert datetime.now(UTC) - event["occurred_at"] < timedelta(minutes=1)
    assert str(event["id"]) != forged["id"]


async def test_the_operator_may_say_who_acted_and_when(house: House) -> None:
    given = {
        "actor_id": str(uuid.uuid4()),
        "actor_role": "MEMBER",
        "occurred_at": "2020-01-01T00:00:00Z",
        "id": str(uuid.uuid4()),
    }
    await house.append(happened("imported") | given, happened("own"), role="none")
    imported, own = await house.events()
    assert (str(imported["actor_id"]), imported["actor_role"], str(imported["id"])) == (
        given["actor_id"],
        "MEMBER",
        given["id"],
    )
    assert imported["occurred_at"] == datetime(2020, 1, 1, tzinfo=UTC)
    assert own["actor_role"] == "OPERATOR"
    assert (await house.verify(role="none"))["verdict"] == "OK"


async def test_many_writers_at_once_leave_one_whole_chain(house: House) -> None:
    async def write(number: int) -> None:
        async with gate:
            await house.append(happened("made", number=number), happened("kept"))

    gate = asyncio.Semaphore(12)
    await asyncio.gather(*(write(number) for number in range(60)))
    events = await house.events()
    assert independent_head(events)[0] == 120
    assert [event["occurred_at"] for event in events] == sorted(event["occurred_at"] for event in events)
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["checked"]) == ("OK", 120)


async def test_an_append_that_is_rolled_back_leaves_no_gap(house: House) -> None:
    await house.append(happened("made"))
    lost = json.dumps([happened("lost")])
    async with house.acting("app_member") as connection:
        undone = connection.transaction()
        await undone.start()
        await connection.execute("SELECT app.audit_append($1::jsonb)", lost)
        await undone.rollback()
    assert await house.append(happened("next"), happened("last")) == 3
    assert [event["seq"] for event in await house.events()] == [1, 2, 3]


async def test_an_append_of_nothing_appends_nothing(house: House) -> None:
    assert await house.append() is None
    assert await house.events() == []


@pytest.mark.parametrize("events", ["{}", '"x"', "null", None])
async def test_what_is_no_array_of_events_is_refused(house: House, events: str | None) -> None:
    async with house.acting("app_member") as connection:
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await connection.execute("SELECT app.audit_append($1::jsonb)", events)


@pytest.mark.parametrize(
    "action",
    ["made", "thing.", ".made", "Thing.made", "thing made", "thing.made1", "thing.made\n", "a." + "x" * 99, ""],
)
async def test_what_is_no_dotted_verb_of_a_hundred_characters_is_no_action(house: House, action: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await house.append(happened("made"), {"action": action})
    assert await house.events() == []
    await house.append({"action": "a." + "x" * 98})


async def test_an_event_without_an_action_is_refused(house: House) -> None:
    with pytest.raises(asyncpg.NotNullViolationError):
        await house.append({"target_type": "Thing"})


async def test_the_operator_may_name_every_role_of_an_actor_and_no_other(house: House) -> None:
    for role in ActorRole:
        await house.append(happened("made") | {"actor_role": role.value}, role="none")
    assert [event["actor_role"] for event in await house.events()] == list(ActorRole)
    for other in ("Member", "OWNER", ""):
        with pytest.raises(asyncpg.CheckViolationError):
            await house.append(happened("made") | {"actor_role": other}, role="none")


@pytest.mark.parametrize("role", ["app_member", "app_observer", "app_admin", "app_auditor", "app_service"])
async def test_an_event_says_in_which_role_its_actor_acted(house: House, role: str) -> None:
    await house.append(happened("made"), role=role)
    [event] = await house.events()
    assert event["actor_role"] == role.removeprefix("app_").upper()


async def test_what_an_operators_event_does_not_say_is_not_taken_from_the_one_before(house: House) -> None:
    given = {"actor_id": str(uuid.uuid4()), "actor_role": "ADMIN", "request_id": "req-9", "id": str(uuid.uuid4())}
    await house.append(happened("imported") | given, happened("own"), role="none")
    _, own = await house.events()
    assert (str(own["actor_id"]), own["actor_role"], own["request_id"]) == (house.user, "OPERATOR", "req-1")
    assert str(own["id"]) != given["id"]


async def test_details_are_kept_as_json_whatever_they_are(house: House) -> None:
    kept = ["null", {"a": [1, "ä'\\"]}, [], 0, False, ""]
    await house.append(*({"action": "thing.made", "details": each} for each in (*kept, None)))
    payloads = [event["payload"] for event in await house.events()]
    assert [None if each is None else json.loads(each) for each in payloads] == [*kept, None]
    assert payloads[-1] is None
    assert independent_head(await house.events())[0] == len(kept) + 1


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1999-03-28T02:30:00.000001Z",
                                "2024-02-29T12:00:00.123456Z", "9999-12-31T23:59:59.999999Z"])  # fmt: skip
async def test_a_time_is_hashed_in_microseconds_since_1970_wherever_the_server_stands(house: House, at: str) -> None:
    async with house.acting("none") as connection:
        await connection.execute("SET LOCAL timezone = 'America/St_Johns'")
        events = json.dumps([happened("imported") | {"occurred_at": at}])
        await connection.execute("SELECT app.audit_append($1::jsonb)", events)
    assert independent_head(await house.events())[0] == 1


async def test_only_the_digests_of_what_is_there_are_hashed(house: House) -> None:
    await house.append({"action": "thing.bare"})
    async with house.acting("app_service") as connection:
        await connection.execute("SET LOCAL app.request_id = ''; SET LOCAL app.actor_id = ''")
        await connection.execute("SELECT app.audit_append($1::jsonb)", json.dumps([{"action": "thing.bare"}]))
    _, bare = await house.events()
    absent = ("actor_id", "target_type", "target_id", "target_digest", "request_id")
    assert {bare[name] for name in absent} == {None}
    assert independent_head(await house.events())[0] == 2


async def test_appending_without_a_context_is_refused(house: House) -> None:
    connection = await asyncpg.connect(house.urls.operator)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT app.audit_append('[]')")
    finally:
        await connection.close()
