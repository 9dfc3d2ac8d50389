"""What an alert says is masked each time it comes, and what holds a secret is not remembered."""

from __future__ import annotations

import pytest

from app.investigations import masked
from app.investigations.alert import LONGEST_TITLE, Alert, Link
from app.investigations.masked import LONGEST_KNOWN, clean
from tests.investigations.conftest import alert


def test_every_text_of_an_alert_is_masked_and_its_key_is_not() -> None:
    said = "password=hunter22"
    texts = {"title": said, "name": said, "service": said, "note": said}
    given = alert(
        said,
        **texts,
        labels={"pod": said},
        annotations={"summary": said},
        links=(Link(title=said, url=f"https://example.com/?{said}"),),
    )
    shown = masked.masked(given)
    assert shown.incident_key == said
    assert "hunter22" not in shown.model_copy(update={"incident_key": ""}).model_dump_json()
    assert Alert.model_validate(shown.model_dump()) == shown


def test_a_title_that_grows_by_its_masks_is_cut_and_not_lost() -> None:
    title = "x" * (LONGEST_TITLE - 12) + " +1234567890"
    shown = masked.masked(alert(title=title)).title
    assert len(shown) == LONGEST_TITLE
    assert "[masked" in shown
    assert "1234567890" not in shown


@pytest.mark.parametrize("text", ["checkout", "password=hunter22", "mail a@example.com", "a\0b", ""])
def test_a_text_is_told_alike_every_time(text: str) -> None:
    assert clean(text) == clean(text)
    assert "hunter22" not in clean(text)
    assert "\0" not in clean(text)


def test_only_short_texts_without_a_secret_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()
    monkeypatch.setattr(masked, "_known", known)
    for text in ("checkout", "password=hunter22", "x " * LONGEST_KNOWN, "a\0b"):
        clean(text)
    assert known == {"checkout"}


def test_no_more_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()
    monkeypatch.setattr(masked, "_known", known)
    monkeypatch.setattr(masked, "MOST_KNOWN", 10)
    for number in range(100):
        clean(f"instance {number}")
    assert len(known) <= 10
