"""An investigation as a person sees it: the thread, its chart, its buttons and the question behind “wrong”."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect

from app.investigations.chart import alt_text, drawing, render
from app.investigations.evidence import Cause, Finding, Ranking, Reason
from app.investigations.surface import LOOKING, Member, Storm
from app.signals.models import Change, Series
from tests.playground.conftest import browser as chromium
from tests.slack.conftest import Play
from tests.slack.test_incident_blocks import TOLD
from tests.slack.test_incident_buttons import CHANNEL, Floor, floor
from tests.slack.test_incident_surface import HEADLINE, surface, thread

__all__ = ["chromium", "floor"]

SCREENSHOTS = Path(__file__).parents[2] / "artifacts"

pytestmark = [pytest.mark.browser, pytest.mark.slow]

START = 1_800_000_000.0 - 3600
SYMPTOM = Series(
    "error_rate",
    tuple((START + 30 * n, 0.002 + 0.001 * (n % 3) + (0.118 if n >= 70 else 0)) for n in range(120)),
    "checkout",
    unit="ratio",
)
RANKING = Ranking(
    START + 2100,
    "cause",
    0.71,
    (
        Cause(
            "change",
            "checkout",
            "checkout 4f1c2ab was rolled out two minutes before the onset (E2)",
            0.71,
            reasons_for=(
                Reason("The error rate shifted within 2 minutes of it (E1)", 0.6),
                Reason("A log template is new since then (E3)", 0.4),
            ),
            reasons_against=(Reason("Only one of three pods shows it", 0.2),),
        ),
        Cause("traffic", "checkout", "Traffic", 0.12, reasons_against=(Reason("Requests are flat", 0.5),)),
    ),
)


@pytest.fixture
async def page(chromium: Browser, play: Play) -> AsyncIterator[Page]:
    made = await chromium.new_page(viewport={"width": 1500, "height": 2400})
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    await made.goto(play.slack.url)
    yield made
    assert faults == []
    await made.close()


async def investigated(play: Play) -> None:
    """A whole investigation, with a real chart."""
    given = thread(play)
    await given.open(HEADLINE)
    drawn = drawing(
        SYMPTOM,
        onset=START + 2100,
        changes=[Change("deploy", "4f1c2ab99d00aa17", START + 1980, "v41", "checkout")],
    )
    more = tuple(Finding(f"E{n}", "metric", "prometheus", f"memory of pod {n} is flat") for n in range(4, 16))
    looked = replace(
        TOLD,
        findings=(*TOLD.findings, *more),
        ranking=RANKING,
        buttons=LOOKING,
        waits_for="A model looks into it now; its diagnosis follows here.",
        brief=TOLD.brief.model_copy(update={"model": None}),
    )
    await given.evidence_brief(looked)
    await given.all_evidence(looked)
    await given.chart(await render(drawn), alt_text(drawn))
    await given.final_brief(TOLD)
    await given.headline(
        replace(HEADLINE, state="diagnosed", said=TOLD.brief.headline, on_call="Omar Haddad")
    )
    await given.note("The incident is resolved at its source.")


async def test_a_person_reads_an_investigation(page: Page, play: Play) -> None:
    await investigated(play)
    await page.get_by_role("button", name="incidents").click()
    root = page.locator("#messages .message").last
    await expect(root).to_contain_text("🔎 P1 · checkout: High error rate")
    await page.locator("#messages .thread-link").last.click()
    pane = page.locator("#thread")

    picture = pane.locator("img.file-image")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_attribute(
        "alt",
        "Error rate of checkout, 07:00 to 07:59 UTC: about 0.3 % until 07:35, then about 12.1 % (lowest 12 %, highest 12.2 %). Changes marked: deploy checkout 4f1c2ab9 at 07:33.",
    )
    await expect(pane.get_by_role("link", name="E1").first).to_have_attribute(
        "href", "https://grafana.acme.example/explore?left=%7B%22a%22&right=1"
    )
    await expect(pane.get_by_role("button", name="✅ Correct")).to_be_visible()
    await expect(pane).to_contain_text("All evidence (15 findings)")
    await expect(pane).to_contain_text("@omar you are on call")
    await expect(pane.locator(".unknown-block")).to_have_count(0)
    briefs = pane.locator(".message", has=page.get_by_text("What do I do right now?"))
    await expect(briefs.locator(".message-head")).to_have_count(2)
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / "incident.png")
    await pane.get_by_role("button", name="✅ Correct").scroll_into_view_if_needed()
    await page.screenshot(path=SCREENSHOTS / "incident-diagnosis.png")


async def test_a_person_says_what_it_really_was(page: Page, floor: Floor) -> None:
    await page.get_by_role("button", name="incidents").click()
    await page.get_by_role("button", name="❌ Wrong").click()
    modal = page.get_by_role("dialog")
    await expect(modal).to_contain_text("What was it really?")
    await modal.get_by_label("The real cause").fill("The pool of payments-db was exhausted")
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / "incident-cause.png")
    await modal.get_by_role("button", name="Save").click()

    await expect(page.locator("#messages")).to_contain_text(
        "said it was: The pool of payments-db was exhausted"
    )
    await expect(page.get_by_role("button", name="❌ Wrong")).to_have_count(0)
    assert floor.desk.asked[0][3] == (False, "The pool of payments-db was exhausted")


async def test_a_storm_is_one_thread_with_its_members(page: Page, play: Play) -> None:
    members = tuple(Member("High error rate", f"service-{n}", "P1" if n == 3 else "P3") for n in range(12))
    storm = replace(
        HEADLINE,
        title="12 incidents in 2 minutes",
        incidents=12,
        storm=Storm(members, {"all of them call payments": 12}),
    )
    await surface(play).thread(UUID(int=5), CHANNEL, play.ledger).open(storm)
    await page.get_by_role("button", name="incidents").click()

    root = page.locator("#messages .message").last
    await expect(root).to_contain_text("12 incidents, grouped because all of them call payments:")
    await expect(root).to_contain_text("P1 service-3: High error rate")
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / "incident-storm.png")
