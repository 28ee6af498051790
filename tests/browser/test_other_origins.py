"""Pages on other origins: what ALLOWED_ORIGINS lets them do, as a browser enforces it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from db.engine import Urls
from tests.browser.site import Site, site_of

ASK = """async ([url, token, more]) => {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const sent = fetch(url, { method: 'POST', headers, body: '{"query": "{ viewer { role } }"}', ...more });
  return sent.then((answer) => answer.json(), (error) => error.name);
}"""
READ = "(url) => fetch(url).then((answer) => answer.text(), (error) => error.name)"
MEMBER = {"data": {"viewer": {"role": "MEMBER"}}}


@dataclass
class Elsewhere:
    """A page on another origin, somebody's token, and how many preflights its browser has sent."""

    page: Page
    token: str
    preflights: list[dict[str, str]] = field(default_factory=list)

    async def ask(self, url: str, **more: str) -> Any:
        return await self.page.evaluate(ASK, [url, self.token, more])


@pytest.fixture
async def visitor(browser: Browser, demo: Site, elsewhere: Site) -> AsyncIterator[Elsewhere]:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(demo.page)
    people = await page.evaluate("fetch('/graphql/personas').then((answer) => answer.json())")
    await page.goto(elsewhere.origin)
    found = Elsewhere(page, people["personas"][0]["token"])
    devtools = await context.new_cdp_session(page)
    devtools.on(
        "Network.responseReceived",
        lambda event: found.preflights.append(event["response"]["headers"]) if event["type"] == "Preflight" else None,
    )
    await devtools.send("Network.enable")
    yield found
    await context.close()


async def test_a_named_origin_asks_after_one_preflight_which_the_browser_keeps(
    visitor: Elsewhere, demo: Site, elsewhere: Site
) -> None:
    for _ in range(3):
        assert await visitor.ask(demo.page) == MEMBER
    [answer] = visitor.preflights
    headers = {name.lower(): value for name, value in answer.items()}
    assert headers["access-control-allow-origin"] == elsewhere.origin
    assert "access-control-allow-credentials" not in headers


async def test_cookies_are_not_taken_from_a_named_origin(visitor: Elsewhere, demo: Site) -> None:
    assert await visitor.ask(demo.page, credentials="include") == "TypeError"
    assert await visitor.ask(demo.page, credentials="omit") == MEMBER


async def test_a_page_of_another_origin_is_given_no_tokens_even_where_it_may_ask(
    visitor: Elsewhere, demo: Site
) -> None:
    assert "eyJ" not in await visitor.page.evaluate(READ, f"{demo.origin}/graphql/personas")


async def test_an_origin_that_is_not_named_reads_nothing(visitor: Elsewhere, world: Urls, tmp_path: Path) -> None:
    async with site_of(world, tmp_path, ENVIRONMENT="dev") as closed:
        assert await visitor.ask(closed.page) == "TypeError"
        assert await visitor.page.evaluate(READ, f"{closed.origin}/health/live") == "TypeError"
