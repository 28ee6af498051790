"""The README says what is so."""

import json
import re
from pathlib import Path

import pytest

from api.errors import CODES
from api.payload import UserErrorCode
from api.readme import README, generated
from tests.client import Client

ROOT = README.parent
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = README.read_text(encoding="utf-8")


def test_the_readmes_tables_are_those_of_the_matrix_and_the_settings() -> None:
    assert generated(TEXT) == TEXT, "run python -m api.readme"


async def test_the_readmes_first_question_has_the_readmes_answer(ask_world: Client) -> None:
    [body] = re.findall(r"-d '(\{\"query\".*?\})'", TEXT)
    [answer] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    found = await ask_world.post(json.loads(body), "alice")
    assert found.body == json.loads(answer)


def test_the_readme_says_what_to_do_about_every_code() -> None:
    of_errors, of_user_errors = (
        set(re.findall(r"^\| `([A-Z_]+)` \|", part, re.MULTILINE))
        for part in re.split("`userErrors`, beside", TEXT[TEXT.index("## Errors") : TEXT.index("## Speed")])
    )
    assert of_errors == CODES
    assert of_user_errors == {code.value for code in UserErrorCode}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)\s#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
