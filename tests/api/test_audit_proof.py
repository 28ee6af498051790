"""`auditProof`: who gets one, what it proves, and what it costs."""

import json
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.auth import OWN_ISSUER
from api.node import global_id
from audit_verifier.merkle import root_of_path
from audit_verifier.note import opened
from tests.client import Answer, Client
from tests.db.audit_exports import KEY, root_of, signed, signer_in
from tests.db.audit_house import House, found, happened

PROOF = "query($id: ID!) {auditProof(id: $id) {event {id seq action} leafHash path treeSize rootHash checkpoint}}"
PEOPLE = {"MEMBER": "ann", "OBSERVER": "olaf", "ADMIN": "adam", "AUDITOR": "audrey"}


@pytest.fixture
async def house(urls: Any) -> House:
    house = await found(urls, "house")
    connection = await asyncpg.connect(urls.operator)
    try:
        for role, subject in PEOPLE.items():
            user = str(uuid.uuid4())
            await connection.execute(
                f"INSERT INTO app.users (organization_id, id, role) VALUES ('{house.organization}', '{user}', '{role}');"
                f"INSERT INTO app.identities (organization_id, issuer, subject, user_id)"
                f" VALUES ('{house.organization}', '{OWN_ISSUER}', '{subject}', '{user}')"
            )
    finally:
        await connection.close()
    return house


async def append(house: House, count: int) -> list[str]:
    """Global ids of new events."""
    await house.append(*(happened("made", number=number) for number in range(count)))
    return [global_id("AuditEvent", str(event["id"])) for event in (await house.events())[-count:]]


async def ask(client: Client, event: str, who: str = "audrey") -> Answer:
    return await client.ask(PROOF, who, id=event)


def leads_to(proof: Any) -> bytes:
    path = [bytes.fromhex(node) for node in proof["path"]]
    return root_of_path(bytes.fromhex(proof["leafHash"]), int(proof["event"]["seq"]) - 1, int(proof["treeSize"]), path)


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_foreign_event_answers_like_an_invented_one(house: House, client: Client, tmp_path: Path) -> None:
    neighbour = await found(house.urls, "neighbour")
    [own], [foreign] = await append(house, 1), await append(neighbour, 1)
    for each in (house, neighbour):
        await signed(each, signer_in(tmp_path))
    answers = [await ask(client, each, "adam") for each in (foreign, global_id("AuditEvent", str(uuid.uuid4())))]
    assert answers[0].raw == answers[1].raw
    assert answers[0].data == {"auditProof": None}
    assert answers[0].statements == answers[1].statements
    assert (await ask(client, own, "adam")).data["auditProof"]["event"]["id"] == own


async def test_a_member_an_observer_and_a_service_are_refused_whatever_they_ask(
    house: House, client: Client, tmp_path: Path
) -> None:
    [event] = await append(house, 1)
    await signed(house, signer_in(tmp_path))
    for who in ("ann", "olaf", "service:house"):
        for each in (event, global_id("AuditEvent", str(uuid.uuid4()))):
            answer = await ask(client, each, who)
            assert (answer.body["data"], answer.codes) == ({"auditProof": None}, ["FORBIDDEN"])
            assert not [sql for sql in answer.statements if "audit_" in sql]
    anonymous = await client.post({"query": PROOF, "variables": {"id": event}}, None)
    assert anonymous.status == 401


@pytest.mark.parametrize("value", ["", "x", "1", global_id("ToolCall", str(uuid.UUID(int=7)))])
async def test_an_id_of_something_else_is_bad_input(house: House, client: Client, value: str) -> None:
    answer = await ask(client, value)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["argument"] == "id"


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_there_is_none_before_a_checkpoint_covers_the_event(house: House, client: Client, tmp_path: Path) -> None:
    [first] = await append(house, 1)
    assert (await ask(client, first)).data == {"auditProof": None}
    await signed(house, signer_in(tmp_path))
    [second] = await append(house, 1)
    assert (await ask(client, first)).data["auditProof"]["treeSize"] == "1"
    assert (await ask(client, second)).data == {"auditProof": None}
    await signed(house, signer_in(tmp_path))
    assert [(await ask(client, each)).data["auditProof"]["treeSize"] for each in (first, second)] == ["2", "2"]


async def test_every_proof_leads_to_the_root_that_was_signed(house: House, client: Client, tmp_path: Path) -> None:
    events: list[str] = []
    for size in (1, 2, 3, 5, 8, 255, 256, 257, 600):
        events += await append(house, size - len(events))
        await signed(house, signer_in(tmp_path))
        leaves = [event["leaf"] for event in await house.events()]
        for index in {0, 1, size // 2, size - 2, size - 1, 255, 256} & set(range(size)):
            answer = await ask(client, events[index])
            proof = answer.data["auditProof"]
            assert proof["event"] == {"id": events[index], "seq": str(index + 1), "action": "thing.made"}
            assert (proof["leafHash"], proof["treeSize"]) == (leaves[index].hex(), str(size))
            assert leads_to(proof) == root_of(leaves) == bytes.fromhex(proof["rootHash"])
            checkpoint = opened(proof["checkpoint"], [KEY.public])
            assert (checkpoint.size, checkpoint.root) == (size, root_of(leaves))
            assert checkpoint.origin == f"minutebook.test/{house.organization}"
            assert len(answer.statements) == 3


async def test_a_proof_reads_few_events_of_many(house: House, client: Client, tmp_path: Path) -> None:
    events = await append(house, 1_400)
    await signed(house, signer_in(tmp_path))
    answer = await ask(client, events[700])
    [sql] = [sql for sql in answer.statements if "leaf" in sql and "BETWEEN" in sql]
    async with house.acting("app_auditor") as connection:
        plan = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", house.organization, 513, 768, 1281, 1400
        )
    [found_plan] = json.loads(plan)
    assert found_plan["Plan"]["Actual Rows"] == 256 + 120
    assert "Seq Scan" not in plan


# ── tampered ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_proof_of_an_altered_event_leads_elsewhere(house: House, client: Client, tmp_path: Path) -> None:
    events = await append(house, 9)
    await signed(house, signer_in(tmp_path))
    async with house.meddling("audit_events") as owner:
        await owner.execute("UPDATE app.audit_events SET leaf = sha256('x') WHERE seq = 4")
    proofs = [(await ask(client, each)).data["auditProof"] for each in events]
    assert all(leads_to(proof).hex() != proof["rootHash"] for proof in proofs[:8])
    async with house.meddling("audit_events", "audit_payloads") as owner:
        await owner.execute("DELETE FROM app.audit_events WHERE seq = 4")
    assert (await ask(client, events[4])).data == {"auditProof": None}


async def test_the_verification_names_the_checkpoint_that_the_proof_does(
    house: House, client: Client, tmp_path: Path
) -> None:
    [*_, event] = await append(house, 4)
    await signed(house, signer_in(tmp_path))
    await append(house, 2)
    verified = await client.ask("{verifyAuditChain {verdict toSeq checkpoint}}", "audrey")
    assert verified.data["verifyAuditChain"] == {
        "verdict": "OK",
        "toSeq": "6",
        "checkpoint": (await ask(client, event)).data["auditProof"]["checkpoint"],
    }
    before = await client.ask("{verifyAuditChain(toSeq: 3) {checkpoint}}", "audrey")
    assert before.data["verifyAuditChain"] == {"checkpoint": None}
