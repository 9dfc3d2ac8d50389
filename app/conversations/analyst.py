"""Who works out an answer: the model with its tools, and without one the offline analyst."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart

from app.agent import offline
from app.agent.answer import Answer
from app.agent.budget import BudgetSpent
from app.agent.compaction import CompactionLimits
from app.agent.failures import ModelUnavailable
from app.agent.links import hosts_of, keep_known_links
from app.agent.models import ChosenModel
from app.agent.phrases import Phrases
from app.agent.prompt import user_message
from app.agent.run import Means, RunRequest, run
from app.agent.tally import RunLimits, this_turn
from app.context.library import Library
from app.context.models import Context
from app.context.resolve import resolve
from app.conversations.models import Turn
from app.conversations.reply import Place, Reply, Said
from app.conversations.shortcuts import notices
from app.conversations.transcript import SessionTranscript
from app.knowledge.models import Knowledge
from app.tools.catalogue import ToolScope
from app.tools.masking import mask

NO_MODEL = "no model is configured"
LONGEST_SAID = 2_000
MOST_SAID = 12_000
"""Characters of one message, and of all that was said in a thread before the agent was called."""


About = Callable[[int, str, str], Awaitable[Answer | None]]
"""What is known in a session beyond documents: by its id, the question, and why no model answers."""


@dataclass(frozen=True)
class Analyst:
    """`model` is None when none is configured; `limits` are those of a conversation turn; `about` knows what
    was found out in a thread."""

    library: Library
    means: Means
    limits: RunLimits
    compaction: CompactionLimits
    tool_result_bytes: int
    model: ChosenModel | None = None
    about: About | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def answer(
        self, turn: Turn, knowledge: Knowledge, transcript: SessionTranscript, reply: Reply, place: Place
    ) -> Answer:
        """Gather the context, store the question with it, and answer: by the model if there is one that
        can, else offline, saying why."""
        history, is_stored = await transcript.history(), await transcript.has_question()
        before = () if history else lately(await place.said_before())
        known = _sections_in(history[: this_turn(history)] if is_stored else history)
        gather = partial(
            self.library.context_for,
            turn.question,
            thread_service=turn.session.service_name or self._spoken_of(before),
            channel=await place.channel_name() or turn.session.channel_id,
            knowledge=knowledge,
        )
        # A model has read what the thread holds; the offline analyst quotes what is best, whoever saw it.
        context = await gather(given=known if self.model else frozenset())
        if not is_stored:
            await self._store_question(turn, context, transcript, before, known)
        await reply.task("documents", _read(context), "complete", sources=context.sources)
        answer = await self._answered(turn, context, knowledge, transcript, reply, gather=gather)
        stale = (knowledge.notice,) if knowledge.notice else ()
        said = (*notices(turn.envelope), *context.notices, *stale, *answer.notices)
        told = dict.fromkeys(map(Phrases.like(turn.question).tell, said))
        return replace(answer, notices=tuple(map(mask, told)))

    def _spoken_of(self, before: Sequence[Said]) -> str | None:
        """The service that people last named in a thread before they called the agent into it."""
        for said in reversed(before):
            if found := resolve(said.text, self.library.catalog).service:
                return found.name
        return None

    async def _store_question(
        self,
        turn: Turn,
        context: Context,
        transcript: SessionTranscript,
        before: Sequence[Said],
        known: frozenset[str],
    ) -> None:
        prompt = user_message(
            turn.question,
            context,
            now=self.clock(),
            said_before=[f"{each.user_id}: {each.text}" for each in before],
            known=known,
        )
        message = ModelRequest(
            parts=[UserPromptPart(prompt)],
            metadata={"sections": [each.id for each in context.sections if each.id not in known]},
        )
        session = transcript.session
        if context.service:
            session = session.model_copy(update={"service_name": context.service.name})
        await transcript.ask(message, session, context.refs())

    async def _answered(
        self,
        turn: Turn,
        context: Context,
        knowledge: Knowledge,
        transcript: SessionTranscript,
        reply: Reply,
        *,
        gather: Callable[[], Awaitable[Context]],
    ) -> Answer:
        """By the model, or else offline; `gather` gets the context of somebody who knows nothing yet."""
        reason = NO_MODEL
        if self.model is not None:
            try:
                return await run(
                    self._request(turn, context, knowledge),
                    model=self.model,
                    transcript=transcript,
                    progress=reply,
                    means=self.means,
                )
            except (ModelUnavailable, BudgetSpent) as error:
                reason = error.sentence
        if context.held:
            context = await gather()
        known = await self.about(turn.session.id, turn.question, reason) if self.about else None
        answer = known or offline.answer(turn.question, context, reason=reason)
        hosts = self.library.catalog.hosts() | hosts_of((*context.sources, *answer.sources))
        answer = replace(answer, text=keep_known_links(mask(answer.text), hosts))
        await reply.reset(answer.text)
        return answer

    def _request(self, turn: Turn, context: Context, knowledge: Knowledge) -> RunRequest:
        return RunRequest(
            turn_id=turn.id,
            session_id=turn.session.id,
            attempt=turn.attempt,
            instructions=knowledge.system_prompt.text,
            limits=self.limits,
            scope=ToolScope(
                service=context.service.name if context.service else None, session_id=turn.session.id
            ),
            sources=context.all_sources,
            link_hosts=self.library.catalog.hosts(),
            tool_result_bytes=self.tool_result_bytes,
            compaction=self.compaction,
        )


def _read(context: Context) -> str:
    documents = f"{len(context.sources)} document{'s' * (len(context.sources) != 1)}"
    return f"Read {documents} about {context.service.name}" if context.service else f"Read {documents}"


def lately(before: Sequence[Said]) -> tuple[Said, ...]:
    """What was said last, each message and all of them within what a model should read of it."""
    heard: list[Said] = []
    left = MOST_SAID
    for said in reversed(before):
        if left <= 0:
            break
        text = said.text[: min(LONGEST_SAID, left)]
        left -= len(text)
        heard.append(replace(said, text=text))
    return tuple(reversed(heard))


def _sections_in(history: Sequence[ModelMessage]) -> frozenset[str]:
    """The ids of the sections that the messages of a session already carry."""
    return frozenset(
        section
        for message in history
        if isinstance(message, ModelRequest) and message.metadata
        for section in message.metadata.get("sections", ())
    )
