"""A terminal as the place an investigation is shown in, in the one process that carries it out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from app.conversations.reply import Ledger
from app.investigations.surface import FAILED, Button, Headline, Opened, Told
from app.terminal.screen import Screen
from app.terminal.words import said

PLACE = "terminal"
"""In place of a workspace and of a channel."""
NO_MODEL = "No model is configured: the evidence brief above is what the evidence alone says."


@dataclass
class TerminalThread:
    """`IncidentThread` on a screen; it keeps what it showed, for the JSON document at the end."""

    screen: Screen
    clock: Callable[[], float]
    catch_up: Callable[[], Awaitable[None]]
    ts: str | None = None
    head: Headline | None = None
    evidence: Told | None = None
    final: Told | None = None
    failure: str | None = None
    notes: list[str] = field(default_factory=list)
    waiting: bool = False

    async def open(self, headline: Headline) -> Opened:
        if self.ts is None:
            self.ts, self.head = f"{self.clock():.6f}", headline
            self.screen.opened(headline)
        return Opened(PLACE, PLACE, self.ts)

    async def headline(self, headline: Headline) -> None:
        before, self.head = self.head, headline
        if headline.on_call and (before is None or before.on_call != headline.on_call):
            await self.note(f"On call: {headline.on_call}")

    async def evidence_brief(self, told: Told) -> None:
        self.evidence = told
        self.screen.end("look")
        self.screen.brief("Evidence brief", told)

    async def all_evidence(self, told: Told) -> None:
        """The report lists it."""

    async def chart(self, png: bytes, alt: str) -> None:
        """A terminal shows no pictures; their words are in the evidence."""

    async def final_brief(self, told: Told, *, round: int = 1) -> None:
        self.final = told
        await self.catch_up()
        self.screen.end("diagnose", failed=bool(told.failure))
        if told.failure:
            self.failure = told.failure
            why = said(told.failure.rstrip(". "))
            self.screen.say(f"No model concluded: {why}. The evidence brief above stands.", "")
        elif told.brief.model is None:
            self.screen.say(NO_MODEL, "")
        else:
            self.screen.brief("Diagnosis", told)

    async def failed(
        self,
        reason: str,
        *,
        trace_id: str = "",
        buttons: tuple[Button, ...] = FAILED,
        round: int = 1,
        stands: bool = False,
    ) -> None:
        self.failure = reason
        await self.catch_up()
        self.screen.end("diagnose", failed=True)
        self.screen.note(f"The diagnosis failed: {reason} (trace {trace_id})")

    async def note(self, sentence: str, *, key: str = "", calls: bool = False) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
            self.screen.note(sentence)

    async def waits(self, sentence: str, *, round: int = 1) -> None:
        self.waiting = True
        await self.note(sentence)

    async def waited(self, sentence: str, *, round: int = 1) -> None:
        if self.waiting:
            self.waiting = False
            await self.note(sentence)

    async def attach(self, file_name: str, title: str, content: bytes) -> None:
        """The report is where the files are."""

    def document(self) -> dict[str, Any]:
        """All that was shown, as JSON takes it."""
        last = self.final or self.evidence
        return {
            "title": self.head.title if self.head else None,
            "service": self.head.service if self.head else None,
            "severity": self.head.severity if self.head else None,
            "evidence_brief": self.evidence and self.evidence.brief.model_dump(mode="json"),
            "brief": self.final and self.final.brief.model_dump(mode="json"),
            "findings": [asdict(each) for each in last.findings] if last else [],
            "took": asdict(last.footer) if last and last.footer else None,
            "failure": self.failure,
            "notes": self.notes,
        }


@dataclass
class TerminalSurface:
    """`IncidentSurface`: both stages of an investigation write to one thread.

    `catch_up` shows the steps of an investigation that are not shown yet; it is called before its end is.
    """

    screen: Screen
    catch_up: Callable[[UUID], Awaitable[None]]
    clock: Callable[[], float] = time.time
    threads: dict[UUID, TerminalThread] = field(default_factory=dict)

    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> TerminalThread:
        made = TerminalThread(self.screen, self.clock, partial(self.catch_up, investigation_id))
        return self.threads.setdefault(investigation_id, made)

    async def people(self, emails: Sequence[str]) -> tuple[str, ...]:
        """Whoever asked is there, and nobody else."""
        return ()
