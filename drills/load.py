"""People who ask and systems that page, for as long as a drill lasts; each of them is told apart."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType

import aiohttp

from app.playground.slack.workspace import Event
from benchmarks.paging import Page, Sender
from benchmarks.stand import CHANNELS, PEOPLE, channel
from drills.ground import Ground

FIRST = "<@U0AGENT> what do I need before the launch of checkout?"
FOLLOW_UP = "and is the timeout of checkout towards payments checked?"
FOLLOW_UP_EVERY = 3
SERVICES = ("checkout", "payments", "inventory", "notifications", "reports")
PAGE_AGAIN_SECONDS = 1.0
"""A sender that was not answered with 202 tries again; Alertmanager does so after its group interval."""
ENDS = frozenset({"white_check_mark", "x"})


@dataclass(frozen=True)
class Question:
    """What a person wrote; `mark` is in its words and in the words of its answer."""

    mark: str
    channel: str
    ts: str
    thread_ts: str
    asked_at: float


@dataclass
class Alarm:
    """An alert that is sent until it is accepted."""

    page: Page
    sent_at: float
    accepted_at: float | None = None
    investigation_id: str | None = None
    tries: int = 0


@dataclass
class Load:
    """A question every so many seconds, every third of them in a thread there is, and a page now and then."""

    ground: Ground
    question_every: float = 1.5
    page_every: float = 12.0
    most: int = 100
    """So many questions come by themselves, however long it takes: a busy machine is not to be drowned."""
    over: Callable[[], Awaitable[None]] = field(init=False)
    """Waits until nobody waits any more; for a drill that must see it before it mends the rest."""
    questions: list[Question] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self._threads: Iterator[int] = count(0)
        self._events: defaultdict[str, set[str]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self.ground.slack.workspace.on_event.append(self._told)

    async def __aenter__(self) -> Load:
        """Begin; it goes on until the block ends."""
        for work, every in ((self._ask_one, self.question_every), (self._page_one, self.page_every)):
            self._tasks.append(asyncio.create_task(self._again(work, every)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- one of each -----------------------------------------------------------------------------------------

    async def ask(self, earlier: Question | None = None) -> Question:
        """Write a question, in a thread of its own or in that of an earlier one."""
        number = next(self._numbers)
        mark = f"t{number:04d}r{number:04d}"
        where = earlier.channel if earlier else channel(next(self._threads) % CHANNELS)
        words = f"{FOLLOW_UP if earlier else FIRST} {mark}"
        person, root = PEOPLE[number % len(PEOPLE)], earlier.thread_ts if earlier else None
        asked_at = time.time()
        ts = await self.ground.slack.say(person, where, words, root)
        question = Question(mark, where, ts, root or ts, asked_at)
        self.questions.append(question)
        return question

    async def page(self, service: str = "checkout", severity: str = "P1") -> Alarm:
        """Send an alert of a rule that has not fired before, again and again until it is accepted."""
        alarm = Alarm(Page(service, f"Drill{len(self.alarms):03d}", severity), time.time())
        self.alarms.append(alarm)
        task = asyncio.create_task(self._send(alarm))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return alarm

    async def _ask_one(self) -> None:
        if len(self.questions) >= self.most:
            return
        # One whose thread has not been answered yet would be asked by nobody.
        known = [each for each in self.questions if each.ts == each.thread_ts and self.has_ended(each)]
        follow_up = known and len(self.questions) % FOLLOW_UP_EVERY == FOLLOW_UP_EVERY - 1
        await self.ask(known[len(self.questions) % len(known)] if follow_up else None)

    async def _page_one(self) -> None:
        number = len(self.alarms)
        if number >= self.most * self.question_every / self.page_every:
            return
        await self.page(SERVICES[number % len(SERVICES)], ("P1", "P3")[number % 2])

    async def _again(self, work: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            await work()
            await asyncio.sleep(every)

    async def _send(self, alarm: Alarm) -> None:
        sample = self.ground.sim.alert("alertmanager")
        while alarm.accepted_at is None:
            alarm.tries += 1
            for door in self.ground.doors:
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with asyncio.timeout(15):
                        sent = await Sender(self.ground.session, door, sample).send(alarm.page)
                    if sent.status == 202:
                        alarm.accepted_at, alarm.investigation_id = sent.answered_at, sent.investigation_id
                        return
            await asyncio.sleep(PAGE_AGAIN_SECONDS)

    # -- what Slack knows of it ------------------------------------------------------------------------------

    def _told(self, event: Event) -> None:
        said = event.body["event"]
        if "ts" in said and said.get("subtype") is None and said.get("bot_id") is None:
            self._events[said["ts"]].add(event.id)

    def accepted(self, question: Question) -> bool:
        """Whether every event that tells of it was acknowledged: Slack will not tell of it again."""
        acked = {each.event_id for each in self.ground.slack.deliveries if each.outcome == "acked"}
        return self._events[question.ts] <= acked

    def has_ended(self, question: Question) -> bool:
        """Whether the person sees that no more will come."""
        message = self.ground.slack.workspace.channels[question.channel].messages[question.ts]
        return bool(ENDS & message.reactions.keys()) and "eyes" not in message.reactions
