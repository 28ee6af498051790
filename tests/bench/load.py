"""Load from a process of its own: wrk where it is installed, else our own generator. Both print one line of JSON."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.operations import Operation
from tests.bench.sides import ROOT, Side

SCRIPT: Final = Path(__file__).with_name("post.lua")


@dataclass(frozen=True)
class Load:
    """What a run did. Latencies are milliseconds."""

    requests: int
    seconds: float
    failures: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def driver() -> str:
    """The name of what makes the load, with its version."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return "tests.bench.generator"
    return (
        subprocess.run([wrk, "-v"], capture_output=True, text=True, check=False).stdout.split("[")[0].strip() or "wrk"
    )


def drive(operation: Operation, side: Side, *, connections: int, seconds: float, folder: Path) -> Load:
    """Ask one operation over and over. Raises RuntimeError when the driver itself fails."""
    asked = folder / f"{operation.name}.{side.name}.asked"
    if not asked.exists():
        headers = [f"{name}: {value}" for name, value in operation.headers(side.name).items()]
        bodies = [body.decode() for body in operation.bodies(side.name)]
        asked.write_text("\n".join([operation.path(side.name), *headers, "", *bodies]) + "\n", encoding="utf-8")
    count = operation.connections or connections
    address = f"http://127.0.0.1:{side.port}"
    wrk = shutil.which("wrk")
    if wrk:
        whole = max(1, round(seconds))
        command = [
            wrk,
            "-t1",
            f"-c{count}",
            f"-d{whole}s",
            "--timeout",
            "60s",
            "-s",
            str(SCRIPT),
            address,
            "--",
            str(asked),
        ]
        command += ["check"] if operation.name == "O7" else []
    else:
        command = [sys.executable, "-m", "tests.bench.generator", address, str(asked), str(count), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout)[-500:]}")
    return Load(**json.loads(lines[-1]))
