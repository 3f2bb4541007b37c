"""The page of a running controller, in a browser."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from tests.api.test_site_api import House, a_house

PATIENCE_MS = 60_000
PICTURES = Path(__file__).parents[2] / "build" / "controller"

pytestmark = pytest.mark.slow


@asynccontextmanager
async def seen(house: House, **options: Any) -> AsyncIterator[Page]:
    """The page before somebody who has signed in; nothing may go wrong in it, and nothing be asked of others."""
    chromium = shutil.which("chromium")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(base_url=house.url, **options)
        page.set_default_timeout(PATIENCE_MS)
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda line: broken.append(line.text) if "Content Security Policy" in line.text else None)
        page.on(
            "request", lambda asked: None if asked.url.startswith((house.url, "data:")) else broken.append(asked.url)
        )
        await page.goto("/")
        await page.get_by_label("Token").fill(house.client.headers["authorization"].removeprefix("Bearer "))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="left/1").first).to_be_visible(timeout=PATIENCE_MS)
        yield page
        assert not broken
        await browser.close()


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


async def test_a_limit_is_set_by_keyboard_and_nothing_stands_in_anybody_s_way(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, seen(house, viewport={"width": 1400, "height": 900}) as page:
        house.charge()
        await page.locator("#evses summary").first.focus()
        await page.keyboard.press("Enter")
        await page.get_by_label("Limit in A").first.fill("8.5")
        await page.keyboard.press("Enter")
        await expect(page.locator("#said")).to_have_text("Limit of left/1: done", timeout=PATIENCE_MS)
        await expect(page.locator("#evses")).to_contain_text("limited by hand to 8.5 A", timeout=PATIENCE_MS)
        await expect(page.locator("#changes")).to_contain_text("left/1 to 8.5 A", timeout=PATIENCE_MS)
        assert (await house.evse())["by_hand"]["current_a"] == 8.5
        await picture(page, "desk")
        results = await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        assert [one["id"] for one in results.response["violations"] if one["impact"] in ("serious", "critical")] == []


async def test_it_fits_a_phone_in_the_dark(tmp_path: Path) -> None:
    options: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    async with a_house(tmp_path) as house, seen(house, **options) as page:
        await page.locator("#nodes summary").first.click()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await picture(page, "phone")
        results = await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        assert [one["id"] for one in results.response["violations"] if one["impact"] in ("serious", "critical")] == []
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Token")).to_be_focused(timeout=PATIENCE_MS)


async def test_lists_are_searched_and_what_is_being_filled_in_stays(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, seen(house, viewport={"width": 2560, "height": 1400}) as page:
        assert await page.locator("input[type=password]").count() == 1, "forms are made when they are opened"
        await page.locator("#evses summary").first.click()
        await page.get_by_label("Limit in A").fill("7.5")
        house.charge()
        await expect(page.locator("#counts")).to_contain_text("1 waiting")
        assert await page.get_by_label("Limit in A").input_value() == "7.5"
        assert await page.locator("#evses > li").count() == 2
        await page.get_by_label("Show").select_option("trouble")
        await expect(page.locator("#evses > li")).to_have_count(1)
        await expect(page.locator("#evses")).to_contain_text("right/hand/1")
        await page.get_by_label("Find").fill("left")
        await expect(page.locator("#evses")).to_have_text("None of them.")
        await page.get_by_label("Show").select_option("all")
        await expect(page.locator("#evses h3")).to_have_text("left/1")
        await expect(page.locator("#nodes")).to_contain_text("no meter: other load is taken to be up to 14.0 A")
        await picture(page, "wide")
        await page.locator("#stations summary").first.click()
        await expect(page.locator("input[type=password]")).to_have_count(2)
        await page.get_by_role("button", name="Sign out").click()
        assert await page.locator("main li").count() == 0, "nothing is left to be read"


async def test_a_wrong_token_is_told(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, seen(house) as page:
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_label("Token").fill("fc-site-guess")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
