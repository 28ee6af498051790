"""A look at the page as a person has it: what it asked for, what the console said, what it stored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.async_api import Browser, ConsoleMessage, Page, Request

from tests.browser.site import Site

RUN = ".graphiql-execute-button"
ANSWER = ".graphiql-response .view-lines"
WIDE = (1280, 800)


@dataclass
class Visit:
    """One page in a browser profile of its own. `complaints` are errors and warnings of the console and the page."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def went(self, request: Request) -> None:
        self.asked.append(request.url)

    async def run(self) -> str:
        """Run the open tab. The answer's text, as far as it is in view."""
        await self.page.click(RUN)
        await self.page.wait_for_selector("#cost b")
        return await self.answer()

    async def answer(self, containing: str = "{") -> str:
        await self.until(f"document.querySelector('{ANSWER}').innerText.includes('{containing}')")
        return (await self.page.inner_text(ANSWER)).replace("\xa0", " ")

    async def until(self, condition: str) -> None:
        """Wait for it. Playwright's own way is eval, which the page's policy forbids."""
        async with asyncio.timeout(20):
            while not await self.page.evaluate(condition):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)

    async def write(self, query: str, variables: str = "") -> None:
        """Replace what stands in the editors of the open tab."""
        for editor, text in (("query", query), ("variable", variables)):
            area = (
                f".graphiql-{editor}-editor .monaco-editor"
                if editor == "query"
                else ".graphiql-editor-tool .monaco-editor"
            )
            await self.page.locator(area).first.click()
            await self.page.keyboard.press("ControlOrMeta+A")
            await self.page.keyboard.press("Delete")
            await self.page.keyboard.insert_text(text)

    async def stored(self) -> str:
        """Everything that the browser keeps, once GraphiQL has had the time to write."""
        await self.page.wait_for_timeout(700)
        return str(
            await self.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        )


@asynccontextmanager
async def visiting(
    browser: Browser, site: Site, size: tuple[int, int] = WIDE, theme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Visit]:
    """The page, ready to run something."""
    width, height = size
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    try:
        page = await context.new_page()
        visit = Visit(page)
        page.on("console", visit.heard)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        context.on("request", visit.went)
        await page.goto(site.page)
        await page.wait_for_selector(RUN)
        await page.wait_for_selector(f"{ANSWER}", state="attached")
        await visit.until("document.querySelector('.graphiql-query-editor .view-lines')?.innerText.length > 9")
        yield visit
    finally:
        await context.close()
