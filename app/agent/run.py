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
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    AgentRunError,
    CallToolsNode,
    ModelRequestNode,
    ModelRetry,
    RunContext,
    ToolOutput,
    UsageLimits,
)
from pydantic_ai import exceptions as fault
from pydantic_ai.capabilities import AbstractCapability, ModelFallback
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    UserPromptPart,
    repair_messages,
)
from pydantic_ai.run import AgentRun
from pydantic_ai.settings import ModelSettings as RequestSettings
from pydantic_graph import End

from app.agent.answer import CONCLUDE, Answer, Conclusion
from app.agent.budget import Budget, BudgetSpent, Estimate, Reservation, Spent
from app.agent.compaction import (
    CHARACTERS_PER_TOKEN,
    CompactionLimits,
    summary_of,
    through,
    to_half,
    tokens_in,
)
from app.agent.conclude import answer_from, conclusion_in, found_in
from app.agent.failures import Backoff, ModelUnavailable, explain, is_too_long
from app.agent.links import LinkGuard, hosts_of, keep_known_links
from app.agent.models import LoadedModel
from app.agent.prices import Prices
from app.agent.protocols import Progress, Transcript
from app.agent.tally import (
    RunLimits,
    Tally,
    concluded,
    journal_keys,
    labels,
    refusals,
    response_text,
    tally,
    text_of,
    this_turn,
)
from app.agent.toolset import CatalogueToolset, Desk
from app.context.models import Source
from app.tools.catalogue import Catalogue, ToolScope

log = structlog.get_logger(__name__)

LONG_ANSWER = 2048
"""Tokens reserved for what a response writes, unless MODEL_MAX_TOKENS is less."""

FALLBACK_ON = (
    fault.ModelRateLimitError,
    fault.ModelUnavailableError,
    fault.ModelServerError,
    fault.ModelNotFoundError,
)
"""What another model of the same account may not suffer from; a refused key or a dead line it would."""

MODEL_FAILED = (AgentRunError, fault.FallbackExceptionGroup)
"""Failures of the model; a stale attempt or a lost database passes through."""

Loop = Agent[Desk, Any]
Steps = AgentRun[Desk, Any]
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
    model: LoadedModel,
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
    model: LoadedModel,
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
            failures = failures + 1 if len(turn.rows) == known else 1
            failure = explain(error, turn.model.name)
            wait = means.backoff.wait(failures, failure)
            if wait is None and isinstance(error, fault.UnexpectedModelBehavior) and text_of(turn.rows):
                return ("The model did not finish its conclusion.",)
            if wait is None:
                raise ModelUnavailable(failure.sentence, failure.reason) from error
            await turn.progress.reset(turn.text())
            await means.sleep(wait)
    return ()


@lru_cache(maxsize=8)
def _loop(model: LoadedModel, ending: type[BaseModel]) -> Loop:
    """One agent a model: only the agent's own model gives way for good to the one that took over."""
    prose: list[Any] = [str] if ending is Conclusion else []
    loop: Loop = Agent(
        model.model,
        output_type=[ToolOutput(ending, name=CONCLUDE), *prose],
        deps_type=Desk,
        model_settings=model.settings,
        toolsets=[CatalogueToolset()],
        capabilities=_fallback(model),
        retries={"tools": 3, "output": 2},
        end_strategy="early",
        name="sre-agent",
    )
    loop.output_validator(_text_comes_first)
    return loop


def _text_comes_first(ctx: RunContext[Desk], output: Any) -> Any:
    rows = ctx.messages[this_turn(ctx.messages) :]
    if isinstance(output, Conclusion) and not text_of(rows):
        raise ModelRetry("There is no answer yet. Write the answer as text, then call conclude after it.")
    return output


@dataclass
class _Turn:
    """The rows of one turn while it runs, and everything that is computed from them."""

    request: RunRequest
    model: LoadedModel
    transcript: Transcript
    progress: Progress
    budget: Budget
    prices: Prices
    desk: Desk
    before: list[ModelMessage] = field(default_factory=list)
    rows: list[ModelMessage] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        request: RunRequest,
        model: LoadedModel,
        transcript: Transcript,
        progress: Progress,
        means: Means,
    ) -> _Turn:
        desk = Desk(
            means.tools, request.scope, transcript, progress, request.tool_result_bytes, means.seconds
        )
        return cls(request, model, transcript, progress, means.budget, means.prices, desk)

    def over(self) -> bool:
        return concluded(self.rows, by_prose=self.request.ending is Conclusion)

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
        reservation = await self.budget.reserve(self._estimate_of(len(text)))
        try:
            response = await model_request(
                self.model.model,
                [ModelRequest(parts=[UserPromptPart(text)], instructions=task)],
                model_settings=RequestSettings(max_tokens=LONG_ANSWER),
            )
        except MODEL_FAILED as error:
            await self.budget.release(reservation)
            log.warning("compaction_without_model", reason=explain(error, self.model.name).reason)
            return None
        except BaseException:
            await self.budget.settle(reservation, None)
            raise
        await self._pay(reservation, response)
        return response_text(response) or None

    async def store(self, message: ModelMessage) -> None:
        if isinstance(message, ModelRequest):
            message = replace(message, instructions=None)
        await self.transcript.append(message)
        self.rows.append(message)

    async def steps(self) -> None:
        """Ask, run tools, ask again until the model concludes; raises what the model layer raises."""
        self.desk.open = True
        async with _loop(self.model, self.request.ending).iter(
            None,
            message_history=[*self.before, *self.rows],
            instructions=self.request.instructions,
            deps=self.desk,
            usage_limits=UsageLimits(request_limit=None),
        ) as steps:
            node: Any = await steps.next(steps.next_node)  # type: ignore[arg-type]
            while not isinstance(node, End):
                if isinstance(node, ModelRequestNode):
                    if not node.is_resuming_without_prompt:
                        await self.store(node.request)
                    response = await self._ask(steps, node)
                    await self.store(response)
                elif isinstance(node, CallToolsNode):
                    self.desk.refused = refusals(self.rows, self.request.limits)
                    self.desk.journal_keys = journal_keys(self.rows)
                    self.desk.labels = labels(self.rows, self.request.first_label)
                node = await steps.next(node)
            last = steps.all_messages()[-1]
            if isinstance(last, ModelRequest):
                await self.store(last)

    async def _ask(self, steps: Steps, node: ModelRequestNode[Desk, Any]) -> ModelResponse:
        used = self.tally()
        if cap := used.spent(self.request.limits):
            raise BudgetSpent(f"This turn has used up its {cap}.", "run")
        self.desk.open = not used.closes_tools(self.request.limits)
        reservation = await self.budget.reserve(self._estimate())
        heard = False
        try:
            guard, first = LinkGuard(self._hosts()), True
            async with node.stream(steps.ctx) as stream:
                async for event in stream:
                    heard = True
                    delta = _text(event)
                    if first and (delta := delta.lstrip()):
                        first = False
                        await self._show("\n\n" if self.text() else "")
                    await self._show(guard.feed(delta))
            await self._show(guard.flush())
        except BaseException:
            # A stream that broke has been read and partly written by the service: it is paid for.
            await self.budget.settle(reservation, None) if heard else await self.budget.release(reservation)
            raise
        response = steps.all_messages()[-1]
        assert isinstance(response, ModelResponse)
        await self._pay(reservation, response)
        return response

    async def _show(self, delta: str) -> None:
        if delta:
            await self.progress.text(delta)

    def tally(self) -> Tally:
        return tally(self.rows, lambda response: self.prices.counted(self.model.provider, response))

    def text(self) -> str:
        """The prose of the stored rows, as it may be shown."""
        return keep_known_links(text_of(self.rows), self._hosts())

    def answer(self, *notices: str) -> Answer:
        if self.tally().closes_tools(self.request.limits) and conclusion_in(self.rows, Conclusion) is None:
            notices += ("I stopped looking further: the budget of this turn is used up.",)
        return answer_from(
            self.rows, text=self.text(), given=self.request.sources, model=self.model.name, notices=notices
        )

    def _sources(self) -> tuple[Source, ...]:
        return (*self.request.sources, *found_in(self.rows))

    def _hosts(self) -> frozenset[str]:
        return self.request.link_hosts | hosts_of(self._sources())

    def _estimate(self) -> Estimate:
        """What the next request may cost at most about: all it reads anew, and a long answer."""
        rows = tokens_in([*self.before, *self.rows])
        return self._estimate_of(rows * CHARACTERS_PER_TOKEN + len(self.request.instructions))

    def _estimate_of(self, characters: float) -> Estimate:
        read = round(characters / CHARACTERS_PER_TOKEN)
        written = min(int(self.model.settings.get("max_tokens") or LONG_ANSWER), LONG_ANSWER)
        return Estimate(read + written, self.prices.at(self.model.provider, self.model.name, read, written))

    async def _pay(self, reservation: Reservation, response: ModelResponse) -> None:
        await self.budget.settle(
            reservation,
            Spent(
                turn_id=self.request.turn_id,
                session_id=self.request.session_id,
                attempt=self.request.attempt,
                provider=self.model.provider,
                model=response.model_name or self.model.name,
                input_tokens=response.usage.input_tokens,
                output_tokens=response.usage.output_tokens,
                cache_read_tokens=response.usage.cache_read_tokens,
                cache_write_tokens=response.usage.cache_write_tokens,
                usd=self.prices.of(self.model.provider, response),
                counted=self.prices.counted(self.model.provider, response),
            ),
        )


def _text(event: object) -> str:
    """The prose an event of the stream adds, empty for every other kind."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _fallback(model: LoadedModel) -> Sequence[AbstractCapability[Desk]]:
    if model.fallback is None:
        return ()
    return (ModelFallback(model.fallback, fallback_on=FALLBACK_ON, sticky=True),)
