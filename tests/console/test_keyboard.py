"""Without a mouse: skip link, visible focus, and dialogs that keep the focus and give it back."""

import asyncio
from itertools import groupby

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.browsers import PATIENCE_S, a_page, arrived
from tests.console.sites import FIRST, Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
STOPS = 8
"""More than any field has."""
FOCUS = """() => {
    const here = document.activeElement;
    const style = getComputedStyle(here);
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return {
        name: (here.getAttribute("aria-label") ?? (here.textContent || here.id)).trim(),
        tag: here.tagName,
        seen: ring || style.boxShadow !== "none" || here.matches("input, textarea"),
        inside: here.closest("[role=dialog]") !== null,
    };
}"""


async def test_the_first_key_leads_to_the_content(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/tariffs")
        await arrived(page)
        await page.keyboard.press("Tab")
        assert (await page.evaluate(FOCUS))["name"] == "To the content"
        await expect(page.get_by_role("button", name="To the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.keyboard.press("Tab")
        assert (await page.evaluate("document.activeElement.closest('main') !== null")) is True


async def test_whatever_has_the_focus_shows_it(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto(f"/stations/{FIRST}")
        await arrived(page)
        places = [place for place in await _walk(page, 30) if place["tag"] != "BODY"]
        assert len({place["name"] for place in places}) > 20
        assert [place for place in places if not place["seen"]] == []


async def test_a_dialog_keeps_the_focus_and_gives_it_back(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/tokens")
        await arrived(page)
        opener = page.get_by_role("button", name="Enter a token").first
        await opener.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog.locator("input").first).to_be_focused()
        order = await dialog.evaluate(
            """(dialog) => [...dialog.querySelectorAll("input, button, textarea, select, a[href]")]
                .filter((one) => one.tabIndex >= 0 && !one.disabled && one.offsetParent !== null)
                .map((one) => (one.getAttribute("aria-label") ?? (one.textContent || one.id)).trim())"""
        )
        # Once around, from where it begins to there again; a field for a date has some stops of its own.
        places = [await page.evaluate(FOCUS)]
        while len(places) == 1 or places[-1]["name"] != places[0]["name"]:
            assert len(places) < STOPS * len(order), f"the focus doesn't come back: {places}"
            places += await _walk(page, 1)
        assert [place for place in places if not place["inside"]] == [], "the focus leaves the dialog"
        names = [name for name, _ in groupby(place["name"] for place in places)][:-1]
        first = names.index(order[0])
        assert names[first:] + names[:first] == order, "the focus goes as the dialog reads"
        await asyncio.gather(*(page.keyboard.press("Tab") for _ in places[1:]))
        assert (await page.evaluate(FOCUS))["name"] == places[0]["name"], "however fast somebody is"
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(opener).to_be_focused()


async def test_a_question_begins_at_the_harmless_answer(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto(f"/stations/{FIRST}")
        await page.get_by_role("button", name="More").press("Enter")
        await page.get_by_role("menuitem", name="Restart", exact=True).press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("It is away for some minutes.")
        await expect(dialog.get_by_role("button", name="Leave it")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)


async def _walk(page: Page, steps: int) -> list[dict[str, object]]:
    """Where the focus is after each press of Tab."""
    found = []
    for _ in range(steps):
        await page.keyboard.press("Tab")
        found.append(await page.evaluate(FOCUS))
    return found
