"""The page on a laptop and on a telephone, in both themes, and without a mouse."""

from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from tests.browser.looks import CLIPPED, FAINT, OUTSIDE
from tests.browser.site import Site
from tests.browser.visit import RUN, WIDE, visiting

NARROW = (390, 844)
PANES = ("Documentation Explorer", "History", "GraphiQL Explorer", "Stories")
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
EXPLORERS = "arg mismatch"  # what its explorer says of a list that stands in a query; it shows it all the same
FOCUSED = "document.activeElement.closest('{}') !== null"


async def show(page: Page, pane: str) -> None:
    """Open that pane, whichever one is open."""
    button = page.locator(f".graphiql-sidebar [aria-label$='{pane}']")
    if (await button.get_attribute("aria-label") or "").startswith("Show"):
        await button.click()
    await page.wait_for_selector(f"[aria-label='Hide {pane}']")


@SIZES
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_text_has_contrast_whatever_pane_is_open(
    browser: Browser, demo: Site, size: tuple[int, int], theme: Literal["light", "dark"]
) -> None:
    async with visiting(browser, demo, size, theme) as visit:
        page = visit.page
        await visit.run()
        seen = [await page.evaluate(FAINT)]
        for pane in PANES:
            await show(page, pane)
            await page.mouse.move(*[edge / 2 for edge in size])
            await page.wait_for_timeout(300)  # until tooltips have faded
            seen.append(await page.evaluate(FAINT))
        await page.click("[aria-label='Open settings dialog']")
        await page.wait_for_selector(".graphiql-dialog")
        seen.append(await page.evaluate(FAINT))
        assert [each["faint"] for each in seen] == [[]] * 6
        assert min(each["looked"] for each in seen) > 20
        assert [each for each in visit.complaints if not each.startswith(EXPLORERS)] == []


async def test_the_theme_of_the_settings_holds_against_the_systems(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as visit:
        page = visit.page
        paper = "getComputedStyle(document.body).backgroundColor"
        assert await page.evaluate(paper) == "rgb(255, 255, 255)"
        await page.click("[aria-label='Open settings dialog']")
        await page.click(".graphiql-dialog button:has-text('Dark')")
        assert await page.evaluate(paper) == "rgb(33, 42, 59)"
        await page.keyboard.press("Escape")
        await visit.run()
        assert (await page.evaluate(FAINT))["faint"] == []


@SIZES
async def test_nothing_sticks_out_and_nothing_is_cut_off(browser: Browser, demo: Site, size: tuple[int, int]) -> None:
    async with visiting(browser, demo, size) as visit:
        page = visit.page
        before = await page.locator("main").bounding_box()
        await visit.run()
        assert await page.locator("main").bounding_box() == before, "an answer moves nothing"
        menu = await page.locator("#persona").bounding_box()
        assert menu is not None
        assert menu["width"] > 200, "who is asking can be read beside the cost"
        for pane in (*PANES, None):
            if pane is not None:
                await show(page, pane)
            else:
                await page.click("[aria-label='Open settings dialog']")
                await page.wait_for_selector(".graphiql-dialog")
                assert await page.evaluate(CLIPPED, ".graphiql-dialog") == 0
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
            assert await page.evaluate(OUTSIDE) == []


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
            assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if await page.evaluate(FOCUSED.format(".stories li")):
                break
        await page.keyboard.press("Enter")
        await visit.until("document.querySelector('#persona').value === 'alice'")
        await visit.until(FOCUSED.format(".graphiql-query-editor"))
        await page.keyboard.press("Control+Enter")
        assert "Maple Street Renovation" in await visit.answer()

        await page.keyboard.press("Control+m")  # as the page says: now Tab leaves the editor
        for wanted in (RUN, "[data-name=variables]", "[data-name=headers]", ".result-window"):
            for _ in range(8):
                await page.keyboard.press("Tab")
                if await page.evaluate(FOCUSED.format(wanted)):
                    break
            assert await page.evaluate(FOCUSED.format(wanted)), wanted


async def test_every_control_has_a_name(browser: Browser, demo: Site) -> None:
    unnamed = """() => [...document.querySelectorAll('button, select, input, [role=button]')].filter((each) =>
      each.checkVisibility() && !each.closest('.monaco-editor') &&
      !(each.innerText?.trim() || each.ariaLabel || each.title || each.labels?.length)).map((each) => each.outerHTML.slice(0, 90))"""
    async with visiting(browser, demo) as visit:
        assert await visit.page.evaluate(unnamed) == []
