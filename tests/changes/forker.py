"""A process that has imported everything and forks a serving process, as `minutebook serve` runs it, for each line on stdin.

The first line holds the settings and connections. When stdin ends, all that it forked ends too.
"""

import gc
import json
import os
import signal
import socket
import sys
import traceback

import uvicorn.lifespan.on
import uvicorn.protocols.http.httptools_impl  # noqa: F401
import uvloop  # noqa: F401

from api import app
from api.cli.server import serve_until_stopped
from api.schema import build_schema
from api.settings import Settings, load
from db.engine import Urls


def main() -> None:
    given = json.loads(sys.stdin.readline())
    settings, urls = load(given["environment"]), Urls(**given["urls"])
    schema = build_schema()
    vars(app)["build_schema"] = lambda: schema  # forked with the rest instead of built anew by each
    app.create_app(settings, urls)  # imports what an application imports late
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    try:
        while sys.stdin.readline():
            if os.fork() == 0:
                _serve(settings, urls)
    finally:
        os.killpg(0, signal.SIGKILL)


def _serve(settings: Settings, urls: Urls) -> None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(f"pid {os.getpid()}", flush=True)  # noqa: T201 - read by whoever asked for it
            serve_until_stopped(settings, urls, listener)
    except BaseException:  # noqa: BLE001 - a fork never returns to what it was forked from
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
