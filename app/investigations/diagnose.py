"""The diagnosis: the model tests hypotheses on the evidence, within its budget; what it says is checked.

Without a model, or when it fails, what the evidence core found stands, and is not called a diagnosis. Each
step is stored before the next one is shown; an attempt goes on where its predecessor died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import structlog
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app import jobs
from app.agent.budget import BudgetSpent
from app.agent.conclude import conclusion_in
from app.agent.failures import ModelUnavailable
from app.agent.links import hosts_of
from app.agent.models import ChosenModel
from app.agent.run import Ended, Means, RunRequest, run_to
from app.agent.tally import RunLimits, Tally, tally, this_turn
from app.context.models import Source
from app.conversations import repository as conversations
from app.conversations.models import Turn
from app.conversations.reply import NotReached, NotShown
from app.conversations.transcript import SessionTranscript
from app.conversations.turn import MOST_ATTEMPTS, passes
from app.errors import AgentError
from app.escalation.models import PAGERDUTY, Why
from app.giving_way import RightOfWay, give_way
from app.investigations import journal, queueing, repository
from app.investigations.assembling import Looked, down
from app.investigations.awaiting import Awaited
from app.investigations.begun import OnceBegun
from app.investigations.brief import Brief, Past
from app.investigations.checks import checked
from app.investigations.digest import digest
from app.investigations.evidence import Finding
from app.investigations.first_brief import headline as plain_headline
from app.investigations.form import Diagnosis
from app.investigations.gathered import Gathered
from app.investigations.guidance import guidance_of
from app.investigations.history import names_of
from app.investigations.ledger import InvestigationLedger
from app.investigations.means import DiagnoseMeans
from app.investigations.models import Investigation
from app.investigations.processing import processing
from app.investigations.surface import (
    DIAGNOSED,
    EVIDENCE_ONLY,
    FAILED,
    Button,
    Footer,
    HeadlineState,
    IncidentSurface,
    IncidentThread,
    Told,
)
from app.investigations.thread import concluded, headline
from app.investigations.tickets import MOST_TICKETS, TELL_OF_TICKETS, supported
from app.investigations.wrapping import Wrapping
from app.knowledge.models import Knowledge
from app.sources.pagerduty import OnCall
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from app.tools.catalogue import ToolScope

log = structlog.get_logger(__name__)

CALLED_BY_NAME = ("P1", "P2")
"""Severities of which whoever is on call is told by name."""
ADDRESS_SECONDS = 5.0
"""How long is asked who that is, and how to address them."""
OnCallNow = tuple[str, tuple[str, ...]]
"""The names of those on call, and the ids by which the place addresses them."""
SURE_ENOUGH = 0.5
"""A diagnosis less sure than this goes to the strong model once, and to a person if that does not help.

Without a model it is the evidence brief that counts: a page nobody understands is when people are called."""
NO_MODEL = "no model is configured"
NO_THREAD = "the incident's thread cannot be opened, and a model's work is kept with its thread"
NO_EVIDENCE = "The evidence could not be gathered."
BROKEN = "Something on my side broke."
OUT_OF_TIME = "the diagnosis took longer than it may (INVESTIGATION_TIMEOUT_SECONDS)"
SECOND_LOOK = (
    "A second look at the same incident. Take nothing of the conclusion above for granted: test the "
    "alternatives that were not refuted, across services, and conclude again."
)


class NoThreadYet(AgentError):
    """The thread of an incident is not there yet."""

    code = "no_thread_yet"
    status = 503


@dataclass(frozen=True)
class Outcome:
    """What a diagnosis came to. `failure` says why no model concluded, `why` why a person is to be called.
    After a deeper look that failed the brief is that of the look before it, which `stands`."""

    brief: Brief
    findings: tuple[Finding, ...]
    changed: tuple[str, ...] = ()
    failure: str | None = None
    over_budget: str | None = None
    why: Why | None = None

    @property
    def stands(self) -> bool:
        return self.failure is not None and self.brief.model is not None

    @property
    def state(self) -> HeadlineState:
        return concluded(self.brief.model, self.failure)

    def stored(self, round: int) -> dict[str, Any]:
        """The brief with what its ending needs; `round` tells it from that of an earlier diagnosis."""
        besides = {name: getattr(self, name) for name in ("changed", "failure", "over_budget", "why")}
        return {**self.brief.model_dump(mode="json"), "round": round, "ending": besides}

    @classmethod
    def restored(cls, kept: Mapping[str, Any], findings: tuple[Finding, ...]) -> Outcome:
        besides = {**kept["ending"], "changed": tuple(kept["ending"]["changed"])}
        return cls(Brief.model_validate(kept), findings, **besides)


@dataclass(frozen=True)
class Diagnoser:
    """Carries out diagnoses; `run` is the handler of the queue's `diagnose`."""

    engine: AsyncEngine
    surface: IncidentSurface
    channel: str
    means: DiagnoseMeans
    wrapping: Wrapping
    on_call: Callable[[Investigation], Awaitable[Sequence[OnCall]]] | None = None
    """Who is on call now, with their addresses, which are neither kept nor logged."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    way: RightOfWay = field(default_factory=RightOfWay)

    async def run(self, investigation_id: str) -> None:
        investigation = await self._begin(UUID(investigation_id))
        if investigation is None:
            return
        with processing(investigation, "diagnose"), self.way.behind(investigation.severity):
            await give_way()
            if self._waits_for_thread(investigation):
                await self._ask_for_thread(investigation)
            ledger = InvestigationLedger(self.engine, investigation.id, investigation.attempt)
            thread = self.surface.thread(investigation.id, self.channel, ledger)
            await _Diagnosis(self, investigation, thread).carry_out()

    async def show(self, investigation: Investigation, thread: IncidentThread) -> bool:
        """What an earlier diagnosis came to, in a thread that could not be reached then; whether it is."""
        diagnosis = _Diagnosis(self, investigation, thread)
        if investigation.status == "failed":
            return await diagnosis.show_failure(BROKEN if investigation.observations else NO_EVIDENCE)
        if (kept := diagnosis.kept) is None:
            return True
        outcome = Outcome.restored(kept, await diagnosis.known_findings())
        asking = asyncio.ensure_future(diagnosis.on_call_now())
        try:
            return await diagnosis.show(outcome, asking)
        finally:
            asking.cancel()

    async def _begin(self, investigation_id: UUID) -> Investigation | None:
        async with begin(self.engine) as connection:
            return await repository.begin_diagnose(
                connection, investigation_id, ttl_seconds=self.means.ttl_seconds
            )

    def _waits_for_thread(self, investigation: Investigation) -> bool:
        """It may still come: its place was away, or has let the agent in since. A model's work is kept with
        it, and what nobody can read calls people."""
        diagnosing = investigation.status == "diagnosing" and investigation.place is None
        return diagnosing and investigation.tries < MOST_ATTEMPTS

    async def _ask_for_thread(self, investigation: Investigation) -> NoReturn:
        """The diagnosis is tried again behind the update that opens the thread."""
        async with begin(self.engine) as connection:
            await jobs.defer_once(connection, queueing.show(investigation.id))
        raise NoThreadYet("The diagnosis waits a moment for the thread it is kept with.")


@dataclass
class _Diagnosis:
    diagnoser: Diagnoser
    investigation: Investigation
    thread: IncidentThread
    transcript: SessionTranscript | None = None
    knowledge: Knowledge | None = None
    looked: Looked | None = field(default=None, init=False)
    first: Outcome | None = field(default=None, init=False)
    """What the first look concluded, while a second one is under way."""
    awaited: Awaited = field(init=False)

    def __post_init__(self) -> None:
        self.awaited = Awaited(self.investigation, self.thread, self.diagnoser.clock)
        if self.investigation.observations is not None:
            self.looked = Looked.restored(self.investigation.observations)

    @property
    def kept(self) -> dict[str, Any] | None:
        """The brief of the present round, when an earlier attempt has decided on it."""
        kept = self.investigation.brief
        return kept if kept is not None and kept.get("round", 1) == self.investigation.round else None

    @property
    def gathered(self) -> Gathered:
        assert self.looked is not None
        return self.looked.gathered

    async def carry_out(self) -> None:
        try:
            await self.carry_out_or_end()
        except StaleAttempt:
            now = await self.as_it_stands()
            if now.attempt == self.investigation.attempt and now.finished_at is None:
                # Nobody has taken it over: its turn is gone with a thread that was to be forgotten.
                raise
            log.warning("diagnosis_taken_over", attempt=self.investigation.attempt)

    async def carry_out_or_end(self) -> None:
        try:
            if self.investigation.status == "expired":
                await self.diagnoser.wrapping.expired(self.investigation, self.thread)
            elif self.looked is None:
                await self.fail(NO_EVIDENCE, "failure")
            else:
                asking = asyncio.ensure_future(self.on_call_now())
                try:
                    await self.conclude(await self.outcome(), asking)
                finally:
                    asking.cancel()
        except StaleAttempt:
            raise
        except Exception as error:
            log.error("diagnosis_went_wrong", tries=self.investigation.tries, exc_info=error)
            if self.investigation.tries < MOST_ATTEMPTS or passes(error):
                raise
            if self.investigation.tries < 2 * MOST_ATTEMPTS:
                await self.fail(BROKEN, "failure")
            else:
                await self.end_unsaid()

    # -- deciding ------------------------------------------------------------------------------------------

    async def outcome(self) -> Outcome:
        """The brief this investigation ends in, decided now if no earlier attempt has."""
        if (kept := self.kept) is not None:
            return Outcome.restored(kept, await self.known_findings())
        outcome = await self.decide()
        async with begin(self.diagnoser.engine) as connection:
            await repository.save_evidence(
                connection, self.investigation, outcome.findings[len(self.gathered.findings) :]
            )
            await repository.save(
                connection, self.investigation, brief=outcome.stored(self.investigation.round)
            )
        return outcome

    async def next_label(self) -> int:
        """The number of this round's first piece of evidence: what earlier rounds found keeps its own."""
        known = (*self.gathered.findings, *await self.known_findings())
        return max((int(each.label[1:]) for each in known), default=0) + 1

    async def known_findings(self) -> tuple[Finding, ...]:
        async with begin(self.diagnoser.engine) as connection:
            return await repository.load_evidence(connection, self.investigation.id)

    async def decide(self) -> Outcome:
        means = self.diagnoser.means
        if means.models is None:
            return _unsure_told(await self.alone(NO_MODEL, None))
        if self.investigation.turn_id is None:
            return await self.alone(NO_THREAD, "failure")
        try:
            left = await self.seconds_left()
            async with asyncio.timeout(left), self.awaited.told(left):
                return await self.by_model(means.models.fast, means.models.strong)
        except TimeoutError:
            return await self.alone(OUT_OF_TIME, "timeout")
        except BudgetSpent as error:
            spent = await self.alone(error.sentence, "budget")
            return replace(spent, over_budget=error.sentence)
        except ModelUnavailable as error:
            return await self.alone(error.sentence, "failure")

    async def seconds_left(self) -> float:
        """Of the time a diagnosis may take, counted from its first attempt's beginning."""
        async with begin(self.diagnoser.engine) as connection:
            turn = await repository.load_turn(connection, self.investigation)
            spent = await journal.seconds_since_begun(connection, turn.id)
        await self.open_transcript(turn)
        return max(0.0, self.diagnoser.means.seconds - spent)

    async def open_transcript(self, turn: Turn) -> SessionTranscript:
        """With the knowledge that shapes this diagnosis: what its session is pinned to. An attempt that goes
        on with what another has begun goes on with its knowledge, too."""
        transcript = self.transcript = SessionTranscript(self.diagnoser.engine, turn)
        session = turn.session
        begun = await transcript.has_question()
        pin = session.knowledge_revision if begun else session.pin(self.diagnoser.clock())
        self.knowledge = await self.diagnoser.means.knowledge(pin)
        transcript.session = session.pinned(self.knowledge.revision)
        return transcript

    async def alone(self, reason: str, why: Why | None) -> Outcome:
        """What the evidence core found stands."""
        assert self.looked is not None
        if self.first is not None:
            return await self.without_second_look(self.first, reason, why)
        if (earlier := self.investigation.earlier_brief) is not None:
            return await self.as_before(earlier, reason, why)
        kept = Brief.model_validate(self.investigation.evidence_brief)
        gap = f"no model looked at this: {reason.rstrip('.')}"
        brief = kept.model_copy(update={"gaps": (*kept.gaps, gap)})
        if self.investigation.turn_id is not None:
            await self.remember(in_words(brief))
        return Outcome(brief, self.gathered.findings, failure=None if why is None else reason, why=why)

    async def without_second_look(self, first: Outcome, reason: str, why: Why | None) -> Outcome:
        """A conclusion nobody could look at a second time is still worth more than the evidence alone."""
        failed = f"A second look by the strong model failed: {reason.rstrip('.')}."
        await self.remember(
            ModelResponse([TextPart(f"{failed} The first one stands.")], model_name="offline")
        )
        brief = first.brief.model_copy(update={"gaps": (*first.brief.gaps, failed)})
        sure = brief.confidence >= SURE_ENOUGH
        return replace(first, brief=brief, changed=(*first.changed, failed), why=None if sure else why)

    async def as_before(self, earlier: Mapping[str, Any], reason: str, why: Why | None) -> Outcome:
        """What an earlier look concluded is worth more than the evidence alone."""
        failed = f"A deeper look failed: {reason.rstrip('.')}. What was concluded before stands."
        before = Outcome.restored(earlier, await self.known_findings())
        if self.investigation.turn_id is not None:
            await self.remember(ModelResponse([TextPart(failed)], model_name="offline"))
        return Outcome(before.brief, before.findings, before.changed, failure=reason, why=why or "failure")

    async def remember(self, words: ModelResponse) -> None:
        """So that a follow-up in the thread knows what was found, a model's rows or none."""
        async with begin(self.diagnoser.engine) as connection:
            turn = await repository.load_turn(connection, self.investigation)
        transcript = await self.open_transcript(turn)
        if not await transcript.has_question():
            await self.ask(transcript, digest(self.gathered))
        await transcript.append(words)

    async def by_model(self, fast: ChosenModel, strong: ChosenModel) -> Outcome:
        """The fast model first; the strong one once, when that is not sure or the cause spans services."""
        deeper = self.investigation.round > 1
        transcript = self.transcript
        assert transcript is not None
        if not await transcript.has_question():
            again = deeper and await transcript.history()
            await self.ask(transcript, SECOND_LOOK if again else digest(self.gathered))
        used = None if deeper else await self.used_before_second_look(fast)
        if used is None:
            ended = await self.run(strong if deeper else fast, transcript)
            outcome = await self.checked(ended)
            several = ended.conclusion is not None and ended.conclusion.several_services
            if deeper or strong is fast or not (several or outcome.brief.confidence < SURE_ENOUGH):
                return _unsure_told(outcome)
            self.first = outcome if ended.conclusion is not None else None
            await self.ask(transcript, SECOND_LOOK)
            used = ended.used
        return _unsure_told(await self.checked(await self.run(strong, transcript, used)))

    async def used_before_second_look(self, model: ChosenModel) -> Tally | None:
        """What the first look used, when an attempt before this one had begun the second; else None."""
        assert self.transcript is not None
        history = await self.transcript.history()
        second = this_turn(history)
        if not _asks(history[second], SECOND_LOOK):
            return None
        prices, rows = self.diagnoser.means.means.prices, history[this_turn(history[:second]) : second]
        used = tally(rows, lambda response: prices.counted(model.provider, response))
        if (conclusion := conclusion_in(rows, Diagnosis)) is not None:
            named = (row.model_name for row in reversed(rows) if isinstance(row, ModelResponse))
            answered_by = next(named, None) or model.name
            self.first = await self.checked(Ended(conclusion, tuple(rows), used, answered_by))
        return used

    async def ask(self, transcript: SessionTranscript, text: str) -> None:
        async with begin(self.diagnoser.engine) as connection:
            await transcript.add(connection, ModelRequest(parts=[UserPromptPart(text)]), kind="question")
            await conversations.pin_knowledge(connection, transcript.session)

    async def run(
        self, model: ChosenModel, transcript: SessionTranscript, used: Tally | None = None
    ) -> Ended[Diagnosis]:
        """One look of a model; `used` is what a look before it took of what both may use."""
        means, knowledge = self.diagnoser.means, self.knowledge
        assert knowledge is not None
        limits = means.limits
        if used is not None:
            limits = RunLimits(
                tool_calls=max(1, limits.tool_calls - used.tool_calls),
                model_turns=max(2, limits.model_turns - used.model_turns),
                tokens=max(1, limits.tokens - used.tokens) if limits.tokens else 0,
                usd=limits.usd and max(limits.usd - used.usd, limits.usd / 10),
            )
        assert self.investigation.turn_id is not None
        turn_id = self.investigation.turn_id
        return await run_to(
            Diagnosis,
            RunRequest(
                turn_id=turn_id,
                session_id=transcript.session_id,
                attempt=self.investigation.attempt,
                instructions=f"{knowledge.system_prompt.text}\n\n{guidance_of(knowledge)}",
                limits=limits,
                scope=ToolScope(service=self.investigation.service_name, session_id=transcript.session_id),
                sources=tuple(_source(each) for each in self.gathered.findings),
                link_hosts=means.hosts(),
                tool_result_bytes=means.tool_result_bytes,
                first_label=await self.next_label() + (used.tool_calls if used else 0),
            ),
            model=model,
            transcript=transcript,
            progress=self.awaited,
            means=await self.run_means(transcript),
        )

    async def run_means(self, transcript: SessionTranscript) -> Means:
        """An hour's budget that is gone lets no diagnosis begin, and lets those that have begun go on."""
        means = self.diagnoser.means
        if means.in_flight is None:
            return means.means
        rows = await transcript.history()
        begun = any(isinstance(row, ModelResponse) for row in rows[this_turn(rows) :])
        return replace(means.means, budget=OnceBegun(means.means.budget, means.in_flight, begun=begun))

    async def checked(self, ended: Ended[Diagnosis]) -> Outcome:
        """The model's brief after the checks that do not trust it."""
        gathered = self.gathered
        found = await self.diagnoser.wrapping.called(self.investigation, gathered)
        # Those of earlier rounds may be cited too.
        every = {each.label: each for each in (*gathered.findings, *await self.known_findings(), *found)}
        findings = tuple(every.values())
        if ended.conclusion is None:
            return await self.alone("the model did not conclude", "failure")
        tickets, dropped = supported(ended.conclusion.tickets, await self.results_on_tickets())
        stated = ended.conclusion.brief(
            gathered.past or Past(),
            tuple(each.title for each in gathered.runbooks),
            tuple(dict.fromkeys((*gathered.tickets, *tickets)))[:MOST_TICKETS],
            ended.model,
        )
        links = tuple(_source(each) for each in findings)
        brief, changed = checked(
            stated,
            findings=findings,
            gaps=gathered.gaps,
            sources_down=down(gathered.gaps),
            hosts=self.diagnoser.means.hosts() | hosts_of(links),
            past=gathered.past,
            plain_headline=plain_headline(gathered),
        )
        return Outcome(brief, findings, (*changed, *dropped))

    async def results_on_tickets(self) -> tuple[str, ...]:
        assert self.investigation.turn_id is not None
        async with begin(self.diagnoser.engine) as connection:
            return await journal.results(connection, self.investigation.turn_id, TELL_OF_TICKETS)

    # -- showing -------------------------------------------------------------------------------------------

    async def conclude(self, outcome: Outcome, asking: asyncio.Future[OnCallNow]) -> None:
        """Shown, told to people when it is not sure, and ended."""
        now, showing = self.diagnoser.clock(), self.show(outcome, asking)
        await self.diagnoser.wrapping.done(self.investigation, self.thread, outcome, now, showing)

    async def show(self, outcome: Outcome, asking: asyncio.Future[OnCallNow]) -> bool:
        """The brief, and the headline that says the same; whether their place was there, or refused them for
        good."""
        if self.investigation.place is None:
            return False
        wrapping = self.diagnoser.wrapping
        record = await wrapping.record(self.investigation, outcome, self.diagnoser.clock())
        footer = Footer(
            seconds=record.seconds or 0.0,
            model=outcome.brief.model,
            turns=sum(each.requests for each in record.usage),
            tool_calls=len(record.tool_calls),
            tokens=record.tokens,
            usd=record.usd,
        )
        told = Told(
            outcome.brief,
            outcome.findings,
            self.gathered.ranking,
            footer,
            buttons=self.buttons(EVIDENCE_ONLY if outcome.state == "evidence_only" else DIAGNOSED),
            failure=outcome.failure or "",
            **await self.called_by_name(asking),
        )
        try:
            await self.thread.open(headline(self.investigation))
            await self.awaited.over(answered=not outcome.failure)
            if outcome.stands:
                await self.say_failed(outcome.failure or "", stands=True)
            else:
                await self.thread.final_brief(told, round=self.investigation.round)
            await self.thread.headline(headline(await self.as_it_stands(), state=outcome.state))
        except NotShown as error:
            log.error("brief_not_shown", reason=error.sentence)
        except NotReached as error:
            log.warning("brief_not_shown_yet", reason=error.sentence)
            return False
        return True

    async def called_by_name(self, asking: asyncio.Future[OnCallNow]) -> dict[str, Any]:
        """Who is on call, for the first brief of what cannot wait: the fields of `Told` that say so."""
        now = await self.as_it_stands()
        if now.severity not in CALLED_BY_NAME or now.resolved_at is not None or now.round > 1:
            return {}
        assert self.looked is not None
        names, ids = await asking
        return {"on_call": names or self.looked.on_call, "on_call_ids": ids}

    async def on_call_now(self) -> OnCallNow:
        """Asked while the model works; a brief comes without the address rather than late."""
        if (ask := self.diagnoser.on_call) is None or self.investigation.severity not in CALLED_BY_NAME:
            return "", ()
        try:
            async with asyncio.timeout(ADDRESS_SECONDS):
                turns = await ask(self.investigation)
                emails = tuple(dict.fromkeys(each.email for each in turns if each.email))
                return names_of(turns), await self.diagnoser.surface.people(emails)
        except (AgentError, TimeoutError) as error:
            log.info("on_call_not_known", reason=str(error) or "late")
        except Exception as error:
            # An answer nobody foresaw must not cost the brief.
            log.warning("on_call_not_known", exc_info=error)
        return "", ()

    async def as_it_stands(self) -> Investigation:
        """With what became of the incident while it was diagnosed: one that is over stays so."""
        async with begin(self.diagnoser.engine) as connection:
            return await repository.load(connection, self.investigation.id) or self.investigation

    def buttons(self, offered: tuple[Button, ...]) -> tuple[Button, ...]:
        """Acknowledging is offered where the source knows it."""
        return (*offered, "acknowledge") if self.investigation.paged.source == PAGERDUTY else offered

    async def fail(self, sentence: str, why: Why) -> None:
        """It has finally failed: said in the same place, with its reason, and in the report."""
        # Who was called about its brief before is not called again about its failure.
        why = (self.kept or {}).get("ending", {}).get("why") or why
        await self.diagnoser.wrapping.failed(
            self.investigation, self.thread, sentence, why, self.show_failure(sentence)
        )

    async def show_failure(self, sentence: str) -> bool:
        if self.investigation.place is None:
            return False
        try:
            await self.thread.open(headline(self.investigation))
            await self.awaited.over(answered=False)
            stands = self.investigation.earlier_brief is not None
            await self.say_failed(sentence, stands=stands)
            state: HeadlineState = "diagnosed" if stands else "failed"
            await self.thread.headline(headline(await self.as_it_stands(), state=state))
        except NotShown as error:
            log.error("failure_not_shown", reason=error.sentence)
        except NotReached as error:
            log.warning("failure_not_shown_yet", reason=error.sentence)
            return False
        return True

    async def say_failed(self, sentence: str, *, stands: bool) -> None:
        await self.thread.failed(
            sentence,
            trace_id=self.investigation.trace_id,
            buttons=self.buttons(FAILED),
            round=self.investigation.round,
            stands=stands,
        )

    async def end_unsaid(self) -> None:
        """Its failure could not be told and reported again and again: it ends as well as it can, or its
        service would wait for ever."""
        await self.diagnoser.wrapping.unsaid(self.investigation, BROKEN)


def _unsure_told(outcome: Outcome) -> Outcome:
    """People are called about what nobody is sure of."""
    if outcome.brief.confidence < SURE_ENOUGH and outcome.why is None:
        return replace(outcome, why="low_confidence")
    return outcome


def in_words(brief: Brief) -> ModelResponse:
    """What was found without a model, as a transcript has it."""
    return ModelResponse([TextPart(f"{brief.headline}\n\n{brief.likely_cause.text}")], model_name="offline")


def _asks(message: ModelMessage, question: str) -> bool:
    return any(isinstance(part, UserPromptPart) and part.content == question for part in message.parts)


def _source(finding: Finding) -> Source:
    return Source(kind=finding.kind, title=finding.label, path=finding.label, url=finding.link)
