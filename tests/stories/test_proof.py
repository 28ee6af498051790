"""Stories of admin and auditor: the proof of the log, and what is refused to everybody."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import superuser
from tests.stories.small_world import HERE, IDS, plant
from tests.stories.story import ask, is_refused

TASKLINE = "00000001-0003-4000-8000-000000000001"
BEYOND = 1_000  # other stories' reads are on record, too
ALICE = global_id("User", IDS["alice"])


# ── 18 Prove the log ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", ["ines", "olga", "service:taskline"])
async def test_who_is_neither_admin_nor_auditor_may_not_verify(ask_world: Client, who: str) -> None:
    answer = await ask(ask_world, "18_prove_the_log", who)
    assert is_refused(answer, "verifyAuditChain", "FORBIDDEN")


@pytest.mark.parametrize(("who", "organization"), [("dave", HERE), ("vera", TASKLINE)])
async def test_the_demo_worlds_chain_verifies(ask_world: Client, world: Urls, who: str, organization: str) -> None:
    async with superuser(world) as connection:
        head = await connection.fetchrow(
            "SELECT seq, encode(hash, 'hex') AS hash FROM app.audit_heads WHERE organization_id = $1", organization
        )
    found = (await ask(ask_world, "18_prove_the_log", who, b=str(head["seq"]))).data["verifyAuditChain"]
    assert found == {
        "ok": True, "verdict": "OK", "checked": str(head["seq"]), "fromSeq": "1", "toSeq": str(head["seq"]),
        "headHash": head["hash"], "firstBrokenSeq": None, "reason": None,
    }  # fmt: skip


async def test_a_stretch_of_the_chain_can_be_verified(ask_small: Client) -> None:
    found = (await ask(ask_small, "18_prove_the_log", "dave", a="5", b=9)).data["verifyAuditChain"]
    assert (found["verdict"], found["checked"], found["fromSeq"], found["toSeq"]) == ("OK", "5", "5", "9")


@pytest.mark.parametrize(
    ("first", "last", "argument"),
    [
        (BEYOND, None, "fromSeq"),
        (BEYOND, BEYOND, "fromSeq"),
        (40, BEYOND, "toSeq"),
        (None, BEYOND, "toSeq"),
    ],
)
async def test_what_the_chain_does_not_have_is_refused_by_name_and_never_proved(
    ask_small: Client, first: int | None, last: int | None, argument: str
) -> None:
    answer = await ask(ask_small, "18_prove_the_log", "dave", a=first, b=last)
    assert is_refused(answer, "verifyAuditChain", "BAD_USER_INPUT")
    assert answer.errors[0]["extensions"]["argument"] == argument
    assert re.search(r"the chain ends with event 4\d\.", answer.errors[0]["message"])


@pytest.mark.parametrize(("first", "last", "argument"), [(5, 4, "toSeq"), (0, 4, "fromSeq"), (None, 0, "toSeq")])
async def test_a_stretch_that_is_none_is_refused_by_name(
    ask_small: Client, first: int | None, last: int | None, argument: str
) -> None:
    answer = await ask(ask_small, "18_prove_the_log", "dave", a=first, b=last)
    assert is_refused(answer, "verifyAuditChain", "BAD_USER_INPUT")
    assert answer.errors[0]["extensions"]["argument"] == argument


async def test_one_event_is_verified_alone(ask_small: Client) -> None:
    found = (await ask(ask_small, "18_prove_the_log", "dave", a=40, b=40)).data["verifyAuditChain"]
    assert (found["ok"], found["verdict"], found["checked"]) == (True, "OK", "1")


async def test_a_chain_without_an_event_is_not_proved(urls: Urls, tmp_path: Path) -> None:
    await plant(urls, times=1)
    async with client_of(urls, tmp_path, EMBEDDER="none") as client, superuser(urls) as connection:
        for table in ("audit_payloads", "audit_events", "audit_heads"):
            await connection.execute(f"ALTER TABLE app.{table} DISABLE TRIGGER ALL; DELETE FROM app.{table}")
        found = (await ask(client, "18_prove_the_log", "dave")).data["verifyAuditChain"]
        assert (found["ok"], found["verdict"], found["checked"]) == (False, "UNVERIFIED", "0")
        refused = await ask(client, "18_prove_the_log", "dave", a=1)
        assert is_refused(refused, "verifyAuditChain", "BAD_USER_INPUT")


async def test_a_proof_costs_two_statements_whatever_the_length_of_the_chain(
    ask_world: Client, ask_small: Client, ask_tenfold: Client, ran: Callable[..., None]
) -> None:
    answers = [await ask(client, "18_prove_the_log", "dave") for client in (ask_small, ask_tenfold, ask_world)]
    assert {answer.data["verifyAuditChain"]["verdict"] for answer in answers} == {"OK"}
    assert {answer.statements for answer in answers} == {answers[0].statements}
    bounded = await ask(ask_small, "18_prove_the_log", "dave", a=1, b=9)
    ran("18_prove_the_log", {"dave": answers[0].statements, "dave, from 1 to 9": bounded.statements})


# What a superuser may do, the seq that is named, and how it is undone. 5 is a call that was recorded.
CALL = "(SELECT target_id FROM app.audit_events WHERE seq = 5)"
OUTCOME = "(SELECT target_id FROM app.audit_events WHERE seq = 25)"
FORGERIES = {
    "an event is edited": (5, "UPDATE app.audit_events SET action = 'x.y' WHERE seq = 5"),
    "an event gets another time": (
        7,
        "UPDATE app.audit_events SET occurred_at = occurred_at + interval '1 microsecond' WHERE seq = 7",
    ),
    "a read's details are edited": (41, "UPDATE app.audit_payloads SET payload = payload || ' '"),
    "a read's details are deleted": (41, "DELETE FROM app.audit_payloads"),
    "a tool call is edited": (
        5,
        f"UPDATE app.tool_calls SET tool_name = 'tool_1', ai_confidence = 0.5 WHERE id = {CALL}",
    ),
    "a call's payload is edited": (
        5,
        f"UPDATE app.tool_call_payloads SET payload = '{{}}' WHERE tool_call_id = {CALL} AND part = 'CALL'",
    ),
    "a call's payload is deleted": (
        5,
        f"DELETE FROM app.tool_call_payloads WHERE tool_call_id = {CALL} AND part = 'CALL'",
    ),
    "an outcome is edited": (
        25,
        f"UPDATE app.tool_call_outcomes SET status = 'SUCCESS' WHERE tool_call_id = {OUTCOME}",
    ),
    "an outcome is deleted": (25, f"DELETE FROM app.tool_call_outcomes WHERE tool_call_id = {OUTCOME}"),
    "a row in the middle is deleted": (9, "DELETE FROM app.audit_events WHERE seq = 9"),
    "the first row is deleted": (1, "DELETE FROM app.audit_events WHERE seq = 1"),
    "the tail is cut": (40, "DELETE FROM app.audit_events WHERE seq >= 40"),
}


async def test_what_a_superuser_forges_is_found_at_its_seq(urls: Urls, tmp_path: Path) -> None:
    await plant(urls, times=1)
    async with client_of(urls, tmp_path, EMBEDDER="none") as client, superuser(urls) as connection:
        await ask(client, "16_recent_tool_calls", "carol", u=ALICE)  # event 41: a read with details
        assert await connection.fetchval("SELECT max(seq) FROM app.audit_events") == 41
        for table in (*TABLES, "audit_payloads", "tool_call_payloads"):  # guards and foreign keys
            await connection.execute(f"ALTER TABLE app.{table} DISABLE TRIGGER ALL")
        for name, (seq, sql) in FORGERIES.items():
            async with undone(connection, sql):
                found = (await ask(client, "18_prove_the_log", "dave")).data["verifyAuditChain"]
                assert (name, found["ok"], found["verdict"], found["firstBrokenSeq"]) == (
                    name,
                    False,
                    "TAMPERED",
                    str(seq),
                )
                assert str(seq) in found["reason"]
            again = (await ask(client, "18_prove_the_log", "dave")).data["verifyAuditChain"]
            assert (name, again["verdict"], again["checked"]) == (name, "OK", "41")


@asynccontextmanager
async def undone(connection: Any, sql: str) -> AsyncIterator[None]:
    """Run one UPDATE or DELETE, and put the table back as it was afterwards."""
    words = sql.split()
    table = words[1] if words[0] == "UPDATE" else words[2]
    await connection.execute(f"CREATE TABLE public.kept AS SELECT * FROM {table}; {sql}")
    yield
    columns = await connection.fetchval(
        "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = $1::text::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    await connection.execute(
        f"DELETE FROM {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM public.kept; DROP TABLE public.kept"
    )


TABLES = ("audit_events", "tool_calls", "tool_call_outcomes")
COMMANDS = {
    "UPDATE": "UPDATE app.{} SET organization_id = organization_id",
    "DELETE": "DELETE FROM app.{}",
    "TRUNCATE": "TRUNCATE app.{} CASCADE",
}
LOGINS = {
    "api": ("app_member", "app_observer", "app_admin", "app_auditor"),
    "ingest": ("app_service",),
    "operator": ("none",),
    "migrator": ("minutebook_owner", "app_definer"),
}


@pytest.mark.parametrize(("login", "role"), [(login, role) for login, roles in LOGINS.items() for role in roles])
async def test_no_role_of_ours_changes_the_record(small: Urls, login: str, role: str) -> None:
    connection = await asyncpg.connect(getattr(small, login))
    try:
        for table in TABLES:
            for command, sql in COMMANDS.items():
                transaction = connection.transaction()
                await transaction.start()
                try:
                    if login == "migrator":
                        # The owner may lift row security from its tables; what refuses it then are the triggers.
                        lift = f"ALTER TABLE app.{table} NO FORCE ROW LEVEL SECURITY"
                        await connection.execute(f"SET LOCAL ROLE minutebook_owner; {lift}; SET LOCAL ROLE {role}")
                        await connection.execute(f"SET LOCAL app.organization_id = '{HERE}'")
                    else:
                        user = "" if login in {"ingest", "operator"} else IDS["carol"]
                        await connection.execute(
                            f"SELECT app.begin_request('{HERE}', '{user}', '{IDS['carol']}', '{role}', '-', 5000)"
                        )
                    with pytest.raises(asyncpg.PostgresError) as refused:
                        pytest.fail(f"{command} of {table}: {await connection.execute(sql.format(table))}")
                    assert refused.value.sqlstate == "42501", (command, table, refused.value)
                finally:
                    await transaction.rollback()
    finally:
        await connection.close()
