"""An incident played through: the simulated stack pages, a model on the wire diagnoses, Slack shows it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
from sqlalchemy import text

from app.playground.slack.records import Message
from app.playground.slack.server import PlaygroundSlack
from app.playground.stack import SimulatedStack
from app.runtime import Runtime
from tests.acceptance.conftest import Stack
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Call, conclude

INCIDENTS = "C0INCIDENTS"
TOKEN = "a-token-of-the-test"
SECRET = "a-secret-of-the-test"
ENDED = ("done", "failed", "expired", "cancelled")
OVER = "SELECT status FROM investigations WHERE finished_at IS NOT NULL"

Source = Literal["alertmanager", "pagerduty"]


def diagnosis(confidence: float = 0.8, **changes: Any) -> Call:
    """A conclusion whose cause rests on what every look finds: the symptom and the newest change."""
    values = {
        "headline": "checkout refuses payments since its newest version",
        "hypotheses": [
            {"cause": "The deploy of checkout", "tested_by": "errors begin with it", "verdict": "kept"},
            {"cause": "payments is down", "tested_by": "payments answers", "verdict": "rejected"},
        ],
        "impact": {"text": "Some buyers cannot pay.", "evidence": ["E1"]},
        "likely_cause": {"text": "The newest version of checkout.", "evidence": ["E1", "E2", "E3"]},
        "since": "11:55 UTC, as the error rate shows",
        "status": "ongoing",
        "urgency": "act now",
        "evidence": ["E1", "E2"],
        "next_steps": ["Check the errors of checkout by version."],
        "options": ["Roll checkout back."],
    }
    return conclude(confidence, **{**values, **changes})


@dataclass
class Incident:
    """One simulated stack that pages one program; `runtime` is the process that takes its webhooks."""

    stack: Stack
    sim: SimulatedStack
    model: FakeAnthropic
    runtime: Runtime

    @property
    def slack(self) -> PlaygroundSlack:
        return self.stack.slack

    # -- the page ------------------------------------------------------------------------------------------

    async def page(
        self,
        source: Source = "alertmanager",
        state: Literal["firing", "resolved"] = "firing",
        payload: Any = None,
    ) -> dict[str, Any]:
        """Send a webhook, the scenario's own unless one is given; what was answered."""
        body = json.dumps(self.sim.alert(source, state) if payload is None else payload).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "X-PagerDuty-Signature": f"v1={signature}",
            "Content-Type": "application/json",
        }
        url = f"http://127.0.0.1:{self.runtime.ports['PORT']}/webhooks/{source}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            assert answer.status == 202, await answer.text()
            answered: dict[str, Any] = await answer.json()
            return answered

    def alert(self, service: str | None, name: str = "HighErrorRate", **changes: Any) -> dict[str, Any]:
        """The scenario's page as one of another service, or of another rule."""
        payload = json.loads(json.dumps(self.sim.alert()))
        labels = {"alertname": name, "severity": "warning"} | ({"service": service} if service else {})
        labels |= changes.pop("labels", {})
        annotations = {"summary": f"{name} of {service or 'something'}"} | changes.pop("annotations", {})
        payload |= {
            "groupKey": f"{{}}:{json.dumps(labels, sort_keys=True)}",
            "groupLabels": labels,
            "commonLabels": labels,
            "commonAnnotations": annotations,
        }
        payload["alerts"][0] |= {"labels": labels, "annotations": annotations, **changes}
        return payload

    # -- what became of it ---------------------------------------------------------------------------------

    async def ended(self, many: int = 1, seconds: float = 120) -> None:
        """Wait until so many investigations are over."""
        async with asyncio.timeout(seconds):
            while len(await self.stack.rows(OVER)) < many:
                await asyncio.sleep(0.05)

    async def becomes(self, query: str, wanted: Any, seconds: float = 120) -> None:
        """Wait until the rows of a query are those wanted."""
        found, ends = await self.stack.rows(query), time.monotonic() + seconds
        while found != wanted and time.monotonic() < ends:
            await asyncio.sleep(0.05)
            found = await self.stack.rows(query)
        assert found == wanted

    async def investigated(self, source: Source = "alertmanager") -> list[Message]:
        """Page, and wait for the end; the thread."""
        await self.page(source)
        await self.ended()
        return self.thread()

    async def with_files(self) -> list[Message]:
        """The thread, once its files are there: they come behind the words, beside the diagnosis."""
        await self.becomes(
            "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')", [(0,)]
        )
        return self.thread()

    async def has_waited_long(self, service: str) -> None:
        """Let the diagnosis of a service, which has been looked at, have waited for an hour."""
        long_ago = (
            "UPDATE investigations SET looked_at = now() - interval '1 hour' WHERE service_name = :service"
        )
        async with self.stack.engine.begin() as connection:
            await connection.execute(text(long_ago), {"service": service})

    @property
    def root(self) -> str:
        return self.roots()[0].ts

    def roots(self) -> list[Message]:
        """The threads' first messages in the incident channel."""
        return [each for each in self.stack.slack.channel(INCIDENTS) if not each.is_reply]

    def thread(self) -> list[Message]:
        return self.stack.slack.thread(INCIDENTS, self.root)

    def said(self, part: str) -> list[Message]:
        """The messages of a part (`root`, `evidence`, `final:1`, `note:…`), as their metadata names it."""
        return [
            each
            for each in self.stack.slack.channel(INCIDENTS)
            if str(((each.metadata or {}).get("event_payload") or {}).get("part", "")).startswith(part)
        ]

    async def seen(self, words: str, seconds: float = 120) -> None:
        """Wait until some message of the incident channel says this."""
        await self.stack.slack.wait_for(
            lambda: words in told(self.stack.slack.channel(INCIDENTS)), timeout=seconds
        )

    @property
    def written(self) -> list[str]:
        """What PagerDuty was told to change, as `POST /v2/enqueue`."""
        return [f"{each.method} {each.path}" for each in self.sim.written]


def told(messages: list[Message]) -> str:
    """Everything messages show, as one text."""
    return "\n".join(
        text
        for each in messages
        for text in (each.text, json.dumps(each.blocks, ensure_ascii=False).replace('\\"', '"'))
    )


@asynccontextmanager
async def incident(
    stack: Stack,
    scenario: str = "bad-deploy",
    *,
    model: bool = True,
    worker: bool = True,
    **values: str,
) -> AsyncIterator[Incident]:
    """Everything started; with `model`, the fake that stands in `Incident.model` is the one in use.

    `worker` says whether the process that takes webhooks carries out jobs as well.
    """
    async with AsyncExitStack() as exits:
        sim = await exits.enter_async_context(SimulatedStack(scenario, clock=lambda: datetime.now(UTC)))
        fake = await exits.enter_async_context(FakeAnthropic([]))
        stack.environment |= {
            "INCIDENT_CHANNEL": INCIDENTS,
            "ALERT_WEBHOOK_TOKEN": TOKEN,
            "PAGERDUTY_WEBHOOK_SECRET": SECRET,
            **sim.environment(),
            **(
                {
                    "MODEL_PROVIDER": "anthropic",
                    "ANTHROPIC_API_KEY": "sk-ant-test",
                    "ANTHROPIC_BASE_URL": fake.url,
                }
                if model
                else {}
            ),
            **values,
        }
        runtime = await stack.serve(worker=worker)
        yield Incident(stack, sim, fake, runtime)
