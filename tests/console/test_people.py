"""Signing in, and what each role gets to see; what the page leaves out, the API refuses."""

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from forecourt.app.csms import RunningCsms
from forecourt.csms import people, stations
from forecourt.csms.people import UserFields
from forecourt.csms.people_records import Role
from tests.console.browsers import PATIENCE_S, a_page, barriers, picture
from tests.console.sites import address_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
PASSWORD = "correct horse battery staple"


async def test_a_viewer_sees_and_commands_nothing(browser: Browser, locked: RunningCsms) -> None:
    async with a_page(browser) as page:
        await stations.create_station(locked.context, "CP 1", stations.StationFields())
        _, once = await people.create_user(locked.context, UserFields(name="vera", role=Role.VIEWER))
        await page.goto(address_of(locked))
        await _sign_in(page, "vera", "wrong")
        await expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong.")
        assert await barriers(page) == []
        await picture(page, "sign-in")
        await _sign_in(page, "vera", once)
        await page.get_by_label("Password you came with").fill(once)
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Set").click()

        await expect(page.locator("a.tile", has_text="CP 1")).to_have_attribute("data-state", "offline")
        await expect(page.get_by_text("has never connected").first).to_be_visible()
        await expect(page.get_by_role("link", name="Administration")).to_have_count(0)
        await expect(page.get_by_role("link", name="Keys")).to_have_count(0)
        await page.locator("a.tile", has_text="CP 1").click()
        await expect(page.get_by_role("tab", name="Now")).to_be_visible()
        await expect(page.get_by_role("button", name="Start", exact=True)).to_have_count(0)
        await expect(page.get_by_role("button", name="More")).to_have_count(0)

        # The page only leaves out what the API refuses.
        refused = await page.evaluate(
            """async () => {
                const me = await (await fetch("/api/v1/me")).json();
                const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token };
                const body = JSON.stringify({ station_id: "CP 1" });
                return (await fetch("/api/v1/commands/CLEAR_CACHE", { method: "POST", headers, body })).status;
            }"""
        )
        assert refused == 403
        await page.get_by_role("button", name="You and your settings").click()
        await page.get_by_role("menuitem", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_an_operator_commands_and_administers_nobody(browser: Browser, locked: RunningCsms) -> None:
    async with a_page(browser) as page:
        await stations.create_station(locked.context, "CP 2", stations.StationFields())
        _, once = await people.create_user(locked.context, UserFields(name="otto", role=Role.OPERATOR))
        await page.goto(address_of(locked))
        await _sign_in(page, "otto", once)
        await page.get_by_label("Password you came with").fill(once)
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Set").click()
        await page.locator("a.tile", has_text="CP 2").click()
        await expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
        await expect(page.get_by_role("button", name="More")).to_be_visible()
        await expect(page.get_by_role("link", name="Administration")).to_have_count(0)
        await expect(page.get_by_role("link", name="Keys")).to_have_count(0)
        await page.goto(f"{address_of(locked)}/people")
        await expect(page.get_by_role("alert")).to_contain_text("Ask an administrator for a role that includes it.")
        statuses = await page.evaluate(
            """async () => {
                const me = await (await fetch("/api/v1/me")).json();
                const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token };
                const asked = [["GET", "users"], ["GET", "api-keys"], ["GET", "webhooks"], ["GET", "audit"],
                    ["POST", "users", { name: "eve", role: "admin" }], ["POST", "sites", { name: "Depot" }]];
                const answers = asked.map(([method, path, body]) =>
                    fetch(`/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) }));
                return (await Promise.all(answers)).map((answer) => answer.status);
            }"""
        )
        assert statuses == [403] * 6
        commanded = await page.evaluate(
            """async () => {
                const me = await (await fetch("/api/v1/me")).json();
                const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token };
                const body = JSON.stringify({ station_id: "CP 2" });
                return (await fetch("/api/v1/commands/CLEAR_CACHE", { method: "POST", headers, body })).status;
            }"""
        )
        assert commanded == 409, "allowed, but nobody is connected"


@pytest.mark.slow
async def test_the_audit_log_is_searched_by_whom_what_and_when(browser: Browser, locked: RunningCsms) -> None:
    await stations.create_station(locked.context, "CP 3", stations.StationFields())
    _, once = await people.create_user(locked.context, UserFields(name="ada", role=Role.ADMIN))
    async with a_page(browser) as page:
        await page.goto(address_of(locked))
        await _sign_in(page, "ada", once)
        await page.get_by_label("Password you came with").fill(once)
        await page.get_by_label("New password").fill(PASSWORD)
        await page.get_by_role("button", name="Set").click()
        await expect(page.get_by_role("link", name="Administration")).to_be_visible()
        changed = await page.evaluate(
            """async () => {
                const me = await (await fetch("/api/v1/me")).json();
                const headers = { "content-type": "application/json", "x-csrf-token": me.csrf_token };
                const body = JSON.stringify({ name: "North" });
                return (await fetch("/api/v1/stations/CP%203", { method: "PATCH", headers, body })).status;
            }"""
        )
        assert changed == 200
        await page.get_by_role("link", name="Administration").click()
        await page.get_by_role("tab", name="Audit log").click()
        rows = page.locator("table.stack > tbody > tr")
        await expect(rows.filter(has_text="change password").first).to_be_visible()

        await page.get_by_role("combobox", name="By").click()
        await page.get_by_role("option", name="ada").click()
        await page.get_by_role("combobox", name="What happened").fill("update station")
        await page.get_by_role("option", name="update station", exact=True).click()
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("stations/CP 3")
        await rows.get_by_role("button", name="Details").click()
        change = page.locator("table.changes").get_by_role("row", name="name")
        await expect(change).to_contain_text("null")
        await expect(change).to_contain_text('"North"')
        assert await barriers(page) == []
        await picture(page, "audit")
        await page.get_by_label("Until").fill("2020-01-01T00:00")
        await expect(page.get_by_text("Nothing like that")).to_be_visible()
        await page.get_by_role("button", name="Take the filter away").click()
        await expect(rows.filter(has_text="change password").first).to_be_visible()


async def _sign_in(page: Page, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("textbox", name="Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_pages_are_served_with_a_strict_policy(locked: RunningCsms) -> None:
    async with httpx.AsyncClient(base_url=address_of(locked), timeout=60) as client:
        pages = [
            await client.get(path, headers={"accept": "text/html"}) for path in ("/", "/stations/CP%201", "/d/1-x")
        ]
        nonces = set()
        for page in pages:
            policy = page.headers["content-security-policy"]
            assert page.status_code == 200
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            nonces.add(policy.partition("'nonce-")[2].partition("'")[0])
        assert len(nonces) == len(pages), "each answer has a nonce of its own"
        assert (await client.get("/api/v1/stations", headers={"accept": "text/html"})).status_code == 401
        assert (await client.get("/assets/../pages.py")).status_code == 404
        assert (await client.post("/")).status_code in {404, 405}
        assert (await client.head("/", headers={"accept": "text/html"})).content == b""
