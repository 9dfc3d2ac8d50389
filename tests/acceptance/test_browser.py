"""The demo in a real browser: what a newcomer does with the page."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from app.playground.demo import Demo, demo
from app.playground.example import OWNER, git, write_repos
from app.playground.pager import TALES
from app.runtime import Runtime
from tests.acceptance.conftest import CHECKOUT
from tests.playground.conftest import browser as chromium

pytestmark = pytest.mark.browser
__all__ = ["chromium"]  # a fixture is found by its name here

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
DESKTOP = {"width": 1360, "height": 850}
TALL = {"width": 1360, "height": 1040}
PHONE = {"width": 390, "height": 844}
QUESTION = "@sre-agent what do I need before we launch checkout?"


@pytest.fixture
async def running() -> AsyncIterator[Demo]:
    home = Path(tempfile.mkdtemp(prefix="acme-"))
    async with demo(lambda: Runtime, home=home, remember=False, MODEL_PROVIDER="offline") as playground:
        yield playground
    shutil.rmtree(home)


@asynccontextmanager
async def opened(chromium: Browser, running: Demo, **options: Any) -> AsyncIterator[Page]:
    """The page, with nothing gone wrong in it when it is closed."""
    context = await chromium.new_context(**{"viewport": DESKTOP, **options})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    await page.goto(running.slack.url)
    await expect(page.locator("#channel-name")).to_contain_text("checkout-team")
    yield page
    await context.close()
    assert errors == []


async def shoot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"demo-{name}.png")


async def ask(page: Page) -> None:
    """Write a mention as people do, with the completion of the agent's name."""
    box = page.get_by_role("textbox", name="Message #checkout-team")
    await box.press_sequentially("@sre")
    await expect(page.locator(".completion li").first).to_contain_text("sre-agent")
    await box.press("Enter")
    await box.press_sequentially("what do I need before we launch checkout?")
    await box.press("Enter")


async def test_a_newcomer_asks_goes_on_and_says_that_it_helped(chromium: Browser, running: Demo) -> None:
    async with opened(chromium, running) as page:
        await ask(page)
        thread = page.locator("#thread")
        await expect(thread).to_contain_text("No model took part in this answer")
        await expect(thread).to_contain_text("services/checkout.md")
        await expect(thread).to_contain_text("contracts/checkout-to-payments.md")
        await expect(thread.locator(".message.streaming")).to_have_count(0)
        await expect(thread.locator(".reaction").first).to_have_attribute(
            "title", "sre-agent · :white_check_mark:"
        )
        await expect(page.locator("#messages .thread-link")).to_contain_text("1 reply")
        await expect(page.get_by_role("button", name="Stop")).to_have_count(0)

        reply = page.get_by_role("textbox", name="Reply…")
        await reply.fill("which timeout do we use towards payments?")
        await reply.press("Enter")
        await expect(page.locator("#messages .thread-link")).to_contain_text("3 replies")
        await expect(thread.locator(".message").nth(2).locator(".reaction")).to_have_attribute(
            "title", "sre-agent · :white_check_mark:"
        )
        await shoot(page, "follow-up")

        await thread.get_by_role("button", name="This answer helped").first.click()
        await expect(thread).to_contain_text("Thank you; noted as helpful.")
        await shoot(page, "feedback")
    assert len(running.slack.channel(CHECKOUT)) == 4


async def test_a_hint_asks_the_first_question(chromium: Browser, running: Demo) -> None:
    async with opened(chromium, running) as page:
        await shoot(page, "start")
        await page.get_by_role("button", name="Ask before a launch").click()
        box = page.get_by_role("textbox", name="Message #checkout-team")
        await expect(box).to_have_value(QUESTION)
        await box.press("Enter")
        await expect(page.locator("#thread")).to_contain_text("services/checkout.md")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("desktop-light", {}),
        ("desktop-dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True}),
    ],
)
async def test_an_answer_is_readable_everywhere(
    chromium: Browser,
    running: Demo,
    name: str,
    options: dict[str, Any],
) -> None:
    async with opened(chromium, running, **options) as page:
        await ask(page)
        thread = page.locator("#thread")
        await expect(thread.get_by_role("button", name="This answer helped")).to_be_visible()
        await expect(thread.locator(".reaction").first).to_have_attribute(
            "title", "sre-agent · :white_check_mark:"
        )
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await shoot(page, f"{name}-end")
        await thread.evaluate("list => list.scrollTop = 0")
        await shoot(page, name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": TALL}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True}),
    ],
)
async def test_a_page_leads_to_its_thread_and_is_over_when_one_says_so(
    chromium: Browser, running: Demo, name: str, options: dict[str, Any]
) -> None:
    async with opened(chromium, running, **options) as page:
        over = page.get_by_role("button", name="It is over")
        await expect(over).to_be_hidden()
        await page.get_by_role("button", name="Page me").click()
        dialog = page.get_by_role("dialog", name="Page me")
        await expect(dialog.locator(".tale")).to_have_count(len(TALES))
        await shoot(page, f"page-me-{name}")
        await dialog.get_by_role("button", name="Carts that cannot be paid").click()

        thread = page.locator("#thread")
        await expect(page.locator("#thread-channel")).to_have_text("#incidents")
        await expect(thread).to_contain_text("Likely cause")
        await expect(thread.locator("img.file-image")).to_be_visible()
        await expect(thread.get_by_role("button", name="Correct")).to_be_visible()
        await expect(thread.locator(".message").first).to_contain_text("Evidence only")
        width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert max(width) == options.get("viewport", DESKTOP)["width"]
        await thread.evaluate("list => list.scrollTop = 0")
        await shoot(page, f"incident-{name}")
        await thread.locator(".file", has=page.locator("img")).evaluate("file => file.scrollIntoView()")
        await page.mouse.move(0, 0)
        await shoot(page, f"incident-{name}-chart")

        if name == "phone":
            await page.get_by_role("button", name="Close thread").click()
            await shoot(page, "incident-phone-channel")
        await over.click()
        await expect(over).to_be_hidden()
        await expect(page.locator("#messages .message").first).to_contain_text("Resolved")


async def test_evidence_opens_in_the_system_it_came_from(chromium: Browser, running: Demo) -> None:
    async with opened(chromium, running) as page:
        await page.get_by_role("button", name="Page me").click()
        await page.get_by_role("button", name="Nobody can pay at all").click()
        cited = page.locator("#thread").get_by_role("link", name="E1", exact=True).first
        async with page.context.expect_page() as opening:
            await cited.click()
        system = await opening.value
        await expect(system.locator("svg path")).not_to_have_count(0)
        await expect(system.locator("body")).to_contain_text("checkout")


async def test_what_is_wrong_is_told_in_a_modal(chromium: Browser, running: Demo) -> None:
    async with opened(chromium, running) as page:
        await page.get_by_role("button", name="Page me").click()
        await page.get_by_role("button", name="The shop has become slow").click()
        thread = page.locator("#thread")
        await thread.get_by_role("button", name="Wrong").click()
        modal = page.get_by_role("dialog")
        await modal.get_by_role("textbox").fill("A crawler of a price comparison")
        await shoot(page, "real-cause")
        await modal.get_by_role("button", name="Save").click()
        await expect(thread).to_contain_text("@maya said")
        await expect(thread.get_by_role("button", name="Correct")).to_have_count(0)


async def test_an_agent_that_is_away_is_said_and_paged_again(chromium: Browser, running: Demo) -> None:
    await running.stop()
    context = await chromium.new_context(viewport=DESKTOP)
    page = await context.new_page()
    await page.goto(running.slack.url)
    await page.get_by_role("button", name="Page me").click()
    await page.get_by_role("button", name="Nobody can pay at all").click()
    await expect(page.locator("#toast")).to_contain_text("The agent is not running just now")
    await expect(page.get_by_role("button", name="It is over")).to_be_hidden()
    await running.start()
    await page.get_by_role("button", name="Page me").click()
    await page.get_by_role("button", name="Nobody can pay at all").click()
    await expect(page.locator("#thread")).to_contain_text("P1")
    await context.close()


CHOICES = """---
triggers: [pick a region]
artifact: {file_name: region.yaml}
---
# Region
## Phase 1: Region
```fields
- name: tool
  choices: {datadog: Datadog SLO, prometheus: Prometheus rules}
- name: region
  choices: [eu1, eu2, us1, us2, ap1, ap2]
- name: within
  type: duration
  propose: 5m
```
## Phase 2: Output
```yaml
tool: {{ tool }}
region: {{ region }}
within: {{ within }}
```
"""


@pytest.fixture
async def choosing() -> AsyncIterator[Demo]:
    """A playground whose knowledge has one workflow more."""
    home = Path(tempfile.mkdtemp(prefix="acme-"))
    write_repos(home / "organisation", owner=OWNER)
    repo = home / "organisation" / "knowledge"
    (repo / "workflows" / "region.md").write_text(CHOICES, "utf-8")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Add a workflow")
    async with demo(lambda: Runtime, home=home, remember=False, MODEL_PROVIDER="offline") as playground:
        yield playground
    shutil.rmtree(home)


async def test_a_workflow_is_answered_with_buttons_and_a_menu(chromium: Browser, choosing: Demo) -> None:
    tall: dict[str, Any] = {"viewport": TALL}
    async with opened(chromium, choosing, **tall) as page:
        box = page.get_by_role("textbox", name="Message #checkout-team")
        await box.press_sequentially("@sre")
        await expect(page.locator(".completion li").first).to_contain_text("sre-agent")
        await box.press("Enter")
        await box.press_sequentially("let's pick a region for checkout")
        await box.press("Enter")
        thread = page.locator("#thread")
        await thread.get_by_role("button", name="Prometheus rules").click()
        menu = thread.get_by_role("combobox").last
        await expect(menu.locator("option", has_text="ap1")).to_have_count(1)
        await shoot(page, "workflow-menu")
        await menu.select_option(label="ap1")
        await thread.get_by_role("button", name="Take 5m").click()
        await expect(thread).to_contain_text("is done")
        await expect(thread.locator(".file")).to_contain_text("region: ap1")
        await expect(thread.locator(".message.streaming")).to_have_count(0)
        await shoot(page, "workflow-done")
