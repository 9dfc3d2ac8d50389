"""Whether a POST to /slack/events comes from Slack and can be read: asked before Bolt sees it.

Slack's rule: https://docs.slack.dev/authentication/verifying-requests-from-slack — the header
`x-slack-signature` is `v0=` and the hex HMAC-SHA256 of `v0:<timestamp>:<body>` under the signing secret, and
a timestamp more than five minutes away is a replay.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from app.errors import AgentError

LARGEST_BODY = 1024 * 1024
"""Bytes."""

OLDEST = 5 * 60
"""Seconds a timestamp may be away from now, in either direction."""


class SlackRequestRefused(AgentError):
    """This request is not from Slack, is too old, too large, or cannot be read."""

    code = "slack_request_refused"

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def too_large(headers: Mapping[str, str]) -> bool:
    """Whether the announced length alone is reason enough, so that the body need not be read.

    A length that is missing or not a number says nothing: whoever reads the body stops at `LARGEST_BODY`.
    """
    announced = _header(headers, "content-length")
    return announced.isascii() and announced.isdigit() and int(announced[:20]) > LARGEST_BODY


def verify(headers: Mapping[str, str], body: bytes, *, secret: str, now: float) -> dict[str, Any]:
    """Check one request and read it; names of headers are compared without regard to case. A form that is no
    interaction has an empty payload.

    Raises:
        SlackRequestRefused: with the status to answer: 413 too large, 401 unsigned or replayed, 400
            unreadable. Its sentence holds nothing of the body, so it can be logged as it is.
    """
    if len(body) > LARGEST_BODY or too_large(headers):
        raise SlackRequestRefused(413, "The request is larger than 1 MiB.")
    stamp = _header(headers, "x-slack-request-timestamp")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise SlackRequestRefused(401, "The request has no numeric x-slack-request-timestamp.")
    if abs(now - int(stamp)) > OLDEST:
        raise SlackRequestRefused(401, "The request is more than five minutes old or ahead; check the clock.")
    if not secret or not _signed(headers, stamp, body, secret):
        raise SlackRequestRefused(401, "The signature does not match; check SLACK_SIGNING_SECRET.")
    try:
        payload = _payload(_header(headers, "content-type"), body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise SlackRequestRefused(400, "The body is neither well-formed JSON nor a form with one.")
    return payload


def signature(secret: str, stamp: str, body: bytes) -> str:
    """The value of `x-slack-signature` for a body sent at `stamp`."""
    return (
        "v0=" + hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    )


def _signed(headers: Mapping[str, str], stamp: str, body: bytes, secret: str) -> bool:
    given = _header(headers, "x-slack-signature").encode("utf-8", "replace")
    return hmac.compare_digest(given, signature(secret, stamp, body).encode())


def _payload(content_type: str, body: bytes) -> Any:
    """Events are JSON objects, actions and views forms whose `payload` is one, commands plain forms."""
    text = body.decode()
    if content_type.split(";", maxsplit=1)[0].strip().lower() == "application/x-www-form-urlencoded":
        form = parse_qs(text, strict_parsing=True, max_num_fields=200)
        return json.loads(form["payload"][0]) if "payload" in form else {}
    return json.loads(text)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "").strip()
