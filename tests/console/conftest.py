"""One browser, one running site and one locked CSMS for all tests of the console; the site has a thread of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from forecourt.app.csms import RunningCsms
from tests.console.browsers import chromium
from tests.console.sites import Site, locked_csms, site_in_background


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """CSMS, controller, stations and cars; whoever changes something there changes it for the others too."""
    chromium()
    with site_in_background(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningCsms]:
    """A CSMS that asks who comes; each test has stations and people of its own there."""
    async with locked_csms(tmp_path_factory.mktemp("locked")) as csms:
        yield csms


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    program: Path | str = chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        await running.close()
