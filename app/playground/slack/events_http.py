"""Events over HTTP: signed requests to the app's one request URL.

The signature is Slack's v0 scheme (https://docs.slack.dev/authentication/verifying-requests-from-slack).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import httpx

from app.playground.slack.delivery import Undelivered
from app.playground.slack.records import Json
from app.playground.slack.workspace import Workspace


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`v0=` and the HMAC-SHA256 over `v0:timestamp:body`."""
    base = b"v0:%d:%b" % (timestamp, body)
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class EventsHttp:
    """Posts to `url`; an answer that is not 2xx within `ack_seconds` is no ack."""

    name = "http"

    def __init__(self, workspace: Workspace, url: str, *, ack_seconds: float = 3.0) -> None:
        self._workspace = workspace
        self.url = url
        self._client = httpx.AsyncClient(timeout=ack_seconds, trust_env=False)

    async def ready(self) -> None:
        """A request URL is always there; whether it answers shows when it is called."""

    async def verify_url(self) -> bool:
        """The handshake Slack makes when a request URL is saved."""
        challenge = self._workspace.ids("challenge-")
        body = {"token": "playground-verification-token", "type": "url_verification", "challenge": challenge}
        response = await self._post(json.dumps(body).encode(), "application/json", {})
        return response.status_code == 200 and challenge in response.text

    async def send(self, kind: str, body: Json, attempt: int, reason: str | None) -> Json | None:
        headers: dict[str, str] = {}
        if kind == "interactive":
            content, media = (
                urlencode({"payload": json.dumps(body)}).encode(),
                "application/x-www-form-urlencoded",
            )
        else:
            content, media = json.dumps(body).encode(), "application/json"
            if attempt:
                headers = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason or ""}
        try:
            response = await self._post(content, media, headers)
        except httpx.TimeoutException:
            raise Undelivered("http_timeout") from None
        except httpx.HTTPError:
            raise Undelivered("connection_failed") from None
        if not response.is_success:
            raise Undelivered("http_error")
        return _json(response)

    async def _post(self, content: bytes, media: str, headers: dict[str, str]) -> httpx.Response:
        timestamp = int(self._workspace.clock())
        signed = {
            "Content-Type": media,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": str(timestamp),
            "X-Slack-Signature": signature(self._workspace.signing_secret, timestamp, content),
        }
        return await self._client.post(self.url, content=content, headers=signed | headers)

    async def close(self) -> None:
        await self._client.aclose()


def _json(response: httpx.Response) -> Json | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
