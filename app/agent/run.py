"""The loop: from a turn whose question is stored to its answer, one stored step at a time.

The transcript is the checkpoint. A response is stored before its tools run, every tool call is journaled,
and a turn that is run again after a crash goes on from its rows: finished calls are not repeated, and a
stored final response needs no model at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel
from pydantic_ai import exceptions as fault
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    UserPromptPart,
    repair_messages,
)
from pydantic_ai.settings import ModelSettings as RequestSettings

from app import tracing
from app.agent.answer import Answer, Conclusion
from app.agent.asking import ask, offer, prose, words_of
from app.agent.booking import Bookings
from app.agent.budget import Budget, BudgetSpent
from app.agent.calls import Desk
from app.agent.compaction import (
    CHARACTERS_PER_TOKEN,
    CompactionLimits,
    summary_of,
    through,
    to_half,
    tokens_in,
)
from app.agent.conclude import answer_from, conclusion_in, found_in
from app.agent.failures import (
    MODEL_FAILED,
    Backoff,
    CutByWindow,
    ModelUnavailable,
    explain,
    is_cut_by_window,
    is_too_long,
)
from app.agent.links import LinkGuard, hosts_of, keep_known_links
from app.agent.models import ChosenModel
from app.agent.prices import Prices
from app.agent.protocols import Progress, Transcript
from app.agent.reacting import react
from app.agent.tally import (
    RunLimits,
    Tally,
    concluded,
    journal_keys,
    labels,
    prose_of,
    refusals,
    response_text,
    tally,
    text_of,
    this_turn,
)
from app.agent.waiting import Waiting
from app.context.models import Source
from app.errors import AgentError
from app.instruments import RUN_DURATION, RUNS_COMPLETED, RUNS_FAILED, TOKENS_PER_RUN
from app.tools.catalogue import Catalogue, ToolScope

log = structlog.get_logger(__name__)

LONG_ANSWER = 2048
"""Tokens reserved for what a response writes, unless MODEL_MAX_TOKENS is less."""

NO_CONCLUSION = "The model did not finish its conclusion."
STOPPED_LOOKING = "I stopped looking further: the budget of this turn is used up."

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True)
class RunRequest:
    """One turn to be run. Its question is already the newest row of the transcript.

    `instructions` are byte-stable for the session. `link_hosts` are the hosts an answer may link to,
    besides those of its `sources` and of what its tools find. `ending` is the form in which the model
    concludes. With `first_label`, what each call finds is evidence: E7, E8 … from that number on.
    """

    turn_id: UUID
    session_id: int | None
    attempt: int
    instructions: str
    limits: RunLimits = field(default_factory=RunLimits)
    scope: ToolScope = field(default_factory=ToolScope)
    sources: tuple[Source, ...] = ()
    link_hosts: frozenset[str] = frozenset()
    tool_result_bytes: int = 4096
    compaction: CompactionLimits = field(default_factory=CompactionLimits)
    ending: type[BaseModel] = Conclusion
    first_label: int | None = None


@dataclass(frozen=True)
class Means:
    """What a run works with, whatever it is asked."""

    tools: Catalogue
    budget: Budget
    prices: Prices
    backoff: Backoff = field(default_factory=Backoff)
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    seconds: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Ended(Generic[C]):
    """A run that is over: its conclusion (None when the model would not give one), the rows of its turn, and
    what it used."""

    conclusion: C | None
    rows: tuple[ModelMessage, ...]
    used: Tally
    model: str


async def run(
    request: RunRequest,
    *,
    model: ChosenModel,
    transcript: Transcript,
    progress: Progress,
    means: Means,
) -> Answer:
    """Run a turn to its answer, going on from whatever rows it already has.

    Raises:
        ModelUnavailable: the model gave no answer after the attempts of `means.backoff`.
        BudgetSpent: a cap of the run, the hour or the day forbids the next request.
    """
    turn = _Turn.of(request, model, transcript, progress, means)
    return turn.answer(*await _carried_out(turn, means))


async def run_to(
    ending: type[C],
    request: RunRequest,
    *,
    model: ChosenModel,
    transcript: Transcript,
    progress: Progress,
    means: Means,
) -> Ended[C]:
    """Run a turn until the model concludes in a form of its own, `ending`; prose alone is no end of it.

    Raises:
        ModelUnavailable, BudgetSpent: as `run` does.
    """
    turn = _Turn.of(replace(request, ending=ending), model, transcript, progress, means)
    await _carried_out(turn, means)
    responses = [row for row in turn.rows if isinstance(row, ModelResponse)]
    answered_by = (responses[-1].model_name if responses else None) or model.name
    return Ended(conclusion_in(turn.rows, ending), tuple(turn.rows), turn.tally(), answered_by)


async def _carried_out(turn: _Turn, means: Means) -> tuple[str, ...]:
    """`_stepped`, counted; a run that is cut, by a person or a shutdown, is neither completed nor failed."""
    kind = "conversation" if turn.request.ending is Conclusion else "investigation"
    began = means.seconds()
    try:
        async with turn.waiting.told():
            said = await _stepped(turn, means)
    except AgentError as error:
        RUNS_FAILED.add(kind=kind, code=error.code)
        RUN_DURATION.record(means.seconds() - began, kind=kind)
        raise
    RUNS_COMPLETED.add(kind=kind)
    RUN_DURATION.record(means.seconds() - began, kind=kind)
    TOKENS_PER_RUN.record(turn.tally().tokens, kind=kind)
    return said


async def _stepped(turn: _Turn, means: Means) -> tuple[str, ...]:
    """Step until the turn is concluded, again after failures that pass; sentences on what went wrong."""
    await turn.load()
    failures, shortened = 0, False
    while not turn.over():
        known = len(turn.rows)
        try:
            await turn.steps()
        except MODEL_FAILED as error:
            if is_too_long(error) and not shortened and await turn.shorten():
                shortened = True
                await turn.progress.reset(turn.text())
                continue
            if isinstance(error, CutByWindow) and turn.may_end_in(error.response):
                await turn.store(prose_of(error.response))
                continue
            failures = failures + 1 if len(turn.rows) == known else 1
            failure = explain(error, turn.model.name)
            wait = means.backoff.wait(failures, failure, turn.waiting.seconds)
            if wait is None and isinstance(error, fault.UnexpectedModelBehavior) and text_of(turn.rows):
                return (NO_CONCLUSION,)
            if wait is None:
                await turn.waiting.give_up(failure.sentence)
                raise ModelUnavailable(failure.sentence, failure.reason) from error
            turn.waiting.trouble = failure.sentence
            await turn.progress.reset(turn.text())
            await means.sleep(wait)
    return ()


@dataclass
class _Turn:
    """The rows of one turn while it runs, and everything that is computed from them."""

    request: RunRequest
    model: ChosenModel
    transcript: Transcript
    progress: Progress
    bookings: Bookings
    desk: Desk
    waiting: Waiting
    before: list[ModelMessage] = field(default_factory=list)
    rows: list[ModelMessage] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        request: RunRequest,
        model: ChosenModel,
        transcript: Transcript,
        progress: Progress,
        means: Means,
    ) -> _Turn:
        desk = Desk(
            means.tools, request.scope, transcript, progress, request.tool_result_bytes, means.seconds
        )
        bookings = Bookings(
            request.turn_id, request.session_id, request.attempt, model, means.budget, means.prices
        )
        waiting = Waiting(progress, model.name, clock=means.seconds)
        return cls(request, model, transcript, progress, bookings, desk, waiting)

    def over(self) -> bool:
        return concluded(self.rows, by_prose=self.request.ending is Conclusion)

    def may_end_in(self, response: ModelResponse) -> bool:
        """Whether an answer that was cut is better than none."""
        return self.request.ending is Conclusion and bool(response_text(response))

    async def load(self) -> None:
        """Read the session's tail; what an earlier turn left unanswered (a cancel) is closed."""
        history = await self.transcript.history()
        self._take(await self._compacted(history))
        if text := self.text():
            await self.progress.reset(text)

    async def _compacted(self, history: list[ModelMessage]) -> list[ModelMessage]:
        """The history, its older turns summarised when it is too long and the turn has not begun."""
        end = through(history, self.request.compaction) if this_turn(history) == len(history) - 1 else 0
        return await self._summarised(history, end) if end else history

    async def shorten(self) -> bool:
        """Summarise what was before this turn: the model cannot read it all. False when that is nothing."""
        history = await self.transcript.history()
        end = to_half(history, this_turn(history))
        if end:
            log.warning("history_too_long", model=self.model.name, messages=end)
            self._take(await self._summarised(history, end))
        return end > 0

    def _take(self, history: Sequence[ModelMessage]) -> None:
        start = this_turn(history)
        self.before = repair_messages(history[:start])
        self.rows = list(history[start:])

    async def _summarised(self, history: list[ModelMessage], end: int) -> list[ModelMessage]:
        summary = await summary_of(history[:end], self._summarise)
        await self.transcript.compacted(summary, end)
        return [summary, *history[end:]]

    async def _summarise(self, task: str, text: str) -> str | None:
        """Ask the model for a summary; a failure costs the summary, not the turn."""
        asked = [ModelRequest(parts=[UserPromptPart(text)])]
        # What is read once need not be cached.
        model = replace(self.model, settings=RequestSettings(max_tokens=LONG_ANSWER))
        try:
            async with self.bookings.request(len(text), written=self._long_answer) as booking:

                async def hear(event: ModelResponseStreamEvent) -> None:
                    await booking.hear(event)
                    await self.waiting.heard()

                self.waiting.begin()
                response = booking.response = await ask(model, asked, prose(task), hear)
        except MODEL_FAILED as error:
            log.warning("compaction_without_model", reason=explain(error, self.model.name).reason)
            return None
        self.waiting.end()
        return response_text(response) or None

    async def store(self, message: ModelMessage) -> None:
        if isinstance(message, ModelRequest):
            message = replace(message, instructions=None)
        await self.transcript.append(message)
        self.rows.append(message)

    async def steps(self) -> None:
        """Ask, run tools, ask again until the model concludes; raises what the model layer raises."""
        while not self.over():
            number = self.tally().model_turns + 1
            with tracing.span("sre_agent.agent.turn", {"sre_agent.turn.number": number}):
                await self._step()

    async def _step(self) -> None:
        """One request, and the calls its response asks for; those alone where it is stored already."""
        if not (self.rows and isinstance(self.rows[-1], ModelResponse)):
            await self.store(await self._ask())
        if not self.over():
            self._lay_out()
            await self.store(await react(self.rows, self.desk, self.request.ending))

    def _lay_out(self) -> None:
        """What the desk must know of the newest response's calls."""
        # As it was when the response was asked for.
        self.desk.open = not self._tally(self.rows[:-1]).closes_tools(self.request.limits)
        self.desk.refused = refusals(self.rows, self.request.limits)
        self.desk.journal_keys = journal_keys(self.rows)
        self.desk.labels = labels(self.rows, self.request.first_label)

    async def _ask(self) -> ModelResponse:
        used = self.tally()
        if cap := used.spent(self.request.limits):
            raise BudgetSpent(f"This turn has used up its {cap}.", "run")
        tools = () if used.closes_tools(self.request.limits) else self.desk.tools.offer()
        offered = offer(self.request.instructions, tools, self.request.ending)
        first, guard = True, LinkGuard(self._hosts())
        async with self.bookings.request(self._characters(), written=self._long_answer) as booking:

            async def hear(event: ModelResponseStreamEvent) -> None:
                nonlocal first
                await booking.hear(event)
                await self.waiting.heard()
                delta = words_of(event)
                if first and (delta := delta.lstrip()):
                    first = False
                    await self._show("\n\n" if self.text() else "")
                await self._show(guard.feed(delta))

            self.waiting.begin()
            response = booking.response = await ask(self.model, [*self.before, *self.rows], offered, hear)
            self.waiting.end()
            await self._show(guard.flush())
        if is_cut_by_window(response, self.model.settings.get("max_tokens")):
            raise CutByWindow(response)
        return response

    async def _show(self, delta: str) -> None:
        if delta:
            await self.progress.text(delta)

    def tally(self) -> Tally:
        return self._tally(self.rows)

    def _tally(self, rows: Sequence[ModelMessage]) -> Tally:
        return tally(rows, lambda response: self.bookings.prices.counted(self.model.provider, response))

    def text(self) -> str:
        """The prose of the stored rows, as it may be shown."""
        return keep_known_links(text_of(self.rows), self._hosts())

    def answer(self, *notices: str) -> Answer:
        if self.tally().closes_tools(self.request.limits) and conclusion_in(self.rows, Conclusion) is None:
            notices += (STOPPED_LOOKING,)
        return answer_from(
            self.rows,
            text=self.text(),
            given=self.request.sources,
            model=self.model.name,
            max_tokens=self.model.settings.get("max_tokens"),
            notices=notices,
        )

    def _sources(self) -> tuple[Source, ...]:
        return (*self.request.sources, *found_in(self.rows))

    def _hosts(self) -> frozenset[str]:
        return self.request.link_hosts | hosts_of(self._sources())

    def _characters(self) -> float:
        """What the next request reads anew at most about."""
        return tokens_in([*self.before, *self.rows]) * CHARACTERS_PER_TOKEN + len(self.request.instructions)

    @property
    def _long_answer(self) -> int:
        return min(int(self.model.settings.get("max_tokens") or LONG_ANSWER), LONG_ANSWER)
