"""The audit chain: what is appended, what an independent reader of docs/audit-format.md computes, what is found out."""

import asyncio
import hashlib
import json
import re
import struct
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GENESIS = bytes(32)
TOOL = "create_task"


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


# ── a small organization ─────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class House:
    urls: Any
    organization: str
    user: str

    @asynccontextmanager
    async def acting(self, role: str) -> AsyncIterator[Any]:
        login = {"app_service": self.urls.ingest, "none": self.urls.operator}.get(role, self.urls.api)
        user = "" if role in {"app_service", "none"} else self.user
        connection = await asyncpg.connect(login)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(
                    f"SELECT app.begin_request('{self.organization}', '{user}', '{self.user}', '{role}', 'req-1', 30000)"
                )
                yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def meddling(self, *tables: str) -> AsyncIterator[Any]:
        """The owner with its guards taken off: what a superuser could do."""
        connection = await asyncpg.connect(self.urls.migrator)
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE minutebook_owner")
                for name in tables:
                    await connection.execute(f"ALTER TABLE app.{name} DISABLE TRIGGER USER")
                    await connection.execute(f"ALTER TABLE app.{name} NO FORCE ROW LEVEL SECURITY")
                yield connection
        finally:
            await connection.close()

    async def append(self, *events: dict[str, Any], role: str = "app_member") -> list[Any]:
        async with self.acting(role) as connection:
            return list(await connection.fetch("SELECT * FROM app.audit_append($1::jsonb)", json.dumps(events)))

    async def verify(self, first: int | None = None, last: int | None = None, role: str = "app_auditor") -> Any:
        async with self.acting(role) as connection:
            return await connection.fetchrow("SELECT * FROM app.verify_audit_chain($1, $2)", first, last)

    async def events(self) -> list[Any]:
        async with self.acting("none") as connection:
            return list(
                await connection.fetch(
                    "SELECT e.*, p.salt, p.payload FROM app.audit_events e"
                    " LEFT JOIN app.audit_payloads p ON p.organization_id = e.organization_id AND p.event_id = e.id"
                    " WHERE e.organization_id = $1 ORDER BY e.seq",
                    self.organization,
                )
            )

    async def record_tool_call(self) -> str:
        """A completed tool call with its two events; returns its id."""
        call, salt = str(uuid.uuid4()), bytes(range(32))
        params, outcome = b'{"params": {"title": "Order lumber"}}', b'{"result": {"ok": true}, "errorDetails": null}'
        async with self.acting("app_service") as connection:
            recorded = await connection.fetchval(
                "WITH c AS (INSERT INTO app.tool_calls (organization_id, id, user_id, session_id, tool_name,"
                " ai_confidence, timestamp, payload_hash) VALUES ($1, $2, $3, gen_random_uuid(), $4, 0.9, now(), $5)"
                " RETURNING *) SELECT app.tool_call_digest(c::app.tool_calls) FROM c",
                self.organization, call, self.user, TOOL, hashlib.sha256(salt + params).digest(),
            )  # fmt: skip
            completed = await connection.fetchval(
                "WITH o AS (INSERT INTO app.tool_call_outcomes (organization_id, tool_call_id, user_id, status, timestamp,"
                " completed_at, payload_hash, created_at) SELECT organization_id, id, user_id, 'SUCCESS', timestamp,"
                " clock_timestamp(), $3, created_at FROM app.tool_calls WHERE organization_id = $1 AND id = $2"
                " RETURNING *) SELECT app.tool_call_outcome_digest(o::app.tool_call_outcomes) FROM o",
                self.organization, call, hashlib.sha256(salt + outcome).digest(),
            )  # fmt: skip
            for part, payload in (("CALL", params), ("OUTCOME", outcome)):
                await connection.execute(
                    "INSERT INTO app.tool_call_payloads (organization_id, tool_call_id, part, user_id, salt, payload,"
                    " created_at) SELECT organization_id, id, $3, user_id, $4, $5, created_at FROM app.tool_calls"
                    " WHERE organization_id = $1 AND id = $2",
                    self.organization, call, part, salt, payload,
                )  # fmt: skip
            events = [
                {"action": action, "target_type": "ToolCall", "target_id": call, "target_digest": digest.hex()}
                for action, digest in (("tool_call.recorded", recorded), ("tool_call.completed", completed))
            ]
            await connection.execute("SELECT app.audit_append($1::jsonb)", json.dumps(events))
        return call


async def found(urls: Any, slug: str) -> House:
    organization, user = str(uuid.uuid4()), str(uuid.uuid4())
    connection = await asyncpg.connect(urls.operator)
    try:
        await connection.execute(
            f"INSERT INTO app.organizations (id, slug, name, kind, timezone)"
            f" VALUES ('{organization}', '{slug}', '{slug}', 'TEAM', 'UTC');"
            f"INSERT INTO app.users (organization_id, id, role) VALUES ('{organization}', '{user}', 'ADMIN');"
            f"INSERT INTO app.ai_tools (organization_id, name) VALUES ('{organization}', '{TOOL}')"
        )
    finally:
        await connection.close()
    return House(urls, organization, user)


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


def happened(name: str, **details: Any) -> dict[str, Any]:
    event = {"action": f"thing.{name}", "target_type": "Thing", "target_id": str(uuid.uuid4())}
    return event | ({"details": details} if details else {})


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
    assert [row["seq"] for row in await house.append(happened("next"), happened("last"))] == [2, 3]


async def test_appending_without_a_context_is_refused(house: House) -> None:
    connection = await asyncpg.connect(house.urls.operator)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT app.audit_append('[]')")
    finally:
        await connection.close()


# ── verifying ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("role", ["app_member", "app_observer", "app_service"])
async def test_only_admin_auditor_and_operator_verify(house: House, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.verify(role=role)


async def test_an_empty_chain_is_ok(house: House) -> None:
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["checked"], verdict["from_seq"], verdict["to_seq"]) == ("OK", 0, 1, 0)
    assert verdict["head_hash"] is None


async def test_a_range_is_verified_from_the_event_before_it(house: House) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    events = await house.events()
    verdict = await house.verify(3, 5)
    assert (verdict["verdict"], verdict["checked"], verdict["head_hash"]) == ("OK", 3, events[4]["hash"])
    assert (await house.verify(3, 500))["to_seq"] == 6
    async with house.meddling("audit_events") as owner:
        await owner.execute("UPDATE app.audit_events SET action = 'thing.forged' WHERE seq = 2")
    assert (await house.verify(3, 5))["verdict"] == "OK"
    assert (await house.verify(2, 5))["first_broken_seq"] == 2


FLIPS = {
    "id": "gen_random_uuid()",
    "seq": "seq + 100",
    "action": "'thing.forged'",
    "actor_id": "gen_random_uuid()",
    "actor_role": "'ADMIN'",
    "target_type": "NULL",
    "target_id": "gen_random_uuid()",
    "target_digest": "sha256('x')",
    "request_id": "''",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "payload_digest": "set_byte(payload_digest, 31, get_byte(payload_digest, 31) # 1)",
    "leaf": "set_byte(leaf, 0, get_byte(leaf, 0) # 1)",
    "prev_hash": "set_byte(prev_hash, 0, get_byte(prev_hash, 0) # 1)",
    "hash": "set_byte(hash, 0, get_byte(hash, 0) # 1)",
}


@pytest.mark.parametrize("column", FLIPS)
async def test_a_changed_column_is_found_and_its_event_is_named(house: House, column: str) -> None:
    await house.append(*(happened("made", number=number) for number in range(5)))
    async with house.meddling("audit_events", "audit_payloads") as owner:
        if column == "id":
            await owner.execute("ALTER TABLE app.audit_payloads DROP CONSTRAINT fk_audit_payloads_event_id")
        await owner.execute(f"UPDATE app.audit_events SET {column} = {FLIPS[column]} WHERE seq = 3")
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["first_broken_seq"]) == ("TAMPERED", 3)
    assert "event 3" in verdict["reason"]


SWAP = (
    "UPDATE app.audit_events SET seq = CASE seq WHEN 2 THEN 103 ELSE 102 END WHERE seq IN (2, 3);"
    "UPDATE app.audit_events SET seq = seq - 100 WHERE seq > 100"
)
CHANGE_DETAILS = (
    "UPDATE app.audit_payloads SET payload = payload || ' ' FROM app.audit_events e WHERE e.id = event_id AND seq = 3"
)
DROP_DETAILS = "DELETE FROM app.audit_payloads p USING app.audit_events e WHERE e.id = p.event_id AND e.seq = 3"
MAKE_UP_DETAILS = (
    "INSERT INTO app.audit_payloads (organization_id, event_id, salt, payload)"
    " SELECT organization_id, id, 'x', '{}' FROM app.audit_events WHERE seq = 5"
)
PUT_HEAD_BACK = "UPDATE app.audit_heads SET seq = 4, hash = (SELECT hash FROM app.audit_events WHERE seq = 4)"
MEDDLED = {
    "a deleted event": ("DELETE FROM app.audit_events WHERE seq = 3", 3),
    "a cut tail": ("DELETE FROM app.audit_events WHERE seq > 3", 4),
    "everything gone": ("DELETE FROM app.audit_events", 1),
    "swapped events": (SWAP, 2),
    "a head put back": (PUT_HEAD_BACK, 5),
    "another head": ("UPDATE app.audit_heads SET hash = sha256('x')", 5),
    "no head": ("DELETE FROM app.audit_heads", 5),
    "changed details": (CHANGE_DETAILS, 3),
    "missing details": (DROP_DETAILS, 3),
    "details made up": (MAKE_UP_DETAILS, 5),
}


@pytest.mark.parametrize("case", MEDDLED)
async def test_what_was_done_behind_the_function_is_found(house: House, case: str) -> None:
    statement, broken_seq = MEDDLED[case]
    await house.append(*(happened("made", number=number) for number in range(4)), {"action": "thing.bare"})
    async with house.meddling("audit_events", "audit_payloads", "audit_heads") as owner:
        await owner.execute("ALTER TABLE app.audit_payloads DROP CONSTRAINT fk_audit_payloads_event_id")
        await owner.execute(statement)
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["first_broken_seq"]) == ("TAMPERED", broken_seq)
    assert verdict["reason"]


RECORD_CHANGES = {
    "the call": ("UPDATE app.tool_calls SET ai_confidence = 0.1", 1),
    "the call's tool and owner": ("UPDATE app.tool_calls SET session_id = gen_random_uuid()", 1),
    "the outcome": ("UPDATE app.tool_call_outcomes SET status = 'ERROR'", 2),
    "a deleted outcome": ("DELETE FROM app.tool_call_outcomes", 2),
    "the parameters": ("UPDATE app.tool_call_payloads SET payload = '{}' WHERE part = 'CALL'", 1),
    "the result": ("UPDATE app.tool_call_payloads SET salt = 'x' WHERE part = 'OUTCOME'", 2),
    "deleted parameters": ("DELETE FROM app.tool_call_payloads WHERE part = 'CALL'", 1),
}


@pytest.mark.parametrize("case", RECORD_CHANGES)
async def test_a_changed_tool_call_is_found_by_its_event(house: House, case: str) -> None:
    statement, broken_seq = RECORD_CHANGES[case]
    await house.record_tool_call()
    assert (await house.verify())["verdict"] == "OK"
    async with house.meddling("tool_calls", "tool_call_outcomes", "tool_call_payloads") as owner:
        await owner.execute(statement)
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["first_broken_seq"]) == ("TAMPERED", broken_seq)


@pytest.mark.parametrize("table", ["audit_payloads", "tool_call_payloads"])
async def test_a_redacted_payload_is_said_and_the_chain_still_verifies(house: House, table: str) -> None:
    await house.append(happened("made", secret="x"))
    await house.record_tool_call()
    async with house.meddling(table) as owner:
        await owner.execute(f"UPDATE app.{table} SET payload = NULL, salt = NULL, redacted_at = now()")
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["checked"], verdict["first_broken_seq"]) == ("REDACTED", 3, None)


async def test_a_pruned_beginning_is_said_and_a_later_range_is_ok(house: House) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    async with house.meddling("audit_events", "audit_heads") as owner:
        await owner.execute(
            "UPDATE app.audit_heads SET pruned_seq = 2, pruned_hash = (SELECT hash FROM app.audit_events WHERE seq = 2)"
        )
        await owner.execute("DELETE FROM app.audit_events WHERE seq <= 2")
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["from_seq"], verdict["checked"]) == ("PRUNED", 3, 4)
    assert (await house.verify(1, 5))["verdict"] == "PRUNED"
    assert (await house.verify(3))["verdict"] == "OK"
    async with house.meddling("audit_events", "audit_heads") as owner:
        await owner.execute("UPDATE app.audit_heads SET pruned_hash = sha256('x')")
    assert (await house.verify())["first_broken_seq"] == 3


# ── what is on record stays ──────────────────────────────────────────────────────────────────────────────────────
ON_RECORD = ("audit_events", "audit_payloads", "audit_heads", "tool_calls", "tool_call_outcomes", "tool_call_payloads")


@pytest.mark.parametrize("role", ["app_member", "app_observer", "app_admin", "app_auditor", "app_service", "none"])
@pytest.mark.parametrize("table", ON_RECORD)
async def test_no_login_changes_what_is_on_record(house: House, role: str, table: str) -> None:
    await house.append(happened("made", number=1))
    await house.record_tool_call()
    for statement in (
        f"UPDATE app.{table} SET organization_id = organization_id WHERE organization_id = '{house.organization}'",
        f"DELETE FROM app.{table} WHERE organization_id = '{house.organization}'",
        f"TRUNCATE app.{table} CASCADE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with house.acting(role) as connection:
                await connection.execute(statement)


@pytest.mark.parametrize("table", ON_RECORD)
async def test_the_owner_is_refused_too(house: House, table: str) -> None:
    await house.append(happened("made", number=1))
    await house.record_tool_call()
    async with house.meddling() as owner:
        await owner.execute(f"ALTER TABLE app.{table} NO FORCE ROW LEVEL SECURITY")
    for statement in (
        f"UPDATE app.{table} SET organization_id = organization_id",
        f"DELETE FROM app.{table}",
        f"TRUNCATE app.{table} CASCADE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
            async with house.meddling() as owner:
                await owner.execute(statement)


async def test_redaction_and_erasure_pass_by_role_and_nothing_else_does(house: House) -> None:
    await house.append(happened("made", number=1))
    async with house.meddling() as owner:
        await owner.execute("ALTER TABLE app.audit_payloads NO FORCE ROW LEVEL SECURITY")
        await owner.execute("GRANT SELECT, UPDATE, DELETE ON app.audit_payloads TO app_definer")
        await owner.execute("CREATE POLICY redaction ON app.audit_payloads TO app_definer USING (true)")
    async with house.meddling() as owner:
        await owner.execute("SET LOCAL ROLE app_definer; SAVEPOINT before")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
            await owner.execute("UPDATE app.audit_payloads SET payload = '{}'")
        await owner.execute("ROLLBACK TO before")
    async with house.meddling() as owner:
        await owner.execute("SET LOCAL ROLE app_definer")
        tag = await owner.execute("UPDATE app.audit_payloads SET payload = NULL, salt = NULL, redacted_at = now()")
        assert tag == "UPDATE 1"
    assert (await house.verify())["verdict"] == "REDACTED"
    async with house.meddling() as owner:
        await owner.execute("SET LOCAL ROLE app_definer")
        assert await owner.execute("DELETE FROM app.audit_payloads") == "DELETE 1"
