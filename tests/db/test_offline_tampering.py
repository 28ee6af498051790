"""What was tampered with is found, in the file and behind the database's functions, and named by its seq."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit_verifier.export import COLUMNS
from audit_verifier.note import Checkpoint, PrivateKey
from audit_verifier.verify import verify
from db.engine import Urls
from tests.db.audit_exports import (
    EVENTS,
    KEY,
    Kept,
    exported,
    flipped,
    flipped_payload,
    kept_in,
    leaf_of,
    made_anew,
    signed,
    signer_in,
    verdict,
    write,
)
from tests.db.audit_house import found, happened
from tests.db.test_audit_tampering import FLIPS, MEDDLED, RECORD_CHANGES

PUBLIC = str(KEY.public)


@pytest.fixture(scope="module")
async def kept(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kept]:
    async with kept_in(template, tmp_path_factory.mktemp("export")) as found_kept:
        yield found_kept


# ── tampered: one value ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("column", [name for name in COLUMNS if name not in {"details", "record"}])
@pytest.mark.parametrize("at", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_flipped_byte_of_any_column_is_found_at_its_event(kept: Kept, tmp_path: Path, column: str, at: float) -> None:
    for number in (0, 2, 6, 8, 13):
        events = kept.events()
        place = COLUMNS.index(column)
        events[number][place] = flipped(events[number][place], at)
        assert events != kept.events()
        name, code, seq = verdict(kept.changed(tmp_path, events), kept.notes)
        assert (name, code) == ("TAMPERED", 1)
        assert seq == number + 1 or (column == "seq" and seq == events[number][0])


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 1.0])
def test_a_flipped_byte_of_details_or_of_a_tool_call_is_found_at_its_event(
    kept: Kept, tmp_path: Path, at: float
) -> None:
    details, record = COLUMNS.index("details"), COLUMNS.index("record")
    for number, place in ((0, details), (10, details), (8, record), (9, record)):
        value = kept.events()[number][place]
        changes: list[Any] = [None]
        payload = value if place == details else value[-1]
        other_payloads = [flipped_payload(payload, at), [flipped(payload[0], at), *payload[1:]], [None, None, None]]
        changes += other_payloads if place == details else [[*value[:-1], each] for each in (None, *other_payloads)]
        if place == record:
            changes += [[*value[:n], flipped(value[n], at), *value[n + 1 :]] for n in range(len(value) - 1)]
        for change in changes:
            events = kept.events()
            events[number][place] = change
            assert verdict(kept.changed(tmp_path, events), kept.notes) == ("TAMPERED", 1, number + 1), change


@pytest.mark.parametrize("column", ["id", "actor_id", "target_id", "target_digest", "payload_digest"])
def test_a_value_of_another_length_is_not_read_as_its_neighbours_bytes(kept: Kept, tmp_path: Path, column: str) -> None:
    place = COLUMNS.index(column)
    for change in ("00", ""):
        events = kept.events()
        events[8][place] = (events[8][place] or "00" * 32) + change if change else (events[8][place] or "00" * 32)[:-2]
        report = verify(kept.changed(tmp_path, events), [PUBLIC])
        assert (report.first_bad_seq, report.reason) == (9, "event 9 cannot be read")


def test_details_and_records_that_were_never_there_are_found(kept: Kept, tmp_path: Path) -> None:
    details, record = COLUMNS.index("details"), COLUMNS.index("record")
    for place in (details, record):
        events = kept.events()
        events[6][place] = kept.events()[0][details] if place == details else kept.events()[8][record]
        assert verdict(kept.changed(tmp_path, events)) == ("TAMPERED", 1, 7)


# ── tampered: whole rows ─────────────────────────────────────────────────────────────────────────────────────────
def test_deleted_inserted_swapped_and_doubled_rows_are_found(kept: Kept, tmp_path: Path) -> None:
    for number in range(EVENTS):
        events = kept.events()
        del events[number]
        assert verdict(kept.changed(tmp_path, events), kept.notes) == ("TAMPERED", 1, number + 1)
        events = kept.events()
        events.insert(number, events[number])
        assert verdict(kept.changed(tmp_path, events), kept.notes)[:2] == ("TAMPERED", 1)
        if number:
            events = kept.events()
            events[number - 1], events[number] = events[number], events[number - 1]
            assert verdict(kept.changed(tmp_path, events), kept.notes) == ("TAMPERED", 1, number)
    events = [*kept.events(), kept.events()[-1]]
    assert verdict(kept.changed(tmp_path, events), kept.notes) == ("TAMPERED", 1, 15)


def cut(content: list[Any], count: int, *, checkpoints: bool) -> list[Any]:
    """An export of the first events alone, with a header that says that there are no more."""
    columns = content[0]["columns"]
    last = dict(zip(columns, content[count], strict=True))
    rows = [line for line in content[1 + EVENTS :] if line["checkpoint"][0] <= count] if checkpoints else []
    sizes = [row["checkpoint"][0] for row in rows]
    header = {"to_seq": count, "head": {"seq": count, "hash": last["hash"]}, "checkpoints": sizes}
    return [content[0] | header, *content[1 : 1 + count], *rows]


def test_a_cut_tail_and_an_old_backup_are_found_by_what_was_kept_elsewhere(kept: Kept, tmp_path: Path) -> None:
    for count in range(1, EVENTS):
        file = write(tmp_path / "cut", cut(kept.content, count, checkpoints=True))
        assert verdict(file, kept.notes) == ("TAMPERED", 1, count + 1)
        assert verdict(file, kept.notes, is_partial=True) == ("TAMPERED", 1, count + 1)
        assert verdict(file)[1] == (0 if count >= 6 else 2)
    with_checkpoints = [*cut(kept.content, 13, checkpoints=False), kept.content[-1]]
    with_checkpoints[0]["checkpoints"] = [14]
    assert verdict(write(tmp_path / "cut", with_checkpoints)) == ("TAMPERED", 1, 14)


def test_a_chain_made_anew_is_found_between_the_checkpoints_that_disagree(kept: Kept, tmp_path: Path) -> None:
    for number, first_bad in ((0, 1), (5, 1), (6, 7), (11, 7), (12, 13), (13, 13)):
        content = [kept.content[0], *kept.events()]
        content[number + 1][2] = "thing.forged"
        content[number + 1][COLUMNS.index("record")] = None
        content[number + 1][COLUMNS.index("target_digest")] = None
        forged = made_anew(content)
        file = write(tmp_path / "anew", forged)
        assert verdict(file, kept.notes) == ("TAMPERED", 1, first_bad)
        assert verdict(file)[0] == "UNVERIFIABLE"
        forged[0]["checkpoints"] = [6, 12, 14]
        assert verdict(write(tmp_path / "anew", [*forged, *kept.content[-3:]])) == ("TAMPERED", 1, first_bad)
    longer = made_anew([kept.content[0], *kept.events()[:5], *kept.events()[6:], kept.events()[6], kept.events()[7]])
    assert verdict(write(tmp_path / "anew", longer), kept.notes) == ("TAMPERED", 1, 1)


def test_a_forger_cannot_sign(kept: Kept, tmp_path: Path) -> None:
    forger = PrivateKey.generate(KEY.name)
    forged = made_anew([kept.content[0], *kept.events()[:4]])
    root = bytes(32)
    note = forger.sign(Checkpoint(forger.public.origin(forged[0]["organization_id"]), 4, root).text())
    forged[0]["checkpoints"] = [4]
    file = write(tmp_path / "forged", [*forged, {"checkpoint": [4, root.hex(), forger.public.label, note, 0]}])
    assert verdict(file) == ("UNVERIFIABLE", 2, None)
    text, _, line = note.rpartition(" ")
    signature = base64.b64encode(KEY.public.key_id + base64.b64decode(line)[4:]).decode()
    named = f"{text} {signature}\n"
    file = write(tmp_path / "forged", [*forged, {"checkpoint": [4, root.hex(), KEY.public.label, named, 0]}])
    assert verdict(file) == ("TAMPERED", 1, 1)


def test_every_value_of_a_checkpoints_row_counts(kept: Kept, tmp_path: Path) -> None:
    row = kept.content[-1]["checkpoint"]
    for place in range(4):
        for at in (0.0, 0.4, 0.99):
            changed = [*row[:place], flipped(row[place], at), *row[place + 1 :]]
            file = write(tmp_path / "export", [*kept.content[:-1], {"checkpoint": changed}])
            assert verify(file, [PUBLIC]).code != 0, changed


# ── tampered: by chance ──────────────────────────────────────────────────────────────────────────────────────────
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_random_change_of_a_line_passes(kept: Kept, tmp_path: Path, data: st.DataObject) -> None:
    lines = kept.file.read_bytes().splitlines(keepends=True)
    number = data.draw(st.integers(1, EVENTS))
    line = bytearray(lines[number])
    at = data.draw(st.integers(0, len(line) - 2))
    line[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    lines[number] = bytes(line)
    file = tmp_path / "changed"
    file.write_bytes(b"".join(lines))
    report = verify(file, [PUBLIC], kept.notes)
    if means_the_same(bytes(line), kept.content[number]):
        assert report.code == 0
    else:
        assert (report.code, report.verdict) == (1, "TAMPERED"), bytes(line)
        assert report.first_bad_seq is not None
        assert report.first_bad_seq in {number, number + 1} or b"\n" in line[:-1] or report.first_bad_seq <= number


def in_small_letters(text: str) -> str:
    """A uuid, which means the same in capitals; any other text as it is."""
    return text.lower() if len(text) == len("018f4e3c-0000-7000-8000-000000000001") else text


def means_the_same(line: bytes, original: list[Any]) -> bool:
    """Another way to write the same bytes: a letter of a uuid or of a salt in capitals, a space between values.

    A digest that is computed again is compared as it is written: in capitals it is another one.
    """
    try:
        value = json.loads(line)
    except ValueError:
        return False

    def opened(payload: list[Any] | None) -> Any:
        return payload and (bytes.fromhex(payload[0]), base64.b64decode(payload[1], validate=True), payload[2])

    def plain(row: list[Any]) -> Any:
        event = dict(zip(COLUMNS, row, strict=True))
        leaf = leaf_of("018f4e3c-0000-7000-8000-000000000001", event)
        record = event["record"] and [in_small_letters(str(each)) for each in event["record"][:-1]]
        digests = event["details"] and event["payload_digest"], event["record"] and event["target_digest"]
        return (
            leaf,
            row[0],
            row[11:14],
            digests,
            opened(event["details"]),
            record,
            opened(event["record"] and row[-1][-1]),
        )

    try:
        return bool(plain(value) == plain(original))
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_random_rearrangement_passes(kept: Kept, tmp_path: Path, data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, EVENTS - 1), max_size=EVENTS + 3))
    if order == list(range(EVENTS)):
        return
    rows = kept.events()
    events = [rows[n] for n in order]
    first_bad = next((n for n, row in enumerate(order) if row != n), len(order)) + 1
    report = verify(kept.changed(tmp_path, events), [PUBLIC], kept.notes)
    assert (report.verdict, report.code) == ("TAMPERED", 1)
    assert report.first_bad_seq is not None
    assert report.first_bad_seq <= first_bad
    assert report.first_bad_seq == first_bad or order[first_bad - 1] + 1 == report.first_bad_seq


# ── in the database ──────────────────────────────────────────────────────────────────────────────────────────────
FLIPPED = {name: f"UPDATE app.audit_events SET {name} = {value} WHERE seq = 3" for name, value in FLIPS.items()}
MEDDLING = {name: statement for name, (statement, _) in (MEDDLED | RECORD_CHANGES).items()} | FLIPPED
TABLES = ("audit_events", "audit_payloads", "audit_heads", "tool_calls", "tool_call_outcomes", "tool_call_payloads")


@pytest.mark.parametrize("case", MEDDLING)
async def test_the_file_shows_what_the_database_shows(urls: Urls, tmp_path: Path, case: str) -> None:
    house = await found(urls, "house")
    if case in RECORD_CHANGES:
        await house.record_tool_call()
    else:
        await house.append(*(happened("made", number=number) for number in range(4)), {"action": "thing.bare"})
    await signed(house, signer_in(tmp_path))
    async with house.meddling(*TABLES) as owner:
        await owner.execute(MEDDLING[case])
    said = await house.verify()
    file = await exported(house, tmp_path / "export")
    assert verdict(file) == ("TAMPERED", 1, said["first_broken_seq"])
    assert verify(file, [PUBLIC]).reason == said["reason"]


@pytest.mark.parametrize("column", ["payload_digest", "target_digest", "leaf", "prev_hash", "hash"])
def test_a_digest_in_capitals_is_not_the_one_that_was_recorded(kept: Kept, tmp_path: Path, column: str) -> None:
    changed = 0
    for number, row in enumerate(kept.content[1 : EVENTS + 1], start=1):
        event = dict(zip(COLUMNS, row, strict=True))
        is_computed = {"payload_digest": event["details"], "target_digest": event["record"]}.get(column, True)
        if not is_computed or event[column] == event[column].upper():
            continue
        lines = kept.file.read_bytes().splitlines(keepends=True)
        lines[number] = lines[number].replace(event[column].encode(), event[column].upper().encode(), 1)
        file = tmp_path / "capitals"
        file.write_bytes(b"".join(lines))
        assert not means_the_same(lines[number], row)
        assert verify(file, [PUBLIC], kept.notes).code == 1
        changed += 1
    assert changed
