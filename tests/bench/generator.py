"""A load generator for machines without wrk: raw HTTP/1.1 over kept connections, one request at a time on each.

`python -m tests.bench.generator http://host:port asked-file connections seconds`; prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import uvloop


async def _connection(address: str, requests: "cycle[bytes]", until: float, taken_s: list[float]) -> int:
    """Ask until the time is over; returns how many answers were no 200."""
    url = urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    failures = 0
    while (began := time.perf_counter()) < until:
        writer.write(next(requests))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0]))
        taken_s.append(time.perf_counter() - began)
        failures += b" 200 " not in head.partition(b"\r\n")[0] + b" "
    writer.close()
    return failures


async def _run(address: str, asked: str, connections: int, seconds: float) -> dict[str, float]:
    head, _, bodies = asked.partition("\n\n")
    path, *headers = head.splitlines()
    start = "\r\n".join([f"POST {path} HTTP/1.1", f"Host: {urlsplit(address).netloc}", *headers])
    requests = cycle(
        [f"{start}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode() for body in bodies.splitlines()]
    )
    taken_s: list[float] = []
    began = time.perf_counter()
    runs = (_connection(address, requests, began + seconds, taken_s) for _ in range(connections))
    failures = sum(await asyncio.gather(*runs))
    taken_s.sort()
    return {
        "requests": len(taken_s),
        "seconds": time.perf_counter() - began,
        "failures": failures,
        "p50_ms": taken_s[len(taken_s) // 2] * 1e3,
        "p99_ms": taken_s[len(taken_s) * 99 // 100] * 1e3,
    }


def main() -> None:
    """Run from the command line's four arguments."""
    address, asked, connections, seconds = sys.argv[1:5]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_run(address, Path(asked).read_text(encoding="utf-8"), int(connections), float(seconds)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
