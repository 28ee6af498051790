"""The page in a real browser that reaches nothing but the server. Only queries are run: the world is shared.

`PICTURE=docs/graphiql.png pytest tests/browser` also takes the README's picture.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser

from api.auth.tokens import OWN_ISSUER, mint
from db.engine import Urls
from tests.browser.site import Site, site_of
from tests.browser.visit import ANSWER, RUN, visiting

SECRET = "s" * 32
CANARY = "sk-canary-0123456789"


async def test_who_asks_changes_the_answer_and_no_token_is_stored(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as visit:
        page = visit.page
        as_alice = await visit.run()
        assert '"viewerCanDismiss": true' in as_alice
        assert (await page.inner_text("#cost")).startswith("3 SQL statements · ")
        if picture := os.environ.get("PICTURE"):
            await page.hover("h1")
            await page.wait_for_timeout(1500)  # until the scroll bars have faded
            await page.screenshot(path=picture)

        await page.select_option("#persona", "olga")
        await visit.until(f"document.querySelector('{ANSWER}').innerText.trim() === ''")
        as_olga = await visit.run()
        assert "for olga" in await page.inner_text("#cost")
        assert as_olga == as_alice.replace('"viewerCanDismiss": true', '"viewerCanDismiss": false')

        stored = await visit.stored()
        assert "viewerCanDismiss" in stored, "the tabs come back another day"
        assert "eyJ" not in stored
        assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in visit.asked} <= {demo.origin, "data://"}
        assert visit.complaints == []


async def test_secrets_and_headers_are_not_stored(browser: Browser, demo: Site) -> None:
    query = "mutation Keep($k: Secret!) { setProviderKey(input: {provider: NOBODY, key: $k}) { userErrors { code } } }"
    async with visiting(browser, demo) as visit:
        await visit.write("query Mine { viewer { role } }")
        assert "MEMBER" in await visit.run()
        await visit.page.click("[data-name=headers]")
        await visit.page.locator(".graphiql-editor-tool .monaco-editor >> visible=true").click()
        await visit.page.keyboard.insert_text(f'{{"X-Canary": "{CANARY}"}}')
        await visit.page.click(RUN)
        assert "MEMBER" in await visit.answer()
        await visit.page.click("[data-name=variables]")
        await visit.write(query, f'{{"k": "{CANARY}"}}')
        await visit.page.click(RUN)
        await visit.answer("Provider")
        assert CANARY not in await visit.stored()
        await visit.write("query Mine { viewer { role } }", f'{{"k": "{CANARY}"}}')
        assert "MEMBER" in await visit.run()
        stored = await visit.stored()
        assert "query Mine" in stored, "what is harmless is kept"
        assert CANARY not in stored


async def test_elsewhere_than_in_the_demo_a_token_is_typed_and_forgotten(
    browser: Browser, world: Urls, tmp_path: Path
) -> None:
    settings = {"ENVIRONMENT": "prod", "GRAPHIQL": "on", "JWT_SECRET": SECRET, "JWT_ISSUER": OWN_ISSUER}
    token = mint(SECRET.encode(), subject="carol", audience="us")
    async with site_of(world, tmp_path, JWT_AUDIENCE="us", **settings) as site, visiting(browser, site) as visit:
        page = visit.page
        assert await page.locator("#persona").count() == 0
        await page.fill("#token", token)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#token[placeholder*='in use']")
        await page.wait_for_selector(RUN)
        await visit.write("{ viewer { role } }")
        assert "ADMIN" in await visit.run()
        assert token not in await visit.stored()
        assert token not in await page.content()
