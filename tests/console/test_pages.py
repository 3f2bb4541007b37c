"""Every page, in both schemes and both languages, from a phone to a wall: nothing serious for axe, nothing cut off."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.console.browsers import DESK, PATIENCE_S, PHONE, a_page, arrived, barriers, picture, too_wide
from tests.console.sites import FIRST, Site

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(PATIENCE_S),
]
WALL = (3840, 2160)
PAGES = (
    "/", "/stations", "/sites", "/sites/1", "/transactions", "/charging", "/groups", "/tokens", "/reservations",
    "/tariffs", "/messages", "/commands", "/jobs", "/security", "/people", "/keys",
)  # fmt: skip
PARTS = tuple(
    f"/stations/{FIRST}{part}"
    for part in (
        "", "/transactions", "/charging", "/configuration", "/messages", "/commands", "/upkeep", "/security",
        "/violations", "/about",
    )
)  # fmt: skip


async def test_no_page_keeps_anybody_out(browser: Browser, site: Site) -> None:
    await _for_everybody(browser, site, (*PAGES, PARTS[0]), DESK, dark=False, language="en-GB")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "dark", "language"),
    [(PHONE, False, "de-DE"), (PHONE, True, "en-GB"), (DESK, True, "en-GB"), (WALL, False, "en-GB")],
)
async def test_every_page_is_for_everybody(
    browser: Browser, site: Site, size: tuple[int, int], dark: bool, language: str
) -> None:
    await _for_everybody(browser, site, PAGES + PARTS, size, dark=dark, language=language)


async def _for_everybody(
    browser: Browser, site: Site, paths: tuple[str, ...], size: tuple[int, int], *, dark: bool, language: str
) -> None:
    found: dict[str, list[str]] = {}
    async with a_page(browser, site.address, size=size, dark=dark, language=language) as page:
        await page.goto(paths[0])
        for path in paths:
            await _turn_to(page, path)
            await arrived(page)
            name = path.strip("/").replace("/", "-") or "overview"
            await picture(page, f"{name}-{size[0]}-{'dark' if dark else 'light'}-{language[:2]}")
            # What surrounds every page is looked at once.
            found[path] = await barriers(page, None if path == paths[0] else "main")
            if (wide := await too_wide(page)) > 1:
                found[path].append(f"it is wider than the screen by {wide}")
    wrong = [f"{path}: {barrier}" for path, barriers_there in found.items() for barrier in barriers_there]
    assert not wrong, "\n".join(wrong)


async def _turn_to(page: Page, path: str) -> None:
    """As a link does: the console is loaded once."""
    await page.evaluate(
        """(path) => {
            history.pushState(null, "", path);
            dispatchEvent(new PopStateEvent("popstate", { state: null }));
        }""",
        path,
    )
    await expect(page.locator("main")).to_have_attribute("data-path", path)
