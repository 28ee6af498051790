"""Every statement of docs/moving-in.md, run against tables of each of the five designs."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.engine import Urls
from tests.client import client_of
from tests.databases import superuser

DOCS = Path(__file__).resolve().parents[2] / "docs"
HERE = "00000000-0000-4000-8000-00000000000a"
ANN = "00000000-0000-4000-8000-000000000001"
BLOCKS = dict(re.findall(r"<!-- (\w+) -->\n```sql\n(.*?)```", (DOCS / "moving-in.md").read_text(), re.DOTALL))
THEIRS = dict(
    re.findall(r"-- (d\d)\n(.*?)(?=\n-- d\d\n|\Z)", Path(__file__).with_name("moving_in.sql").read_text(), re.DOTALL)
)


async def move_in(urls: Urls, design: str, changed: tuple[str, str] = ("", "")) -> None:
    """What an operator does who follows the page; the organization is a builder, whose id their rows name."""
    async with superuser(urls) as connection:
        await connection.execute(
            f"CREATE SCHEMA theirs; SET search_path = theirs, ext; {THEIRS[design].replace(*changed)}"
        )
        await connection.execute(
            "GRANT USAGE ON SCHEMA theirs TO minutebook_operator;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA theirs TO minutebook_operator"
        )
    operator = await asyncpg.connect(urls.operator)
    try:
        await operator.execute(
            "INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES ($1, 'acme', 'Acme', 'BUILDER', 'UTC')",
            HERE,
        )
        statements = BLOCKS["begin"].replace("'MEMBER'", "'ADMIN'") + BLOCKS[design] + BLOCKS["end"]
        await operator.execute(statements.replace("https://login.example.com/", "minutebook"))
    finally:
        await operator.close()


async def shown(urls: Urls, home: Path, query: str) -> Any:
    now = datetime.now(UTC)
    week = f'{{ range: {{ from: "{now - timedelta(days=7):%FT%TZ}", to: "{now + timedelta(days=1):%FT%TZ}" }} }}'
    async with client_of(urls, home, EMBEDDER="none") as client:
        answer = await client.ask(query.replace("RANGE", week), ANN)
        proof = await client.ask("{ verifyAuditChain { verdict } }", ANN)
    assert proof.data == {"verifyAuditChain": {"verdict": "OK"}}
    return answer.data


async def test_d0(urls: Urls, tmp_path: Path) -> None:
    await move_in(urls, "d0")
    fields = "status type modelName latencyMs errorCode promptHash ipAddress request response user { displayName }"
    found = await shown(urls, tmp_path, f"{{ aiInteractions(filter: RANGE) {{ edges {{ node {{ {fields} }} }} }} }}")
    late, good = (edge["node"] for edge in found["aiInteractions"]["edges"])
    assert (late["status"], late["errorCode"], late["user"], late["response"]) == ("FAILED", "timeout", None, None)
    assert good == {
        "status": "SUCCEEDED", "type": "chat", "modelName": "gpt", "latencyMs": 1500, "errorCode": None, "promptHash": "abc",
        "ipAddress": "192.0.2.1", "request": {"q": "why?"}, "response": {"a": 1}, "user": {"displayName": "Ann"},
    }  # fmt: skip


async def test_d1_without_what_is_another_organizations(urls: Urls, tmp_path: Path) -> None:
    await move_in(urls, "d1")
    found = await shown(
        urls, tmp_path, "{ aiInteractions(filter: RANGE) { edges { node { status type cost latencyMs request } } } }"
    )
    done, open_ = (edge["node"] for edge in found["aiInteractions"]["edges"])
    assert (done["status"], done["type"], done["latencyMs"], float(done["cost"])) == (
        "SUCCEEDED",
        "template",
        2000,
        0.12,
    )
    assert (open_["status"], open_["request"]) == ("PENDING", {"q": 2})


async def test_d2_with_every_call_on_the_chain(urls: Urls, tmp_path: Path) -> None:
    await move_in(urls, "d2")
    fields = "toolName status params result errorDetails aiConfidence recordedEvent { seq } completedEvent { seq }"
    found = await shown(urls, tmp_path, f"{{ toolCalls {{ edges {{ node {{ {fields} }} }} }} }}")
    pending, failed, done = (edge["node"] for edge in found["toolCalls"]["edges"])
    assert [each["status"] for each in (pending, failed, done)] == ["PENDING", "ERROR", "SUCCESS"]
    assert (done["params"], done["result"], done["aiConfidence"]) == ({"title": "Paint"}, {"id": 7}, 0.9)
    assert failed["errorDetails"] == {"code": "LATE"}
    assert [done["recordedEvent"]["seq"], done["completedEvent"]["seq"], pending["completedEvent"]] == ["1", "2", None]


async def test_d3(urls: Urls, tmp_path: Path) -> None:
    await move_in(urls, "d3")
    query = """{
      conversations { edges { node { title messageCount tokensUsed project { name }
        messages(first: 2) { edges { node { role queryType content sources { kind title } myFeedback { thumb text } } } } } } }
      insights { edges { node { title type severity isDismissed dismissedBy { displayName } } } }
      patterns { edges { node { type confidence data } } }
      documents { edges { node { title chunks(first: 5) { edges { node { text } } } } } }
      viewer { organization { budgets { metric window limit used } } }
    }"""
    found = await shown(urls, tmp_path, query)
    [talk] = (edge["node"] for edge in found["conversations"]["edges"])
    question, answer = (edge["node"] for edge in talk["messages"]["edges"])
    assert (talk["messageCount"], talk["tokensUsed"], talk["project"]) == (2, "20", {"name": "Kitchen"})
    assert (question["role"], question["queryType"], question["sources"]) == ("USER", "SPENDING", [])
    assert answer["sources"] == [{"kind": "document", "title": "Plan"}]
    assert answer["myFeedback"] == {"thumb": "UP", "text": "yes"}
    [insight] = (edge["node"] for edge in found["insights"]["edges"])
    assert (insight["title"], insight["severity"]) == ("Over", "WARNING")
    [pattern] = (edge["node"] for edge in found["patterns"]["edges"])
    assert (pattern["confidence"], pattern["data"]) == (0.75, {"avg_cost": 2})
    [document] = (edge["node"] for edge in found["documents"]["edges"])
    assert [edge["node"]["text"] for edge in document["chunks"]["edges"]] == ["Lumber 0", "Lumber 1", "Lumber 2"]
    budget = {"metric": "TOKENS", "window": "MONTH", "limit": "50000", "used": "1234"}
    assert budget in found["viewer"]["organization"]["budgets"]
    async with superuser(urls) as connection:
        odd = await connection.fetchrow(
            "SELECT is_dismissed, dismissed_at = created_at FROM app.ai_insights WHERE title = 'Odd'"
        )
    assert odd == (True, True)


async def test_d4(urls: Urls, tmp_path: Path) -> None:
    await move_in(urls, "d4")
    query = """{
      viewer { aiSettings { tier preferredProvider dailyUsage monthlyUsage keys { provider needsReentry } }
        usage { budgets { metric window limit used } } }
      conversations { edges { node { transcript modelUsed tokensUsed cost } } }
      usageLogs(filter: RANGE) { edges { node { tier provider tokensUsed cost } } }
      contentSearches { edges { node { query contentType resultsCount filters } } }
    }"""
    found = await shown(urls, tmp_path, query)
    settings = found["viewer"]["aiSettings"]
    assert (settings["tier"], settings["preferredProvider"]) == ("PREMIUM", "ANTHROPIC")
    assert (settings["dailyUsage"], settings["monthlyUsage"]) == ("30", "850")
    assert settings["keys"] == [{"provider": "OPENAI", "needsReentry": True}]
    assert {"metric": "REQUESTS", "window": "DAY", "limit": "100", "used": "30"} in found["viewer"]["usage"]["budgets"]
    [talk] = (edge["node"] for edge in found["conversations"]["edges"])
    assert [(each["role"], each["content"]) for each in talk["transcript"]] == [
        ("user", "Hej"),
        ("assistant", "Hej hej"),
    ]
    assert (talk["modelUsed"], talk["tokensUsed"], float(talk["cost"])) == ("gpt", "42", 0.000123)
    [log] = (edge["node"] for edge in found["usageLogs"]["edges"])
    assert (log["tier"], log["provider"], float(log["cost"])) == ("FREE", "GOOGLE", 0.000123)
    [search] = (edge["node"] for edge in found["contentSearches"]["edges"])
    assert search == {
        "query": "parking",
        "contentType": "LEARNING_PATH",
        "resultsCount": 3,
        "filters": {"town": "Ystad"},
    }


async def test_a_value_that_is_not_known_stops_the_import(urls: Urls) -> None:
    with pytest.raises(asyncpg.NotNullViolationError):
        await move_in(urls, "d0", ("'error'", "'mysterious'"))
    async with superuser(urls) as connection:
        assert await connection.fetchval("SELECT count(*) FROM app.users") == 0
