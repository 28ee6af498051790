"""What verification finds out, and what cannot be done to what is on record."""

from typing import Any

import asyncpg
import pytest

from tests.db.audit_house import House, found, happened


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


# ── verifying ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("role", ["app_member", "app_observer", "app_service"])
async def test_only_admin_auditor_and_operator_verify(house: House, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await house.verify(role=role)


async def test_an_empty_chain_proves_nothing(house: House) -> None:
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["checked"], verdict["from_seq"], verdict["to_seq"]) == ("UNVERIFIED", 0, 1, 0)
    assert (verdict["head_hash"], verdict["reason"]) == (None, "the chain has no event")


async def test_a_chain_that_was_removed_without_a_trace_proves_nothing(house: House) -> None:
    await house.append(*(happened("made") for _ in range(3)))
    async with house.meddling("audit_events", "audit_payloads", "audit_heads") as owner:
        await owner.execute("DELETE FROM app.audit_payloads; DELETE FROM app.audit_events; DELETE FROM app.audit_heads")
    verdict = await house.verify()
    assert (verdict["verdict"], verdict["checked"]) == ("UNVERIFIED", 0)


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (7, None, "the chain ends with event 6"),
        (7, 9, "the chain ends with event 6"),
        (3, 7, "the chain ends with event 6"),
        (None, 7, "the chain ends with event 6"),
        (5, 4, "the range has no event"),
        (None, 0, "the range has no event"),
    ],
)
async def test_a_range_that_the_chain_does_not_have_is_not_verified(
    house: House, first: int | None, last: int | None, reason: str
) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    verdict = await house.verify(first, last)
    found = {name: verdict[name] for name in ("verdict", "checked", "from_seq", "to_seq", "head_hash", "reason")}
    assert found == {
        "verdict": "UNVERIFIED", "checked": 0, "from_seq": 1, "to_seq": 6, "head_hash": None, "reason": reason,
    }  # fmt: skip


async def test_what_is_tampered_with_is_said_before_a_range_that_ends_too_late(house: House) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    async with house.meddling("audit_events") as owner:
        await owner.execute("UPDATE app.audit_events SET action = 'thing.forged' WHERE seq = 2")
    verdict = await house.verify(1, 500)
    assert (verdict["verdict"], verdict["first_broken_seq"]) == ("TAMPERED", 2)


async def test_a_range_in_a_tail_that_was_cut_is_tampered_with_while_the_head_remembers_it(house: House) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    async with house.meddling("audit_events") as owner:
        await owner.execute("DELETE FROM app.audit_events WHERE seq > 3")
    assert (await house.verify(6))["verdict"] == "TAMPERED"
    assert (await house.verify(5, 6))["verdict"] == "TAMPERED"


async def test_a_range_is_verified_from_the_event_before_it(house: House) -> None:
    await house.append(*(happened("made") for _ in range(6)))
    events = await house.events()
    verdict = await house.verify(3, 5)
    assert (verdict["verdict"], verdict["checked"], verdict["head_hash"]) == ("OK", 3, events[4]["hash"])
    assert (await house.verify(6))["checked"] == 1
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


async def test_a_changed_column_is_found_and_its_event_is_named(house: House) -> None:
    for number, (column, value) in enumerate(FLIPS.items()):
        other = await found(house.urls, f"house-{number}")
        await other.append(*(happened("made", number=number) for number in range(5)))
        async with other.meddling("audit_events", "audit_payloads") as owner:
            await owner.execute(
                f"UPDATE app.audit_events SET {column} = {value} WHERE seq = 3 AND organization_id = $1",
                other.organization,
            )
        verdict = await other.verify()
        assert (verdict["verdict"], verdict["first_broken_seq"]) == ("TAMPERED", 3), column
        assert "event 3" in verdict["reason"], column


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
    gone = await house.verify(1, 2)
    assert (gone["verdict"], gone["checked"], gone["reason"]) == ("UNVERIFIED", 0, "events up to 2 were pruned")
    assert (gone["from_seq"], gone["to_seq"]) == (3, 6)
    async with house.meddling("audit_events", "audit_heads") as owner:
        await owner.execute("UPDATE app.audit_heads SET pruned_hash = sha256('x')")
    assert (await house.verify())["first_broken_seq"] == 3


# ── what is on record stays ──────────────────────────────────────────────────────────────────────────────────────
ON_RECORD = ("audit_events", "audit_payloads", "audit_heads", "tool_calls", "tool_call_outcomes", "tool_call_payloads")


ATTEMPTS = (
    "UPDATE app.{0} SET organization_id = organization_id WHERE organization_id = '{1}'",
    "DELETE FROM app.{0} WHERE organization_id = '{1}'",
    "TRUNCATE app.{0} CASCADE",
)


@pytest.mark.parametrize("role", ["app_member", "app_observer", "app_admin", "app_auditor", "app_service", "none"])
async def test_no_login_changes_what_is_on_record(house: House, role: str) -> None:
    await house.append(happened("made", number=1))
    await house.record_tool_call()
    for table in ON_RECORD:
        for attempt in ATTEMPTS:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with house.acting(role) as connection:
                    await connection.execute(attempt.format(table, house.organization))


async def test_the_owner_is_refused_too(house: House) -> None:
    await house.append(happened("made", number=1))
    await house.record_tool_call()
    for table in ON_RECORD:
        async with house.meddling() as owner:
            await owner.execute(f"ALTER TABLE app.{table} NO FORCE ROW LEVEL SECURITY")
        for attempt in ATTEMPTS:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
                async with house.meddling() as owner:
                    await owner.execute(attempt.format(table, house.organization))


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
