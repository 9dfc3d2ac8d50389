"""The console in a real browser: light, dark, on a phone, with the keyboard alone, under its own policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from app.web.console.access import Access
from app.web.server import WebServer, bind
from tests.playground.conftest import browser as chromium
from tests.web.console.conftest import TOKEN, app_on
from tests.web.console.history import investigation_id

SCREENSHOTS = Path(__file__).parents[3] / "artifacts"
PAGES = {
    "live": "",
    "sessions": "sessions",
    "investigations": "investigations",
    "investigation": f"investigations/{investigation_id(4)}",
    "figures": "figures",
    "knowledge": "knowledge",
    "audit": "audit",
}
PHONE = {"width": 360, "height": 740}

pytestmark = pytest.mark.browser
browser = chromium


@pytest.fixture
async def served(history: AsyncEngine) -> AsyncIterator[str]:
    listener = bind(0, "OPS_PORT", "127.0.0.1")
    server = WebServer(app_on(history, Access(TOKEN)), listener)
    await server.start()
    yield f"http://127.0.0.1:{server.port}/console/"
    await server.stop()


@asynccontextmanager
async def page_of(browser: Browser, **how: object) -> AsyncIterator[Page]:
    """A page in a context of its own; nothing may break the page's policy, fail in its script, or be fetched
    from elsewhere."""
    context: BrowserContext = await browser.new_context(**how)  # type: ignore[arg-type]
    page = await context.new_page()
    said: list[str] = []
    asked: set[str] = set()
    page.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(request.url.split("/")[2]))
    yield page
    assert [each for each in said if "401" not in each] == []
    assert len(asked) == 1
    assert await page.evaluate("window.hacked") is None
    await context.close()


async def enter(page: Page, address: str, token: str = TOKEN) -> None:
    await page.goto(address)
    await page.get_by_label("Console token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def shoot(page: Page, name: str, *, whole: bool = True) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"console-{name}.png", full_page=whole)


async def open_transcript(page: Page) -> None:
    await page.goto(page.url.partition("/console/")[0] + "/console/sessions?find=" + "ab" * 16)
    await page.locator(".call summary").nth(1).click()


async def test_a_wrong_token_is_said_and_the_right_one_opens(browser: Browser, served: str) -> None:
    async with page_of(browser) as page:
        await enter(page, served + "figures?days=30", "wrong")
        await expect(page.get_by_role("alert")).to_have_text("This is not CONSOLE_TOKEN.")
        await shoot(page, "wrong-token", whole=False)
        await page.get_by_label("Console token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Accuracy & spend")
        assert page.url == served + "figures?days=30"
        [cookie] = await page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
        await page.get_by_role("button", name="Sign out").click()
        await page.goto(served)
        await expect(page.get_by_label("Console token")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_on_a_desk(browser: Browser, served: str, scheme: str) -> None:
    async with page_of(browser, color_scheme=scheme, viewport={"width": 1280, "height": 860}) as page:
        await enter(page, served)
        for name, path in PAGES.items():
            await page.goto(served + path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await contrast_faults(page) == []
            await shoot(page, f"{name}-{scheme}")
        await open_transcript(page)
        assert await contrast_faults(page) == []
        await shoot(page, f"session-{scheme}")


async def test_every_page_fits_on_a_phone(browser: Browser, served: str) -> None:
    async with page_of(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        await enter(page, served)
        for name, path in PAGES.items():
            await page.goto(served + path)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], name
            await shoot(page, f"{name}-phone")
        await open_transcript(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await shoot(page, "session-phone")


async def stand_still(page: Page) -> None:
    """Stop the clock of a live page, whose timers strike once more; what follows takes no time for it."""
    async with page.expect_response("**/live"):
        await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))


async def test_with_the_keyboard_alone(browser: Browser, served: str) -> None:
    async with page_of(browser) as page:
        await page.clock.install()
        await page.goto(served)
        await expect(page.get_by_label("Console token")).to_be_focused()
        await page.keyboard.type(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        await stand_still(page)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Pause")).to_be_focused()
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="is payments running?")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Session")

        await page.goto(served + "sessions?find=" + "ab" * 16)
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate(
                "document.activeElement.closest('summary')?.textContent.includes('promql')"
            ):
                break
        await page.keyboard.press("Enter")
        await expect(page.locator(".call[open]").get_by_role("heading", name="Arguments")).to_be_visible()
        await shoot(page, "keyboard", whole=False)

        await page.goto(served + "audit")
        await page.get_by_label("Text").focus()
        await page.keyboard.type("row 77:")
        await page.keyboard.press("Enter")
        await expect(page.locator("table.audit tbody tr")).to_have_count(1)


async def test_the_live_page_renews_itself_and_can_be_paused(browser: Browser, served: str) -> None:
    async with page_of(browser) as page:
        await page.clock.install()
        await enter(page, served)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Live")
        await stand_still(page)
        asked: list[str] = []
        page.on(
            "request", lambda request: asked.append(request.url) if "/static/" not in request.url else None
        )
        await page.clock.run_for(5_000)
        await expect(page.get_by_text("is payments queued?")).to_be_visible()
        assert asked == [served + "live"]
        await page.get_by_role("button", name="Pause").click()
        await page.clock.run_for(30_000)
        assert asked == [served + "live"]
        await page.context.clear_cookies()
        async with page.expect_response("**/live"):
            await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_role("status")).to_have_text(
            "You are signed out. Reload the page to sign in."
        )


async def test_without_script_everything_is_there(browser: Browser, served: str) -> None:
    async with page_of(browser, java_script_enabled=False) as page:
        await enter(page, served)
        await expect(page.get_by_text("is payments queued?")).to_be_visible()
        await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
        await page.get_by_role("link", name="Audit").click()
        await page.get_by_role("link", name="Older").click()
        await expect(page.locator("table.audit tbody tr")).to_have_count(50)


async def test_a_link_from_elsewhere_finds_one_signed_in(browser: Browser, served: str) -> None:
    """`localhost` is another site than `127.0.0.1`, as Slack's is."""
    context = await browser.new_context()
    page = await context.new_page()
    await enter(page, served)
    await page.route(
        "http://localhost/**",
        lambda route: route.fulfill(content_type="text/html", body=f'<a href="{served}knowledge">x</a>'),
    )
    await page.goto("http://localhost/thread")
    await page.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Knowledge")
    await context.close()


async def test_a_download_begins(browser: Browser, served: str) -> None:
    async with page_of(browser) as page:
        await enter(page, served + "audit?user=U0LENA")
        async with page.expect_download() as started:
            await page.get_by_role("link", name="CSV").click()
        file = await (await started.value).path()
        assert len(await asyncio.to_thread(file.read_text)) > 1_000


CONTRAST = """() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const read = css => css.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = read(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faults = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg")) continue;
    const [light, dark] = [luminance(read(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) faults.add(`${element.tagName} .${element.className} ${ratio.toFixed(2)}`);
  }
  return [...faults];
}"""


async def contrast_faults(page: Page) -> list[str]:
    """Texts with less than 4.5:1 to their ground (WCAG 2.2, 1.4.3)."""
    found: list[str] = await page.evaluate(CONTRAST)
    return found
