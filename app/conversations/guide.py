"""A turn that a workflow carries on: from a message to the next question or the finished file.

The engine decides; here what it wants is looked up, made and attached, and what comes of it is stored in the
transaction of the turn's decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app import tracing
from app.agent.answer import Answer, Offer
from app.agent.links import hosts_of, keep_known_links
from app.agent.reader import Reader, ReadFor
from app.context.library import Library
from app.context.models import Source
from app.context.resolve import resolve
from app.conversations.models import Turn
from app.conversations.reply import Place, Reply
from app.conversations.voice import Voice
from app.errors import AgentError
from app.instruments import WORKFLOW_STEPS
from app.knowledge.keeping import Keeper
from app.knowledge.models import Knowledge
from app.storage.audit import write_audit
from app.storage.errors import StaleAttempt
from app.tools.masking import mask
from app.workflows import engine, repository
from app.workflows.actions import Action, AnswerAside, Ask, Look, Make, Step
from app.workflows.commands import event_of
from app.workflows.document import MOST_PHASES, Workflow
from app.workflows.events import (
    Confirm,
    Drafted,
    Early,
    Event,
    Looked,
    Made,
    NotMade,
    Resume,
    Skip,
    Words,
)
from app.workflows.facts import Asked, Gathered, Lookups, Picture, gather
from app.workflows.hearing import needs_reading
from app.workflows.library import WorkflowLibrary
from app.workflows.of_service import OfService
from app.workflows.rendering import Handed, render_artifacts
from app.workflows.state import State
from app.workflows.view import View
from app.workflows.wording import MAKE_IT, SOMEBODY, handed_over, offers, opening, people, resting, worded

log = structlog.get_logger(__name__)

MOST_ROUNDS = MOST_PHASES + 10
"""Looks and makings that one message may cause; the engine needs as many as the workflow has phases."""
CHOSEN_LATE = "That choice belongs to a workflow of this thread that is over, so it changes nothing here."
Link = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Guided:
    """What a workflow says in a turn, and where it then stands. With `aside`, the analyst answers the
    message first. `actions` are the audit's."""

    text: str
    state: State
    service: str | None
    actions: tuple[str, ...] = ()
    aside: bool = False
    files: tuple[Handed, ...] = ()
    sources: tuple[Source, ...] = ()
    notices: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()

    def answer(self, said: Answer | None) -> Answer:
        """With what the analyst said to a question beside it, when one was asked."""
        if said is None:
            return Answer(self.text, sources=self.sources, notices=self.notices, offers=self.offers)
        text = f"{said.text}\n\n---\n\n{self.text}" if self.text else said.text
        return replace(said, text=text, offers=self.offers, notices=(*said.notices, *self.notices))


@dataclass
class _Course:
    """One message's way through the engine: what was said, looked up and made on it. `voice` is None without
    a model; `names` are those of the people who are spoken of."""

    workflow: Workflow
    step: Step
    voice: Voice | None = None
    asked_before: frozenset[str] = frozenset()
    said: list[Action] = field(default_factory=list)
    files: tuple[Handed, ...] = ()
    gathered: list[Gathered] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    done: bool = False
    problem: str = ""

    @property
    def state(self) -> State:
        return self.step.state


@dataclass(frozen=True)
class Guide:
    """`lookups` find what workflows want besides the service; `reader` reads answers in free text, and is
    None without a model; `elsewhere` is where else a finished file can be brought."""

    keeper: Keeper
    library: Library
    lookups: Lookups = field(default_factory=dict)
    reader: Reader | None = None
    elsewhere: tuple[Offer, ...] = ()
    link: Link = lambda channel, ts: None
    workflows: WorkflowLibrary = field(default_factory=WorkflowLibrary)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def services(self) -> OfService:
        return OfService(lambda: self.library.catalog)

    async def go_on(self, turn: Turn, knowledge: Knowledge, reply: Reply, place: Place) -> Guided | None:
        """What the session's workflow makes of a message, or one that the message starts; None for neither.

        Raises:
            AgentError: the place cannot be reached just now (status 503).
        """
        state, view = State.from_json(turn.session.workflow_state), None
        if state is not None:
            workflow, notices = await self._document(state)
            if workflow is None:
                return None if state.is_over else self._lost(state, notices)
            if turn.envelope.answers and turn.envelope.answers != _name(state):
                return Guided(CHOSEN_LATE, state, None, notices=notices)
            view = View(workflow, state, self.services.name)
            event = _event(turn, view)
            voice = self._voice(turn)
            if isinstance(event, Words) and voice is not None and needs_reading(event, view):
                event, more = await voice.read(event, view)
                notices += more
            if event is not None:
                with tracing.span("sre_agent.workflow.step", {"gen_ai.workflow.name": state.title}):
                    return await self._carry_on(
                        workflow, state, event, reply, place, voice=voice, notices=notices
                    )
        started = self.workflows.started(turn.question, knowledge)
        if started is None:
            return self._beside_a_pause(view) if view and view.state.status == "paused" else None
        if state is not None and not state.is_over:
            return await self._already(turn, state, started, reply, place)
        with tracing.span("sre_agent.workflow.step", {"gen_ai.workflow.name": started.title}):
            return await self._begin(turn, started, knowledge, reply, place)

    def _beside_a_pause(self, view: View) -> Guided:
        """The analyst answers what is asked in a pause; below it stands that the workflow waits."""
        notice = f"{resting(engine.resting(view))}; say “resume” to go on."
        return Guided("", view.state, view.service, aside=True, notices=(mask(notice),))

    async def store(self, connection: AsyncConnection, turn: Turn, guided: Guided) -> None:
        """In the transaction of the turn's decision: where it stands, what it made, and its audit rows."""
        if guided.aside and not guided.text:
            return  # it rests as it did
        session = turn.session
        await repository.save_state(connection, session.id, guided.state, guided.service)
        await repository.add_artifacts(connection, session.id, turn.id, guided.files)
        for action in guided.actions or ("step",):
            WORKFLOW_STEPS.add(event=action)
        for action in guided.actions:
            await write_audit(
                connection,
                action,
                workflow=guided.state.title,
                service_name=guided.service,
                knowledge_revision=guided.state.revision,
                thread_ts=session.thread_ts,
                channel_id=session.channel_id,
                user_id=turn.user_id,
                trace_id=turn.trace_id,
            )

    def _voice(self, turn: Turn) -> Voice | None:
        if self.reader is None:
            return None
        return Voice(self.reader, ReadFor(turn.id, turn.session.id, turn.attempt))

    # -- the document ----------------------------------------------------------------------------------------

    async def _document(self, state: State) -> tuple[Workflow | None, tuple[str, ...]]:
        """The workflow at the revision it began with, and what is to be said about that."""
        knowledge = await self.keeper.at(state.revision)
        workflow = self.workflows.at(knowledge, state.workflow)
        if knowledge.revision != state.revision:
            notice = (
                f"The revision that “{state.title}” began with ({state.revision}) cannot be read any more; "
                f"it goes on with {knowledge.revision}."
            )
            return workflow, (notice,)
        newest = self.keeper.current
        if newest.revision != state.revision and not _same(state.workflow, knowledge, newest):
            notice = f"“{state.title}” has changed since; this one finishes on revision {state.revision}."
            return workflow, (notice,)
        return workflow, ()

    def _lost(self, state: State, notices: tuple[str, ...]) -> Guided:
        """The document is gone for good: what was answered is handed back, and the session is free again."""
        answers = "\n".join(f"- {name}: {given.value}" for name, given in state.answers.items())
        text = (
            f"“{state.title}” is gone from the knowledge repo, so I cannot go on with it. "
            f"Your answers:\n{answers}"
        )
        over = state.model_copy(update={"status": "cancelled", "at": None})
        return Guided(self._clean(text, over), over, None, notices=notices)

    # -- one message -----------------------------------------------------------------------------------------

    async def _begin(
        self, turn: Turn, workflow: Workflow, knowledge: Knowledge, reply: Reply, place: Place
    ) -> Guided:
        session = turn.session
        found = resolve(
            turn.question,
            self.library.catalog,
            thread_service=session.service_name,
            channel=await place.channel_name() or session.channel_id,
        )
        thread = self.link(session.channel_id, session.thread_ts)
        by = await place.name_of(turn.user_id) or SOMEBODY
        facts = {"today": f"{self.clock():%Y-%m-%d}", "started_by": by}
        step = engine.begin(
            workflow,
            revision=knowledge.revision,
            by=turn.user_id,
            service=found.service.name if found.service else None,
            facts=facts | ({"thread": thread} if thread else {}),
            services=self.services.name,
            begun=str(turn.id),
        )
        course = await self._follow(_Course(workflow, step, self._voice(turn)), reply, place)
        return self._guided(course, ("workflow_start",), begun=True)

    async def _carry_on(
        self,
        workflow: Workflow,
        state: State,
        event: Event,
        reply: Reply,
        place: Place,
        *,
        voice: Voice | None,
        notices: tuple[str, ...],
    ) -> Guided:
        step = engine.step(workflow, state, event, services=self.services.name)
        course = _Course(workflow, step, voice, frozenset(state.asked))
        return self._guided(await self._follow(course, reply, place), (), notices=notices)

    async def _already(
        self, turn: Turn, state: State, started: Workflow, reply: Reply, place: Place
    ) -> Guided:
        """Somebody starts one while another one rests: that one goes on, or has to be ended first."""
        workflow, notices = await self._document(state)
        if workflow is not None and workflow.path == started.path:
            resume = Resume(turn.user_id)
            return await self._carry_on(
                workflow, state, resume, reply, place, voice=self._voice(turn), notices=notices
            )
        text = (
            f"“{state.title}” is paused in this thread. Say **resume** or **cancel** first, "
            "or start the other one in a thread of its own."
        )
        return Guided(text, state, None)

    async def _follow(self, course: _Course, reply: Reply, place: Place) -> _Course:
        """Carry out what the engine wants until it waits for people."""
        for _ in range(MOST_ROUNDS):
            course.said += course.step.actions
            last = course.step.actions[-1] if course.step.actions else None
            if isinstance(last, Look):
                event: Event = await self._look(course, last, reply)
            elif isinstance(last, Make):
                event = await self._make(course, reply)
            else:
                break
            course.step = engine.step(course.workflow, course.state, event, services=self.services.name)
        await self._phrase(course)
        course.names = await _names(course, place)
        return course

    async def _phrase(self, course: _Course) -> None:
        """What a model writes to the question that now stands: a draft to be taken, or a way in to it when it
        is asked for the first time. What is asked stays as the engine has it."""
        ask = course.said[-1] if course.said else None
        if course.voice is None or not isinstance(ask, Ask) or ask.present is not None:
            return
        slot = ask.slot
        if slot.field.draft and slot.id not in course.state.drafts:
            text = await course.voice.draft(ask, self._view(course))
            course.step = engine.step(
                course.workflow, course.state, Drafted(slot.id, text), services=self.services.name
            )
            course.said = [*course.said[:-1], *(course.step.actions or (ask,))]
        elif slot.id not in course.asked_before:
            lead_in = await course.voice.lead_in(ask, self._view(course))
            course.said[-1] = replace(ask, lead_in=lead_in)

    async def _look(self, course: _Course, look: Look, reply: Reply) -> Looked:
        view = self._view(course)
        answers = {slot_id: given.value for slot_id, given in course.state.answers.items()}
        asked = Asked(view.service, answers, course.state.facts, course.state.revision)
        lookups = {"service": self.services, **self.lookups}
        gathered = await gather(look.wants, asked, lookups)
        others = [want for want in look.wants if want != "service"]
        if others:
            await reply.task(
                f"facts-{len(course.gathered)}",
                f"Looked up {', '.join(others)}",
                "complete",
                sources=gathered.sources,
            )
        for picture in gathered.pictures:
            await self._show(picture, reply)
        course.gathered.append(gathered)
        return Looked(look.wants, gathered.facts, tuple(sorted(hosts_of(gathered.sources))))

    async def _show(self, picture: Picture, reply: Reply) -> None:
        """A chart is a help: the workflow goes on without it where it cannot be shown."""
        try:
            await reply.attach(picture.file_name, picture.title, picture.content, picture.media_type)
        except StaleAttempt:
            raise
        except AgentError as error:
            log.warning("picture_not_attached", reason=error.sentence)

    async def _make(self, course: _Course, reply: Reply) -> Event:
        files = render_artifacts(self._view(course), mask)
        if course.voice is not None:
            files = await course.voice.repair(files)
        try:
            for each in files:
                await reply.attach(each.base_name, each.title, each.content.encode(), each.media_type)
        except StaleAttempt:
            raise
        except AgentError as error:
            if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            log.warning("artifact_not_attached", reason=error.sentence)
            course.problem = (
                f"I made it, but could not attach it: {error.sentence} Say **make it** to try again."
            )
            return NotMade(error.sentence)
        course.files, course.done = files, True
        return Made()

    # -- what is said ----------------------------------------------------------------------------------------

    def _guided(
        self,
        course: _Course,
        audit: tuple[str, ...],
        *,
        begun: bool = False,
        notices: tuple[str, ...] = (),
    ) -> Guided:
        view = self._view(course)
        parts = [opening(course.workflow, view)] if begun else []
        parts += [_wrong_tier(course.workflow, view), worded(course.said, course.names), course.problem]
        if course.done:
            parts.append(handed_over(course.workflow, view, course.files, course.state))
            parts.append(_elsewhere(self.elsewhere if course.files else ()))
        told = dict.fromkeys((*notices, *(said for each in course.gathered for said in each.notices)))
        sources = tuple(dict.fromkeys(source for each in course.gathered for source in each.sources))
        return Guided(
            self._clean("\n\n".join(part for part in parts if part), course.state),
            course.state,
            view.service,
            actions=audit + (("workflow_complete",) if course.done else ()),
            aside=any(isinstance(each, AnswerAside) for each in course.said),
            files=course.files,
            sources=sources,
            notices=tuple(map(mask, told)),
            offers=tuple(Offer(mask(label), says, _name(course.state)) for label, says in offers(course.said))
            + (self.elsewhere if course.files else ()),
        )

    def _view(self, course: _Course) -> View:
        return View(course.workflow, course.state, self.services.name)

    def _clean(self, text: str, state: State) -> str:
        """People's words are in it: what they bring along leads nowhere and shows no secret. What was looked
        up on the way leads to where it was found, in later turns too."""
        return keep_known_links(mask(text), self.library.catalog.hosts() | frozenset(state.hosts))


async def _names(course: _Course, place: Place) -> dict[str, str]:
    ids = sorted(people(course.said))
    found = await asyncio.gather(*map(place.name_of, ids))
    return {user_id: name for user_id, name in zip(ids, found, strict=True) if name}


def _name(state: State) -> str:
    """What choices under its questions are an answer to."""
    return f"workflow:{state.begun}" if state.begun else ""


def _event(turn: Turn, view: View) -> Event | None:
    """What a message is to the workflow. Words are an answer to what stood when they were written: of two who
    answer one question at once, the second has not answered the next."""
    state = view.state
    if turn.envelope.answers and turn.question == MAKE_IT:
        return Confirm(turn.user_id)
    event = event_of(turn.question, turn.user_id, view)
    asked_more = len(state.asked) > 1 or state.status == "confirming"
    if isinstance(event, Words | Skip) and asked_more and turn.created_at.timestamp() < state.since:
        return Early(turn.question, turn.user_id)
    return event


def _elsewhere(offers: tuple[Offer, ...]) -> str:
    return f"Say {' or '.join(f'**{each.says}**' for each in offers)} to have it there too." if offers else ""


def _wrong_tier(workflow: Workflow, view: View) -> str:
    tier = view.resolve(("service", "tier"))
    if not workflow.tiers or not isinstance(tier, int) or tier in workflow.tiers:
        return ""
    meant = " and ".join(map(str, workflow.tiers))
    return f"This workflow is meant for tier {meant}; {view.service} is tier {tier}. It runs nevertheless."


def _same(path: str, one: Knowledge, other: Knowledge) -> bool:
    """Whether two revisions make the same of a workflow: its text and the files it may be made from."""

    def files(knowledge: Knowledge) -> list[tuple[str, str]]:
        own = [(each.path, each.text) for each in knowledge.workflows if each.path == path]
        return own + [(each.path, each.text) for each in (*knowledge.artifacts, *knowledge.templates)]

    return files(one) == files(other)
