"""The few requests that change something in PagerDuty, and the reads they rest on.

REST: https://developer.pagerduty.com/api-reference/ — `Token token=` in Authorization, version 2 in Accept,
`From` names the user in whose name an account's token writes (a user's own token needs none).
Events: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ — the routing key is in the body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic_core import from_json

from app.escalation.models import EscalationFailed
from app.settings import EscalationSettings

TIMEOUT = httpx.Timeout(10, connect=5)
"""Seconds. By httpx, because aiohttp repeats a PUT of its own accord when the connection breaks: a second
page."""
MOST_BYTES = 1024 * 1024
INCIDENT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PagerDutyWire:
    """Requests by name; there is none for anything else. `from_address` is the `From` of writes.

    All raise `EscalationFailed`; `passing` says whether another attempt may help.
    """

    def __init__(self, settings: EscalationSettings, *, from_address: str | None = None) -> None:
        self._settings = settings
        self._from = from_address

    async def incident(self, incident_id: str) -> Mapping[str, Any]:
        """https://developer.pagerduty.com/api-reference/005299ed43553-get-an-incident"""
        return _part(await self._rest("GET", f"/incidents/{_id(incident_id)}"), "incident")

    async def notes(self, incident_id: str) -> list[str]:
        """https://developer.pagerduty.com/api-reference/a1ac30885eb7a-list-notes-for-an-incident"""
        told = await self._rest("GET", f"/incidents/{_id(incident_id)}/notes")
        return [str(each.get("content", "")) for each in _list(told, "notes")]

    async def levels(self, policy_id: str) -> list[tuple[int, str]]:
        """Levels of a policy, ascending, each with the id of somebody who is on call there now.

        https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls
        """
        query = urlencode({"escalation_policy_ids[]": _id(policy_id), "limit": 100})
        told = _list(await self._rest("GET", f"/oncalls?{query}"), "oncalls")
        return sorted(
            (int(each["escalation_level"]), str((each.get("user") or {}).get("id", "")))
            for each in told
            if str(each.get("escalation_level", "")).isdigit()
        )

    async def add_note(self, incident_id: str, content: str) -> None:
        """https://developer.pagerduty.com/api-reference/9529ec706026d-create-a-note-on-an-incident"""
        await self._rest("POST", f"/incidents/{_id(incident_id)}/notes", {"note": {"content": content}})

    async def update(self, incident_id: str, change: Mapping[str, Any]) -> None:
        """https://developer.pagerduty.com/api-reference/8a0e1aa2ec666-update-an-incident"""
        await self._rest(
            "PUT", f"/incidents/{_id(incident_id)}", {"incident": {"type": "incident", **change}}
        )

    async def enqueue(self, event: Mapping[str, Any]) -> None:
        """An event of version 2; PagerDuty folds those of one `dedup_key` into one alert."""
        key = self._settings.pagerduty_routing_key
        assert key is not None, "who has no routing key sends no event"
        url = f"{self._settings.pagerduty_events_url.rstrip('/')}/v2/enqueue"
        await _send("POST", url, {}, {"routing_key": key.get_secret_value(), **event}, self._events_refused)

    async def _rest(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        token = self._settings.pagerduty_api_token
        assert token is not None, "who has no token asks nothing"
        headers = {
            "Authorization": f"Token token={token.get_secret_value()}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        if body is not None and self._from:
            headers["From"] = self._from
        url = self._settings.pagerduty_api_url.rstrip("/") + path
        return await _send(method, url, headers, body, self._rest_refused)

    def _rest_refused(self, status: int, words: str) -> str:
        if status == 401:
            return "PagerDuty does not know the token; check PAGERDUTY_API_TOKEN."
        if status == 403:
            return "PagerDuty refuses the write; PAGERDUTY_API_TOKEN must be one that is not read-only."
        if status == 404:
            return "PagerDuty does not know this incident; is PAGERDUTY_API_TOKEN of the same account?"
        if status == 400 and not self._from:
            return f"PagerDuty refused ({words}); an account's token needs PAGERDUTY_FROM, a user's e-mail."
        return f"PagerDuty answered {status}: {words}."

    def _events_refused(self, status: int, words: str) -> str:
        if status == 400:
            return f"PagerDuty refused the event ({words}); check PAGERDUTY_ROUTING_KEY."
        return f"PagerDuty's events answered {status}: {words}."


_trust = lru_cache(maxsize=1)(httpx.create_ssl_context)
"""Reading the authorities takes 50 ms; once is enough."""


async def _send(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, Any] | None,
    refused: Callable[[int, str], str],
) -> Any:
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, verify=_trust()) as client,
            client.stream(method, url, headers=dict(headers), json=body) as response,
        ):
            raw = await _body(response)
    except httpx.TransportError as error:
        why = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        raise EscalationFailed(f"PagerDuty {why}.", passing=True) from error
    if not response.is_success:
        passing = response.status_code in (408, 429) or response.status_code >= 500
        raise EscalationFailed(refused(response.status_code, _words(raw)), passing=passing)
    return _parsed(raw)


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise EscalationFailed("PagerDuty answered more than 1 MiB; is PAGERDUTY_API_URL its API?")
    return bytes(body)


def _parsed(raw: bytes) -> Any:
    try:
        return from_json(raw) if raw.strip() else {}
    except ValueError as error:
        raise EscalationFailed("PagerDuty answered with something that is not JSON.") from error


def _words(raw: bytes) -> str:
    """PagerDuty's own words: `error.message` and `error.errors` (REST), `message` and `errors` (events)."""
    try:
        told = _parsed(raw)
    except EscalationFailed:
        return "no reason given"
    inner = told.get("error", told) if isinstance(told, dict) else {}
    if not isinstance(inner, dict):
        return "no reason given"
    words = [inner.get("message"), *(inner.get("errors") or [])]
    return "; ".join(str(each) for each in words if each)[:300] or "no reason given"


def _id(value: str) -> str:
    if not INCIDENT_ID.fullmatch(value):
        raise EscalationFailed("This is no id of PagerDuty's; nothing was sent.")
    return value


def _part(told: Any, name: str) -> Mapping[str, Any]:
    part = told.get(name) if isinstance(told, dict) else None
    if not isinstance(part, dict):
        raise EscalationFailed(f"PagerDuty's answer has no {name}.")
    return part


def _list(told: Any, name: str) -> list[Mapping[str, Any]]:
    parts = told.get(name) if isinstance(told, dict) else None
    return [each for each in parts or [] if isinstance(each, dict)] if isinstance(parts, list) else []
