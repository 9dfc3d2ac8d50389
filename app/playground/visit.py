"""Being at a playground without a person: acting as people do, and waiting for what they would see."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.errors import AgentError
from app.playground.demo import Demo
from app.playground.example import git
from app.playground.slack.records import Json, Message
from app.playground.slack.server import NotSeen
from app.playground.slack.workspace import Change

MAYA, OMAR, GUEST = "U0MAYA", "U0OMAR", "U0GUEST"
CHECKOUT, INCIDENTS = "C0CHECKOUT", "C0INCIDENTS"
AGENT = "<@U0AGENT>"
ENDINGS = ("white_check_mark", "x")
PATIENCE = 60.0
"""Seconds that any one thing may take to be seen."""
T = TypeVar("T")


class Unmet(AgentError):
    """A step of the tour saw something else than it should."""

    code = "tour_unmet"

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}\n    saw      {seen or 'nothing'}")


@dataclass(frozen=True)
class Exchange:
    """A question and the agent's messages in its thread once it is answered."""

    ts: str
    thread_ts: str
    answers: Sequence[Message]

    @property
    def last(self) -> Message:
        return self.answers[-1]


@dataclass
class Tour:
    """Where the tour is: the playground, and the threads that it comes back to."""

    demo: Demo
    launch: Exchange | None = None
    incident: str | None = None
    """The thread of the incident it was paged for."""
    workshop: str | None = None
    """The thread of the workflow."""
    grown: set[str] = field(default_factory=set)
    """The timestamps of messages that were seen while they were being written."""

    def __post_init__(self) -> None:
        self.slack = self.demo.slack
        self.slack.workspace.on_change.append(self._notice)

    def _notice(self, change: Change) -> None:
        if isinstance(change.item, Message) and change.item.streaming:
            self.grown.add(change.item.ts)

    # -- doing -------------------------------------------------------------------------------------------

    async def ask(
        self, words: str, *, user: str = MAYA, channel: str = CHECKOUT, thread_ts: str | None = None
    ) -> Exchange:
        """Say something and wait until its answer is complete."""
        ts = await self.slack.say(user, channel, words, thread_ts)
        return await self.answered(channel, ts, thread_ts or ts)

    def commit(self, text: str, message: str, path: str = "tiers/tier-1.md") -> str:
        """Change a file of the knowledge repo as a merged pull request does; what was there before."""
        file = self.demo.knowledge / path
        before = file.read_text(encoding="utf-8")
        file.write_text(text, encoding="utf-8")
        git(self.demo.knowledge, "commit", "--quiet", "--all", "--message", message)
        return before

    # -- seeing ------------------------------------------------------------------------------------------

    async def see(self, what: Callable[[], T], expected: str, seen: Callable[[], str]) -> T:
        """Wait until `what()` is true.

        Raises:
            Unmet: it never was.
        """
        try:
            return await self.slack.wait_for(what, PATIENCE)
        except NotSeen:
            raise Unmet(expected, seen()) from None

    async def answered(self, channel: str, ts: str, thread_ts: str) -> Exchange:
        def settled() -> bool:
            reactions = self.message(channel, ts).reactions
            return "eyes" not in reactions and any(ending in reactions for ending in ENDINGS)

        await self.see(settled, "✅ on the question", lambda: self.thread_text(channel, thread_ts))
        exchange = Exchange(ts, thread_ts, self.answers(channel, thread_ts))
        demand("white_check_mark" in self.message(channel, ts).reactions, "✅", exchange)
        demand(bool(exchange.answers), "an answer", exchange)
        return exchange

    def message(self, channel: str, ts: str) -> Message:
        return next(each for each in self.slack.channel(channel) if each.ts == ts)

    def answers(self, channel: str, thread_ts: str) -> list[Message]:
        return [each for each in self.slack.thread(channel, thread_ts) if each.bot_id]

    def thread_text(self, channel: str, thread_ts: str) -> str:
        return " / ".join(shown(each)[:300] for each in self.slack.thread(channel, thread_ts))

    @property
    def thread(self) -> Exchange:
        """The launch thread.

        Raises:
            Unmet: the step that begins it has failed.
        """
        if self.launch is None:
            raise Unmet("the thread about checkout's launch", "")
        return self.launch

    @property
    def desk(self) -> str:
        """The workflow's thread.

        Raises:
            Unmet: the step that begins it has failed.
        """
        if self.workshop is None:
            raise Unmet("the workflow's thread", "")
        return self.workshop

    @property
    def room(self) -> str:
        """The incident's thread.

        Raises:
            Unmet: the step that pages has failed.
        """
        if self.incident is None:
            raise Unmet("the incident's thread", "")
        return self.incident


def shown(message: Message) -> str:
    """All there is to read in a message, its blocks and links included."""
    return message.text + "".join(texts(block) for block in message.blocks if block["type"] != "markdown")


def texts(block: Json) -> str:
    return " " + json.dumps(block, ensure_ascii=False)


def demand(held: bool, expected: str, seen: Exchange | Message | str) -> None:
    """Raises `Unmet` unless it held."""
    if held:
        return
    if isinstance(seen, Exchange):
        seen = " / ".join(shown(each) for each in seen.answers)
    raise Unmet(expected, seen if isinstance(seen, str) else shown(seen))


def says(message: Message, *wanted: str) -> None:
    """Raises `Unmet` for the first of the words that is not to be read in the message, in whatever case."""
    read = shown(message).lower()
    for words in wanted:
        demand(words.lower() in read, f"“{words}”", message)
