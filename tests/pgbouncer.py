"""A PgBouncer in transaction mode in front of a test's server: its own process, user, socket and folder."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest

from db.embedded import EmbeddedServer
from db.engine import Urls
from db.postgres_programs import Programs, unprivileged_account
from tests.missing import missing

PORT: Final = 6432  # names the socket; nothing listens on a network
_START_ATTEMPTS: Final = 500

_CONFIGURATION: Final = """
[databases]
* = host={server} port={server_port}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
max_db_connections = 0
"""


def program() -> Path:
    """PgBouncer's program. Skips the test where it is not installed, and fails it on CI, which installs it."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        missing("PgBouncer is not installed: apt-get install pgbouncer")
    return Path(found)


@asynccontextmanager
async def pgbouncer(server: EmbeddedServer, urls: Urls, *, size: int) -> AsyncIterator[Urls]:
    """URLs of the same logins and database through PgBouncer, which has `size` connections to the server for each."""
    binary = program()
    account = unprivileged_account(server.data) if os.geteuid() == 0 else None  # it refuses root, as PostgreSQL does
    runner = Programs(binary.parent, account)
    # The system's own folder: a socket's path is short, and whom PgBouncer runs as must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="minutebook-", dir="/tmp"))
    # Handed over as an open folder: the server's socket lies below folders that the account may not enter.
    data = os.open(server.data, os.O_RDONLY | os.O_DIRECTORY)
    process = watchdog = None
    try:
        _configure(folder, server, urls, data, size)
        if account:
            for path in (folder, folder / "ini", folder / "users"):
                os.chown(path, account.uid, account.gid)
        with (folder / "log").open("wb") as log:
            process = runner.spawn([binary.name, str(folder / "ini")], [data], stdin=subprocess.DEVNULL, output=log)
        watchdog = runner.watch(process)
        through = replace(urls, api=_through(urls.api, folder), ingest=_through(urls.ingest, folder))
        await _answers(through.api, process, folder / "log")
        yield through
    finally:
        if watchdog is not None:
            watchdog.kill()
            watchdog.communicate()
        if process is not None:
            process.kill()
            process.wait()
        os.close(data)
        shutil.rmtree(folder)


def _configure(folder: Path, server: EmbeddedServer, urls: Urls, data: int, size: int) -> None:
    (folder / "ini").write_text(
        _CONFIGURATION.format(
            server=f"/proc/self/fd/{data}", server_port=server.port, port=PORT, folder=folder, size=size
        )
    )
    logins = [urlsplit(url) for url in (urls.api, urls.ingest)]
    users = [f'"{login.username}" "{unquote(login.password or "")}"\n' for login in logins]
    (folder / "users").write_text("".join(users))
    (folder / "users").chmod(0o600)


def _through(url: str, folder: Path) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return f"{parts.scheme}://{login}@{parts.path}?host={quote(str(folder))}&port={PORT}"


async def _answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_START_ATTEMPTS):
        try:
            connection = await asyncpg.connect(url, statement_cache_size=0)
        except (OSError, asyncpg.PostgresError):
            if process.poll() is not None:
                break
            await asyncio.sleep(0.02)
        else:
            await connection.close()
            return
    pytest.fail(f"PgBouncer does not answer:\n{_text(log)}")


def _text(log: Path) -> str:
    return log.read_text(errors="replace")
