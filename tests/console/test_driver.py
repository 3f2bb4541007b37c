"""The page behind a station's QR code, on a phone, before a station with a hand at it; and what can't be had there."""

from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from forecourt.app.csms import RunningCsms
from forecourt.csms import authorization, driver, stations, tariffs, transactions, wishes
from forecourt.csms.authorization import TokenFields
from forecourt.csms.errors import NotFound
from forecourt.csms.money_records import TariffScope
from forecourt.csms.tariff_terms import PriceComponent, TariffDimension, TariffElement, TariffTerms
from tests.app.stations import station_process
from tests.console.browsers import PATIENCE_S, PHONE, a_page, barriers, picture, too_wide
from tests.console.sites import FREE, Site, address_of, locked_csms

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
SECRET = "of these tests only"
CONFIG = """
id = "CP 1"
csms = "ws://127.0.0.1:{port}/ocpp"
vendor_name = "Acme"
model = "Twin"
reading_every_s = 0.2

[[evses]]

[variables]
"SampledDataCtrlr.TxUpdatedInterval" = 1
"""
CAR = {"phases": 3, "maximum_a": 16.0, "battery_wh": 50_000, "initial_soc_percent": 40}


async def test_reserve_start_and_stop_from_a_phone(browser: Browser, tmp_path: Path) -> None:
    async with locked_csms(tmp_path) as csms, a_page(browser, size=PHONE) as page:
        config = tmp_path / "station.toml"
        config.write_text(CONFIG.format(port=csms.stations.port), encoding="utf-8")
        await authorization.put_token(csms.context, "ALICE", TokenFields())
        async with station_process(config) as station:
            await station.until(lambda state: state["registration"] == "Accepted")
            code = driver.code_of(SECRET, (await stations.get_station(csms.context, "CP 1")).number)
            await page.goto(f"{address_of(csms)}/d/{code}")

            await _start(page, "MALLORY")
            await expect(page.get_by_role("alert")).to_contain_text("This card may not charge here now.")
            assert await barriers(page) == []

            await page.get_by_label("Number of your card or contract").fill("ALICE")
            await page.get_by_role("button", name="Reserve").click()
            await expect(page.get_by_role("heading", name="Reserved for you until")).to_be_visible()
            await page.get_by_role("button", name="Give it back").click()
            await expect(page.get_by_role("heading", name="Reserved for you until")).to_have_count(0)

            await station.do("/evses/1/plug-in", CAR)
            await _start(page, "ALICE")
            await expect(page.get_by_role("heading", name="Your car is charging")).to_be_visible()
            await expect(page.locator("dd").first).not_to_have_text("0.00 kWh")
            await page.get_by_label("You leave at").fill("23:45")
            await page.get_by_label("Energy wanted (kWh)").fill("12.5")
            await page.get_by_role("button", name="Say so").click()
            await expect(page.get_by_role("status")).to_contain_text("Noted: you leave at")
            (running,) = (await transactions.list_transactions(csms.context, limit=5, cursor=None)).items
            assert (await wishes.get_wish(csms.context, running.number)).energy_wh == 12_500.0
            assert await barriers(page) == []
            assert await too_wide(page) <= 1
            await picture(page, "driver")
            await page.reload()
            await page.get_by_role("button", name="Stop charging").click()
            await expect(page.get_by_role("heading", name="Charging is finished")).to_be_visible()
            assert await barriers(page) == []


@pytest.mark.slow
async def test_pay_charge_and_read_the_receipt(browser: Browser, tmp_path: Path) -> None:
    """Somebody without a card: money is held, the car charges, the rest is given back."""
    async with locked_csms(tmp_path) as csms, a_page(browser, size=PHONE) as page:
        config = tmp_path / "station.toml"
        config.write_text(CONFIG.format(port=csms.stations.port), encoding="utf-8")
        component = PriceComponent(type=TariffDimension.ENERGY, price=Decimal("0.50"), vat=Decimal(19))
        terms = TariffTerms(currency="EUR", elements=(TariffElement(price_components=(component,)),))
        made = await tariffs.create_tariff(csms.context, terms)
        await tariffs.assign_tariff(csms.context, made.id, TariffScope.ORGANISATION)
        async with station_process(config) as station:
            await station.until(lambda state: state["registration"] == "Accepted")
            await station.do("/evses/1/plug-in", CAR)
            code = driver.code_of(SECRET, (await stations.get_station(csms.context, "CP 1")).number)
            await page.goto(f"{address_of(csms)}/d/{code}")
            await expect(page.get_by_text("Energy: €0.60 per kWh")).to_be_visible()
            await page.get_by_role("button", name="Pay here with fake").click()
            await expect(page.get_by_role("heading", name="Your car is charging")).to_be_visible()
            await expect(page.get_by_text("Cost so far")).to_be_visible()
            await expect(page.locator("dd").first).not_to_have_text("0.00 kWh")
            await page.get_by_role("button", name="Stop charging").click()
            await expect(page.get_by_role("heading", name="Charging is finished")).to_be_visible()
            await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
            await expect(page.get_by_role("row", name="Total")).to_contain_text("€")
            assert await barriers(page) == []
            await picture(page, "receipt")


@pytest.mark.slow
async def test_the_demonstration_can_be_tried_from_a_phone(browser: Browser, site: Site) -> None:
    """Its own location, tariff and payment; whoever begins where no car stands has one that comes."""
    async with httpx.AsyncClient(base_url=site.address, timeout=60) as client:
        path = (await client.get(f"/api/v1/stations/{FREE}/driver-page")).json()["path"]
        # The site is small, and others are there already: whoever comes last would have to wait for a turn.
        first = await client.put(f"/api/v1/sites/1/evses/{FREE}/1/priority", json={"priority": 9})
        assert first.status_code in {200, 202}
    async with a_page(browser, site.address, size=PHONE) as page:
        await page.goto(path)
        await expect(page.get_by_text("Garage", exact=False).first).to_be_visible()
        await expect(page.get_by_text("Energy: €0.48 per kWh")).to_be_visible()
        await page.get_by_label("Number of your card or contract").fill("GUEST")
        await page.get_by_role("button", name="Reserve").click()
        await expect(page.get_by_role("heading", name="Reserved for you until")).to_be_visible()
        await page.get_by_role("button", name="Give it back").click()
        await expect(page.get_by_role("heading", name="Reserved for you until")).to_have_count(0)

        await page.get_by_role("button", name="Pay here with fake").click()
        await expect(page.get_by_role("heading", name="Your car is charging")).to_be_visible()
        await page.get_by_label("Energy wanted (kWh)").fill("20")
        await page.get_by_role("button", name="Say so").click()
        await expect(page.get_by_role("status")).to_contain_text("Noted")
        assert site.demo is not None
        surroundings = site.demo.controller.endpoint.controller.surroundings
        key = next(point.key for point in site.demo.site.evses if point.station_id == FREE)
        assert 0.0 < (surroundings.wishes.remaining_wh(key) or 0.0) <= 20_000.0
        await expect(page.get_by_text("Cost so far")).to_be_visible()
        await expect(page.locator("dd").first).not_to_have_text("0.00 kWh")
        assert await barriers(page) == []
        assert await too_wide(page) <= 1
        await picture(page, "driver-demonstration")
        await page.get_by_role("button", name="Stop charging").click()
        await expect(page.get_by_role("heading", name="Receipt")).to_be_visible()
        await expect(page.get_by_role("row", name="Total")).to_contain_text("€")
        await page.get_by_role("button", name="Done").click()
        await expect(page.get_by_role("button", name="Start charging")).to_be_visible()


async def _start(page: Page, token: str) -> None:
    await page.get_by_label("Number of your card or contract").fill(token)
    await page.get_by_role("button", name="Start charging").click()


async def test_nothing_else_is_reachable(locked: RunningCsms) -> None:
    async with httpx.AsyncClient(base_url=address_of(locked), timeout=60) as client:
        await stations.create_station(locked.context, "CP 8", stations.StationFields())
        await stations.create_station(locked.context, "CP 9", stations.StationFields())
        numbers = [(await stations.get_station(locked.context, name)).number for name in ("CP 8", "CP 9")]
        code, other = (driver.code_of(SECRET, number) for number in numbers)
        seen = await client.get(f"/api/v1/driver/{code}")
        assert seen.status_code == 200
        assert "CP 8" not in seen.text
        forged = f"{numbers[1]}-{code.partition('-')[2]}"
        for wrong in (forged, f"0{code}", code.upper(), f"{code}x", "1", "-", "x" * 1000, "٣-a"):
            assert (await client.get(f"/api/v1/driver/{wrong}")).status_code == 404, wrong
        for path in (
            "stations",
            "stations/CP%208/driver-page",
            "transactions",
            "driver",
            f"driver/{code}/../../stations",
        ):
            assert (await client.get(f"/api/v1/{path}")).status_code in {401, 404}, path
        none = await client.post(f"/api/v1/driver/{code}/start", json={})
        assert (none.status_code, none.json()["errors"][0]["field"]) == (422, "id_token")
        for _ in range(30):
            last = await client.post(f"/api/v1/driver/{other}/start", json={"id_token": "GUESS"})
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) > 0


async def test_a_code_is_of_one_station_and_of_one_secret() -> None:
    code = driver.code_of(SECRET, 7)
    assert code == driver.code_of(SECRET, 7)
    assert code != driver.code_of(SECRET, 8)
    assert code != driver.code_of(f"{SECRET}!", 7)
    with pytest.raises(NotFound):
        await driver.station_of(None, SECRET, f"7-{'a' * 16}")  # type: ignore[arg-type]
