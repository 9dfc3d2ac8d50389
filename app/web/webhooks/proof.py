"""The two proofs senders can give: a signature over the body, or a token they were told."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

from app.settings import AlertSettings
from app.web.webhooks.refusals import NotProven
from app.web.webhooks.source import Head, Off, Parse, WebhookSource


def hmac_sha256(secret: str, *parts: bytes) -> str:
    """The hex HMAC-SHA256 (RFC 2104) of the parts, one after the other."""
    code = hmac.new(secret.encode(), digestmod=hashlib.sha256)
    for part in parts:
        code.update(part)
    return code.hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how far they are."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))


def with_token(name: str, settings: AlertSettings, parse: Parse) -> WebhookSource | Off:
    """A source whose product cannot sign and sends `ALERT_WEBHOOK_TOKEN` instead."""
    if settings.token is None:
        return Off(name, needs="ALERT_WEBHOOK_TOKEN")
    token = settings.token.get_secret_value()

    def prove(head: Head, body: bytes, now: datetime) -> None:
        check_token(head, token)

    return WebhookSource(name, prove, parse)


def check_token(head: Head, token: str) -> None:
    """The token of `ALERT_WEBHOOK_TOKEN`, as bearer token, as the password of basic authentication (RFC 7617;
    any user name) or as `?auth_token=`, whichever the product can send.

    Raises:
        NotProven: it is none of these.
    """
    if not any(same(given, token) for given in _given(head)):
        raise NotProven(
            "The token is missing or wrong. Send ALERT_WEBHOOK_TOKEN as bearer token, as basic password"
            " or as ?auth_token=."
        )


def _given(head: Head) -> Iterable[str]:
    scheme, _, credentials = head.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        yield credentials.strip()
    elif scheme.lower() == "basic":
        yield _password(credentials.strip())
    if query := head.query.get("auth_token"):
        yield query


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
