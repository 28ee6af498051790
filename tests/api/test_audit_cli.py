"""`minutebook audit`: keys, checkpoints, exports, verification, and what the operator is told about them."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from api.cli import main
from audit_verifier.note import PrivateKey, PublicKey
from db.engine import Urls
from tests.db.audit_exports import KEY, read


class Said(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def minutebook(urls: Urls, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command over the test's own database, in dev."""
    environment = {
        "DATABASE_URL": urls.api,
        "INGEST_DATABASE_URL": urls.ingest,
        "OPERATOR_DATABASE_URL": urls.operator,
        "MIGRATOR_DATABASE_URL": urls.migrator,
        "MINUTEBOOK_HOME": str(tmp_path),
        "PORT": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AUDIT_SIGNING_KEY", "AUDIT_CHECKPOINT_FILE", "ENVIRONMENT", "HOST"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return Said(int(stopped.value.code or 0), output.out.strip(), output.err.strip())

    return run


@pytest.fixture
def acme(minutebook: Run) -> str:
    """An organization with four events on record."""
    organization = minutebook("organization", "create", "acme", "--name", "Acme").out
    for subject in ("ann", "bob", "eve"):
        assert minutebook("member", "add", "acme", "--subject", subject).code == 0
    return organization


def asked(url: str, sql: str) -> list[dict[str, Any]]:
    async def fetch() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(url)
        try:
            return [dict(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_public_key_is_of_the_key_that_was_made_once(minutebook: Run, tmp_path: Path) -> None:
    said = minutebook("audit", "key")
    assert PublicKey.parse(said.out).name == "minutebook"
    assert minutebook("audit", "key").out == said.out
    assert stat.S_IMODE((tmp_path / "audit-key").stat().st_mode) == 0o600
    assert PrivateKey.parse((tmp_path / "audit-key").read_text()).public == PublicKey.parse(said.out)


def test_a_given_key_is_used_and_never_printed(minutebook: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = minutebook("audit", "key", "--new", "audit.example.com/log")
    assert made.code == 0
    assert PrivateKey.parse(made.out).name == "audit.example.com/log"
    monkeypatch.setenv("AUDIT_SIGNING_KEY", made.out)
    said = minutebook("audit", "key")
    assert said.out == str(PrivateKey.parse(made.out).public)
    monkeypatch.setenv("AUDIT_SIGNING_KEY", made.out[:-9])
    refused = minutebook("audit", "key")
    assert (refused.code, made.out[-50:-9] in refused.err) == (2, False)
    assert refused.err.startswith("minutebook: AUDIT_SIGNING_KEY cannot be used")
    assert minutebook("audit", "key", "--new", "two words").code == 2


def test_without_a_key_in_production_nothing_is_signed_and_that_is_said(
    minutebook: Run, acme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "prod")
    for arguments in (("key",), ("checkpoint",)):
        said = minutebook("audit", *arguments)
        assert (said.code, said.err.partition(" is required")[0]) == (2, "minutebook: AUDIT_SIGNING_KEY")
    maintained = minutebook("maintain")
    assert (maintained.code, "AUDIT_SIGNING_KEY is not set" in maintained.err) == (0, True)
    assert not (tmp_path / "audit-key").exists()
    monkeypatch.setenv("AUDIT_SIGNING_KEY", KEY.secret_text())
    assert minutebook("audit", "checkpoint", "acme").out == "acme: 4 events signed"


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_chains_are_signed_when_asked_and_only_what_is_new(
    minutebook: Run, acme: str, urls: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutebook("organization", "create", "other", "--name", "Other")
    assert minutebook("audit", "checkpoint", acme).out == "acme: 4 events signed"
    assert minutebook("audit", "checkpoint").out == "acme: nothing new\nother: 1 events signed"
    nowhere = minutebook("audit", "checkpoint", "acme", "nowhere")
    assert (nowhere.code, "no organization 'nowhere'" in nowhere.err) == (2, True)
    rows = asked(urls.operator, "SELECT note FROM app.audit_checkpoints ORDER BY created_at")
    assert (tmp_path / "checkpoints.log").read_text() == "".join(f"{row['note']}\n" for row in rows)
    monkeypatch.setenv("AUDIT_CHECKPOINT_FILE", str(tmp_path / "elsewhere" / "notes"))
    minutebook("member", "add", "acme", "--subject", "joe")
    assert minutebook("audit", "checkpoint", "acme").out == "acme: 5 events signed"
    assert (tmp_path / "elsewhere" / "notes").read_text().count("\n\n") == 2


def test_a_chain_that_was_tampered_with_is_not_signed(minutebook: Run, acme: str, urls: Urls) -> None:
    assert urls.bootstrap is not None
    asked(urls.bootstrap, "ALTER TABLE app.audit_events DISABLE TRIGGER ALL")
    asked(urls.bootstrap, "UPDATE app.audit_events SET leaf = sha256('x') WHERE seq = 2")
    said = minutebook("audit", "checkpoint")
    assert (said.code, said.out) == (1, "")
    assert said.err == "minutebook: acme is not signed: event 2 does not continue the event before it"


def test_maintaining_signs_what_is_due_and_the_doctor_says_how_old_checkpoints_are(
    minutebook: Run, acme: str, urls: Urls
) -> None:
    assert urls.bootstrap is not None
    assert "acme never" in minutebook("doctor").out
    assert "signed" not in minutebook("maintain").out
    asked(urls.bootstrap, "ALTER TABLE app.audit_events DISABLE TRIGGER ALL")
    asked(urls.bootstrap, "UPDATE app.audit_events SET occurred_at = occurred_at - interval '2 hours'")
    said = minutebook("doctor")
    assert (said.code, "late: acme never; run minutebook maintain" in said.out) == (1, True)
    assert minutebook("maintain").out.endswith("1 audit chains signed")
    said = minutebook("doctor")
    assert (said.code, "acme 0 min ago" in said.out) == (0, True), said.out


# ── exports and their verification ───────────────────────────────────────────────────────────────────────────────
def test_an_export_is_on_record_and_verifies(minutebook: Run, acme: str, urls: Urls, tmp_path: Path) -> None:
    assert minutebook("audit", "export", "nowhere").code == 2
    key, file, notes = minutebook("audit", "key").out, tmp_path / "out.ndjson", tmp_path / "checkpoints.log"
    minutebook("audit", "checkpoint")
    exported = minutebook("audit", "export", "acme", "--out", file)
    assert (exported.code, exported.out) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    content = read(file)
    assert (content[0]["organization_id"], content[0]["checkpoints"], len(content)) == (acme, [4], 7)
    assert [row["action"] for row in asked(urls.operator, "SELECT action FROM app.audit_events ORDER BY seq")][-1:] == [
        "audit.exported"
    ]
    said = minutebook("audit", "verify", file, "--key", key, "--checkpoint", notes)
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            f"OK: 5 events of organization {acme}",
            "1 checkpoints agree, the last of 4 events",
            "events 5 to 5 are not covered by a checkpoint yet",
        ],
    )
    content[2][2] = "thing.forged"
    file.write_text("".join(json.dumps(line) + "\n" for line in content))
    said = minutebook("audit", "verify", file, "--key", key)
    assert (said.code, said.out) == (1, "TAMPERED: a field of event 2 was changed\nfirst bad seq: 2")
    assert minutebook("audit", "verify", tmp_path / "nowhere", "--key", key).code == 2
    assert minutebook("audit", "verify", file).code == 2


def test_an_export_goes_to_standard_output_and_progress_does_not(
    minutebook: Run, acme: str, urls: Urls, tmp_path: Path
) -> None:
    code = "from api.cli import main; main(['audit', 'export', 'acme', '--from', '2', '--to', '3'])"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=os.environ | {"PYTHONPATH": "."}
    )
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [line[0] for line in lines[1:]] == [2, 3]
    assert len(lines[0]["before"]["nodes"]) == 1
    for ends in (("--from", "4", "--to", "3"), ("--to", "99"), ("--from", "99"), ("--from", "0")):
        refused = minutebook("audit", "export", "acme", "--out", tmp_path / "none", *ends)
        assert refused.code == 2, ends
    assert not (tmp_path / "none").exists()
    cannot = minutebook("audit", "export", "acme", "--out", tmp_path / "no" / "where")
    assert (cannot.code, "cannot be written" in cannot.err) == (1, True)


def test_verifying_loads_neither_a_database_nor_an_api(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}\n")
    heavy = "{'asyncpg', 'sqlalchemy', 'strawberry', 'litestar', 'graphql', 'alembic', 'db'}"
    code = (
        f"import sys; from api.cli import main\n"
        f"try: main(['audit', 'verify', '{tmp_path / 'file'}', '--key', '{KEY.public}'])\n"
        f"finally: print(sorted({heavy} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 2, said.stderr
    assert said.stdout.splitlines()[-1] == "[]"
