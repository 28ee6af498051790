"""Other origins: those that are named may ask from a browser, and nobody else."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from api.app import create_app
from api.settings import SettingsError, load
from db.engine import Urls

OURS = "https://app.example.com"
EVIL = "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


async def sent(home: Path, allowed: str, method: str, headers: dict[str, str]) -> httpx.Response:
    settings = load({"MINUTEBOOK_HOME": str(home), "ALLOWED_ORIGINS": allowed})
    app = cast("Any", create_app(settings, Urls("", "", "", "")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://minutebook.test") as http:
        return await http.request(method, "/graphql", headers=headers, json={"query": "{ __typename }"})


async def preflight(home: Path, origin: str, allowed: str) -> httpx.Response:
    return await sent(home, allowed, "OPTIONS", {"Origin": origin, **PREFLIGHT})


async def test_an_origin_that_is_not_named_is_refused(tmp_path: Path) -> None:
    answer = await preflight(tmp_path, EVIL, OURS)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert "access-control-allow-origin" not in answer.headers


async def test_without_origins_no_browser_elsewhere_may_ask(tmp_path: Path) -> None:
    answer = await preflight(tmp_path, OURS, "")
    assert "access-control-allow-origin" not in answer.headers


async def test_a_named_origin_may_post_with_a_token_for_a_day_and_without_cookies(tmp_path: Path) -> None:
    answer = await preflight(tmp_path, OURS, OURS)
    assert answer.headers["access-control-allow-origin"] == OURS
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-max-age"] == "86400"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(("origin", "allowed", "told"), [(OURS, OURS, OURS), (EVIL, OURS, None), (OURS, "", None)])
async def test_the_answer_itself_may_be_read_by_a_named_origin_alone(
    tmp_path: Path, origin: str, allowed: str, told: str | None
) -> None:
    answer = await sent(tmp_path, allowed, "POST", {"Origin": origin})
    assert "errors" in answer.json()  # whatever is said: who may read it is told with it
    assert answer.headers.get("access-control-allow-origin") == told


def test_any_origin_at_all_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_ORIGINS"):
        load({"MINUTEBOOK_HOME": str(tmp_path), "ALLOWED_ORIGINS": "*"})
