"""The page in a real browser that reaches nothing but the server. Only queries are run: the world is shared.

`PICTURE=docs/graphiql.png pytest tests/browser` also takes the README's picture.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser

from api.auth.tokens import OWN_ISSUER, mint
from db.engine import Urls
from tests.browser.site import Site, site_of
from tests.browser.visit import ANSWER, RUN, WIDE, visiting

NARROW = (390, 844)
SECRET = "s" * 32
CANARY = "sk-canary-0123456789"

# The least contrast of texts that WCAG AA asks for, of every text in the bar and the stories.
CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => { const a = top[3] ?? 1; return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)); };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = parse(getComputedStyle(document.body).backgroundColor);
  const texts = document.querySelectorAll('.bar h1, .bar span, .bar select, #cost b, .stories p, .stories h3, .stories small, .stories button');
  return Math.min(...[...texts].map((each) => {
    const pair = [light(over(parse(getComputedStyle(each).color), paper)), light(paper)].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
OUTSIDE = """() => [...document.querySelectorAll('.bar *, .graphiql-sidebar *, .graphiql-toolbar *, .graphiql-response, .graphiql-editors')]
  .filter((each) => each.getBoundingClientRect().width && each.getBoundingClientRect().right > innerWidth + 0.5)
  .map((each) => each.outerHTML.slice(0, 80))"""
ASK_FROM_HERE = """async ([url, token]) => {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const answer = await fetch(url, { method: 'POST', headers, body: '{"query": "{ viewer { role } }"}' });
  return answer.json();
}"""
READ_FROM_HERE = "(url) => fetch(url).then((answer) => answer.text(), (error) => error.name)"


async def test_a_page_of_another_origin_is_given_no_tokens_even_where_it_may_ask(
    browser: Browser, demo: Site, elsewhere: Site, world: Urls, tmp_path: Path
) -> None:
    page = await browser.new_page()
    try:
        await page.goto(demo.page)
        people = await page.evaluate("fetch('/graphql/personas').then((answer) => answer.json())")
        token = people["personas"][0]["token"]
        await page.goto(elsewhere.origin)
        assert "eyJ" not in await page.evaluate(READ_FROM_HERE, f"{demo.origin}/graphql/personas")
        allowed = await page.evaluate(ASK_FROM_HERE, [demo.page, token])
        assert allowed == {"data": {"viewer": {"role": "MEMBER"}}}
        async with site_of(world, tmp_path, ENVIRONMENT="dev") as closed:
            refused = await page.evaluate(READ_FROM_HERE, f"{closed.origin}/health/live")
            assert refused == "TypeError"
    finally:
        await page.close()


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


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
async def test_nothing_sticks_out_and_every_text_has_contrast(
    browser: Browser, demo: Site, size: tuple[int, int]
) -> None:
    async with visiting(browser, demo, size) as visit:
        await visit.run()
        assert await visit.page.evaluate(CONTRAST) >= 4.5
        await visit.page.emulate_media(color_scheme="dark")
        assert await visit.page.evaluate(CONTRAST) >= 4.5
        assert await visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        assert await visit.page.evaluate(OUTSIDE) == []
        assert visit.complaints == []


async def test_the_keyboard_suffices(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as visit:
        page = visit.page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "persona"
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await page.keyboard.type("olga")
        assert await page.input_value("#persona") == "olga"
        for _ in range(40):  # past the side bar's buttons, to the first story
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.closest('.stories li') !== null"):
                break
        await page.keyboard.press("Enter")
        await visit.until("document.querySelector('#persona').value === 'alice'")
        await visit.until("document.activeElement.closest('.graphiql-query-editor') !== null")
        await page.keyboard.press("Control+Enter")
        assert "Maple Street Renovation" in await visit.answer()


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
