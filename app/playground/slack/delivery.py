"""Getting events to the app: attempts, acks, retries.

Every event is tried once and then again after each of `retry_delays`, with `retry_attempt` counting from 1,
until the app acks it within `ack_seconds`. Slack's own delays are almost none, one minute and five minutes
(https://docs.slack.dev/apis/events-api#retries). A connection that closes ends its attempts at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from app.playground.slack.faults import Faults
from app.playground.slack.journal import Delivery, Journal
from app.playground.slack.records import Json
from app.playground.slack.workspace import Event, Workspace

SLACK_RETRY_DELAYS = (0.0, 60.0, 300.0)


class Undelivered(Exception):
    """An attempt the app did not ack; `reason` as in `X-Slack-Retry-Reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Carrier(Protocol):
    """A way to the app."""

    name: str

    async def ready(self) -> None:
        """Wait until there is somebody to send to."""

    async def send(self, kind: str, body: Json, attempt: int, reason: str | None) -> Json | None:
        """Deliver once; returns the app's answer.

        Raises:
            Undelivered: when it was not acked.
        """


class Dispatcher:
    """Hands events and interactions to the carrier, in order, and retries what was not acked."""

    def __init__(
        self,
        workspace: Workspace,
        carrier: Carrier,
        journal: Journal,
        faults: Faults,
        *,
        retry_delays: tuple[float, ...] = SLACK_RETRY_DELAYS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._workspace = workspace
        self.carrier = carrier
        self._journal = journal
        self._faults = faults
        self._sleep = sleep
        self.retry_delays = retry_delays
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: list[Event] = []
        workspace.on_event.append(self.event)

    def event(self, event: Event) -> None:
        """Deliver an event, or hold it back for a while when told to reorder."""
        faults = self._faults.deliveries
        if faults.reorder > 0:
            self._held.append(event)
            if len(self._held) < faults.reorder:
                return
            faults.reorder = 0
            held, self._held = self._held[::-1], []
            for each in held:
                self._begin(each)
            return
        self._begin(event)

    def _begin(self, event: Event) -> None:
        copies = 1
        if self._faults.deliveries.twice > 0:
            self._faults.deliveries.twice -= 1
            copies = 2
        for _ in range(copies):
            self._run(self._deliver(event))

    async def interact(self, payload: Json) -> Json | None:
        """Deliver an interaction once and return the app's answer; None when it gave none in time."""
        await self.carrier.ready()
        logged = self._log(payload.get("trigger_id", ""), payload["type"], 0)
        try:
            answer = await self.carrier.send("interactive", payload, 0, None)
        except Undelivered as failure:
            self._settle(logged, failure.reason)
            return None
        self._settle(logged, "acked")
        return answer

    def interact_soon(self, payload: Json) -> None:
        self._run(self.interact(payload))

    async def _deliver(self, event: Event) -> None:
        reason = None
        for attempt in range(len(self.retry_delays) + 1):
            if attempt:
                await self._sleep(self.retry_delays[attempt - 1])
            await self.carrier.ready()
            reason = await self._attempt(event, attempt, reason)
            if reason is None:
                return
        self._journal.given_up.append(event.id)
        self._workspace.changed("delivery")

    async def _attempt(self, event: Event, attempt: int, why: str | None) -> str | None:
        """One attempt; returns None when acked, else the reason for the next."""
        logged = self._log(event.id, event.type, attempt)
        faults = self._faults.deliveries
        if faults.lose_events > 0 and attempt == 0:
            faults.lose_events -= 1
            self._settle(logged, "lost")
            return "http_timeout"
        try:
            await self.carrier.send("events_api", event.body, attempt, why)
        except Undelivered as failure:
            self._settle(logged, failure.reason)
            return failure.reason
        if faults.lose_acks > 0:
            faults.lose_acks -= 1
            self._settle(logged, "lost")
            return "timeout"
        self._settle(logged, "acked")
        return None

    def _log(self, event_id: str, kind: str, attempt: int) -> Delivery:
        logged = Delivery(event_id, kind, attempt, self.carrier.name, self._workspace.clock())
        self._journal.deliveries.append(logged)
        self._workspace.changed("delivery", item=logged)
        return logged

    def _settle(self, logged: Delivery, outcome: str) -> None:
        logged.outcome = outcome
        if outcome == "acked":
            logged.acked_at = self._workspace.clock()
        self._workspace.changed("delivery", item=logged)

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
