"""One turn, from its row in the queue to its answer in the thread.

Read `_Work.carry_out` from top to bottom: that is the whole way. Each step is stored before the next one is
visible, so any process can go on where another died, and a person sees one answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.answer import Answer
from app.conversations import repository
from app.conversations.analyst import Analyst
from app.conversations.models import Turn, TurnStatus
from app.conversations.reply import Closing, Place, Reply, Surface
from app.conversations.shortcuts import shortcut
from app.conversations.transcript import SessionTranscript
from app.errors import AgentError
from app.knowledge.keeping import Keeper
from app.knowledge.models import Knowledge
from app.storage.audit import write_audit
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable, StaleAttempt

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5
UNSURE_BELOW = 0.5
"""A model's answer less sure than this calls the SRE team, whatever the model thinks of it."""
PIN_LASTS = timedelta(days=1)
TELL_AFTER_SECONDS = 30
GIVE_BACK_AFTER_SECONDS = 600
ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True)
class TurnRunner:
    """What every turn needs; `run` is the handler of the queue's `run_turn`."""

    engine: AsyncEngine
    surface: Surface
    keeper: Keeper
    analyst: Analyst
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep

    async def run(self, turn_id: str) -> None:
        async with begin(self.engine) as connection:
            turn = await repository.begin_turn(connection, UUID(turn_id))
        if turn is None:
            return
        with structlog.contextvars.bound_contextvars(trace_id=turn.trace_id, turn_id=str(turn.id)):
            ledger = TurnLedger(self.engine, turn)
            reply, place = self.surface.reply(turn, ledger), self.surface.place(turn)
            await _Work(self, turn, reply, place).carry_out()


class TurnLedger:
    """The reply's state on the turn's row, fenced by the attempt."""

    def __init__(self, engine: AsyncEngine, turn: Turn) -> None:
        self._engine = engine
        self._turn = turn

    async def load(self) -> dict[str, Any] | None:
        return self._turn.reply_state

    async def save(self, state: dict[str, Any]) -> None:
        async with begin(self._engine) as connection:
            await repository.save_reply_state(connection, self._turn, to_json(state).decode())


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

    async def carry_out(self) -> None:
        turn, reply = self.turn, self.reply
        try:
            self.check_whether_to_begin()
            await reply.open()
            answer = await self.answer()
            await reply.close(closing(answer, self.revision))
            await reply.settle("done")
            await self.finish("done", answer)
            log.info("turn_done", attempt=turn.attempt, confidence=answer.confidence, model=answer.model)
        except StaleAttempt:
            log.warning("turn_taken_over", attempt=turn.attempt)
        except _StoppedByPerson:
            await self.end_as_stopped(turn.stopped_by)
        except asyncio.CancelledError:
            await self.interrupted()
        except DatabaseUnavailable:
            await self.wait_for_database()
            raise
        except Exception as error:
            await self.go_wrong(error)

    def check_whether_to_begin(self) -> None:
        """A decided answer is always brought to its end; otherwise attempts are counted and Stop honoured."""
        if self.turn.answer is not None:
            return
        if self.turn.stopped_by is not None:
            raise _StoppedByPerson
        if self.turn.attempt > MOST_ATTEMPTS:
            raise TurnGivenUp("I tried several times and was interrupted each time.")

    async def answer(self) -> Answer:
        """The answer this turn has decided on, decided now if no earlier attempt has."""
        self.revision = self.turn.session.knowledge_revision
        if self.turn.answer is not None:
            return ANSWER.validate_python(self.turn.answer)
        knowledge = await self.knowledge()
        self.revision = knowledge.revision
        transcript = SessionTranscript(self.runner.engine, self.turn)
        answer = shortcut(self.turn, knowledge)
        if answer is None:
            answer = await self.runner.analyst.answer(
                self.turn, knowledge, transcript, self.reply, self.place
            )
        await self.decide(answer, transcript)
        return answer

    async def decide(self, answer: Answer, transcript: SessionTranscript) -> None:
        """Store the answer before it is shown as final: from here on no attempt says anything else."""
        async with begin(self.runner.engine) as connection:
            if answer.model is None:
                response = ModelResponse([TextPart(answer.text)], model_name="offline")
                await transcript.add(connection, response, kind="model")
            body = to_json(ANSWER.dump_python(answer, mode="json")).decode()
            await repository.save_answer(connection, self.turn, body)
            await repository.pin_knowledge(connection, self.turn.session, self.revision)

    async def knowledge(self) -> Knowledge:
        """The revision the session is pinned to, so its prompt prefix stays the same; the newest after a
        day's silence or when somebody says "reload"."""
        session = self.turn.session
        idle = self.runner.clock() - session.updated_at > PIN_LASTS
        reload = self.turn.question.strip().lower() == "reload"
        return await self.runner.keeper.at(None if idle or reload else session.knowledge_revision)

    async def finish(self, status: TurnStatus, answer: Answer | None, error_code: str | None = None) -> None:
        """The turn's end and its audit rows, together."""
        turn, session = self.turn, self.turn.session
        async with begin(self.runner.engine) as connection:
            await repository.end_turn(connection, turn, status, error_code=error_code)
            row: dict[str, Any] = {
                "thread_ts": session.thread_ts,
                "channel_id": session.channel_id,
                "user_id": turn.user_id,
                "trace_id": turn.trace_id,
                **await repository.session_now(connection, session),
            }
            tagged = answer is not None and calls_sre(answer)
            await write_audit(
                connection,
                "message",
                input_text=turn.question,
                response_text=answer.text if answer else f"({status}: {error_code or 'stopped'})",
                confidence=answer.confidence if answer else None,
                sre_tagged=tagged,
                **row,
            )
            if tagged:
                await write_audit(connection, "sre_tagged", sre_tagged=True, **row)

    async def interrupted(self) -> None:
        """Cancelled: by a person's Stop (the turn ends) or by this process's shutdown (another goes on)."""
        async with begin(self.runner.engine) as connection:
            now = await repository.turn_status(connection, self.turn.id)
        if now and now.attempt == self.turn.attempt and now.stopped_by:
            await self.end_as_stopped(now.stopped_by)
            return
        await self.reply.abandon()
        raise asyncio.CancelledError

    async def end_as_stopped(self, by: str | None) -> None:
        await self.reply.cancelled(by)
        await self.reply.settle("cancelled")
        await self.finish("cancelled", None)

    async def go_wrong(self, error: Exception) -> None:
        """Hand the turn back for another try, or say in the thread that it finally failed."""
        code = error.code if isinstance(error, AgentError) else "internal"
        log.error("turn_went_wrong", attempt=self.turn.attempt, code=code, exc_info=error)
        if self.turn.attempt < MOST_ATTEMPTS or self.turn.answer is not None:
            await self.reply.abandon()
            raise error
        sentence = error.sentence if isinstance(error, AgentError) else "Something on my side broke."
        await self.reply.fail(f"{sentence} I could not finish this; please ask again.", self.turn.trace_id)
        await self.reply.settle("failed")
        await self.finish("failed", None, code)

    async def wait_for_database(self) -> None:
        """Stay with the person while the database is away; then hand the turn back."""
        for second in range(GIVE_BACK_AFTER_SECONDS):
            try:
                async with begin(self.runner.engine) as connection:
                    await repository.turn_status(connection, self.turn.id)
                return
            except DatabaseUnavailable:
                if second == TELL_AFTER_SECONDS:
                    await self.reply.notice(
                        "My memory (the database) has been away for half a minute. Your question is kept; "
                        "I go on as soon as it is back."
                    )
                await self.runner.sleep(1)


def calls_sre(answer: Answer) -> bool:
    """The offline analyst knows best when it is lost; a model that is unsure may forget to say so."""
    unsure = answer.confidence is not None and answer.confidence < UNSURE_BELOW
    return answer.tag_sre or (answer.model is not None and unsure)


def closing(answer: Answer, revision: str | None) -> Closing:
    return Closing(
        text=answer.text,
        confidence=answer.confidence,
        sources=answer.sources,
        notices=answer.notices,
        tag_sre=calls_sre(answer),
        offline_reason=answer.offline_reason,
        knowledge_revision=revision,
    )
