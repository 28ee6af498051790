"""Signed notes: their keys, their every byte, and the file that they are kept in."""

import base64
from pathlib import Path

import pytest

from audit_verifier.note import Checkpoint, ForgedError, NoteError, PrivateKey, PublicKey, UnknownKeyError, opened
from db.audit.notes import Notes, NotesError
from tests.db.audit_exports import KEY


def test_a_key_survives_being_written_down_and_a_wrong_copy_is_refused() -> None:
    assert PrivateKey.parse(KEY.secret_text()) == KEY
    text = str(KEY.public)
    assert PublicKey.parse(text) == KEY.public
    assert KEY.seed.hex() not in repr(KEY)
    for wrong in (
        "",
        "minutebook",
        text[:-4],
        text.replace("minutebook", "minutebok"),
        KEY.secret_text(),
        f"a b{text}",
    ):
        with pytest.raises(ValueError, match=r"key|id"):
            PublicKey.parse(wrong)
    with pytest.raises(ValueError, match="name"):
        PrivateKey.generate("two words")


def test_every_byte_of_a_note_counts() -> None:
    note = KEY.sign(Checkpoint("minutebook.test/x", 12, bytes(32)).text())
    assert opened(note, [KEY.public]).size == 12
    for at in range(len(note)):
        for other in ("1", "A", "\n", chr(ord(note[at]) ^ 1)):
            changed = note[:at] + other + note[at + 1 :]
            if changed != note:
                with pytest.raises(NoteError):
                    opened(changed, [KEY.public])
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = note.rindex("=") - 1  # the two bits that no byte needs
    same = note[:last] + alphabet[alphabet.index(note[last]) ^ 1] + note[last + 1 :]
    assert base64.b64decode(same.split()[-1]) == base64.b64decode(note.split()[-1])
    with pytest.raises(NoteError):
        opened(same, [KEY.public])
    with pytest.raises(UnknownKeyError):
        opened(note, [PrivateKey.generate("minutebook.test").public])
    with pytest.raises(ForgedError):
        opened(note.replace("\n12\n", "\n13\n"), [KEY.public])


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_a_crash_left_of_a_note_is_cut_and_the_rest_stays(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    first, second = (KEY.sign(Checkpoint("minutebook.test/x", n, bytes(32)).text()) for n in (1, 2))
    notes.append(first)
    whole = notes.path.read_bytes()
    for length in range(len(second.encode()) + 1):
        notes.path.write_bytes(whole + second.encode()[:length])
        assert Notes(notes.path).newest("minutebook.test/x") == Checkpoint("minutebook.test/x", 1, bytes(32))
        notes.append(second)
        assert notes.path.read_bytes() == whole + second.encode() + b"\n"
    assert notes.newest("minutebook.test/x") == Checkpoint("minutebook.test/x", 2, bytes(32))


def test_a_file_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    notes.path.touch()
    notes.path.chmod(0o622)
    with pytest.raises(NotesError, match="others"):
        notes.append(KEY.sign(Checkpoint("minutebook.test/x", 1, bytes(32)).text()))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "notes")
    notes.path.write_text("once\n\n— upon a time\n\n")
    with pytest.raises(NotesError, match="not a checkpoint"):
        notes.newest("minutebook.test/x")
