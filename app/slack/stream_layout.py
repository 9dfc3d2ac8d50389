"""The answer as a text laid out in parts: what each part shows of it, and where a part ends.

Nothing here talks to Slack. Places are counted in characters of the answer as it was written, sizes in bytes
of it as Slack gets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.slack import blocks as kit
from app.slack.blocks import Task
from app.slack.shown import Part, seal
from app.slack.text import break_at, cost, last_paragraph, markdown, reopening, settled

ROTATE_AFTER = 240.0
"""Seconds after which a stream is ended by us at the next line or rest; Slack ends it at about 300."""
ROTATE_AT_LAST = 280.0
REST = 5.0
"""Seconds without a word after which a text is taken to pause where it is."""
PART_BYTES = 9_000
SOFT_BYTES = 8_200
"""From here on a streamed part ends at the next paragraph."""


@dataclass
class PartMessage:
    """One part as this process knows it.

    `start` is where it begins in the answer, `opens` what its text needs in front of that to stand alone.
    `sent` is its escaped text as Slack has it, and `shown_to` how far into the answer that reaches.
    `stale` says that Slack may show something else than `sent`, so that only an edit makes it right.
    """

    part: Part
    start: int
    opens: str = ""
    sent: str = ""
    shown_to: int = 0
    tried_to: int = 0
    tasks: dict[str, Task] = field(default_factory=dict)
    streaming: bool = False
    stale: bool = False
    opened_at: float = 0.0
    changed_at: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.part.state == "closed"

    @property
    def ts(self) -> str:
        return self.part.ts or ""

    @property
    def end(self) -> int:
        """Where in the answer a closed part ends."""
        return self.start + self.part.text_chars

    def shows(self, body: str, end: int, now: float) -> None:
        """Slack has taken `body`, which is the answer up to `end`."""
        self.sent, self.shown_to, self.changed_at = body, end, now


def by_edits(part: Part) -> Part:
    """The part, open and from now on growing by edits."""
    return part.model_copy(update={"mode": "post", "state": "open"})


class Layout:
    """One answer and its messages, in the order of their parts.

    `spare` are messages an earlier and longer layout left over. `is_resumed` says that the messages are a
    predecessor's, and that nobody has said yet what the answer is.
    """

    def __init__(self) -> None:
        self.text = ""
        self.messages: list[PartMessage] = []
        self.spare: list[Part] = []
        self.is_resumed = False

    def grow(self, delta: str) -> None:
        if self.is_resumed:
            self.take("")
        self.text += delta

    def take(self, text: str) -> None:
        """Take `text` as the whole answer; find the first part that shows something else."""
        old, self.text = self.text, text
        self.is_resumed = False
        at, opens = 0, ""
        for number, message in enumerate(self.messages):
            moved = message.start != at
            message.start, message.opens = at, opens
            end = message.end
            if message.is_closed and len(text) >= end and seal(text[at:end]) == message.part.seal:
                message.shown_to = message.tried_to = end
                opens = reopening(opens + text[at:end], text[end:])[1]
                at = end
                continue
            kept = not moved and old[at : message.shown_to] == text[at : message.shown_to]
            if message.is_closed or not kept:
                message.stale = True
            if message.is_closed:
                message.part = by_edits(message.part)
                message.streaming = False
            message.tried_to = min(message.tried_to, len(text)) if kept else at
            self.spare = [each.part for each in self.messages[number + 1 :]] + self.spare
            del self.messages[number + 1 :]
            return

    # -- which part --------------------------------------------------------------------------------------

    @property
    def current(self) -> PartMessage | None:
        """The part that grows; None before the first one and between two."""
        last = self.messages[-1] if self.messages else None
        return None if last is None or last.is_closed else last

    @property
    def rest(self) -> str:
        """The answer from behind the last part, once that is closed; all of it where there is none."""
        return self.text[self.messages[-1].end :] if self.messages else self.text

    def end_of_last(self) -> int:
        last = self.messages[-1]
        return last.end if last.is_closed else len(self.text)

    def next_start(self) -> tuple[int, str]:
        """Where the next part begins, and what it opens with."""
        if not self.messages:
            return 0, ""
        last = self.messages[-1]
        return last.end, reopening(last.opens + self.text[last.start : last.end], self.text[last.end :])[1]

    def next_index(self) -> int:
        return max((message.part.index for message in self.messages), default=-1) + 1

    # -- where a part ends -------------------------------------------------------------------------------

    def cut(self, message: PartMessage) -> int | None:
        """Where in the answer this part must end because the rest does not fit; None when it fits."""
        ahead = len(message.opens)
        body = message.opens + self.text[message.start :]
        size = cost(body)
        shown = message.shown_to - message.start if message.streaming else 0
        first = ahead + max(1, shown)
        if size > PART_BYTES:
            at: int | None = break_at(body, PART_BYTES, first=first)
        elif size > SOFT_BYTES and message.streaming:
            at = last_paragraph(body, first)
        else:
            at = None
        return None if at is None else message.start + at - ahead

    def rotation(self, message: PartMessage, now: float) -> int | None:
        """Where in the answer this stream ends because it is old; None while it may go on."""
        age = now - message.opened_at
        if not message.streaming or message.stale or age < ROTATE_AFTER:
            return None
        line = self.text.rfind("\n", max(message.shown_to - 1, message.start)) + 1
        if line:
            return line
        if message.shown_to == len(self.text) and now - message.changed_at >= REST:
            return message.shown_to
        if age < ROTATE_AT_LAST:
            return None
        return max(self.text.rfind(" ", message.shown_to) + 1, message.shown_to)

    # -- what a part says --------------------------------------------------------------------------------

    def body(self, message: PartMessage, end: int, closes: str = "") -> str:
        """The escaped text of a part that ends at `end`; one without words of its own opens nothing."""
        own = self.text[message.start : end]
        return markdown(message.opens + own + closes) if own else ""

    def settled_body(self, message: PartMessage, cut: int | None) -> tuple[str, int]:
        """The escaped text a stream can be given now, and how far into the answer it reaches."""
        raw = message.opens + self.text[message.start : cut]
        sure = max(settled(raw), len(message.opens))
        if not raw[len(message.opens) : sure].strip():
            return message.sent, message.shown_to
        return markdown(raw[:sure]), message.start + sure - len(message.opens)

    def closing(self, message: PartMessage, end: int) -> str:
        """What a part that ends at `end` needs behind it to stand alone, when the answer goes on."""
        return reopening(message.opens + self.text[message.start : end], self.text[end:])[0]

    def sealed(self, message: PartMessage, end: int) -> Part:
        """The part, closed at `end`."""
        own = self.text[message.start : end]
        return message.part.model_copy(update={"state": "closed", "text_chars": len(own), "seal": seal(own)})

    def fallback(self, message: PartMessage) -> str:
        """What a notification says of a part."""
        return kit.fallback(self.text[message.start : message.start + kit.LONGEST_FALLBACK * 2])
