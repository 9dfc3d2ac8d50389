"""What an alert says is masked each time it comes, and what holds a secret is not remembered."""

from __future__ import annotations

import pytest

from app.investigations import masked
from app.investigations.masked import LONGEST_KNOWN, clean


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
