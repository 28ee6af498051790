"""What files and process ids say of a PostgreSQL server: who holds its home, whether it is alive, whether it is ready."""

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Whether the descriptor's lock is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(file: Path) -> bool:
    """Whether somebody holds the lock of this file."""
    with file.open("rb") as lock:
        return not try_lock(lock.fileno())


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):  # a zombie answers too; where there is no /proc, it counts as alive
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return True


def pid_file(file: Path) -> list[str]:
    """Its lines: process id, data directory, start, port, socket's folder, address, memory key, status."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def is_ready(state: Sequence[str]) -> bool:
    """Whether the server of this pid file accepts connections."""
    return len(state) > 7 and state[7].strip() == "ready"
