"""Signed checkpoints: what they say, where they go, and what is never signed."""

import asyncio
import base64
import hashlib
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit_verifier.note import Checkpoint
from db.audit import checkpoints
from db.audit.checkpoints import BrokenChainError, due
from db.audit.keeper import keep_signing, sign_due
from db.audit.notes import Notes, NotesError
from tests.db.audit_exports import KEY, root_of, signed, signer_in
from tests.db.audit_house import House, found, happened

NEXT = timedelta(0)


@pytest.fixture
async def house(urls: Any) -> House:
    return await found(urls, "house")


async def rows(house: House) -> list[Any]:
    async with house.acting("app_auditor") as connection:
        return list(await connection.fetch("SELECT * FROM app.audit_checkpoints ORDER BY tree_size"))


async def append(house: House, count: int) -> None:
    await house.append(*(happened("made") for _ in range(count)))


# ── what is signed ───────────────────────────────────────────────────────────────────────────────────────────────
async def test_another_organizations_checkpoints_are_its_own(house: House, tmp_path: Path) -> None:
    neighbour = await found(house.urls, "neighbour")
    await append(house, 2)
    await append(neighbour, 3)
    signer = signer_in(tmp_path)
    for each in (house, neighbour):
        await signed(each, signer)
    assert [(row["tree_size"], str(row["organization_id"])) for row in await rows(house)] == [(2, house.organization)]
    assert [row["tree_size"] for row in await rows(neighbour)] == [3]
    for each, size in ((house, 2), (neighbour, 3)):
        newest = Notes(signer.notes.path).newest(KEY.public.origin(each.organization))
        assert newest is not None
        assert newest.size == size


async def test_each_root_is_rfc_6962s_over_the_leaves_however_the_tree_grew(house: House, tmp_path: Path) -> None:
    signer, sizes, before = signer_in(tmp_path), (1, 2, 3, 7, 255, 256, 257, 511, 512, 700), 0
    for size in sizes:
        await append(house, size - before)
        assert (await signed(house, signer)).size == size
        before = size
    leaves = [event["leaf"] for event in await house.events()]
    stored = await rows(house)
    assert [(row["tree_size"], row["root_hash"]) for row in stored] == [(n, root_of(leaves[:n])) for n in sizes]
    blocks = b"".join(row["subtrees"] for row in stored)
    assert blocks == root_of(leaves[:256]) + root_of(leaves[256:512])
    assert await signed(house, signer) is None
    assert len(await rows(house)) == len(sizes)


async def test_what_is_seen_before_the_disk_has_it_is_left_to_the_next_checkpoint(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(house, 2)
    lock = checkpoints._LOCK
    # Between the commit that waits for the disk and the reading another event comes, as if its own writer still waited.
    monkeypatch.setattr(checkpoints, "_LOCK", f"WITH late AS ({lock}) SELECT pg_sleep(0.3), count(*) FROM late")
    signer = signer_in(tmp_path)
    checkpoint, _ = await asyncio.gather(signed(house, signer), _later(house))
    assert checkpoint.size == 2
    assert len(await house.events()) == 3
    assert (await signed(house, signer)).size == 3


async def _later(house: House) -> None:
    await asyncio.sleep(0.15)
    await append(house, 1)


async def test_a_note_is_what_its_specification_says(house: House, tmp_path: Path) -> None:
    await append(house, 3)
    signer = signer_in(tmp_path)
    await signed(house, signer)
    [row] = await rows(house)
    origin, size, root, empty, signature, end = row["note"].split("\n")
    assert (origin, size, empty, end) == (f"minutebook.test/{house.organization}", "3", "", "")
    assert base64.b64decode(root) == row["root_hash"]
    dash, name, encoded = signature.split(" ")
    assert (dash, name) == ("—", "minutebook.test")
    data, public = base64.b64decode(encoded), KEY.public.data
    assert data[:4] == hashlib.sha256(b"minutebook.test\n\x01" + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(data[4:], f"{origin}\n{size}\n{root}\n".encode())
    assert row["key_id"] == f"minutebook.test+{data[:4].hex()}"
    assert signer.notes.path.read_text() == row["note"] + "\n"
    assert stat.S_IMODE(signer.notes.path.stat().st_mode) == 0o600


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_chain_is_due_after_many_events_or_after_a_while(house: House, tmp_path: Path) -> None:
    connection = await asyncpg.connect(house.urls.operator)
    try:
        assert await due(connection, max_age=NEXT) == []
        await append(house, 3)
        assert await due(connection) == []
        assert await due(connection, max_events=3) == [house.organization]
        assert await due(connection, max_age=NEXT) == [house.organization]
        await signed(house, signer_in(tmp_path))
        assert await due(connection, max_events=1, max_age=NEXT) == []
        event = happened("imported") | {"occurred_at": "2020-01-01T00:00:00Z"}
        await house.append(event, role="none")
        assert await sign_due(connection, signer_in(tmp_path)) == (1, {})
    finally:
        await connection.close()


async def test_two_signers_at_once_make_one_checkpoint(house: House, tmp_path: Path) -> None:
    await append(house, 3)
    made = await asyncio.gather(*(signed(house, signer_in(tmp_path)) for _ in range(4)))
    assert [each.size for each in made if each] == [3]
    assert len(await rows(house)) == 1


async def test_what_is_appended_meanwhile_is_signed_next(house: House, tmp_path: Path) -> None:
    signer, is_done = signer_in(tmp_path), asyncio.Event()

    async def write() -> None:
        for _ in range(40):
            await append(house, 7)
        is_done.set()

    writing = asyncio.create_task(write())
    while not is_done.is_set():
        await signed(house, signer)
    await writing
    await signed(house, signer)
    leaves = [event["leaf"] for event in await house.events()]
    stored = await rows(house)
    assert stored[-1]["tree_size"] == 280
    assert all(row["root_hash"] == root_of(leaves[: row["tree_size"]]) for row in stored)


async def test_the_keeper_goes_on_after_its_connection_was_lost(house: House, tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    old = happened("imported") | {"occurred_at": "2020-01-01T00:00:00Z"}
    await house.append(old, role="none")
    keeping = asyncio.create_task(keep_signing(house.urls.operator, signer, every_s=0.05, again_s=0.5))
    try:
        await until(house, 1)
        admin = await asyncpg.connect(house.urls.bootstrap)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'minutebook_operator' AND datname = current_database()"
        )
        await admin.close()
        await house.append(old, role="none")
        await until(house, 2)
        assert not keeping.done()
    finally:
        keeping.cancel()
    assert [row["tree_size"] for row in await rows(house)] == [1, 2]


async def until(house: House, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await rows(house)) < count:  # noqa: ASYNC110 - another process would do it
            await asyncio.sleep(0.05)


# ── what is never signed ─────────────────────────────────────────────────────────────────────────────────────────
MADE_ANEW = """
DELETE FROM app.audit_checkpoints;
DELETE FROM app.audit_events WHERE seq > 2;
UPDATE app.audit_events SET leaf = sha256('x'), hash = app.audit_hash(prev_hash, 1, sha256('x')) WHERE seq = 1;
UPDATE app.audit_events SET prev_hash = (SELECT hash FROM app.audit_events WHERE seq = 1) WHERE seq = 2;
UPDATE app.audit_events SET hash = app.audit_hash(prev_hash, 2, leaf) WHERE seq = 2"""
UNSIGNABLE = {
    "an old event": ("UPDATE app.audit_events SET leaf = sha256('x') WHERE seq = 2", "first 4 events are not those"),
    "an old event is gone": ("DELETE FROM app.audit_events WHERE seq = 2", "event 2 is missing"),
    "all are gone": ("DELETE FROM app.audit_events", "event 1 is missing"),
    "a new event": ("UPDATE app.audit_events SET leaf = sha256('x') WHERE seq = 5", "event 5 does not continue"),
    "a new link": ("UPDATE app.audit_events SET prev_hash = sha256('x') WHERE seq = 6", "event 6 does not continue"),
    "a new event is gone": ("DELETE FROM app.audit_events WHERE seq = 5", "event 5 is missing"),
    "the checkpoint": ("UPDATE app.audit_checkpoints SET root_hash = sha256('x')", "first 4 events are not those"),
    "the checkpoint's row is gone, and the events made anew": (
        MADE_ANEW,
        "2 events; 4 were signed: is this an old backup?",
    ),
}


@pytest.mark.parametrize("case", UNSIGNABLE)
async def test_what_contradicts_the_last_checkpoint_is_not_signed(house: House, tmp_path: Path, case: str) -> None:
    statement, reason = UNSIGNABLE[case]
    signer = signer_in(tmp_path)
    await append(house, 4)
    await signed(house, signer)
    await append(house, 2)
    async with house.meddling("audit_events", "audit_checkpoints") as owner:
        await owner.execute("GRANT EXECUTE ON FUNCTION app.audit_hash(bytea, bigint, bytea) TO minutebook_owner")
        await owner.execute(statement)
    count, written = len(await rows(house)), signer.notes.path.read_bytes()
    with pytest.raises(BrokenChainError, match=reason.replace("?", r"\?")):
        await signed(house, signer)
    assert len(await rows(house)) == count
    assert signer.notes.path.read_bytes() == written


async def test_an_old_backup_is_not_signed_even_when_it_has_grown_past_the_last_note(
    house: House, tmp_path: Path
) -> None:
    signer = signer_in(tmp_path)
    neighbour = Checkpoint(KEY.public.origin(house.organization), 3, hashlib.sha256(b"what was").digest())
    signer.notes.append(KEY.sign(neighbour.text()))
    await append(house, 5)
    with pytest.raises(BrokenChainError, match="first 3 events are not those that were signed"):
        await signed(house, signer)


async def test_a_checkpoint_that_cannot_be_kept_outside_is_not_stored(house: House, tmp_path: Path) -> None:
    await append(house, 2)
    (tmp_path / "checkpoints.log").mkdir()
    with pytest.raises(NotesError):
        await signed(house, signer_in(tmp_path))
    assert await rows(house) == []


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────
INSERT = (
    "INSERT INTO app.audit_checkpoints (organization_id, tree_size, root_hash, subtrees, note, key_id)"
    " VALUES ('{}', 9, sha256('x'), '', 'note', 'key')"
)
ATTEMPTS = (
    "UPDATE app.audit_checkpoints SET note = note",
    "DELETE FROM app.audit_checkpoints",
    "TRUNCATE app.audit_checkpoints",
)
ROLES = ("app_member", "app_observer", "app_admin", "app_auditor", "app_service")


@pytest.mark.parametrize("role", ROLES)
async def test_no_login_of_the_api_writes_a_checkpoint(house: House, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with house.acting(role) as connection:
            await connection.execute(INSERT.format(house.organization))


@pytest.mark.parametrize("role", [*ROLES, "none"])
async def test_no_login_changes_a_checkpoint(house: House, tmp_path: Path, role: str) -> None:
    await append(house, 1)
    await signed(house, signer_in(tmp_path))
    for attempt in ATTEMPTS:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with house.acting(role) as connection:
                await connection.execute(attempt)


async def test_owner_and_superuser_are_refused_too(house: House, tmp_path: Path) -> None:
    await append(house, 1)
    await signed(house, signer_in(tmp_path))
    async with house.meddling() as owner:
        await owner.execute("ALTER TABLE app.audit_checkpoints NO FORCE ROW LEVEL SECURITY")
    for attempt in ATTEMPTS:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
            async with house.meddling() as owner:
                await owner.execute(attempt)
    superuser = await asyncpg.connect(house.urls.bootstrap)
    try:
        await superuser.execute("SET session_replication_role = replica")
        for attempt in ATTEMPTS:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stay as they were written"):
                await superuser.execute(attempt)
    finally:
        await superuser.close()
