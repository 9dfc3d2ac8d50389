"""Files that stand for an alert: payloads of every source, told apart by their shape, and a few words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.terminal.payload import BY_HAND, NotAnAlert, read, sources

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)
SAMPLES = Path(__file__).parents[1] / "web" / "webhooks" / "samples"


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text("utf-8")


@pytest.mark.parametrize("name", sources())
def test_a_payload_says_by_its_shape_which_source_sent_it(name: str) -> None:
    found = read(sample(name), NOW)
    assert found.source == found.alert.source == name
    assert found.alert == read(sample(name), NOW, source=name).alert


def test_a_few_words_are_an_alert() -> None:
    found = read(
        "title: Checkout answers 500\nservice: checkout\nseverity: sev1\nstarted_at: 2026-11-21T02:05:00Z\n",
        NOW,
    )
    alert = found.alert
    assert (found.source, alert.source) == (BY_HAND, BY_HAND)
    assert (alert.title, alert.service, alert.severity) == ("Checkout answers 500", "checkout", "P1")
    assert alert.started_at == datetime(2026, 11, 21, 2, 5, tzinfo=UTC)
    assert alert.incident_key == "checkout-checkout-answers-500"


@pytest.mark.parametrize(
    "text",
    [
        "{title: Slow, service: mail}",
        '{"title": "Slow", "service": "mail"}',
        "title: Slow\nservice: mail\nlabels: {zone: a}\ndescription: since the morning\nurl: https://x.example/a",
    ],
)
def test_what_is_left_out_is_now_and_no_severity(text: str) -> None:
    alert = read(text, NOW).alert
    assert (alert.title, alert.service, alert.severity, alert.started_at) == ("Slow", "mail", None, NOW)


def test_a_payload_that_says_it_is_over_is_looked_into_and_said_so() -> None:
    payload = json.loads(sample("alertmanager"))
    payload["status"] = payload["alerts"][0]["status"] = "resolved"
    found = read(json.dumps(payload), NOW)
    assert "how it began" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "source", "said"),
    [
        ('{"a": ', None, "The file is not JSON"),
        ("a: b: c: [", None, "neither JSON nor YAML"),
        ("just words", None, "I cannot tell which source"),
        ("", None, "I cannot tell which source"),
        ("[1, 2]", None, "I cannot tell which source"),
        ("[" * 100_000, None, "The file is not JSON"),
        ("foo: 1", None, "Name it with --source (alertmanager, datadog"),
        ("title: x\nseverity: terrible", None, "severity should be P1 to P5, not 'terrible'"),
        ("title: x\nstarted_at: yesterday", None, "started_at should be a time"),
        ("title: x\nstarted_at: 1970-01-01", None, "started_at should be a time"),
        ("title: [x]", None, "title should be a text"),
        ("foo: 1", "pagerduty", "This is no payload of pagerduty: event is missing."),
        ("foo: 1", "nagios", "nagios is no source I know; those are alertmanager"),
        (sample("pagerduty_ping"), None, "tells of no incident: a test event"),
        ("x" * (1024 * 1024 + 1), None, "larger than 1 MiB"),
    ],
)
def test_what_is_no_alert_is_told_in_a_sentence(text: str, source: str | None, said: str) -> None:
    with pytest.raises(NotAnAlert) as refused:
        read(text, NOW, source=source)
    assert said in refused.value.sentence
