"""Alerts sent to the program, and what became of each in Slack and in the database."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.stand import Stand
from benchmarks.systems import services

TOKEN = "of-the-benchmark"
CHANNEL = "C0INCIDENTS"
SEVERITIES = ("P1", "P2", "P3", "P3")
SHOWN = ("root", "evidence", "final:1")


@dataclass(frozen=True)
class Page:
    """An alert as it is sent: what `groupKey` names is one incident."""

    service: str
    rule: str
    severity: str

    @property
    def key(self) -> str:
        return f'{{}}:{{alertname="{self.rule}", service="{self.service}"}}'


@dataclass
class Sent:
    """One delivery; times are seconds since the epoch, `late` is how much later than planned it was sent."""

    page: Page
    sent_at: float
    answered_at: float
    status: int
    became: str | None = None
    investigation_id: str | None = None
    late: float = 0.0
    shown: dict[str, float] = field(default_factory=dict)
    """When each part of its thread arrived at Slack."""


class Sender:
    """Sends alerts shaped after `sample`, an Alertmanager page, to the program at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, sample: Mapping[str, Any]) -> None:
        self._session = session
        self._url = f"{url}/webhooks/alertmanager"
        self._sample = sample

    async def send(self, page: Page, late: float = 0.0) -> Sent:
        body = self._body(page)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        sent_at = time.time()
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
        became, id = told.get("status"), told.get("investigation_id")
        return Sent(page, sent_at, time.time(), answer.status, became, id, late)

    async def stream(self, pages: Sequence[Page], per_second: float) -> list[Sent]:
        """All of them, one after the other at that rate, whether or not those before are answered."""
        loop = asyncio.get_running_loop()
        began, sending = loop.time(), []
        for number, page in enumerate(pages):
            due = began + number / per_second
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            sending.append(asyncio.create_task(self.send(page, max(0.0, loop.time() - due))))
        return await asyncio.gather(*sending)

    def _body(self, page: Page) -> bytes:
        named = {"alertname": page.rule, "service": page.service}
        labels = {**self._sample["commonLabels"], **named, "severity": page.severity}
        said = self._sample["commonAnnotations"]
        annotations = {name: text.replace("checkout", page.service) for name, text in said.items()}
        alerts = [
            {**each, "labels": labels, "annotations": annotations, "fingerprint": f"{hash(page.key):x}"}
            for each in self._sample["alerts"]
        ]
        whole = {
            **self._sample,
            "groupKey": page.key,
            "groupLabels": named,
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "alerts": alerts,
        }
        return json.dumps(whole).encode()


def storm(incidents: int, alerts: int, *, name: str) -> list[Page]:
    """`alerts` deliveries of `incidents` over the forty services, mixed, always the same way."""
    every = services()
    rules = -(-incidents // len(every))
    kinds = [
        Page(service, f"{name}{rule:03d}", SEVERITIES[(number + rule) % len(SEVERITIES)])
        for rule in range(rules)
        for number, service in enumerate(every)
    ][:incidents]
    pages = [kinds[number % incidents] for number in range(alerts)]
    random.Random(1).shuffle(pages)
    return pages


def parts(stand: Stand) -> Iterator[tuple[str, str, float, str]]:
    """What was posted about investigations: its id, the part, when it arrived, and the message."""
    for call in stand.slack.calls("chat.postMessage"):
        given = call.arguments.get("metadata")
        payload = (json.loads(given) if isinstance(given, str) else given or {}).get("event_payload", {})
        if call.ok and "part" in payload:
            yield str(payload["turn_id"]), str(payload["part"]), call.at, str((call.answer or {}).get("ts"))


async def shown(stand: Stand, sent: Sequence[Sent], part: str, seconds: float) -> None:
    """Wait until `part` is shown for each, and note when each part was.

    Raises:
        RuntimeError: not all were within that time.
    """
    wanted = {each.investigation_id: each for each in sent}
    deadline = time.time() + seconds
    while time.time() < deadline:
        for id, name, at, _ in parts(stand):
            if id in wanted:
                wanted[id].shown.setdefault(name, at)
        if all(part in each.shown for each in sent):
            return
        await asyncio.sleep(0.2)
    missing = [each.page.key for each in sent if part not in each.shown]
    raise RuntimeError(f"no {part} in {seconds:g} s of {len(missing)} pages: {', '.join(missing[:5])}")
