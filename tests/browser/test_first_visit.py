"""What somebody does who has never been here: look at the warnings of a project, and dismiss one."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from db.engine import Urls
from tests.browser.looks import ACTIVE_TAB, TABS
from tests.browser.site import Site, site_of
from tests.browser.visit import ANSWER, RUN, visiting
from tests.databases import superuser
from tests.stories.small_world import plant

TITLE = r"""() => document.querySelector('.graphiql-response .view-lines').innerText
  .replace(/[\u00a0\s]+/g, ' ').match(/"title": "([^"]+)"/)?.[1]"""

OPENED = (
    r"document.querySelector('.graphiql-query-editor .view-lines').innerText.replace(/\u00a0/g, ' ').includes('{}')"
)


@pytest.fixture
async def small(browser: Browser, urls: Urls, tmp_path: Path) -> AsyncIterator[Site]:
    """A demo of its own, to change."""
    assert browser.is_connected()
    await plant(urls, times=1)
    async with site_of(urls, tmp_path, ENVIRONMENT="dev") as site:
        yield site


async def test_four_clicks_lead_to_a_warning_and_dismiss_it(browser: Browser, small: Site, urls: Urls) -> None:
    async with visiting(browser, small) as visit:
        page = visit.page
        await page.click("text=Which warnings does my project have?")
        assert "Insight" in await visit.run()
        title = await page.evaluate(TITLE)
        await page.click("text=Dismiss one of them")
        await visit.until(OPENED.format("mutation Dismiss"))
        await page.click(RUN)
        done = await visit.answer("isDismissed")
        assert '"isDismissed": true' in done
        assert await page.evaluate(TITLE) == title
        assert "5 SQL statements" in await page.inner_text("#cost")

        await page.click("text=Which warnings does my project have?")
        await visit.until(OPENED.format("query Warnings"))
        await page.click(RUN)
        await visit.until(f"![undefined, {json.dumps(title)}].includes(({TITLE})())")  # it is gone from the list
        assert visit.complaints == []
    async with superuser(urls) as connection:
        assert await connection.fetch("SELECT title FROM app.ai_insights WHERE is_dismissed") == [(title,)]


async def test_a_story_opens_in_the_tab_that_it_has(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as visit:
        page = visit.page
        before = await page.evaluate(TABS)
        await page.click("text=Ask the documents")
        await visit.until("document.querySelector('[role=tab][aria-selected=true]').innerText.includes('Documents')")
        assert await page.evaluate(TABS) == before
        await page.click("text=Slow failures")
        await visit.until("document.querySelector('[role=tab][aria-selected=true]').innerText.includes('Failures')")
        assert len(await page.evaluate(TABS)) == len(before) + 1
        await page.wait_for_timeout(300)  # scrolling
        assert await page.evaluate(ACTIVE_TAB) == {"title": "Failures", "isInView": True}
        assert await page.input_value("#persona") == "carol"


async def test_an_operation_is_run_under_its_own_name_however_fast_one_is(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as visit:
        page = visit.page
        await visit.run()
        await page.evaluate(
            f"""() => {{
              const tab = [...document.querySelectorAll('[role=tab] button')].find((each) => each.innerText.includes('Settings'));
              tab.click();
              document.querySelector('{RUN}').click();
            }}"""
        )
        await visit.until(f"document.querySelector('{ANSWER}').innerText.includes('preferredProvider')")
        assert "errors" not in await page.evaluate(f"document.querySelector('{ANSWER}').innerText")
