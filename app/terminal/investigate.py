"""`sre-agent investigate`: one investigation from a shell, by the stages that carry out those of pages.

Nothing of it needs Slack, a webhook or a queue, and nobody is called: whoever asked is there.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app import documents
from app.agent import models
from app.errors import AgentError
from app.investigations import by_hand, repository
from app.investigations.alert import Alert
from app.investigations.gather import Sources
from app.investigations.intake import Intake
from app.investigations.models import Investigation, Rejected
from app.investigations.not_configured import KINDS, STAND_INS
from app.parts import Parts, Stages
from app.settings import Settings
from app.storage.engine import begin, create_engine
from app.terminal import payload
from app.terminal.screen import Screen, Watched
from app.terminal.surface import PLACE, TerminalSurface
from app.terminal.words import said
from app.tools.masking import mask

POLL_SECONDS = 0.3
CALLS = text("SELECT id, name, failed, duration_ms FROM tool_calls WHERE turn_id = :id ORDER BY id")
WATCHED = (*KINDS, *STAND_INS, "past", "tickets")


class NothingRejected(AgentError):
    """No payload of that number is kept."""

    code = "no_rejected_webhook"
    status = 404


@dataclass(frozen=True)
class Wanted:
    """What to look into: an alert that was read, or the number of a payload that webhooks refused."""

    read: payload.Read | None = None
    replay: int | None = None
    source: str | None = None


async def investigate(settings: Settings, url: str, wanted: Wanted, screen: Screen) -> bool:
    """Carry out one investigation on the database at `url`; whether it came to a diagnosis.

    Raises:
        AgentError: with what to do about it; what had begun is stored as cancelled.
    """
    async with _parts(settings, url, screen) as parts:
        read = wanted.read or await _replayed(parts.intake(), wanted)
        for note in read.notes:
            screen.note(note)
        return await _carry_out(parts, read.alert, screen)


async def _replayed(intake: Intake, wanted: Wanted) -> payload.Read:
    """Raises `NothingRejected`, or `NotAnAlert` when it cannot be read still."""
    assert wanted.replay is not None
    kept = await intake.replay(wanted.replay)
    if kept is None:
        raise NothingRejected(
            f"No refused webhook {wanted.replay} is kept; they are for an hour. "
            + _listed(await by_hand.refused(intake.engine))
        )
    return payload.understood(kept.payload, datetime.now(UTC), source=wanted.source or kept.source)


def _listed(kept: Sequence[Rejected]) -> str:
    if not kept:
        return "There is none now."
    lines = (
        f"  {each.id}  {each.created_at:%H:%M} UTC  {each.source}: {said(each.reason, 200)}" for each in kept
    )
    return "\n".join(["There are:", *lines])


async def _carry_out(parts: Parts, alert: Alert, screen: Screen) -> bool:
    surface = TerminalSurface(screen, partial(_show_calls, parts.engine, screen))
    stages = _stages(parts, surface, screen)
    investigation_id = await by_hand.open_by_hand(parts.intake(), alert)
    try:
        screen.begin("look", "looking at the evidence")
        await by_hand.carry_out((stages.looker.run,), investigation_id)
        screen.begin("diagnose", "diagnosing")
        async with _calls_shown(partial(surface.catch_up, investigation_id)):
            await by_hand.carry_out((stages.diagnoser.run,), investigation_id)
    except BaseException:
        # Interrupted, or without its database: it must not look as if it went on.
        with suppress(AgentError):
            await by_hand.cancel(parts.engine, investigation_id)
        raise
    finally:
        screen.rest()
    ended = await _ended(parts.engine, investigation_id)
    _tell_end(screen, surface, ended)
    return ended.status == "done" and ended.error_code is None


async def _ended(engine: AsyncEngine, investigation_id: UUID) -> Investigation:
    async with begin(engine) as connection:
        ended = await repository.load(connection, investigation_id)
    assert ended is not None
    return ended


def _tell_end(screen: Screen, surface: TerminalSurface, ended: Investigation) -> None:
    if screen.as_json:
        shown = surface.threads[ended.id].document()
        document = {"investigation_id": str(ended.id), "status": ended.status, **shown}
        print(json.dumps(_masked(document), indent=2, default=str), file=screen.out, flush=True)
    else:
        screen.say(
            f"Investigation {ended.id}: {ended.status}.",
            f"More: sre-agent sessions show {ended.trace_id}; sre-agent postmortem {ended.id}",
        )


def _masked(value: Any) -> Any:
    match value:
        case str():
            return mask(value)
        case dict():
            return {key: _masked(each) for key, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
        case _:
            return value


# -- what carries it out -----------------------------------------------------------------------------------


@asynccontextmanager
async def _parts(settings: Settings, url: str, screen: Screen) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        engine = create_engine(url, pool_size=5)
        stack.push_async_callback(engine.dispose)
        screen.begin("documents", "reading knowledge and blueprints")
        if loaded := models.load(settings.model):
            loaded.sdk.begin()
            stack.push_async_callback(loaded.close)
        read = await documents.read(settings, engine)
        screen.end("documents")
        parts = Parts.of(settings, engine, read, loaded)
        stack.push_async_callback(parts.clients.aclose)
        if notice := parts.keeper.current.notice:
            screen.note(notice)
        yield parts


def _stages(parts: Parts, surface: TerminalSurface, screen: Screen) -> Stages:
    made = parts.stages(surface, PLACE, parts.means())
    gatherer = made.looker.gatherer
    watched = replace(gatherer, sources=_watched(parts.engine, gatherer.sources, screen))
    looker = by_hand.keeping_its_diagnosis(replace(made.looker, gatherer=watched))
    # Its line for log collectors has nothing to tell a person who reads the brief.
    quiet = replace(
        made.diagnoser.wrapping,
        escalation=None,
        out=io.StringIO,
        afterwards=by_hand.nobody_updates,
    )
    return replace(made, looker=looker, diagnoser=replace(made.diagnoser, wrapping=quiet, on_call=None))


def _watched(engine: AsyncEngine, sources: Sources, screen: Screen) -> Sources:
    """The same sources, whose answers show."""
    given = vars(sources)
    watched: dict[str, Any] = {
        name: Watched(given[name], name.replace("_", " "), screen)
        for name in WATCHED
        if given[name] is not None
    }
    if sources.past is not None:
        watched["past"] = by_hand.past_without_these(engine, watched["past"])
    return replace(sources, **watched)


async def _show_calls(engine: AsyncEngine, screen: Screen, investigation_id: UUID) -> None:
    """The model's tool calls as steps, from the journal they are written to before and after they run."""
    async with begin(engine) as connection:
        # The turn of a first diagnosis has its investigation's id.
        for call in await connection.execute(CALLS, {"id": investigation_id}):
            screen.begin_once(f"call {call.id}", f"the model asks {call.name}")
            if call.duration_ms is not None:
                screen.end(f"call {call.id}", failed=bool(call.failed))


@asynccontextmanager
async def _calls_shown(show: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """While the diagnosis runs."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with suppress(AgentError):
                await show()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
