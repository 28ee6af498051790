"""The offline verifier: what it finds in a file, what it does not claim, and that it needs nothing but a folder."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit_verifier.note import Checkpoint, PrivateKey
from audit_verifier.verify import Report, verify
from db.engine import Urls
from tests.db.audit_exports import EVENTS, KEY, Kept, exported, kept_in, read, signed, signer_in, verdict, write
from tests.db.audit_house import found, happened

ROOT = Path(__file__).parents[2]
PUBLIC = str(KEY.public)


@pytest.fixture(scope="module")
async def kept(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    async with kept_in(template, tmp_path_factory.mktemp("export")) as found_kept:
        yield found_kept


# ── untouched ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_another_organizations_checkpoints_prove_nothing_here(kept: Kept, tmp_path: Path) -> None:
    other = KEY.sign(Checkpoint(KEY.public.origin("018f4e3c-0000-7000-8000-000000000001"), 6, bytes(32)).text())
    (tmp_path / "notes").write_text(other + "\n")
    report = verify(kept.file, [PUBLIC], tmp_path / "notes")
    assert (report.verdict, report.code) == ("UNVERIFIABLE", 2)
    assert "no checkpoint of organization" in (report.reason or "")
    [size, root, label, *_] = kept.content[-1]["checkpoint"]
    same = Checkpoint(KEY.public.origin("018f4e3c-0000-7000-8000-000000000001"), size, bytes.fromhex(root))
    row = [size, root, label, KEY.sign(same.text()), 0]
    file = write(tmp_path / "export", [*kept.content[:-1], {"checkpoint": row}])
    assert verdict(file) == ("TAMPERED", 1, 13)


def test_an_untouched_export_is_ok(kept: Kept) -> None:
    assert verdict(kept.file, kept.notes) == ("OK", 0, None)
    report = verify(kept.file, [PUBLIC])
    assert (report.verdict, report.checked) == ("OK", EVENTS)
    assert any("without --checkpoint" in note for note in report.notes)
    assert kept.content[9][2] == "tool_call.recorded"
    assert kept.content[9][-1][-1] is not None


def test_the_thirty_lines_of_the_documentation_agree(kept: Kept, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "audit-format.md").read_text(encoding="utf-8")
    recipe = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [code] = recipe

    def run(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, file, PUBLIC], capture_output=True, text=True, check=False)

    said = run(kept.file)
    assert (said.returncode, said.stdout) == (0, "14 events, the last checkpoint covers 14\n"), said.stderr
    events = kept.events()
    for number in (0, 3, 13):
        altered = [list(event) for event in events]
        altered[number][2] = "thing.forged"
        assert f"AssertionError: {number + 1}" in run(kept.changed(tmp_path, altered)).stderr
    assert "AssertionError" in run(write(tmp_path / "cut", [*kept.content[:10], *kept.content[15:]])).stderr


def test_the_folder_alone_verifies(kept: Kept, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "audit_verifier", tmp_path / "audit_verifier", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import sys, runpy; sys.argv[0] = 'audit_verifier'\n"
        "try: runpy.run_module('audit_verifier', run_name='__main__')\n"
        "finally: print(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    arguments = [str(kept.file), "--key", PUBLIC, "--checkpoint", str(kept.notes)]
    said = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    *lines, modules = said.stdout.splitlines()
    assert lines[0].startswith("OK: 14 events")
    ours = {"api", "asyncpg", "db", "litestar", "migrations", "orjson", "pydantic", "sqlalchemy", "strawberry", "tests"}
    assert ours.isdisjoint(json.loads(modules.replace("'", '"')))
    altered = kept.events()
    altered[4][2] = "thing.forged"
    file = kept.changed(tmp_path, altered)
    said = subprocess.run(
        [sys.executable, "-m", "audit_verifier", file, "--key", PUBLIC], cwd=tmp_path, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (said.returncode, said.stdout.splitlines()[:2]) == (
        1,
        ["TAMPERED: a field of event 5 was changed", "first bad seq: 5"],
    )


# ── redacted, partial, unverifiable ──────────────────────────────────────────────────────────────────────────────
async def test_redacted_payloads_are_said_and_the_rest_is_as_it_was_written(urls: Urls, tmp_path: Path) -> None:
    house, signer = await found(urls, "house"), signer_in(tmp_path)
    await house.append(happened("made", secret="x"))
    await house.record_tool_call()
    await signed(house, signer)
    for count, table in ((1, "audit_payloads"), (3, "tool_call_payloads")):
        async with house.meddling(table) as owner:
            await owner.execute(f"UPDATE app.{table} SET payload = NULL, salt = NULL, redacted_at = now()")
        report = verify(await exported(house, tmp_path / "export"), [PUBLIC], signer.notes.path)
        assert (report.verdict, report.code) == ("REDACTED", 0)
        assert f"{count} payloads were redacted; their events are as they were written" in report.notes


async def test_a_range_and_what_pruning_left_are_verified_as_a_part(urls: Urls, tmp_path: Path) -> None:
    house, signer = await found(urls, "house"), signer_in(tmp_path)
    await house.append(*(happened("made") for _ in range(300)))
    await signed(house, signer)
    await house.append(*(happened("made") for _ in range(20)))
    await signed(house, signer)
    for first, last in ((2, 300), (256, 310), (257, None), (258, 300)):
        file = await exported(house, tmp_path / "part", first, last)
        report = verify(file, [PUBLIC], signer.notes.path)
        assert (report.code, report.verdict) == (2, "UNVERIFIABLE"), report.lines()
        assert "--partial" in (report.reason or "")
        report = verify(file, [PUBLIC], signer.notes.path, is_partial=True)
        assert (report.code, report.verdict) == (0, "PARTIAL"), report.lines()
        assert report.checked == (last or 320) - first + 1
        content = read(file)
        content[0]["before"]["nodes"][0] = bytes(32).hex()
        assert verdict(write(file, content), is_partial=True) == ("TAMPERED", 1, first)
    async with house.meddling("audit_events", "audit_heads") as owner:
        await owner.execute(
            "UPDATE app.audit_heads SET pruned_seq = 256, pruned_hash = (SELECT hash FROM app.audit_events WHERE seq = 256)"
        )
        await owner.execute("DELETE FROM app.audit_events WHERE seq <= 256")
    file = await exported(house, tmp_path / "pruned")
    report = verify(file, [PUBLIC], signer.notes.path)
    assert (report.code, "256 were pruned" in (report.reason or "")) == (2, True)
    report = verify(file, [PUBLIC], signer.notes.path, is_partial=True)
    assert (report.code, report.verdict, report.checked) == (0, "PARTIAL", 64), report.lines()


def unverifiable(report: Report) -> str:
    assert (report.verdict, report.code, report.first_bad_seq) == ("UNVERIFIABLE", 2, None), report.lines()
    return report.reason or ""


def test_what_cannot_be_verified_is_said_with_exit_code_2(kept: Kept, tmp_path: Path) -> None:
    other = str(PrivateKey.generate(KEY.name).public)
    assert "not signed by this key" in unverifiable(verify(kept.file, [other]))
    assert "no checkpoint of organization" in unverifiable(
        verify(kept.file, [str(PrivateKey.generate("b").public)], kept.notes)
    )
    assert "copied wrongly" in unverifiable(verify(kept.file, [PUBLIC.replace("minutebook.test", "minutebook")]))
    assert "cannot be used" in unverifiable(verify(kept.file, ["x"]))
    assert "cannot be read" in unverifiable(verify(tmp_path / "nowhere", [PUBLIC]))
    assert "cannot be read" in unverifiable(verify(kept.file, [PUBLIC], tmp_path / "nowhere"))
    bare = [kept.content[0] | {"checkpoints": []}, *kept.events()]
    assert "no checkpoint covers" in unverifiable(verify(write(tmp_path / "bare", bare), [PUBLIC]))
    content = kept.file.read_bytes()
    for wrong in (
        b"",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"format": "other/1"}\n',
        content.replace(b"export/1", b"export/2", 1),
    ):
        (tmp_path / "wrong").write_bytes(wrong)
        assert (
            "does not begin with" in (reason := unverifiable(verify(tmp_path / "wrong", [PUBLIC])))
            or "format" in reason
        )
    for size in (len(content) - 1, len(content) - 300, len(content) // 2):
        (tmp_path / "short").write_bytes(content[:size])
        assert "not a whole export" in unverifiable(verify(tmp_path / "short", [PUBLIC], kept.notes))
    few = write(tmp_path / "few", kept.content[:-1])
    assert "not all of its checkpoints" in unverifiable(verify(few, [PUBLIC]))
    (tmp_path / "notes").write_bytes(kept.notes.read_bytes().replace(b"\n12\n", b"\n13\n"))
    assert "notes, line" in unverifiable(verify(kept.file, [PUBLIC], tmp_path / "notes"))


def test_a_note_that_a_crash_cut_short_is_no_obstacle(kept: Kept, tmp_path: Path) -> None:
    notes = kept.notes.read_bytes()
    (tmp_path / "notes").write_bytes(notes + notes[:90])
    assert verdict(kept.file, tmp_path / "notes") == ("OK", 0, None)


def test_an_older_key_is_given_beside_the_new_one(kept: Kept, tmp_path: Path) -> None:
    new = PrivateKey.generate(KEY.name)
    text = kept.content[-1]["checkpoint"][3].partition("\n\n")[0] + "\n"
    row = [14, kept.content[-1]["checkpoint"][1], new.public.label, new.sign(text), 0]
    file = write(tmp_path / "export", [*kept.content[:-1], {"checkpoint": row}])
    assert verify(file, [PUBLIC]).code == 2
    assert verify(file, [PUBLIC, str(new.public)]).code == 0
