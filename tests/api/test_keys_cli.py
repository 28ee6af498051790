"""`minutebook keys`: thousands of provider keys wrapped anew, killed at any moment and resumed; none is ever lost."""

import asyncio
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from api.cli import main
from db.crypto import Address, Keyring, Sealed, hint_of
from db.engine import Urls
from db.types import Provider
from tests.databases import superuser

COMMAND: Final = "from api.cli import main; main()"
ORGANIZATIONS: Final = 3


def entry(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW = entry("old"), entry("new")


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Minutebook:
    """The command line over the test's own database."""

    def __init__(
        self, urls: Urls, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.urls = urls
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.environment = {
            "DATABASE_URL": urls.api,
            "INGEST_DATABASE_URL": urls.ingest,
            "OPERATOR_DATABASE_URL": urls.operator,
            "MIGRATOR_DATABASE_URL": urls.migrator,
            "MINUTEBOOK_HOME": str(home),
        }

    def __call__(self, *arguments: str, keyring: str | None) -> Said:
        with self._monkeypatch.context() as patch:
            patch.delenv("KEYRING", raising=False)
            for name, value in (self.environment | ({} if keyring is None else {"KEYRING": keyring})).items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as stopped:
                main(arguments)
        output = self._capsys.readouterr()
        return Said(int(stopped.value.code or 0), output.out.strip(), output.err.strip())

    def start(self, *arguments: str, keyring: str) -> "subprocess.Popen[bytes]":
        """The same in a process of its own, to be killed."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            env=os.environ | self.environment | {"KEYRING": keyring},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        async def fetch() -> list[dict[str, Any]]:
            async with superuser(self.urls) as connection:
                return [dict(row) for row in await connection.fetch(sql, *values)]

        return asyncio.run(fetch())


@pytest.fixture
def minutebook(
    urls: Urls, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Minutebook:
    return Minutebook(urls, tmp_path, capsys, monkeypatch)


def plant(minutebook: Minutebook, keyring: str, users: int) -> dict[str, str]:
    """A key at every provider for so many users of three organizations, sealed: what each row's id opens to."""
    ring, chance = Keyring.parse(keyring), Random(7)
    people, rows, known = [], [], {}
    organizations = [str(uuid.uuid4()) for _ in range(ORGANIZATIONS)]
    for number in range(users):
        home, user = organizations[number % ORGANIZATIONS], str(uuid.uuid4())
        people.append((home, user))
        for provider in Provider:
            address = Address(home, user, provider.value, str(uuid.uuid4()), chance.randint(1, 9))
            known[address.id] = secret = f"sk-{secrets.token_urlsafe(24)}"
            sealed, fingerprint = ring.seal(secret, address), ring.fingerprint(secret, home)
            rows.append(
                (home, address.id, user, provider.value, sealed.ciphertext, sealed.wrapped_key, sealed.key_id,
                 address.version, hint_of(secret), fingerprint)
            )  # fmt: skip

    async def write() -> None:
        async with superuser(minutebook.urls) as connection, connection.transaction():
            await connection.executemany(
                "INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES ($1, $2, $2, 'TEAM', 'UTC')",
                [(each, f"organization-{number}") for number, each in enumerate(organizations)],
            )
            await connection.execute("ALTER TABLE app.users DISABLE TRIGGER create_budgets")
            await connection.executemany(
                "INSERT INTO app.users (organization_id, id, role) VALUES ($1, $2, 'MEMBER')", people
            )
            await connection.execute("ALTER TABLE app.users ENABLE TRIGGER create_budgets")
            await connection.executemany(
                "INSERT INTO app.user_provider_keys (organization_id, id, user_id, provider, ciphertext, wrapped_key,"
                " key_id, key_version, hint, fingerprint) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                rows,
            )

    asyncio.run(write())
    return known


def opened(minutebook: Minutebook, keyring: str) -> dict[str, str]:
    """What the keyring makes of every row; the fingerprint must be its own too."""
    ring, found = Keyring.parse(keyring), {}
    for row in minutebook.rows("SELECT * FROM app.user_provider_keys WHERE key_id IS NOT NULL"):
        address = Address(row["organization_id"], row["user_id"], row["provider"], row["id"], row["key_version"])
        secret = ring.open(Sealed(row["ciphertext"], row["wrapped_key"], row["key_id"]), address)
        if row["key_id"] == ring.primary:
            assert row["fingerprint"] == ring.fingerprint(secret, row["organization_id"])
        found[row["id"]] = secret
    return found


def recorded(minutebook: Minutebook) -> list[str]:
    """The ids of rewrapped rows, as the chains have them; each chain must be whole."""
    for row in minutebook.rows("SELECT id FROM app.organizations"):
        [chain] = minutebook.rows(
            "SELECT v.verdict FROM (SELECT set_config('app.organization_id', $1, false)) AS c,"
            " LATERAL app.verify_audit_chain(NULL, NULL) AS v WHERE c IS NOT NULL",
            row["id"],
        )
        assert chain["verdict"] == "OK"
    payloads = minutebook.rows(
        "SELECT e.actor_role, convert_from(p.payload, 'UTF8') AS details FROM app.audit_events e"
        " JOIN app.audit_payloads p ON p.event_id = e.id WHERE e.action = 'provider_keys.rewrapped'"
    )
    assert {row["actor_role"] for row in payloads} <= {"OPERATOR"}
    return sorted(id_ for row in payloads for id_ in json.loads(row["details"])["ids"])


def old_ones(minutebook: Minutebook) -> int:
    [row] = minutebook.rows("SELECT count(*) FROM app.user_provider_keys WHERE key_id = 'old'")
    return int(row["count"])


def kill_at_random(minutebook: Minutebook, keyring: str, chance: Random, *arguments: str) -> bool:
    """Start a rotation, wait until rows move, and end it by SIGKILL a moment later; False when it was done before."""
    before = old_ones(minutebook)
    running = minutebook.start("keys", "rotate", *arguments, keyring=keyring)
    try:
        while running.poll() is None and old_ones(minutebook) == before:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))
        is_running = running.poll() is None
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGKILL)
    finally:
        running.wait(timeout=30)
    return is_running


# ── rotation ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_rotation_killed_at_random_moments_loses_no_key_and_goes_on(minutebook: Minutebook) -> None:
    users, kills = (
        int(os.environ.get("MINUTEBOOK_TEST_USERS", "600")),
        int(os.environ.get("MINUTEBOOK_TEST_KILLS", "3")),
    )
    known, both, chance = plant(minutebook, OLD, users), f"{NEW},{OLD}", Random(11)
    batch = str(max(users // 100, 1))
    killed = []
    for _ in range(kills):
        killed.append(kill_at_random(minutebook, both, chance, "--batch", batch))
        assert opened(minutebook, both) == known
    assert any(killed)
    left = old_ones(minutebook)
    assert 0 < left < len(known)
    said = minutebook("keys", "rotate", keyring=both)
    assert (said.code, said.out) == (0, f"{left:,} provider keys wrapped anew; new wraps {len(known):,}")
    assert opened(minutebook, NEW) == known
    assert recorded(minutebook) == sorted(known)
    assert minutebook("keys", "drop", "old", keyring=both) == (
        0,
        "nothing is wrapped by old: take it out of KEYRING",
        "",
    )


def test_nothing_is_rotated_twice_and_an_ended_rotation_changes_nothing(minutebook: Minutebook) -> None:
    known = plant(minutebook, OLD, 4)
    assert minutebook("keys", "rotate", "--batch", "1", keyring=f"{NEW},{OLD}").code == 0
    rows = "SELECT * FROM app.user_provider_keys ORDER BY id"
    before, events = minutebook.rows(rows), minutebook.rows("SELECT id FROM app.audit_events")
    assert len(events) == len(known)
    said = minutebook("keys", "rotate", keyring=f"{NEW},{OLD}")
    assert said.out == f"0 provider keys wrapped anew; new wraps {len(known)}"
    assert minutebook.rows(rows) == before
    assert len(minutebook.rows("SELECT id FROM app.audit_events")) == len(events)


def test_what_cannot_be_opened_and_the_demos_keys_stay_as_they_are(minutebook: Minutebook) -> None:
    known = plant(minutebook, OLD, 3)
    broken, demo, lost = sorted(known)[:3]
    minutebook.rows("UPDATE app.user_provider_keys SET wrapped_key = ciphertext WHERE id = $1", broken)
    minutebook.rows("UPDATE app.user_provider_keys SET key_id = 'demo' WHERE id = $1", demo)
    minutebook.rows("UPDATE app.user_provider_keys SET key_id = 'lost' WHERE id = $1", lost)
    untouched = "SELECT * FROM app.user_provider_keys WHERE id = ANY ($1) ORDER BY id"
    before = minutebook.rows(untouched, [broken, demo, lost])
    for rewrapped in (9, 0):
        said = minutebook("keys", "rotate", "--batch", "2", keyring=f"{NEW},{OLD}")
        assert said.code == 1
        assert said.out == f"{rewrapped} provider keys wrapped anew; new wraps 9\n1 of the demo world skipped"
        assert f"does not open, must be set again: {broken}" in said.err
        assert said.err.endswith("minutebook: provider keys are still wrapped by old (1), lost (1)")
    assert minutebook.rows(untouched, [broken, demo, lost]) == before
    assert broken not in recorded(minutebook)


# ── what the keyring may lose ────────────────────────────────────────────────────────────────────────────────────────
def test_a_key_in_use_may_not_be_dropped_nor_the_one_that_seals(minutebook: Minutebook) -> None:
    plant(minutebook, OLD, 3)
    said = minutebook("keys", "drop", "old", keyring=f"{NEW},{OLD}")
    assert (said.code, said.err) == (1, "minutebook: old still wraps 12 provider keys: minutebook keys rotate first")
    assert minutebook("keys", "drop", "old", keyring=NEW).code == 1
    assert minutebook("keys", "drop", "new", keyring=f"{NEW},{OLD}").code == 1
    unknown = minutebook("keys", "drop", "odl", keyring=f"{NEW},{OLD}")
    assert (unknown.code, "'odl'" in unknown.err) == (2, True)
    minutebook("keys", "rotate", keyring=f"{NEW},{OLD}")
    assert minutebook("keys", "drop", "old", keyring=f"{NEW},{OLD}").code == 0


def test_the_list_and_the_doctor_say_what_the_keyring_lacks(minutebook: Minutebook) -> None:
    plant(minutebook, OLD, 3)
    assert minutebook("keys", "list", keyring=f"{NEW},{OLD}").out.splitlines() == [
        "new          0  seals",
        "old         12  opens",
    ]
    assert "old         12  MISSING" in minutebook("keys", "list", keyring=NEW).out
    line = next(each for each in minutebook("doctor", keyring=NEW).out.splitlines() if "keyring" in each)
    assert line.startswith("FAILED")
    assert "KEYRING lacks old (12)" in line
    line = next(each for each in minutebook("doctor", keyring=OLD).out.splitlines() if "keyring" in each)
    assert line.startswith("passed")
    known_nowhere = minutebook("doctor", keyring=None)
    assert "KEYRING lacks old (12)" in known_nowhere.out
    assert not (Path(minutebook.environment["MINUTEBOOK_HOME"]) / "keyring").exists()


def test_rotating_without_a_keyring_is_one_line_that_names_it(minutebook: Minutebook) -> None:
    for arguments in (("rotate",), ("drop", "old")):
        said = minutebook("keys", *arguments, keyring=None)
        assert (said.code, said.err) == (2, "minutebook: KEYRING is required for this command")
    said = minutebook("keys", "rotate", keyring="old:hunter2")
    assert (said.code, said.out) == (2, "")
    assert "hunter2" not in said.err
    assert minutebook("keys", "rotate", "--batch", "0", keyring=OLD).code == 2
