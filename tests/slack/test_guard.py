"""What reaches Bolt over HTTP: signed, fresh, small and readable requests, and nothing else."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from app.slack.guard import LARGEST_BODY, SlackRequestRefused, signature, too_large, verify

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_800_000_000.0
EVENT = json.dumps({"type": "event_callback", "event": {"text": "secret words"}}).encode()


def signed(body: bytes, *, at: float = NOW, kind: str = "application/json", **changed: str) -> dict[str, str]:
    stamp = str(int(at))
    return {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature(SECRET, stamp, body),
    } | changed


def refusal(headers: dict[str, str], body: bytes, secret: str = SECRET) -> SlackRequestRefused:
    with pytest.raises(SlackRequestRefused) as raised:
        verify(headers, body, secret=secret, now=NOW)
    return raised.value


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (EVENT, "application/json"),
        (EVENT, "application/json; charset=utf-8"),
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "application/x-www-form-urlencoded"),
        (b"command=%2Fsre&text=hello", "application/x-www-form-urlencoded"),
    ],
)
def test_a_request_of_slacks_passes(body: bytes, kind: str) -> None:
    payload = verify(signed(body, kind=kind), body, secret=SECRET, now=NOW)
    assert payload.get("type") == (
        "block_actions" if b"payload" in body else "event_callback" if body == EVENT else None
    )


@given(st.text(max_size=200).map(str.encode))
def test_signatures_are_those_of_slacks_own_sdk(body: bytes) -> None:
    stamp = str(int(time.time()))

    assert SignatureVerifier(SECRET).is_valid(body, stamp, signature(SECRET, stamp, body))


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_an_old_request_is_a_replay(age: int) -> None:
    assert refusal(signed(EVENT, at=NOW - age), EVENT).status == 401


@pytest.mark.parametrize("stamp", ["", "now", "١٢٣", "1e9", "-1", "9" * 40, "1800000000.5"])
def test_a_timestamp_that_is_no_number_is_refused(stamp: str) -> None:
    assert refusal(signed(EVENT, **{"X-Slack-Request-Timestamp": stamp}), EVENT).status == 401


@pytest.mark.parametrize("wrong", ["", "v0=", "v0=" + "0" * 64, "v1=abc", "v0=ümlaut"])
def test_a_wrong_signature_is_refused(wrong: str) -> None:
    assert refusal(signed(EVENT, **{"X-Slack-Signature": wrong}), EVENT).status == 401


def test_a_changed_body_is_refused() -> None:
    assert refusal(signed(EVENT), EVENT.replace(b"words", b"sword")).status == 401


def test_an_empty_secret_opens_nothing() -> None:
    stamp = str(int(NOW))
    headers = signed(EVENT) | {"X-Slack-Signature": signature("", stamp, EVENT)}

    assert refusal(headers, EVENT, secret="").status == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"not json", "application/json"),
        (b"[1, 2]", "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"payload=not+json", "application/x-www-form-urlencoded"),
        (b"payload=%5B1%5D", "application/x-www-form-urlencoded"),
        (b"no form at all", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_without_a_traceback(body: bytes, kind: str) -> None:
    assert refusal(signed(body, kind=kind), body).status == 400


def test_more_than_a_mebibyte_is_refused_before_anything_is_computed() -> None:
    body = b"x" * (LARGEST_BODY + 1)

    assert refusal({}, body).status == 413
    assert too_large({"content-length": str(LARGEST_BODY + 1)})
    assert not too_large({"content-length": "12"})
    assert not too_large({"content-length": "many"})


def test_what_is_logged_of_a_refusal_holds_nothing_of_the_body() -> None:
    for error in (refusal({}, EVENT), refusal(signed(b"secret words"), b"secret words")):
        assert "secret words" not in str(error)
