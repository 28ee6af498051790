"""What frontends use, used: code generators over schema.graphql, and client libraries over a running server."""

import hashlib
import json
import re

import graphql
import pytest

from tests.clients.conftest import ARTIFACTS, HERE, TYPES, Tools, Verdicts

SOURCES = sorted(
    path for path in HERE.glob("src/**/*.ts*") if not path.is_relative_to(TYPES) and path.parent != ARTIFACTS
)
CHECKS = [sentence for path in SOURCES for sentence in re.findall(r"^test\('(.*)', ", path.read_text(), re.MULTILINE)]
GUIDE = HERE.parents[1] / "docs" / "frontends.md"
SCHEMA = graphql.build_schema((HERE.parents[1] / "schema.graphql").read_text())
OPERATION = re.compile(r"\b(?:query|mutation|fragment) (\w+)")
# `any` as a type, not as a word of a comment.
ANY = re.compile(r"(?:[:<|&(,]|\bas)\s*any\b")


@pytest.mark.usefixtures("generated")
def test_the_manifest_has_every_document_by_its_hash_and_the_schema_accepts_it() -> None:
    manifest: dict[str, str] = json.loads((TYPES / "persisted-documents.json").read_text())
    documents = OPERATION.findall((HERE / "src" / "documents.ts").read_text())
    named = {name for text in manifest.values() for name in OPERATION.findall(text)}
    assert named == set(documents)
    for key, text in manifest.items():
        assert key == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        assert graphql.validate(SCHEMA, graphql.parse(text)) == []


def test_relay_has_a_type_for_every_scalar() -> None:
    mapped = json.loads((HERE / "relay.config.json").read_text())["customScalarTypes"]
    scalars = {name for name, kind in SCHEMA.type_map.items() if graphql.is_scalar_type(kind)}
    assert set(mapped) == scalars - set(graphql.specified_scalar_types)


@pytest.mark.usefixtures("generated")
def test_relay_compiled_every_document_and_made_the_refetch_queries_itself() -> None:
    texts = "".join(path.read_text() for path in SOURCES if path.parent == ARTIFACTS.parent)
    wanted = set(OPERATION.findall(texts)) | set(re.findall(r'queryName: "(\w+)"', texts))
    assert {"InboxNextQuery", "ChatEarlierQuery"} < wanted
    assert {path.name for path in ARTIFACTS.iterdir()} == {f"{name}.graphql.ts" for name in wanted}


async def test_sources_and_generated_files_fit_in_strict_typescript(tools: Tools, generated: None) -> None:
    said = await tools.run("types")
    assert said.status == 0, said.text


@pytest.mark.usefixtures("generated")
def test_nothing_is_any() -> None:
    found = [(path.name, line) for path in SOURCES for line in path.read_text().splitlines() if ANY.search(line)]
    assert found == []
    assert ANY.search((TYPES / "graphql.ts").read_text()) is None
    for path in ARTIFACTS.iterdir():
        types, _, _ = path.read_text().partition("\nconst node")
        assert "export type" in types
        assert ANY.search(types) is None, path.name


def test_every_check_is_said_in_another_sentence_and_was_made(verdicts: Verdicts) -> None:
    assert len(set(CHECKS)) == len(CHECKS) > 15
    assert set(verdicts.of) == set(CHECKS), verdicts.said.text


@pytest.mark.parametrize("sentence", CHECKS)
def test_a_client(verdicts: Verdicts, sentence: str) -> None:
    assert verdicts.of[sentence] == ""


def test_the_guide_shows_nothing_that_is_not_tested() -> None:
    guide = GUIDE.read_text()
    tested = [path.read_text() for path in (*SOURCES, HERE / "codegen.ts", HERE / "relay.config.json")]
    snippets = re.findall(r"```(?:ts|tsx|json)\n(.*?)```", guide, re.DOTALL)
    assert len(snippets) > 10
    assert [snippet for snippet in snippets if not any(snippet in text for text in tested)] == []

    everything = " ".join(" ".join(tested).split())
    directives = re.findall(r"`([^`\n]*@(?:appendEdge|prependNode|deleteEdge)[^`\n]*)`", guide)
    assert len(directives) == 4
    assert [directive for directive in directives if directive not in everything] == []

    package = json.loads((HERE / "package.json").read_text())
    commands = " ".join(re.findall(r"```sh\n(.*?)```", guide, re.DOTALL))
    assert set(re.findall(r"@[\w-]+/[\w-]+", commands)) <= {*package["dependencies"], *package["devDependencies"]}
