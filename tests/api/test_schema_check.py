"""`minutebook schema --check` from a shell: drift, what it compares with, what it prints and how it exits."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from api.cli import main
from api.cli import schema as command
from api.schema import build_schema, schema_text

TEXT = schema_text(build_schema())
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No repository around the temporary folder, and none that a hook of git's names."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout's root, without a repository."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").touch()
    (root / "schema.graphql").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(command, "ROOT", root)
    return root


@pytest.fixture
def git(folder: Path) -> Callable[..., None]:
    """Run git in the checkout, which is a repository now."""
    if shutil.which("git") is None:
        missing = "git is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)

    def run(*arguments: str) -> None:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)

    run("init", "--quiet")
    return run


@pytest.fixture
def release(git: Callable[..., None], folder: Path) -> Callable[[str, str], None]:
    """Commit a schema and tag it; the checkout has the server's own again afterwards, uncommitted."""

    def tagged(tag: str, text: str) -> None:
        (folder / "schema.graphql").write_text(text, encoding="utf-8")
        git("add", "schema.graphql")
        git("commit", "--quiet", "--allow-empty", "-m", tag)
        git("tag", tag)
        (folder / "schema.graphql").write_text(TEXT, encoding="utf-8")

    return tagged


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(("schema", *arguments))
        output = capsys.readouterr()
        return int(stopped.value.code or 0), output.out, output.err

    return run


def edited(old: str, new: str) -> str:
    """An earlier schema that had `new` where today's has `old`."""
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


COUNT = "  isEstimate: Boolean!\n"
WITH_MORE = f"{COUNT}  isExact: Boolean\n"
WITH_DEPRECATED = f'{COUNT}  isExact: Boolean @deprecated(reason: "Use isEstimate.")\n'


# ── drift ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("folder")
def test_without_check_the_schema_is_printed(check: Check) -> None:
    assert check() == (0, TEXT, "")


def test_a_schema_that_is_not_the_servers_own_fails(check: Check, folder: Path) -> None:
    (folder / "schema.graphql").write_text(TEXT.replace(" @readable(organization: [ADMIN])", ""), encoding="utf-8")
    code, _, err = check("--check")
    assert (code, err) == (
        1,
        "minutebook: schema.graphql is not the server's own: minutebook schema > schema.graphql\n",
    )


def test_a_checkout_without_its_schema_fails(check: Check, folder: Path) -> None:
    (folder / "schema.graphql").unlink()
    assert check("--check")[0] == 1


# ── nothing to compare with ──────────────────────────────────────────────────────────────────────────────────────────
def test_an_installed_package_has_nothing_to_compare_with_and_says_so(check: Check, folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    code, out, _ = check("--check")
    assert code == 0
    assert "There is no schema.graphql beside an installed package" in out
    assert "Not compared with an earlier schema: schema.graphql is in no git repository here." in out


@pytest.mark.usefixtures("folder")
def test_a_folder_without_a_repository_says_so(check: Check) -> None:
    code, out, _ = check("--check")
    assert (code, "in no git repository" in out) == (0, True)


def test_a_repository_without_a_tag_says_so(check: Check, git: Callable[..., None]) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    code, out, _ = check("--check")
    assert code == 0
    assert out.endswith("Not compared with an earlier schema: the repository has no tag.\n")


def test_a_tag_from_before_the_schema_says_so(check: Check, git: Callable[..., None]) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "nothing yet")
    git("tag", "v0")
    git("add", ".")
    code, out, _ = check("--check")
    assert (code, "tag v0 has no schema.graphql" in out) == (0, True)


@pytest.mark.usefixtures("folder")
def test_a_machine_without_git_says_so(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    code, out, _ = check("--check")
    assert (code, "git is not installed" in out) == (0, True)


# ── compared with the last tag ───────────────────────────────────────────────────────────────────────────────────────
Release = Callable[[str, str], None]


def test_the_same_schema_has_no_changes(check: Check, release: Release) -> None:
    release("v1.0.0", TEXT)
    assert check("--check")[:2] == (0, "schema.graphql is the server's own.\nNo change since v1.0.0.\n")


def test_a_removal_without_a_deprecation_fails(check: Check, release: Release) -> None:
    release("v1.0.0", edited(COUNT, WITH_MORE))
    code, out, err = check("--check")
    assert code == 1
    assert "Changes since v1.0.0" in out
    assert "Field Count.isExact was removed." in out
    assert err == ("minutebook: 1 of these break what v1.0.0 promised and did not deprecate: docs/schema-changes.md\n")


def test_a_removal_of_what_the_tag_deprecated_passes_and_is_listed(check: Check, release: Release) -> None:
    release("v1.0.0", edited(COUNT, WITH_DEPRECATED))
    code, out, _ = check("--check")
    assert code == 0
    assert "breaking (deprecated)" in out
    assert "Field Count.isExact was removed." in out


def test_a_deprecation_counts_from_the_release_that_carries_it(
    check: Check, release: Release, git: Callable[..., None]
) -> None:
    release("v1.0.0", edited(COUNT, WITH_MORE))
    release("v1.1.0", edited(COUNT, WITH_DEPRECATED))
    assert check("--check")[0] == 0
    assert check("--check", "--against", "v1.0.0")[0] == 1
    git("tag", "-d", "v1.1.0")
    assert check("--check")[0] == 1


def test_dangerous_and_safe_changes_pass_and_are_listed(check: Check, release: Release) -> None:
    older = re.sub(r'\n  """\n  Nothing was verified[^"]*"""\n  UNVERIFIED\n', "", TEXT)
    older = re.sub(r'  """Whether there are more items[^"]*"""\n  isEstimate: Boolean!\n\n', "", older)
    release("v1.0.0", older.replace(" @readable(organization: [ADMIN])", ""))
    code, out, _ = check("--check")
    assert code == 0
    assert "dangerous" in out
    assert "Enum value ChainVerdict.UNVERIFIED was added." in out
    assert "AiInteraction.ipAddress: AUDITOR may read nothing instead of organization." in out
    assert "Field Count.isEstimate was added." in out


def test_drift_is_said_before_anything_is_compared(check: Check, release: Release, folder: Path) -> None:
    release("v1.0.0", edited(COUNT, WITH_MORE))
    (folder / "schema.graphql").write_text(edited(COUNT, WITH_MORE), encoding="utf-8")
    code, out, err = check("--check")
    assert (code, out) == (1, "")
    assert "is not the server's own" in err


# ── compared with something else ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("folder")
def test_a_file_can_be_named(check: Check, tmp_path: Path) -> None:
    other = tmp_path / "other.graphql"
    other.write_text(edited(COUNT, WITH_MORE), encoding="utf-8")
    code, out, _ = check("--check", "--against", str(other))
    assert (code, "Field Count.isExact was removed." in out) == (1, True)
    other.write_text("type Query {", encoding="utf-8")
    code, _, err = check("--check", "--against", str(other))
    assert (code, "is no schema" in err) == (1, True)


def test_a_commit_can_be_named(check: Check, release: Release) -> None:
    release("v1.0.0", edited(COUNT, WITH_MORE))
    release("v1.1.0", TEXT)
    assert check("--check", "--against", "HEAD")[0] == 0
    assert check("--check", "--against", "HEAD~1")[0] == 1


@pytest.mark.parametrize("what", ["nothing-like-it", "--output=x"])
def test_what_is_neither_is_a_wrong_use(check: Check, release: Release, what: str) -> None:
    release("v1.0.0", TEXT)
    code, _, err = check("--check", f"--against={what}")
    assert (code, err) == (2, f"minutebook: {what} is neither a file nor a commit of a git repository here.\n")


@pytest.mark.usefixtures("folder")
def test_against_without_check_is_a_wrong_use(check: Check) -> None:
    assert check("--against", "HEAD") == (2, "", "minutebook: --against goes with --check.\n")
