"""Chromium once for all tests here; skipped where it, or the built page, is missing, except on CI."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from api.page import is_built
from db.engine import Urls
from tests.browser.site import Site, site_of, somebody_elses
from tests.missing import missing

# Names other than this machine's lead nowhere, and Chromium keeps its own errands to itself.
ALONE = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("Chromium is not installed: apt-get install chromium")
    if not is_built():
        missing("GraphiQL is not built: make page")
    async with async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=program, args=ALONE)
        yield started
        await started.close()


@pytest.fixture(scope="session")
async def elsewhere() -> AsyncIterator[Site]:
    async with somebody_elses() as site:
        yield site


@pytest.fixture(scope="session")
async def demo(
    browser: Browser, world: Urls, elsewhere: Site, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """The demo, which a page elsewhere may ask too."""
    home = tmp_path_factory.mktemp("demo")
    async with site_of(world, home, ENVIRONMENT="dev", ALLOWED_ORIGINS=elsewhere.origin) as site:
        yield site
