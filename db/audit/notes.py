"""The file of checkpoints outside the database: only ever appended to, on disk before the database has the row.

Whoever can write the database cannot make it forget: what stands here was true once. Keep a copy on another machine.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from audit_verifier.note import Checkpoint, NoteError, notes_in

# A note whose line of a signature is whole, and the empty line that ends its block.
_WHOLE: Final = re.compile(rb"\n\n(\xe2\x80\x94 [^\n]+\n)+\n")
_TAIL: Final = 65_536


class NotesError(RuntimeError):
    """The file of checkpoints cannot be used, or is not one."""


class Notes:
    """One file. `newest` remembers what it has read: a process that lives long reads each note once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._newest: dict[str, Checkpoint] = {}
        self._read_to = 0

    def newest(self, origin: str) -> Checkpoint | None:
        """The largest checkpoint of this origin. Raises NotesError."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NotesError(f"{self.path} cannot be read: {error.strerror}") from None
        end = _end_of_notes(content)
        for checkpoint in self._parsed(content[:end]):
            before = self._newest.get(checkpoint.origin)
            if before is None or before.size < checkpoint.size:
                self._newest[checkpoint.origin] = checkpoint
        self._read_to += end
        return self._newest.get(origin)

    def _parsed(self, content: bytes) -> Iterator[Checkpoint]:
        try:
            for _, note in notes_in(content.decode().splitlines(keepends=True)):
                if note is not None:
                    yield Checkpoint.parse(note)
        except (UnicodeDecodeError, NoteError) as error:
            raise NotesError(f"{self.path} has something that is not a checkpoint: {error}") from None

    def append(self, note: str) -> None:
        """Write the note and an empty line, to the disk. Raises NotesError when that is not certain."""
        try:
            with self._locked() as (file, is_new):
                _cut_torn(file)
                data = memoryview(f"{note}\n".encode())
                while data:
                    data = data[os.write(file, data) :]
                os.fsync(file)
                if is_new:
                    _sync_folder(self.path.parent)
        except OSError as error:
            raise NotesError(f"{self.path} cannot be written: {error.strerror}") from None

    @contextmanager
    def _locked(self) -> Iterator[tuple[int, bool]]:
        is_new = not self.path.exists()
        if is_new:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_mode & 0o022:
                raise NotesError(f"{self.path} can be written by others: chmod 600 it")
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file, is_new
        finally:
            os.close(file)


def _end_of_notes(content: bytes) -> int:
    """Where the last whole note ends."""
    end = 0
    for found in _WHOLE.finditer(content):
        end = found.end()
    return end


def _cut_torn(file: int) -> None:
    """Remove what a crash left of a last note: it was on no disk when the crash came, so nobody was told of it."""
    size = os.fstat(file).st_size
    start = max(0, size - _TAIL)
    end = start + _end_of_notes(os.pread(file, size - start, start))
    if start and end == start:
        raise NotesError("the end of the file is not a checkpoint")
    if end < size:
        os.ftruncate(file, end)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
