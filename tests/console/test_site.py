"""A site's page: the diagram as it changes, the plan, and what an operator asks of the site's controller there."""

import re

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.console.browsers import PATIENCE_MS, PATIENCE_S, a_page, arrived, picture
from tests.console.sites import FIRST, FREE, Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
DIMMED_W = 7_600.0
"""What four EVSEs may draw together while the demonstration's site is dimmed, and a little."""


async def test_a_site_shows_its_loads_and_who_gets_what(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await _open(page)
        await expect(page.locator(".line-node").first).to_contain_text("Grid connection")
        await expect(page.locator(".line-node")).to_have_count(4)
        await expect(page.locator(".line-evse", has_text=FIRST)).to_contain_text(re.compile(r"[1-9][\d.]* kW"))
        await expect(page.locator(".line-node").first).to_contain_text(re.compile(r"[1-9][\d.]* of \d+ A"))
        share = _shares(page).get_by_role("row", name=f"{FIRST}/1")
        await expect(share).to_contain_text("Charging")
        await expect(share).to_contain_text(re.compile(r"[1-9][\d.]* A"))
        await expect(share).to_contain_text("still")
        await expect(_shares(page).get_by_role("row", name=f"{FREE}/1")).to_have_count(0)
        await page.get_by_role("button", name=re.compile("EVSEs? without a car")).click()
        await expect(_shares(page).get_by_role("row", name=f"{FREE}/1")).to_contain_text("Unplugged")
        await picture(page, "site")


async def test_why_is_told_in_the_viewers_language(browser: Browser, site: Site) -> None:
    """Reasons come from the controller as sentences: words are looked up, numbers written as the viewer writes them."""
    async with a_page(browser, site.address, language="de-DE") as page:
        await _open(page, "Übersichtsschaltplan")
        table = page.locator("section.card", has=page.get_by_role("heading", name="Was jedes Auto bekommt, und warum"))
        why = table.get_by_role("row", name=f"{FIRST}/1").locator("td[data-label=Warum]")
        await expect(why).to_contain_text(re.compile(r"^\d+,\d A: \w"))
        await expect(why).to_contain_text(re.compile(r"Plan: .* kWh bis zur Abfahrt"))
        for english in ("its own", "what the", "limit of", "phase", "asks for", "until it leaves", "doesn't fit"):
            await expect(table).not_to_contain_text(english)
        decided = page.locator(
            "section.card", has=page.get_by_role("heading", name="Alarme, Entscheidungen und Grenzen")
        )
        await expect(decided.locator("tbody tr").first).to_contain_text(re.compile(r"\d,\d A: "))
        await picture(page, "site-german")


@pytest.mark.slow
async def test_the_plan_is_shown_against_prices_and_carbon(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await _open(page)
        await expect(page.get_by_text("Planned power")).to_be_visible()
        await expect(page.get_by_text("Price per kWh", exact=False).first).to_be_visible()
        await expect(page.get_by_text("kg CO₂ per kWh").first).to_be_visible()
        await page.get_by_role("combobox", name="Whose plan").click()
        await page.get_by_role("option", name=f"{FIRST}/1").click()
        await expect(page.get_by_text(f"Planned current of {FIRST}/1")).to_be_visible()
        await expect(page.get_by_text("Highest current of each stretch")).to_be_visible()
        await picture(page, "site-plan")


@pytest.mark.slow
async def test_the_site_is_dimmed_and_its_cars_follow(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await _open(page)
        await page.get_by_role("button", name="Dim the site").click()
        await page.get_by_role("dialog").get_by_role("button", name="Dim the site").click()
        try:
            await expect(page.get_by_text("Dimmed by the grid operator")).to_be_visible()
            await page.wait_for_function(
                """(most) => {
                    const shown = document.querySelector("meter.share");
                    return shown !== null && shown.value <= most;
                }""",
                arg=DIMMED_W,
                timeout=4 * PATIENCE_MS,
            )
            await picture(page, "site-dimmed")
        finally:
            await page.get_by_role("button", name="End the dimming").click()
            await page.get_by_role("dialog").get_by_role("button", name="End the dimming").click()
        await expect(page.get_by_text("Dimmed by the grid operator")).to_have_count(0)


@pytest.mark.slow
async def test_a_wish_and_a_priority_reach_the_controller(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await _open(page)
        row = _shares(page).get_by_role("row", name=f"{FIRST}/1")
        await row.get_by_role("button", name=f"Change {FIRST}/1").click()
        sheet = page.get_by_role("dialog")
        await sheet.get_by_label("Priority, empty: as in the site's file").fill("3")
        await sheet.get_by_label("Energy in all (kWh)").fill("150")
        await sheet.get_by_role("button", name="Set").click()
        await expect(sheet).to_have_count(0)
        await expect(row).to_contain_text("Priority 3")
        await expect(row).to_contain_text(re.compile(r"still 1[0-4]\d"))
        await row.get_by_role("button", name=f"Change {FIRST}/1").click()
        await sheet.get_by_label("Priority, empty: as in the site's file").fill("")
        await sheet.get_by_role("button", name="Set").click()
        await expect(row).not_to_contain_text("Priority")
        assert site.demo is not None
        brain = site.demo.controller.endpoint.controller
        key = next(point.key for point in site.demo.site.evses if point.station_id == FIRST)
        assert 0.0 < (brain.surroundings.wishes.remaining_wh(key) or 0.0) <= 150_000.0


@pytest.mark.slow
async def test_a_circuit_is_limited_by_hand_for_a_while(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await _open(page)
        node = page.locator(".line-node").nth(1)
        name = (await node.locator("b").first.text_content() or "").strip()
        await node.get_by_role("button", name=f"Limit {name}").click()
        sheet = page.get_by_role("dialog")
        await sheet.get_by_label("Ampere per phase, empty: no limit by hand").fill("10")
        await sheet.get_by_role("button", name="Set").click()
        await expect(sheet).to_have_count(0)
        await expect(node).to_contain_text("now 10")
        await node.get_by_role("button", name=f"Limit {name}").click()
        await sheet.get_by_role("button", name="Set").click()
        await expect(sheet).to_have_count(0)
        await expect(node).not_to_contain_text("now 10")


def _shares(page: Page) -> Locator:
    return page.locator("section.card", has=page.get_by_role("heading", name="What each car gets, and why"))


async def _open(page: Page, diagram: str = "Single-line diagram") -> None:
    await page.goto("/sites")
    await page.get_by_role("link", name="Demonstration").click()
    await expect(page.get_by_role("heading", name=diagram)).to_be_visible()
    await arrived(page)
