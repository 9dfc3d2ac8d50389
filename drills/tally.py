"""What became of everybody who waited in a drill: answered, lost, answered twice, and how long it was silent.

Counted from what stands in Slack at the end and from the audit log, not from what the program says of itself.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from app.playground.slack.journal import ApiCall
from app.playground.slack.records import Message
from benchmarks.paging import CHANNEL
from drills.ground import Ground
from drills.load import Alarm, Load, Question
from drills.model import answer_to

LATE_SECONDS = 3.0
"""What comes twice may come late: so long is watched behind the last answer."""
SIGNS = frozenset(
    {
        "reactions.add",
        "chat.startStream",
        "chat.appendStream",
        "chat.stopStream",
        "chat.postMessage",
        "chat.update",
        "files.completeUploadExternal",
    }
)
"""Calls that a person who waits sees something of."""
PARTS = ("root", "evidence", "final")
WAITING = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
OPEN = "SELECT count(*) FROM investigations WHERE finished_at IS NULL"
TURNS = """
SELECT s.channel_id, t.message_ts, t.id::text, t.status
  FROM turns AS t JOIN sessions AS s ON s.id = t.session_id
"""
AUDITED = """
SELECT trace_id, action, count(*) FROM audit_log WHERE action IN ('message', 'investigation') GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Outcome:
    """One drill's line. `silence` is the longest time somebody who waited for an answer saw nothing new, in
    seconds; `silence_of_pages` the same in the thread of a page."""

    name: str
    accepted: int = 0
    answered: int = 0
    twice: int = 0
    silence: float = 0.0
    silence_of_pages: float = 0.0
    took: float = 0.0
    trouble: tuple[str, ...] = ()
    """What was lost or came twice, in words."""
    not_run: str | None = None
    failed_with: str | None = None
    """Why the drill itself could not be brought to its end; then nobody was counted."""

    @property
    def lost(self) -> int:
        return self.accepted - self.answered

    @property
    def held(self) -> bool:
        counted = self.not_run is None and self.failed_with is None and self.accepted > 0
        return counted and self.lost == 0 and self.twice == 0

    @property
    def failed(self) -> bool:
        return self.not_run is None and not self.held


async def settled(load: Load, patience: float) -> None:
    """Wait until nobody waits any more, or until that took too long; then a little for what comes late."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if await _nobody_waits(load):
            break
        await asyncio.sleep(0.5)
    await asyncio.sleep(LATE_SECONDS)


async def _nobody_waits(load: Load) -> bool:
    if any(alarm.accepted_at is None for alarm in load.alarms):
        return False
    if not all(load.has_ended(each) for each in load.questions):
        return False
    return not any([(await load.ground.rows(query))[0][0] for query in (WAITING, OPEN)])


async def tally(name: str, load: Load) -> Outcome:
    """Who was accepted, answered, lost and answered twice, by what stands in Slack."""
    here = load.ground
    turns = {(channel, ts): (id, status) for channel, ts, id, status in await here.rows(TURNS)}
    accepted = [each for each in load.questions if load.accepted(each)]
    paged = [each for each in load.alarms if each.accepted_at is not None]
    unanswered = [each.mark for each in accepted if not _answered(here, each, turns)]
    undone = [each.page.rule for each in paged if not _briefed(here, each)]
    doubled = [*_doubled_answers(here, load.questions), *_doubled_parts(here), *await _doubled_audit(here)]
    called = {str(each.body.get("dedup_key")) for each in here.sim.written if each.path == "/v2/enqueue"}
    if len(called) > len(paged):
        doubled.append(f"{len(called)} calls to PagerDuty for {len(paged)} pages")
    lost = [f"lost: {each}" for each in (*unanswered, *undone)]
    many = len(accepted) + len(paged)
    signs = _signs(here)
    return Outcome(
        name,
        accepted=many,
        answered=many - len(lost),
        twice=len(doubled),
        silence=_silence_of_questions(load, signs),
        silence_of_pages=_silence_of_pages(load, signs),
        trouble=(*lost, *doubled),
    )


def _answered(here: Ground, question: Question, turns: Mapping[tuple[str, str], tuple[str, str]]) -> bool:
    id, status = turns.get((question.channel, question.ts), ("", ""))
    message = here.slack.workspace.channels[question.channel].messages[question.ts]
    shown = [each for each in _own(here, question.channel, question.thread_ts) if _is_of(each)[0] == id]
    whole = bool(shown) and not any(each.streaming for each in shown)
    return status == "done" and whole and "white_check_mark" in message.reactions


def _briefed(here: Ground, alarm: Alarm) -> bool:
    shown = [part for id, part in map(_is_of, _incidents(here)) if id == alarm.investigation_id]
    return {part.partition(":")[0] for part in shown} >= set(PARTS)


def _doubled_answers(here: Ground, questions: Sequence[Question]) -> Iterator[str]:
    for channel, thread_ts in dict.fromkeys((each.channel, each.thread_ts) for each in questions):
        found = _own(here, channel, thread_ts)
        yield from (f"twice: part {part} of turn {id}" for id, part in repeated(map(_is_of, found)))
        yield from (f"left behind: {each.ts}" for each in found if not _is_of(each)[0])
        said = " ".join(shown_text(each) for each in found)
        marks = [each.mark for each in questions if (each.channel, each.thread_ts) == (channel, thread_ts)]
        yield from (f"said twice: {mark}" for mark in marks if said.count(answer_to(mark)) > 1)


def _doubled_parts(here: Ground) -> Iterator[str]:
    found = [_is_of(each) for each in _incidents(here)]
    yield from (f"twice: {part} of investigation {id}" for id, part in repeated(found) if id)


async def _doubled_audit(here: Ground) -> list[str]:
    rows = await here.rows(AUDITED)
    return [f"audited twice: {action} of {trace}" for trace, action, many in rows if many > 1 and trace]


def repeated(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is named more than once, without what has no name."""
    return [each for each, many in Counter(found).items() if many > 1 and each[0]]


def _own(here: Ground, channel: str, thread_ts: str) -> list[Message]:
    """The agent's messages in a thread."""
    agent = here.slack.workspace.agent.id
    return [each for each in here.slack.thread(channel, thread_ts) if each.user == agent]


def _incidents(here: Ground) -> list[Message]:
    agent = here.slack.workspace.agent.id
    return [each for each in here.slack.channel(CHANNEL) if each.user == agent]


def _is_of(message: Message) -> tuple[str, str]:
    """The turn and the part of it that a message says it is."""
    payload = (message.metadata or {}).get("event_payload") or {}
    return str(payload.get("turn_id", "")), str(payload.get("part", ""))


def shown_text(message: Message) -> str:
    """What a message shows: its blocks where it has any, for then its text is only for notifications."""
    return json.dumps(message.blocks) if message.blocks else message.text


# -- silence -------------------------------------------------------------------------------------------------


Signs = Mapping[tuple[str, str], Sequence[float]]
"""When something was to be seen, by channel and thread."""


def _silence_of_questions(load: Load, signs: Signs) -> float:
    return max(
        (
            longest_gap(each.asked_at, _until(load, each), signs.get((each.channel, each.thread_ts), ()))
            for each in load.questions
        ),
        default=0.0,
    )


def _silence_of_pages(load: Load, signs: Signs) -> float:
    roots = {id: each.ts for each in _incidents(load.ground) for id, part in [_is_of(each)] if part == "root"}
    threads = {id: signs.get((CHANNEL, ts), ()) for id, ts in roots.items()}
    return max(
        (
            longest_gap(
                each.accepted_at, _final_at(load.ground, each), threads.get(each.investigation_id or "", ())
            )
            for each in load.alarms
            if each.accepted_at is not None
        ),
        default=0.0,
    )


def longest_gap(begun: float, ended: float, signs: Sequence[float]) -> float:
    """The longest time between two signs, from the moment somebody began to wait until they were answered."""
    seen = [begun, *sorted(each for each in signs if begun < each < ended), ended]
    return max(later - earlier for earlier, later in pairwise(seen))


def _until(load: Load, question: Question) -> float:
    """When the answer stood: the last ✅; now, when it never did."""
    ends = [
        call.at
        for call in load.ground.slack.calls("reactions.add")
        if _took_effect(call)
        and call.arguments.get("timestamp") == question.ts
        and call.arguments.get("name") in ("white_check_mark", "x")
    ]
    return max(ends, default=time.time())


def _final_at(here: Ground, alarm: Alarm) -> float:
    for call in here.slack.calls("chat.postMessage"):
        given = call.arguments.get("metadata")
        payload = (json.loads(given) if isinstance(given, str) else given or {}).get("event_payload", {})
        if payload.get("turn_id") == alarm.investigation_id and str(payload.get("part")).startswith("final"):
            return call.at
    return time.time()


def _signs(here: Ground) -> Signs:
    found: dict[tuple[str, str], list[float]] = {}
    for call in here.slack.calls():
        if call.method in SIGNS and (place := _place(here, call)):
            found.setdefault(place, []).append(call.at)
    return found


def _place(here: Ground, call: ApiCall) -> tuple[str, str] | None:
    given: Mapping[str, Any] = call.arguments
    channel = str(given.get("channel") or given.get("channel_id") or "")
    if channel not in here.slack.workspace.channels or not _took_effect(call):
        return None
    if thread := given.get("thread_ts"):
        return channel, str(thread)
    ts = str(given.get("timestamp") or given.get("ts") or (call.answer or {}).get("ts") or "")
    message = here.slack.workspace.channels[channel].messages.get(ts)
    return (channel, message.root_ts) if message else None


def _took_effect(call: ApiCall) -> bool:
    """Also one whose answer was cut off: people saw it."""
    return call.ok or call.status is None
