"""Who works out an answer: the model with its tools, and without one the offline analyst."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent import offline
from app.agent.answer import Answer
from app.agent.budget import Budget, BudgetSpent
from app.agent.compaction import Compaction
from app.agent.failures import ModelUnavailable
from app.agent.models import LoadedModel
from app.agent.prices import Prices
from app.agent.tally import RunLimits
from app.context.library import Library
from app.conversations.models import Turn
from app.conversations.reply import Place, Reply
from app.conversations.shortcuts import notices
from app.conversations.transcript import SessionTranscript
from app.knowledge.models import Knowledge
from app.tools.catalogue import Catalogue

NO_MODEL = "No model is configured."


@dataclass(frozen=True)
class Analyst:
    """`model` is None when none is configured; `limits` are those of a conversation turn."""

    engine: AsyncEngine
    library: Library
    tools: Catalogue
    budget: Budget
    prices: Prices
    limits: RunLimits
    tool_result_bytes: int
    model: LoadedModel | None = None
    compaction: Compaction | None = None

    async def answer(
        self, turn: Turn, knowledge: Knowledge, transcript: SessionTranscript, reply: Reply, place: Place
    ) -> Answer:
        """Gather the context, store the question with it, and answer; the offline analyst when the model
        cannot."""
        context = await self.library.context_for(
            turn.question,
            thread_service=turn.session.service_name,
            channel=turn.session.channel_id,
            knowledge=knowledge,
        )
        if not await transcript.has_question():
            await self._store_question(turn, context, transcript, place)
        reason = NO_MODEL
        answer: Answer | None = None
        if self.model is not None:
            try:
                answer = await self._ask_model(self.model, turn, context, knowledge, transcript, reply)
            except (ModelUnavailable, BudgetSpent) as error:
                reason = error.sentence
        if answer is None:
            answer = offline.answer(turn.question, context, reason=reason)
            await reply.reset(answer.text)
        stale = (knowledge.notice,) if knowledge.notice else ()
        return replace(answer, notices=(*notices(turn), *context.notices, *stale, *answer.notices))
