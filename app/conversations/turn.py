"""One turn, from its row in the queue to its answer in the thread.

Read `_Work.carry_out` from top to bottom: that is the whole way. Each step is stored before the next one is
visible, so any process can go on where another died, and a person sees one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app import tracing
from app.agent.answer import Answer
from app.agent.phrases import Phrases
from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.analyst import Analyst
from app.conversations.drafts import Deliveries, Drafts
from app.conversations.guide import Guide, Guided
from app.conversations.models import Turn, TurnStatus
from app.conversations.reply import Closing, Place, Reply, Surface
from app.conversations.shortcuts import shortcut
from app.conversations.transcript import SessionTranscript, Tails
from app.errors import AgentError
from app.instruments import TURN_DURATION, TURNS_ENDED
from app.knowledge.keeping import Keeper
from app.knowledge.models import Knowledge
from app.storage.engine import as_json, autocommit, begin
from app.storage.errors import DatabaseUnavailable, StaleAttempt

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5
UNSURE_BELOW = 0.5
"""A model's answer less sure than this calls the SRE team, whatever the model thinks of it."""
TELL_AFTER_SECONDS = 30
GIVE_BACK_AFTER_SECONDS = 600
LATE_SECONDS = 30
"""A turn begun later than this after its mention was written may have been overtaken by follow-ups that
nobody remembers any more; they are remembered for longer than this (`accept.OVERHEARD_SECONDS`)."""
DATABASE_AWAY = (
    "My memory (the database) has been away for half a minute. Your question is kept; "
    "I go on as soon as it is back."
)
ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True)
class TurnRunner:
    """What every turn needs; `run` is the handler of the queue's `run_turn`."""

    engine: AsyncEngine
    surface: Surface
    keeper: Keeper
    analyst: Analyst
    drafts: Drafts | None = None
    guide: Guide | None = None
    deliveries: Deliveries | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    tails: Tails = field(default_factory=Tails)

    async def run(self, turn_id: str) -> None:
        async with autocommit(self.engine) as connection:
            turn = await repository.begin_turn(connection, UUID(turn_id))
        if turn is None:
            return
        said: tracing.Attributes = {
            "gen_ai.conversation.id": str(turn.session.id),
            "sre_agent.turn.kind": turn.kind,
            "sre_agent.attempt": turn.attempt,
        }
        with tracing.work(turn.trace_id, "sre_agent.conversation.turn", said, turn_id=str(turn.id)):
            ledger = TurnLedger(self.engine, turn)
            reply, place = self.surface.reply(turn, ledger), self.surface.place(turn)
            await _Work(self, turn, reply, place).carry_out()


class TurnLedger:
    """The reply's state on the turn's row, fenced by the attempt."""

    def __init__(self, engine: AsyncEngine, turn: Turn) -> None:
        self._engine = engine
        self._turn = turn
        self._is_new = True

    async def load(self) -> dict[str, Any] | None:
        """What is stored; first what the turn was begun with, for behind that only its attempt writes."""
        if self._is_new:
            self._is_new = False
            return self._turn.reply_state
        async with autocommit(self._engine) as connection:
            return await repository.load_reply_state(connection, self._turn.id)

    async def save(self, state: dict[str, Any]) -> None:
        self._is_new = False
        async with autocommit(self._engine) as connection:
            await repository.save_reply_state(connection, self._turn, as_json(state))


class TurnGivenUp(AgentError):
    """The turn ended its worker several times; it is not tried again."""

    code = "turn_given_up"


class _StoppedByPerson(Exception):
    """Somebody pressed Stop before this attempt began."""


@dataclass
class _Work:
    runner: TurnRunner
    turn: Turn
    reply: Reply
    place: Place
    revision: str | None = None
    decided: Answer | None = None

    @property
    def words(self) -> Phrases:
        return Phrases.like(self.turn.question)

    async def carry_out(self) -> None:
        try:
            await self.answer_or_end()
        except StaleAttempt:
            log.warning("turn_taken_over", attempt=self.turn.attempt)
        except DatabaseUnavailable:
            await self.wait_for_database()
            raise
        except Exception as error:
            await self.go_wrong(error)
        finally:
            await self.reply.abandon()

    async def answer_or_end(self) -> None:
        try:
            self.check_whether_to_begin()
            await self.reply.open()
            await self.take_what_came_too_early()
            await self.show(await self.answer())
        except _StoppedByPerson:
            await self.end_as_stopped(self.turn.stopped_by)
        except asyncio.CancelledError:
            await self.interrupted()

    async def show(self, answer: Answer) -> None:
        await self.reply.close(closing(answer, self.revision, self.words.language))
        await self.reply.settle("done")
        await self.finish("done", answer)
        log.info("turn_done", attempt=self.turn.attempt, confidence=answer.confidence, model=answer.model)

    def check_whether_to_begin(self) -> None:
        """A decided answer is always brought to its end; otherwise attempts are counted and Stop honoured."""
        if self.turn.answer is not None:
            return
        if self.turn.stopped_by is not None:
            raise _StoppedByPerson
        if self.turn.attempt > MOST_ATTEMPTS:
            raise TurnGivenUp("I tried several times and was interrupted each time.")

    async def take_what_came_too_early(self) -> None:
        """Follow-ups that were delivered before their thread was known to be ours, and so were ignored."""
        turn = self.turn
        late = self.runner.clock().timestamp() - float(turn.message_ts) > LATE_SECONDS
        if turn.kind != "mention" or not (late or turn.overtaken):
            return
        async with autocommit(self.runner.engine) as connection:
            if not await repository.is_first(connection, turn):
                return
        for incoming in await self.place.addressed_since():
            await accept(self.runner.engine, incoming)

    async def answer(self) -> Answer:
        """The answer this turn has decided on, decided now if no earlier attempt has."""
        self.revision = self.turn.session.knowledge_revision
        if self.turn.answer is not None:
            self.decided = ANSWER.validate_python(self.turn.answer)
            return self.decided
        transcript = SessionTranscript(self.runner.engine, self.turn, self.runner.tails)
        knowledge = await self.knowledge(transcript)
        self.revision = knowledge.revision
        transcript.session = self.turn.session.pinned(knowledge.revision)
        early = shortcut(self.turn, knowledge) or await self.drafted() or await self.delivered()
        if (answer := early) is not None:
            return await self.decide(answer, transcript, pin=True)
        guide, guided = self.runner.guide, None
        if guide is not None:
            guided = await guide.go_on(self.turn, knowledge, self.reply, self.place)
        if guided is not None and not guided.aside:
            self.revision = guided.state.revision
            return await self.decide(guided.answer(None), transcript, pin=True, guided=guided)
        answer = await self.runner.analyst.answer(self.turn, knowledge, transcript, self.reply, self.place)
        if guided is not None:
            answer = guided.answer(answer)
        return await self.decide(answer, transcript, guided=guided)

    async def drafted(self) -> Answer | None:
        """A document that the message asks for, attached before it is spoken of; None for none."""
        drafts, turn = self.runner.drafts, self.turn
        draft = await drafts.asked_for(turn.session.id, turn.question) if drafts else None
        if draft is None:
            return None
        if not draft.content:
            return Answer(draft.said)
        try:
            await self.reply.attach(draft.file_name, draft.title, draft.content, "text/markdown")
        except StaleAttempt:
            raise
        except AgentError as error:
            if passes(error):
                raise
            log.warning("draft_not_attached", reason=error.sentence)
            return Answer(f"I could not attach {draft.file_name}: {error.sentence} {draft.otherwise}".strip())
        return Answer(draft.said)

    async def delivered(self) -> Answer | None:
        """What came of bringing the thread's files elsewhere, when that is what the message is about."""
        deliveries = self.runner.deliveries
        return await deliveries.answer(self.turn) if deliveries else None

    async def decide(
        self,
        answer: Answer,
        transcript: SessionTranscript,
        *,
        pin: bool = False,
        guided: Guided | None = None,
    ) -> Answer:
        """Store the answer before it is shown as final: from here on no attempt says anything else.

        What is stored is what counts: it has lost the characters that a database does not take. `pin` is for
        a turn that stores no question, which is what else pins the session; `guided` is where a workflow
        then stands.
        """
        body = as_json(ANSWER.dump_python(answer, mode="json"))
        answer = ANSWER.validate_json(body)
        more = answer.model is None or pin or guided is not None
        async with (begin if more else autocommit)(self.runner.engine) as connection:
            if guided is not None and not guided.aside:
                asked = ModelRequest([UserPromptPart(self.turn.question)])
                await transcript.add(connection, asked, kind="question")
            if answer.model is None:
                response = ModelResponse([TextPart(answer.text)], model_name="offline")
                await transcript.add(connection, response, kind="model")
            await repository.save_answer(connection, self.turn, body)
            if pin:
                await repository.pin_knowledge(connection, transcript.session)
            if guided is not None and self.runner.guide is not None:
                await self.runner.guide.store(connection, self.turn, guided)
        self.decided = answer
        return answer

    async def knowledge(self, transcript: SessionTranscript) -> Knowledge:
        """That of the session's pin, or the newest when somebody says "reload"; an attempt that goes on with
        what another has begun goes on with its knowledge, however long ago that was."""
        session = self.turn.session
        if self.turn.attempt > 1 and await transcript.has_question():
            return await self.runner.keeper.at(session.knowledge_revision)
        reload = self.turn.question.strip().lower() == "reload"
        return await self.runner.keeper.at(None if reload else session.pin(self.runner.clock()))

    async def finish(self, status: TurnStatus, answer: Answer | None, error_code: str | None = None) -> None:
        """The turn's end and its audit rows, together."""
        tagged = answer is not None and calls_sre(answer)
        async with autocommit(self.runner.engine) as connection:
            await repository.end_turn(
                connection,
                self.turn,
                status,
                error_code=error_code,
                actions=("message", "sre_tagged") if tagged else ("message",),
                said=answer.text if answer else f"({status}: {error_code or 'stopped'})",
                confidence=answer.confidence if answer else None,
                shaped_by=self.revision,
                # One that was stopped before it had begun was shaped by what it would have begun with.
                newest=self.runner.keeper.current.revision,
            )
        TURNS_ENDED.add(status=status)
        since = self.runner.clock() - self.turn.created_at
        TURN_DURATION.record(since.total_seconds(), status=status)

    async def interrupted(self) -> None:
        """Cancelled: by a person's Stop (the turn ends) or by this process's shutdown (another goes on).

        A Stop that comes behind the decision comes too late: half of a decided answer helps nobody.
        """
        now = None
        with suppress(DatabaseUnavailable):
            async with autocommit(self.runner.engine) as connection:
                now = await repository.turn_status(connection, self.turn.id)
        if now is None or now.attempt != self.turn.attempt or not now.stopped_by:
            raise asyncio.CancelledError
        if self.decided is None:
            await self.end_as_stopped(now.stopped_by)
        else:
            await self.show(self.decided)

    async def end_as_stopped(self, by: str | None) -> None:
        await self.say_if_possible(self.reply.cancelled(by))
        await self.reply.settle("cancelled")
        await self.finish("cancelled", None)

    async def go_wrong(self, error: Exception) -> None:
        """Hand the turn back for another try, or say in the thread that it finally failed."""
        code = error.code if isinstance(error, AgentError) else "internal"
        log.error("turn_went_wrong", attempt=self.turn.attempt, code=code, exc_info=error)
        if self.turn.attempt < MOST_ATTEMPTS or (self.decided is not None and passes(error)):
            raise error
        sentence = error.sentence if isinstance(error, AgentError) else "Something on my side broke."
        told = self.words.tell(f"{sentence} I could not finish this; please ask again.")
        await self.say_if_possible(self.reply.fail(told, self.turn.trace_id))
        await self.reply.settle("failed")
        await self.finish("failed", self.decided, code)

    async def say_if_possible(self, last_words: Awaitable[None]) -> None:
        """A turn whose end cannot be told ends nevertheless, or its thread would wait behind it for ever."""
        try:
            await last_words
        except StaleAttempt:
            raise
        except Exception as error:
            if passes(error):
                raise
            log.warning("end_not_told", reason=str(error))

    async def wait_for_database(self) -> None:
        """Stay with the person while the database is away; then hand the turn back."""
        for second in range(GIVE_BACK_AFTER_SECONDS):
            try:
                async with autocommit(self.runner.engine) as connection:
                    await repository.turn_status(connection, self.turn.id)
                return
            except DatabaseUnavailable:
                if second == TELL_AFTER_SECONDS:
                    await self.tell_of_absence()
                await self.runner.sleep(1)

    async def tell_of_absence(self) -> None:
        try:
            await self.reply.notice(self.words.tell(DATABASE_AWAY))
        except AgentError as error:  # waiting matters more than saying so
            log.warning("absence_not_told", reason=error.sentence)


def passes(error: Exception) -> bool:
    """Whether it speaks of a service that is away and not of what was asked of it."""
    return isinstance(error, AgentError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE


def calls_sre(answer: Answer) -> bool:
    """The offline analyst knows best when it is lost; a model that is unsure may forget to say so."""
    unsure = answer.confidence is not None and answer.confidence < UNSURE_BELOW
    return answer.tag_sre or (answer.model is not None and unsure)


def closing(answer: Answer, revision: str | None, language: str) -> Closing:
    return Closing(
        text=answer.text,
        confidence=answer.confidence,
        sources=answer.sources,
        notices=answer.notices,
        tag_sre=calls_sre(answer),
        offline_reason=answer.offline_reason,
        knowledge_revision=revision,
        language=language,
        offers=answer.offers,
    )
