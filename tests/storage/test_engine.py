"""What goes into the database comes out as it was, but for the one character it refuses."""

from __future__ import annotations

import json

import pytest

from app.storage.engine import as_json


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\0b", "ab"),
        ("a\\u0000b", "a\\u0000b"),
        ("a\\\0b", "a\\b"),
        ("\0\0", ""),
        ("ümlaut 🙂", "ümlaut 🙂"),
    ],
)
def test_only_nul_itself_is_left_out(given: str, stored: str) -> None:
    assert json.loads(as_json({"text": given})) == {"text": stored}
