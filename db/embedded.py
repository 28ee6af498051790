"""The embedded PostgreSQL: one server, its data in <home>/data, reachable over a private Unix socket.

Root hands the data directory over as an open descriptor (/proc/self/fd/N), so an unprivileged
server works below folders that it may not enter, and no folder's permissions are ever changed.
"""

import contextlib
import locale
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from db.credentials import Credentials, scram_verifier
from db.postgres_programs import PostgresProgramsError, major_version, open_log, programs_for
from db.postgres_state import is_alive, is_locked, is_ready, pid_file, try_lock

SUPERUSER = "postgres"
_DEFAULT_PORT = 5432
_LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.65535")
_LOG_LIMIT_BYTES = 16 * 1024 * 1024
_STOP_TIMEOUT_S = 30

# Chosen at initdb and then the user's to change, in postgresql.conf.
_TUNABLE = {
    "max_connections": "60",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "max_locks_per_transaction": "256",  # a list without a range locks every month and its indexes
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_VOLATILE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "4GB"}


class EmbeddedServerError(PostgresProgramsError):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""


class AlreadyRunningError(EmbeddedServerError):
    """Another process runs the server of this home."""


class EmbeddedServer:
    """One PostgreSQL below `home`. `start` returns when it accepts connections; it never outlives this process.

    `is_durable=False` trades safety for speed (tests). `tcp_port` also listens on 127.0.0.1, with scram.
    """

    def __init__(self, home: Path, *, is_durable: bool = True, tcp_port: int | None = None) -> None:
        self.home = home.absolute()
        self.data = self.home / "data"
        self.log = self.home / "postgres.log"
        self.credentials = self.home / "credentials"
        self._is_durable = is_durable
        self.port = tcp_port or _DEFAULT_PORT  # also names the socket
        self._tcp_port = tcp_port
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._held = contextlib.ExitStack()

    @property
    def bootstrap_url(self) -> str:
        """The superuser's URL over the socket; it contains the password. Raises EmbeddedServerError unless started."""
        if self._socket is None:
            raise EmbeddedServerError("the embedded PostgreSQL is not running: call start() or join() first")
        password = self._password()
        return f"postgresql://{SUPERUSER}:{quote(password)}@/postgres?host={quote(str(self._socket))}&port={self.port}"

    def start(self, *, timeout_s: float = 60) -> None:
        """Make the data on the first start, recover after a crash, and wait until connections are accepted.

        Raises AlreadyRunningError, or EmbeddedServerError with the end of the server's log.
        """
        if self._server is not None:
            return
        self._make_home()
        try:
            lock = self._lock()
            self._programs = programs_for(self.data)
            self._prepare_data()
            self._socket = self._socket_folder()
            self._launch(lock, timeout_s)
        except BaseException:
            self.stop()
            raise

    def join(self) -> None:
        """Use the server that another process runs in this home; `stop` leaves it alone. Raises EmbeddedServerError."""
        state = pid_file(self.data / "postmaster.pid")
        if not is_ready(state) or not is_locked(self.home / "lock"):
            raise EmbeddedServerError(f"no PostgreSQL is ready in {self.home}")
        self.port = int(state[3])
        self._socket = self._socket_folder()

    def stop(self) -> None:
        """Shut down fast: sessions are ended, data is flushed. Harmless when nothing runs."""
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGINT)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
        if server is not None:
            _wait_or_kill(server)
        self._socket = None
        self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _make_home(self) -> None:
        if self.home.is_dir():
            return
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / ".gitignore").write_text("*\n", encoding="ascii")  # credentials lie here
        (self.home / ".gitignore").chmod(0o600)

    def _lock(self) -> int:
        """Hold <home>/lock. The server inherits the descriptor: the lock is free only when all of it is gone."""
        descriptor = os.open(self.home / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._held.callback(os.close, descriptor)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while not try_lock(descriptor):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if not holder.isdigit() or is_alive(int(holder)) or time.monotonic() > deadline:
                raise AlreadyRunningError(
                    f"{self.home} is in use by process {holder or 'unknown'}; stop it, or set another home"
                )
            time.sleep(0.05)  # its owner was killed, and the server is still closing
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return descriptor

    def _prepare_data(self) -> None:
        version = self.data / "PG_VERSION"
        is_password_known = SUPERUSER in Credentials(self.credentials).known()
        if not version.exists():
            self._initdb()
        elif (found := version.read_text(encoding="ascii", errors="replace").strip()) != (wanted := major_version()):
            raise EmbeddedServerError(
                f"{self.data} is of PostgreSQL {found[:8]}, the installed programs are of {wanted}: "
                "dump with the old ones, and load into a new home"
            )
        else:
            # The lock proves that no server of this data is alive. PostgreSQL goes by process ids, and stays away
            # from one that a zombie or a stranger carries by now.
            for stale in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*")):
                stale.unlink(missing_ok=True)
            if not is_password_known:
                self._reset_password()

    def _initdb(self) -> None:
        """Make the data beside its place and move it there at the end: a kill leaves no half of a data directory."""
        draft = self.home / "data.initdb"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password = self._password()
        if account := self._programs.account:
            os.chown(draft, account.uid, account.gid)
        options = ["--username", SUPERUSER, "--pwfile=/dev/stdin", "--auth=scram-sha-256", "--encoding=UTF8"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums"]
        options += [f"--lc-ctype={_character_type()}"]
        options += ["--no-instructions", *([] if self._is_durable else ["--no-sync"])]
        for name, value in _TUNABLE.items():
            options += ["--set", f"{name}={value}"]
        with self._reachable(draft) as (path, descriptors):
            self._programs.run_once(
                "initdb", ["-D", path, *options], stdin=f"{password}\n", descriptors=descriptors, log=self.log
            )
        draft.rename(self.data)

    def _reset_password(self) -> None:
        """The credentials file is lost, the data is not: tell the superuser's new password in single-user mode."""
        password = self._password()
        with self._reachable(self.data) as (path, descriptors):
            arguments = ["--single", "-D", path, "template1"]
            sql = f"ALTER ROLE {SUPERUSER} PASSWORD '{scram_verifier(password)}'\n"
            self._programs.run_once("postgres", arguments, stdin=sql, descriptors=descriptors, log=self.log)

    def _launch(self, lock: int, timeout_s: float) -> None:
        settings = {
            "listen_addresses": "127.0.0.1" if self._tcp_port else "",
            "port": str(self.port),
            "unix_socket_directories": ".",  # the data directory itself: 0700, and of the server's user
            "unix_socket_permissions": "0700",
            "shared_preload_libraries": "",
            **({} if self._is_durable else _VOLATILE),
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with open_log(self.log) as log, self._reachable(self.data) as (path, descriptors):
            seen = log.tell()
            command = ["postgres", "-D", path, *flags]
            self._server = self._programs.spawn(command, [*descriptors, lock], stdin=subprocess.DEVNULL, output=log)
        self._watchdog = self._programs.watch(self._server)
        self._wait_until_ready(self._server, seen, timeout_s)

    def _wait_until_ready(self, server: subprocess.Popen[bytes], seen: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_ready(pid_file(self.data / "postmaster.pid")):
            if server.poll() is not None or time.monotonic() > deadline:
                with self.log.open(encoding="utf-8", errors="replace") as log:
                    log.seek(seen)
                    tail = "".join(log.readlines()[-12:])
                raise EmbeddedServerError(f"PostgreSQL did not start; {self.log} ends with:\n{tail}")
            time.sleep(0.01)

    def _socket_folder(self) -> Path:
        """A path of the data directory that fits into a socket's address (some 107 bytes)."""
        if len(os.fsencode(self.data)) <= _LONGEST_SOCKET_FOLDER:
            return self.data
        # The system's own folder, since TMPDIR may be as deep as the home is.
        folder = Path(tempfile.mkdtemp(prefix="minutebook-", dir="/tmp"))
        self._held.callback(shutil.rmtree, folder, ignore_errors=True)
        short = folder / "data"
        short.symlink_to(self.data)
        return short

    @contextlib.contextmanager
    def _reachable(self, folder: Path) -> Iterator[tuple[str, list[int]]]:
        """A path by which the server's user reaches `folder`, and the descriptors that it must inherit for that."""
        if self._programs.account is None or not Path("/proc/self/fd").is_dir():
            yield str(folder), []
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield f"/proc/self/fd/{descriptor}", [descriptor]
        finally:
            os.close(descriptor)

    def _password(self) -> str:
        return Credentials(self.credentials).passwords([SUPERUSER])[SUPERUSER]


def _wait_or_kill(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown was asked for; then the immediate one, then none at all. The next start recovers."""
    for impatient in (signal.SIGQUIT, signal.SIGKILL):
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.send_signal(impatient)
    server.wait()


def _character_type() -> str:
    """C.UTF-8 where the system has it: under plain C the text-search parser takes “typographic” quotes for letters."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        return locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
