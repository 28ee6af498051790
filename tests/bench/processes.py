"""What the operating system says of a process and all that it started: CPU seconds, resident memory.

Children that ended are counted by their parent, so the sum only grows: two readings bound what lies between them.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def tree(root: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in _pids():
        stat = _stat(pid)
        if stat:
            children[int(stat[1])].append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, in seconds, to a hundredth."""
    # Fields 14 to 17 of proc(5), the third being the first after the name: own and reaped children's times.
    return sum(sum(map(int, stat[11:15])) for pid in tree(root) if (stat := _stat(pid))) / _TICKS


def resident_mb(root: int) -> float:
    """Resident memory of the tree in megabytes."""
    total = 0
    for pid in tree(root):
        try:
            lines = (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total / 1024


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
