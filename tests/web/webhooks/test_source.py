"""How sources are found, and that each comes with a page and a sample."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.web.webhooks.proof import check_token
from app.web.webhooks.refusals import NotProven
from app.web.webhooks.source import Head, Off, WebhookSource, discover
from tests.web.webhooks.stage import SAMPLES, TOKEN, everything_on, settings

NAMES = [each.name for each in discover(everything_on())]
PAGES = Path(__file__).parents[3] / "docs" / "webhooks"


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_every_source_is_found_in_the_order_of_their_names() -> None:
    found = list(discover(everything_on()))
    assert sorted(NAMES) == NAMES
    assert {"pagerduty", "alertmanager", "grafana", "datadog", "newrelic", "gcp"} <= set(NAMES)
    assert all(isinstance(each, WebhookSource) for each in found)


def test_a_source_without_its_secret_is_off_and_says_what_it_needs() -> None:
    found = list(discover(settings()))
    assert [each.name for each in found if isinstance(each, Off)] == NAMES
    assert {each.needs for each in found if isinstance(each, Off)} == {
        "ALERT_WEBHOOK_TOKEN",
        "GRAFANA_WEBHOOK_SECRET or ALERT_WEBHOOK_TOKEN",
        "PAGERDUTY_WEBHOOK_SECRET",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_source_has_a_sample_and_a_page_that_names_its_address(name: str) -> None:
    assert (SAMPLES / f"{name}.json").exists()
    assert f"/webhooks/{name}" in (PAGES / f"{name}.md").read_text("utf-8")


@pytest.mark.parametrize(
    "head",
    [
        Head({"authorization": f"Bearer {TOKEN}"}, {}),
        Head({"authorization": f"bearer  {TOKEN} "}, {}),
        Head(basic(f"anybody:{TOKEN}"), {}),
        Head(basic(f":{TOKEN}"), {}),
        Head({}, {"auth_token": TOKEN}),
        Head(basic("somebody:else"), {"auth_token": TOKEN}),
    ],
)
def test_a_token_may_come_in_three_ways(head: Head) -> None:
    check_token(head, TOKEN)


@pytest.mark.parametrize(
    "head",
    [
        Head({}, {}),
        Head({"authorization": TOKEN}, {}),
        Head({"authorization": "Bearer"}, {}),
        Head({"authorization": f"Bearer {TOKEN}x"}, {}),
        Head({"authorization": "Bearer ä\udc80"}, {}),
        Head({"authorization": "Basic ä"}, {}),
        Head({"authorization": "Basic /////w=="}, {}),
        Head(basic(TOKEN), {}),
        Head({}, {"auth_token": ""}),
        Head({}, {"token": TOKEN}),
    ],
)
def test_anything_else_proves_nothing(head: Head) -> None:
    with pytest.raises(NotProven, match="ALERT_WEBHOOK_TOKEN"):
        check_token(head, TOKEN)


def test_a_token_that_contains_colons_is_a_password_too() -> None:
    check_token(Head(basic("user:a:b:c"), {}), "a:b:c")
