"""People who ask in threads, and what the playground saw of each turn."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from app.playground.slack.journal import ApiCall
from app.playground.slack.workspace import Change, Event
from benchmarks.stand import CHANNELS, PEOPLE, Stand, channel

FIRST = "<@U0AGENT> what do I need before the launch of checkout?"
FOLLOW_UP = "and is the timeout of checkout towards payments checked?"
TURN_SECONDS = 60
SHOWS_TEXT = ("chat.startStream", "chat.appendStream", "chat.stopStream", "chat.postMessage", "chat.update")


@dataclass
class Asked:
    """One turn as seen from outside; times are seconds since the epoch."""

    thread: int
    turn: int
    channel: str
    ts: str
    events: list[str] = field(default_factory=list)
    """Ids of the events that told of this message."""
    sent_at: float = 0.0
    acks: list[float] = field(default_factory=list)
    """Seconds from each of its events to its ack."""
    eyes_at: float | None = None
    first_text_at: float | None = None
    stopped_at: float | None = None
    waited: float | None = None
    """Seconds from the stored turn to its start by a worker."""
    first_text_from_model: float | None = None
    """Seconds the model took until its first text, the step before a tool call included."""
    turn_id: str = ""


@dataclass
class Thread:
    number: int
    channel: str
    root: str | None = None
    turns: int = 0


class People:
    """Writes questions and knows when their answers stand."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._numbers = count(1)
        self._answered: dict[str, asyncio.Future[None]] = {}
        self._events: dict[str, list[str]] = defaultdict(list)
        stand.slack.workspace.on_event.append(self._told)
        stand.slack.workspace.on_change.append(self._seen)

    def threads(self, many: int) -> list[Thread]:
        """New threads, ten to a channel."""
        numbers = [next(self._numbers) for _ in range(many)]
        return [Thread(number, channel(index // 10 % CHANNELS)) for index, number in enumerate(numbers)]

    async def ask(self, thread: Thread) -> Asked:
        """Write the thread's next question and wait for the ✅ on it."""
        thread.turns += 1
        text = f"{FOLLOW_UP if thread.root else FIRST} t{thread.number:04d}r{thread.turns:04d}"
        person = PEOPLE[thread.number % len(PEOPLE)]
        ts = await self._stand.slack.say(person, thread.channel, text, thread.root)
        thread.root = thread.root or ts
        self._answered[ts] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._answered[ts], TURN_SECONDS)
        except TimeoutError:
            raise RuntimeError(f"no answer in {TURN_SECONDS} s to {text!r}") from None
        finally:
            del self._answered[ts]
        return Asked(thread.number, thread.turns, thread.channel, ts, self._events.pop(ts, []))

    def _told(self, event: Event) -> None:
        said = event.body["event"]
        if said.get("subtype") is None and said.get("bot_id") is None and "ts" in said:
            self._events[said["ts"]].append(event.id)

    def _seen(self, change: Change) -> None:
        if change.kind != "call" or not isinstance(change.item, ApiCall):
            return
        call = change.item
        if call.method == "reactions.add" and call.answer is not None:
            waiting = self._answered.get(str(call.arguments.get("timestamp")))
            if waiting and not waiting.done() and call.arguments.get("name") in ("white_check_mark", "x"):
                waiting.set_result(None)


async def observe(stand: Stand, turns: list[Asked]) -> list[dict[str, Any]]:
    """Fill in what the playground, the database and the model know of these turns; the model's notes.

    The journals are cleared, so each part reads its own.
    """
    by_ts = {turn.ts: turn for turn in turns}
    _deliveries(stand, turns)
    for row in await stand.rows(
        "SELECT id::text AS id, message_ts, extract(epoch FROM started_at - created_at)::float8 AS waited "
        "FROM turns WHERE message_ts = ANY($1)",
        list(by_ts),
    ):
        by_ts[row["message_ts"]].turn_id = row["id"]
        by_ts[row["message_ts"]].waited = row["waited"]
    _calls(stand, turns)
    notes = await stand.notes()
    _model_time(turns, notes)
    stand.slack.journal.calls.clear()
    stand.slack.journal.deliveries.clear()
    return notes


def _deliveries(stand: Stand, turns: list[Asked]) -> None:
    sent = {each.event_id: each for each in stand.slack.deliveries if each.attempt == 0}
    for turn in turns:
        found = [sent[id] for id in turn.events if id in sent]
        turn.sent_at = min(each.sent_at for each in found)
        turn.acks = [each.acked_at - each.sent_at for each in found if each.acked_at is not None]


def _calls(stand: Stand, turns: list[Asked]) -> None:
    by_id = {turn.turn_id: turn for turn in turns}
    by_ts = {turn.ts: turn for turn in turns}
    streams: dict[str, Asked] = {}
    for call in stand.slack.calls():
        if call.method == "reactions.add" and call.arguments.get("name") == "eyes":
            if asked := by_ts.get(str(call.arguments.get("timestamp"))):
                # A question that waited for long is given its 👀 once more, in case nobody has.
                asked.eyes_at = asked.eyes_at or call.at
            continue
        if call.method not in SHOWS_TEXT:
            continue
        chunks = list(_chunks(call))
        ts = str((call.answer or {}).get("ts") or call.arguments.get("ts"))
        for chunk in chunks:
            turn_id = str(chunk.get("id", "")).partition(":")[0]
            if turn_id in by_id:
                streams[ts] = by_id[turn_id]
        if asked := streams.get(ts):
            if asked.first_text_at is None and any(each["type"] == "markdown_text" for each in chunks):
                asked.first_text_at = call.at
            if call.method == "chat.stopStream":
                asked.stopped_at = call.at


def _chunks(call: ApiCall) -> Iterator[dict[str, Any]]:
    given = call.arguments.get("chunks") or []
    yield from json.loads(given) if isinstance(given, str) else given


def _model_time(turns: list[Asked], notes: list[dict[str, Any]]) -> None:
    by_turn: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for note in notes:
        by_turn[note["thread"], note["turn"]].append(note)
    for turn in turns:
        spent = 0.0
        for note in sorted(by_turn[turn.thread, turn.turn], key=lambda each: each["received"]):
            if note["first_text"] is not None:
                turn.first_text_from_model = spent + note["first_text"] - note["received"]
                break
            spent += note["ended"] - note["received"]
