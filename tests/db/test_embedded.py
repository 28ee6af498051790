"""The embedded server: who reaches it, where it works, and how it ends. Each home here is 0700, below one that is too."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from db.embedded import AlreadyRunningError, EmbeddedServer, EmbeddedServerError
from db.engine import at

ROOT = Path(__file__).resolve().parents[2]
# Another process with a server of its own: says when it is ready, and waits to be ended.
RUN = """
import sys, time
from pathlib import Path
from db.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), is_durable=False)
server.start()
print("ready", flush=True)
time.sleep(120)
"""


async def ask(server: EmbeddedServer, sql: str) -> object:
    connection = await asyncpg.connect(server.bootstrap_url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def postmaster(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


def is_gone(pid: int) -> bool:
    """Whether no process with this id executes any more; a zombie that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def home(private: Path) -> Path:
    """Used by one test after another, so that the data is made once."""
    return private / ".minutebook"


@pytest.fixture
def running(home: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(home, is_durable=False) as server:
        yield server


@pytest.fixture
def other_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN, str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


async def test_another_user_of_the_machine_finds_no_door(running: EmbeddedServer) -> None:
    assert mode(running.home) == 0o700
    assert mode(running.data) == 0o700
    assert mode(running.credentials) == 0o600
    assert mode(running.log) == 0o600
    assert await ask(running, "SELECT current_setting('listen_addresses')") == ""
    methods = await ask(running, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules WHERE error IS NULL")
    assert methods == ["scram-sha-256"]


async def test_a_wrong_password_is_refused(running: EmbeddedServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(at(running.bootstrap_url, user="postgres", password="guessed"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(at(running.bootstrap_url, user="postgres", password=""))


async def test_the_data_lies_in_the_home_and_no_folder_above_is_touched(running: EmbeddedServer, private: Path) -> None:
    assert (running.home / "data" / "PG_VERSION").is_file()
    assert mode(private) == 0o700


async def test_text_sorts_by_code_point_and_is_utf8_and_checked(running: EmbeddedServer) -> None:
    sql = "SELECT datlocprovider::text || datlocale || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = $$postgres$$"
    assert await ask(running, sql) == "bC.UTF-8UTF8"
    assert await ask(running, "SELECT current_setting('data_checksums')") == "on"


async def test_a_second_start_in_one_home_is_refused_by_name(other_process: subprocess.Popen[str], home: Path) -> None:
    with pytest.raises(AlreadyRunningError, match=rf"{home} is in use by process {other_process.pid}"):
        EmbeddedServer(home).start()


async def test_a_running_server_can_be_joined_and_is_left_alone(
    other_process: subprocess.Popen[str], home: Path
) -> None:
    guest = EmbeddedServer(home)
    guest.join()
    assert await ask(guest, "SELECT 1") == 1
    guest.stop()
    guest.join()
    assert await ask(guest, "SELECT 1") == 1
    assert other_process.poll() is None


async def test_there_is_nothing_to_join_after_a_stop(home: Path) -> None:
    with EmbeddedServer(home, is_durable=False):
        pass
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL is ready"):
        EmbeddedServer(home).join()
    with pytest.raises(EmbeddedServerError, match="not running"):
        _ = EmbeddedServer(home).bootstrap_url


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_the_server_ends_with_its_process_and_starts_again(
    other_process: subprocess.Popen[str], home: Path, how: signal.Signals
) -> None:
    server = postmaster(home)
    other_process.send_signal(how)
    other_process.wait()
    with EmbeddedServer(home, is_durable=False) as restarted:
        assert is_gone(server)
        assert await ask(restarted, "SELECT 1") == 1


async def test_a_server_that_was_killed_too_recovers(other_process: subprocess.Popen[str], home: Path) -> None:
    guest = EmbeddedServer(home)
    guest.join()
    await ask(guest, "CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS number")
    await ask(guest, "CHECKPOINT")  # a server that is not durable has not even written it
    os.kill(postmaster(home), signal.SIGKILL)
    other_process.kill()
    other_process.wait()
    with EmbeddedServer(home, is_durable=False) as restarted:
        assert await ask(restarted, "SELECT number FROM kept") == 42


async def test_a_process_id_that_a_stranger_carries_by_now_is_no_obstacle(home: Path) -> None:
    stale = home / "data" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{home / 'data'}\n1\n5432\n.\n\n\nready   \n")
    with EmbeddedServer(home, is_durable=False) as server:
        assert await ask(server, "SELECT 1") == 1


async def test_a_lost_password_is_replaced(home: Path) -> None:
    (home / "credentials").unlink()
    with EmbeddedServer(home, is_durable=False) as server:
        assert await ask(server, "SELECT 1") == 1


async def test_a_half_made_data_directory_is_made_again(private: Path) -> None:
    home = private / "half"
    (home / "data.initdb").mkdir(parents=True)
    (home / "data.initdb" / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(home, is_durable=False) as server:
        assert await ask(server, "SELECT 1") == 1
    assert not (home / "data.initdb").exists()


async def test_a_home_too_deep_for_a_sockets_address_works(private: Path) -> None:
    with EmbeddedServer(private / ("deep" * 40) / "home", is_durable=False) as server:
        short = Path(server.bootstrap_url.partition("host=")[2].partition("&")[0])
        assert await ask(server, "SELECT 1") == 1
        assert mode(short.parent) == 0o700
    assert not short.parent.exists()


async def test_a_tcp_port_asks_for_the_password_too(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with EmbeddedServer(home, is_durable=False, tcp_port=port) as server:
        assert await ask(server, "SELECT current_setting('listen_addresses')") == "127.0.0.1"
        password = server.bootstrap_url.partition("postgres:")[2].partition("@")[0]
        connection = await asyncpg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:guessed@127.0.0.1:{port}/postgres")


async def test_a_start_that_fails_quotes_the_log(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedServer(home, is_durable=False, tcp_port=taken.getsockname()[1])
        with pytest.raises(EmbeddedServerError, match="could not create any TCP/IP sockets"):
            server.start()
    with EmbeddedServer(home, is_durable=False) as after:
        assert await ask(after, "SELECT 1") == 1


async def test_data_of_another_major_version_is_refused(private: Path) -> None:
    data = private / "old" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    with pytest.raises(EmbeddedServerError, match="is of PostgreSQL 12"):
        EmbeddedServer(private / "old").start()


async def test_stopping_is_quick_even_with_sessions_open(home: Path) -> None:
    server = EmbeddedServer(home, is_durable=False)
    server.start()
    connection = await asyncpg.connect(server.bootstrap_url)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5
    connection.terminate()
