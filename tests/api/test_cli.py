"""The command line where no database is needed: what it says about itself, and each wrong use."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import cli, main

COMMANDS = {
    "run",
    "serve",
    "migrate",
    "seed",
    "token",
    "organization",
    "member",
    "maintain",
    "audit",
    "keys",
    "schema",
    "doctor",
}
NOWHERE = "postgresql://operator:hunter2@127.0.0.1:1/nowhere"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "DATABASE_URL",
        "INGEST_DATABASE_URL",
        "OPERATOR_DATABASE_URL",
        "BOOTSTRAP_DATABASE_URL",
        "PORT",
        "HOST",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINUTEBOOK_HOME", str(tmp_path / "home"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    output = capsys.readouterr()
    return int(stopped.value.code or 0), output.out, output.err


def test_help_names_every_command_and_says_what_each_does(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert set(cli.commands) == COMMANDS
    assert all(name in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = run(capsys, name, "--help")
        assert code == 0
        assert "Usage" in out


def test_help_waits_for_nothing_heavy() -> None:
    heavy = "{'alembic', 'asyncpg', 'litestar', 'numpy', 'onnxruntime', 'sqlalchemy', 'strawberry', 'uvicorn'}"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys, api.cli; print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("minutebook")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dance"], "dance"),
        (["run", "--fast"], "--fast"),
        (["serve"], "DATABASE_URL"),
        (["token"], "WHO"),
        (["token", "mallory"], "alice"),
        (["token", "service"], "--organization"),
        (["token", "alice", "--organization", "vromm"], "northwind"),
        (["token", "alice", "--lifetime", "1"], "--lifetime"),
        (["seed", "--scale", "0"], "--scale"),
        (["seed", "--anchor", "yesterday"], "--anchor"),
        (["organization", "create"], "SLUG"),
        (["organization", "create", "No Good", "--name", "x"], "small letters"),
        (["organization", "create", "fine", "--name", "x", "--kind", "GUILD"], "--kind"),
        (["organization", "create", "fine", "--name", "x", "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (["member", "add", "northwind"], "--subject"),
        (["member", "add", "northwind", "--subject", "a", "--email", "a@example.com"], "one of them"),
        (["member", "add", "northwind", "--subject", "a", "--role", "KING"], "--role"),
        (["member", "role", "northwind", "--subject", "a"], "ROLE"),
        (["member", "remove"], "ORGANIZATION"),
    ],
)
def test_a_wrong_use_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("minutebook: ")
    assert said in err


def test_a_bad_variable_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://hunter2@db")
    code, _, err = run(capsys, "doctor")
    assert code == 2
    assert err == "minutebook: DATABASE_URL must start with postgresql://\n"


def test_a_taken_port_is_said_before_anything_is_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        code, out, err = run(capsys, "run")
    assert code == 2
    assert out == ""
    assert err.startswith(f"minutebook: PORT {port} on 127.0.0.1 cannot be listened on")
    assert err.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_a_server_that_is_away_is_one_line_without_its_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPERATOR_DATABASE_URL", NOWHERE)
    code, _, err = run(capsys, "organization", "create", "fine", "--name", "Fine")
    assert code == 1
    assert err.startswith("minutebook: the database cannot be reached")
    assert err.count("\n") == 1
    assert "hunter2" not in err


def test_a_login_that_is_not_configured_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    monkeypatch.setenv("INGEST_DATABASE_URL", NOWHERE)
    code, _, err = run(capsys, "maintain")
    assert code == 2
    assert err.startswith("minutebook: OPERATOR_DATABASE_URL is required")


def test_production_is_not_started_without_somebody_to_believe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    code, _, err = run(capsys, "run")
    assert code == 2
    assert "JWT_SECRET" in err
