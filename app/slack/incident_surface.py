"""Slack as the place investigations are shown in: one thread each in the incident channel."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.reply import Ledger, NotShown
from app.investigations.surface import FAILED, Button, Headline, Opened, Told
from app.slack import incident_blocks as kit
from app.slack.client import Clock, Pace, SlackRefused, SlackUnavailable, Sleep
from app.slack.files import ThreadFiles
from app.slack.incident_evidence import document
from app.slack.incident_thread import ROOT, PostedOnce, ThreadLedger
from app.slack.incoming import Me
from app.slack.people import ids_of

log = structlog.get_logger(__name__)


class ThreadNotOpened(NotShown):
    """Something was to be said in a thread that its channel refused, or that nobody opened before."""

    code = "incident_thread_not_opened"


@dataclass(frozen=True)
class SlackIncidentSurface:
    """`IncidentSurface` in the workspace of `me`. `hosts` are those a brief may link to, asked every time:
    the catalog's. The evidence's own pages are linked as well. `sre_team_id` is the user group that is tagged
    where people are called."""

    client: AsyncWebClient
    me: Me
    pace: Pace
    hosts: Callable[[], frozenset[str]] = frozenset
    sre_team_id: str | None = None
    clock: Clock = time.time
    sleep: Sleep = asyncio.sleep

    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> SlackIncidentThread:
        return SlackIncidentThread(self, investigation_id, channel, ledger)

    async def people(self, emails: Sequence[str]) -> tuple[str, ...]:
        return await ids_of(self.client, emails)


class SlackIncidentThread:
    """`IncidentThread` in a channel of Slack."""

    def __init__(
        self, surface: SlackIncidentSurface, investigation_id: UUID, channel: str, ledger: Ledger
    ) -> None:
        self._surface, self._id, self._channel = surface, investigation_id, channel
        self._ledger = ThreadLedger(ledger)
        self._posts = PostedOnce(
            surface.client,
            channel,
            str(investigation_id),
            self._ledger,
            pace=surface.pace,
            clock=surface.clock,
            sleep=surface.sleep,
        )
        self._root: str | None = None

    async def open(self, headline: Headline) -> Opened:
        await self._ledger.load()
        async with _for_good():
            known = self._posts.known(ROOT)
            self._root = known or await self._posts.post(ROOT, *kit.headline(headline))
        return Opened(self._surface.me.team_id, self._channel, self._root)

    async def headline(self, headline: Headline) -> None:
        self._thread_ts()
        async with _for_good():
            await self._posts.rewrite(ROOT, *kit.headline(headline))

    async def evidence_brief(self, told: Told) -> None:
        await self._say("evidence", kit.evidence_brief(told, self._id, self._surface.hosts()))

    async def all_evidence(self, told: Told) -> None:
        await self._with_all_evidence(told, f"evidence-{self._id.hex[:8]}.md")

    async def chart(self, png: bytes, alt: str) -> None:
        async with _for_good():
            await self._files().attach(f"symptom-{self._id.hex[:8]}.png", alt, png, alt=alt)

    async def final_brief(self, told: Told, *, round: int = 1) -> None:
        await self._say(f"final:{round}", kit.final_brief(told, self._id, self._surface.hosts()))
        if told.failure or told.brief.model:  # else it is short, and lists no evidence
            await self._with_all_evidence(told, f"evidence-{self._id.hex[:8]}-{round}.md")

    async def failed(
        self,
        reason: str,
        *,
        trace_id: str = "",
        buttons: tuple[Button, ...] = FAILED,
        round: int = 1,
        stands: bool = False,
    ) -> None:
        shown = kit.failed(reason, trace_id, self._id, buttons, stands=stands)
        await self._say(f"failed:{round}", shown)

    async def note(self, sentence: str, *, key: str = "", calls: bool = False) -> None:
        digest = hashlib.sha256((key or sentence).encode("utf-8", "replace")).hexdigest()[:12]
        await self._say(f"note:{digest}", kit.note(sentence, self._surface.sre_team_id if calls else None))

    async def waits(self, sentence: str, *, round: int = 1) -> None:
        await self._say(f"waits:{round}", kit.note(sentence))
        await self.waited(sentence, round=round)

    async def waited(self, sentence: str, *, round: int = 1) -> None:
        root = self._thread_ts()
        async with _for_good():
            await self._posts.rewrite(f"waits:{round}", *kit.note(sentence), thread_ts=root)

    async def attach(self, file_name: str, title: str, content: bytes) -> None:
        async with _for_good():
            await self._files().attach(file_name, title, content)

    async def _say(self, part: str, shown: kit.Shown) -> None:
        root = self._thread_ts()
        async with _for_good():
            await self._posts.post(part, *shown, thread_ts=root)

    async def _with_all_evidence(self, told: Told, name: str) -> None:
        """The file of which a brief speaks that does not list everything; the brief stands without it."""
        if not kit.listed(told)[1]:
            return
        try:
            await self._files().attach(name, f"All evidence ({len(told.findings)} findings)", document(told))
        except (SlackRefused, SlackUnavailable) as error:
            log.warning("evidence_not_attached", turn_id=str(self._id), reason=error.sentence)

    def _files(self) -> ThreadFiles:
        root, surface = self._thread_ts(), self._surface
        return ThreadFiles(
            surface.client,
            self._channel,
            root,
            since=root,
            kept=self._ledger,
            clock=surface.clock,
            sleep=surface.sleep,
        )

    def _thread_ts(self) -> str:
        if self._root is None:
            raise ThreadNotOpened("The thread of this investigation was not opened.")
        return self._root


@asynccontextmanager
async def _for_good() -> AsyncIterator[None]:
    try:
        yield
    except SlackRefused as refused:
        raise NotShown(refused.sentence) from refused
