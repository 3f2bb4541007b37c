"""Debian's Chromium before the console, and what is kept of a run: pictures, under build/console."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, expect

from forecourt.console.pages import STATIC

PATIENCE_MS = 90_000
"""For what must happen but may take its time on a busy machine."""
PATIENCE_S = 600
"""Of a whole test."""
PICTURES = Path(__file__).parents[2] / "build" / "console"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PHONE = (360, 740)
DESK = (1440, 900)

expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Where it is; without one, or without a console, there is nothing to test: a failure where that must not be."""
    found = shutil.which("chromium")
    missing = None if found else "chromium is not installed"
    if not (STATIC / "index.html").is_file():
        missing = "the console isn't built: make console"
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    assert found is not None
    return found


@asynccontextmanager
async def a_page(
    browser: Browser,
    address: str | None = None,
    *,
    size: tuple[int, int] = DESK,
    dark: bool = False,
    language: str = "en-GB",
) -> AsyncIterator[Page]:
    """A fresh visit; at the end nothing may have gone wrong in it that nobody looked at."""
    context = await browser.new_context(
        base_url=address,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        locale=language,
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda line: broken.append(line.text) if "Content Security Policy" in line.text else None)
    try:
        yield page
    finally:
        await context.close()
    assert not broken


async def picture(page: Page, name: str) -> None:
    """Keep what is seen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def arrived(page: Page) -> None:
    """Until a page is there, with what it asked for."""
    await expect(page.locator("h1").first).to_be_attached()
    await expect(page.locator(".mantine-Loader-root")).to_have_count(0)


async def too_wide(page: Page) -> int:
    """By how many pixels a page is wider than the screen."""
    there = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(there)


async def barriers(page: Page, within: str | None = None) -> list[str]:
    """What keeps somebody from using this page (WCAG 2 A and AA), as axe sees it; only what is serious or worse."""
    if await page.evaluate("typeof axe === 'undefined'"):
        await page.evaluate(AXE_SCRIPT)
    violations = await page.evaluate(
        """async ([within, options]) => (await axe.run(within ?? document, options)).violations""",
        [within, {"runOnly": WCAG, "resultTypes": ["violations"]}],
    )
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in violations
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]
