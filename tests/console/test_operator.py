"""What an operator does all day, in a browser, before a real site: CSMS, controller, stations, cars."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.browsers import PATIENCE_S, a_page, arrived, picture
from tests.console.sites import FIRST, FREE, Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
SIX_AMPERES_W = 6 * 3 * 240.0
"""At most, whatever phases a car uses."""


async def test_a_car_comes_and_charges(browser: Browser, site: Site) -> None:
    """Nobody reloads anything."""
    async with a_page(browser, site.address) as page:
        await page.goto("/")
        tile = page.locator("a.tile", has_text=FIRST)
        await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        await expect(tile).to_have_attribute("data-state", "charging")
        await expect(tile).to_contain_text("kW")
        await expect(page.locator("a.tile", has_text=FREE)).to_have_attribute("data-state", "unplugged")
        await picture(page, "overview")
        await tile.click()
        place = page.locator("[data-connector='1.1']")
        await expect(place).to_contain_text("kW")
        await expect(place).to_contain_text("Transaction")
        await expect(page.get_by_text("Current by phase")).to_be_visible()
        await picture(page, "station")


async def test_a_key_is_changed_and_its_message_found(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto(f"/stations/{FREE}/configuration")
        await page.get_by_role("button", name="Read from the station").click()
        await page.get_by_role("textbox", name="Filter").fill("heartbeat")
        await page.get_by_role("button", name="Change OCPPCommCtrlr.HeartbeatInterval").click()
        await page.get_by_role("dialog").get_by_role("textbox", name="Value").fill("321")
        await page.get_by_role("dialog").get_by_role("button", name="Set").click()
        row = page.get_by_role("row", name="HeartbeatInterval")
        await expect(row.get_by_role("cell", name="321", exact=True).first).to_be_visible()
        await expect(row).to_contain_text("as desired")
        await picture(page, "configuration")

        await page.get_by_role("tab", name="Messages").click()
        await page.get_by_label("Text in the message").fill("HeartbeatInterval")
        call = page.get_by_role("button", name="ChangeConfiguration").first
        await expect(call).to_be_visible()
        await expect(page.get_by_role("row", name="ChangeConfiguration").first).to_contain_text("Accepted")
        await call.click()
        await expect(page.locator("pre.frame").first).to_contain_text('"321"')
        await picture(page, "messages")


async def test_search_finds_a_station_by_keyboard(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/")
        await expect(page.locator("a.tile").first).to_be_visible()
        await page.keyboard.press("Control+k")
        await page.get_by_role("combobox", name="Search").fill(FIRST.lower())
        await expect(page.get_by_role("option", name=re.compile(f"^{FIRST}.*Station$"))).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=FIRST)).to_be_visible()


async def test_a_lost_connection_is_told_and_heals(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/")
        await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        await page.context.set_offline(True)
        await expect(page.get_by_role("alert").filter(has_text="Connection lost at")).to_be_visible()
        await picture(page, "connection-lost")
        await page.context.set_offline(False)
        await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        await expect(page.get_by_role("alert").filter(has_text="Connection lost at")).to_have_count(0)


async def test_a_limit_is_lowered_and_the_car_follows(browser: Browser, site: Site) -> None:
    """A profile is made, drawn as it is made, and sent."""
    async with a_page(browser, site.address) as page:
        await page.goto(f"/stations/{FIRST}")
        await expect(page.locator("[data-connector='1.1']")).to_contain_text("kW")
        await page.get_by_role("tab", name="Smart charging").click()
        await page.get_by_role("link", name="New profile").click()
        await page.get_by_role("combobox", name="What for").click()
        await page.get_by_role("option", name="For the whole station").click()
        while await page.get_by_role("button", name="Remove the line").count() > 1:
            await page.get_by_role("button", name="Remove the line").last.click()
        await page.get_by_label("Limit 1").fill("6")
        await expect(page.get_by_role("cell", name="6.0 A").first).to_be_visible()
        await expect(page.get_by_text("ChargingStationMaxProfile 0", exact=True).first).to_be_visible()
        await picture(page, "profile-editor")
        await page.get_by_role("button", name=f"Send to {FIRST}").click()
        await expect(page.get_by_role("alert").filter(has_text="accepted").first).to_be_visible()
        await expect(page.get_by_role("row", name=FIRST).filter(has_text="installed").first).to_be_visible()
        await page.get_by_role("row", name=FIRST).first.get_by_role("link").first.click()
        await page.get_by_role("tab", name="Now").click()
        await _until_power_is_below(page, SIX_AMPERES_W / 1000)
        assert site.power_w(FIRST) <= SIX_AMPERES_W


async def _until_power_is_below(page: Page, most_kw: float) -> None:
    await page.wait_for_function(
        """(most) => {
            const shown = document.querySelector("[data-connector='1.1'] .value")?.textContent ?? "";
            const power = /^([0-9.]+) kW/.exec(shown);
            return power !== null && Number(power[1]) <= most;
        }""",
        arg=most_kw,
    )


@pytest.mark.slow
async def test_stations_that_are_chosen_are_saved_and_asked_together(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/stations")
        await expect(page.locator("tbody tr")).to_have_count(4)
        await page.get_by_role("textbox", name="Filter").fill("ocpp1.6")
        await page.get_by_role("button", name="Station", exact=True).click()
        await expect(page).to_have_url(re.compile(r"text=ocpp1\.6.*sort=name"))
        rows = page.locator("tbody tr")
        count = await rows.count()
        assert count > 1
        await page.reload()
        await expect(rows).to_have_count(count)
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Save as CSV").click()
        lines = (await (await saving.value).path()).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("id,name,state,power_kw")
        assert len(lines) == count + 1
        assert lines[1].startswith(FIRST)

        await page.get_by_label("Choose all that are shown").check()
        chosen = page.get_by_role("region", name="With those that are chosen")
        await expect(chosen).to_contain_text(f"{count} chosen")
        await page.get_by_label(f"Choose {FIRST}").uncheck()
        await expect(chosen).to_contain_text(f"{count - 1} chosen")
        await picture(page, "stations-chosen")
        await chosen.get_by_role("button", name="Ask them").click()
        sheet = page.get_by_role("dialog")
        await sheet.get_by_role("combobox", name="Command").click()
        await page.get_by_role("option", name="Ask for their state").click()
        await expect(sheet).to_contain_text("nothing else changes")
        await sheet.get_by_role("button", name="Ask them").click()
        row = page.get_by_role("row", name="TRIGGER_MESSAGE").first
        await expect(row).to_contain_text(f"{count - 1} accepted")
        await picture(page, "batches")


@pytest.mark.slow
async def test_a_view_is_kept_and_forgotten(browser: Browser, site: Site) -> None:
    async with a_page(browser, site.address) as page:
        await page.goto("/stations")
        await arrived(page)
        await page.get_by_role("combobox", name="State").click()
        await page.get_by_role("option", name="Charging").click()
        await expect(page).to_have_url(re.compile("state=charging"))
        await page.get_by_role("button", name="Views").click()
        await page.get_by_role("menuitem", name="Keep this view").click()
        await page.get_by_role("textbox", name="Name of the view").fill("Busy ones")
        await page.keyboard.press("Enter")
        await page.goto("/stations")
        await page.get_by_role("button", name="Views").click()
        await page.get_by_role("menuitem", name="Busy ones", exact=True).click()
        await expect(page).to_have_url(re.compile("state=charging"))
        await expect(page.get_by_role("combobox", name="State")).to_have_value(re.compile("Charging"))
        await page.get_by_role("button", name="Views").click()
        await page.get_by_role("menuitem", name="Forget Busy ones").click()
        await page.get_by_role("button", name="Views").click()
        await expect(page.get_by_text("No view kept yet")).to_be_visible()


@pytest.mark.slow
async def test_tokens_come_from_a_list_or_not_at_all(browser: Browser, site: Site, tmp_path: Path) -> None:
    """Semicolons, quotes and SteVe's names are understood; a line that can't be is named, and nothing is entered."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text('\ufeffid_tag;expiry_date;note\r\nLIST-1;2030-01-02 03:04;"A; ""B"""\r\nLIST-2;;\r\n', "utf-8")
    bad.write_text("value,standing\nLIST-3,Accepted\nLIST-4,Maybe\n", "utf-8")
    async with a_page(browser, site.address) as page:
        await page.goto("/tokens")
        await arrived(page)
        await page.get_by_role("button", name="From a list").click()
        sheet = page.get_by_role("dialog")
        await page.locator("input[type=file]").set_input_files(bad)
        await expect(sheet).to_contain_text("line 3: standing 'Maybe' is none of Accepted")
        await sheet.get_by_role("button", name="Enter them").click()
        await page.locator("input[type=file]").set_input_files(good)
        await expect(sheet).to_contain_text("2 tokens are entered, 0 of them replaced.")
        await sheet.get_by_role("button", name="Enter them").click()
        await expect(sheet).to_have_count(0)
        await page.get_by_role("textbox", name="Filter").fill("LIST-1")
        row = page.get_by_role("row", name="LIST-1")
        await expect(row).to_contain_text('A; "B"')
        await expect(row).to_contain_text("2 Jan 2030, 04:04")
        await page.get_by_role("textbox", name="Filter").fill("LIST-3")
        await expect(page.get_by_text("No token", exact=True)).to_be_visible()
