"""Node with the clients' packages, what the generators made, and what the clients' own tests said of a real server.

The generated files are made anew by every run and not committed: schema.graphql and the documents are what a reviewer
reads, and a copy of their sum could only go stale. A frontend with a repository of its own would commit them.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.graphiql.node import Node, NodeError, find
from db.engine import Urls
from tests.browser.site import Site, site_of
from tests.databases import clone
from tests.missing import missing

HERE: Final = Path(__file__).parent
TYPES: Final = HERE / "src" / "gql"
ARTIFACTS: Final = HERE / "src" / "relay" / "__generated__"
MOST_S: Final = 180


@dataclass(frozen=True)
class Said:
    """How a script of package.json ended."""

    status: int
    text: str


@dataclass(frozen=True)
class Tools:
    """The scripts of package.json."""

    node: Node

    async def run(self, script: str, *arguments: str | Path, **environment: str) -> Said:
        """Run one to its end, while the server of this process answers."""
        process = await asyncio.create_subprocess_exec(
            self.node.program, self.node.npm, "run", "--silent", script, "--", *arguments,
            cwd=HERE, env={**self.node.environment(), **environment}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(MOST_S):
                text, _ = await process.communicate()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            pytest.fail(f"npm run {script} took more than {MOST_S} s")
        assert process.returncode is not None
        return Said(process.returncode, text.decode())


@pytest.fixture(scope="session")
async def tools() -> Tools:
    """Installed from the lock, once per checkout and lock."""
    try:
        node = find()
        await asyncio.to_thread(node.install, HERE)
    except NodeError as reason:
        missing(f"the clients cannot run: {reason}")
    return Tools(node)


@pytest.fixture(scope="session")
async def generated(tools: Tools) -> None:
    """The types, the manifest and Relay's artifacts, made from nothing."""
    for folder in (TYPES, ARTIFACTS):
        shutil.rmtree(folder, ignore_errors=True)
    for script in ("codegen", "relay"):
        said = await tools.run(script)
        assert said.status == 0, said.text


@pytest.fixture(scope="session")
async def site(seeded: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The demo on a port, over a world of its own: what the clients change there, nobody else reads."""
    async with (
        clone(seeded) as world,
        site_of(world, tmp_path_factory.mktemp("clients"), ENVIRONMENT="dev", EMBEDDER="none") as running,
    ):
        yield running


@dataclass(frozen=True)
class Verdicts:
    """What vitest said: of each check, by its sentence, why it failed, or nothing; and all its output."""

    of: dict[str, str]
    said: Said


@pytest.fixture(scope="session")
async def verdicts(tools: Tools, generated: None, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    folder = tmp_path_factory.mktemp("vitest")
    async with httpx.AsyncClient() as http:
        people = (await http.get(f"{site.page}/personas")).json()["personas"]
    told, results = folder / "told.json", folder / "results.json"
    told.write_text(json.dumps({"url": site.page, "tokens": {each["name"]: each["token"] for each in people}}))
    said = await tools.run(
        "test", "--reporter=default", "--reporter=json", f"--outputFile.json={results}", MINUTEBOOK_TOLD=str(told)
    )
    assert results.is_file(), said.text
    files: list[dict[str, Any]] = json.loads(results.read_text())["testResults"]
    return Verdicts({check["title"]: _why(check) for file in files for check in file["assertionResults"]}, said)


def _why(check: dict[str, Any]) -> str:
    if check["status"] == "passed":
        return ""
    return "\n".join(check["failureMessages"]) or str(check["status"])
