"""The buttons under a brief, and the question for the real cause behind “wrong”.

Whoever is not answered in a conversation decides nothing here either. What was pressed is stored before the
ack; then who pressed what takes the button's place, for everybody to see.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from pydantic import Field, InstanceOf, ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp

from app.errors import AgentError
from app.frozen import Frozen
from app.investigations.surface import Button, IncidentDesk, Pressed
from app.slack.blocks import Block
from app.slack.client import ask
from app.slack.incident_blocks import (
    ACTIONS,
    CAUSE_FIELD,
    CAUSE_VIEW,
    LONGEST_CAUSE,
    PREFIX,
    cause_view,
    person,
    pressed,
)
from app.slack.incident_words import said
from app.slack.listeners.desk import Deed, Desk
from app.slack.payload import Part, click_in, person_in, where
from app.slack.thread import replies

log = structlog.get_logger(__name__)

REWRITES = 3
"""Rewriting is looked at afterwards: another process may have rewritten the same message meanwhile."""


class Place(Frozen):
    """The message whose button was pressed; kept in the modal while it is filled in."""

    investigation_id: UUID
    channel_id: str
    thread_ts: str
    message_ts: str


class _Input(Part):
    value: InstanceOf[str] | None = None


class _State(Part):
    values: dict[str, dict[str, _Input]] = Field(default_factory=dict)


class _Filled(Part):
    state: _State = _State()


@dataclass(frozen=True)
class Press:
    """Who pressed which button, and where."""

    button: Button
    user_id: str
    team_id: str | None
    place: Place

    @property
    def deed(self) -> Deed:
        return Deed(self.user_id, self.team_id, self.place.channel_id, self.place.thread_ts)


def register(app: AsyncApp, desk: Desk, incidents: IncidentDesk) -> None:
    buttons = _Buttons(desk, incidents)
    app.action(re.compile(rf"^{PREFIX}({'|'.join(ACTIONS)})$"))(buttons.hear)
    app.view(CAUSE_VIEW)(buttons.hear_cause)


class _Buttons:
    def __init__(self, desk: Desk, incidents: IncidentDesk) -> None:
        self._desk, self._incidents = desk, incidents
        self._one_at_a_time = asyncio.Lock()

    async def hear(self, ack: AsyncAck, action: dict[str, Any], body: dict[str, Any]) -> None:
        press = read(action, body)
        if press is None:
            log.warning("button_not_understood", action_id=action.get("action_id"))
            await ack()
            return
        if refusal := await self._desk.refuses(press.deed):
            await ack()
            self._desk.afterwards.do(self._tell(press, refusal))
            return
        try:
            if press.button == "wrong":
                await self._ask_for_cause(press, str(body["trigger_id"]))
                await ack()
                return
            became = await self._decide(press, None)
        except AgentError as error:
            await ack()
            self._desk.afterwards.do(self._tell(press, error.sentence))
            return
        await ack()
        self._desk.afterwards.do(self._show(press, became))

    async def hear_cause(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        try:
            place = Place.model_validate_json(str(view.get("private_metadata")))
            press, cause = Press("wrong", *person_in(body), place), _cause(view)
        except ValidationError as error:
            log.warning("button_not_understood", where=where(error))
            await _refuse(ack, "I do not know any more which incident this is about. Press the button again.")
            return
        if refusal := await self._desk.refuses(press.deed):
            await _refuse(ack, refusal)
            return
        try:
            became = await self._decide(press, cause)
        except AgentError as error:
            await _refuse(ack, error.sentence)
            return
        await ack()
        self._desk.afterwards.do(self._show(press, became))

    async def _decide(self, press: Press, cause: str | None) -> Pressed:
        investigation = press.place.investigation_id
        if press.button in ("correct", "wrong"):
            correct = press.button == "correct"
            return await self._incidents.outcome(investigation, press.user_id, correct=correct, cause=cause)
        if press.button == "dig_deeper":
            return await self._incidents.dig_deeper(investigation, press.user_id)
        if press.button == "escalate":
            return await self._incidents.escalate(investigation, press.user_id)
        return await self._incidents.acknowledge(investigation, press.user_id)

    async def _ask_for_cause(self, press: Press, trigger_id: str) -> None:
        view = cause_view(press.place.model_dump_json())
        await ask("views.open", self._desk.client.views_open(trigger_id=trigger_id, view=view))

    async def _show(self, press: Press, became: Pressed) -> None:
        """Put who pressed what in the button's place, in the message as it is by now."""
        async with self._one_at_a_time:
            for _ in range(REWRITES):
                message = await self._message(press.place)
                blocks = message.get("blocks") or []
                made = pressed(blocks, press.button, became.by, became.said)
                if made == blocks:
                    break
                await self._rewrite(press.place, message, made)
        if not became.accepted and became.by != press.user_id:
            await self._tell(
                press, f"{person(became.by)} was first and {said(became.said, 300)}.", escaped=True
            )

    async def _rewrite(self, place: Place, message: Mapping[str, Any], blocks: list[Block]) -> None:
        text = str(message.get("text") or "-")
        call = self._desk.client.chat_update(
            channel=place.channel_id, ts=place.message_ts, text=text, blocks=blocks
        )
        await ask("chat.update", call)

    async def _message(self, place: Place) -> Mapping[str, Any]:
        before = float(place.message_ts) - 1
        async for message in replies(self._desk.client, place.channel_id, place.thread_ts, oldest=before):
            if message.get("ts") == place.message_ts:
                return message
        return {}

    async def _tell(self, press: Press, sentence: str, *, escaped: bool = False) -> None:
        await self._desk.tell(press.deed, sentence if escaped else said(sentence))


def read(action: Mapping[str, Any], body: Mapping[str, Any]) -> Press | None:
    """A `block_actions` payload of one of our buttons; None when it is not one. Pure.

    The payload: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    name = str(action.get("action_id", "")).removeprefix(PREFIX)
    button = next((known for known in ACTIONS if known == name), None)
    if button is None or (button == "wrong" and not isinstance(body.get("trigger_id"), str)):
        return None
    try:
        click = click_in(body)
        place = {
            "investigation_id": action.get("value"),
            "channel_id": click.channel_id,
            "thread_ts": click.thread_ts,
            "message_ts": click.message_ts,
        }
        return Press(button, click.user_id, click.team_id, Place.model_validate(place))
    except ValidationError:
        return None


def _cause(view: Mapping[str, Any]) -> str | None:
    """What was written into the modal.

    Raises:
        ValidationError: it is not the modal of ours.
    """
    filled = _Filled.model_validate(view).state.values.get(CAUSE_FIELD, {}).get(CAUSE_FIELD)
    cause = (filled.value if filled else None) or ""
    return cause.replace("\x00", "").strip()[:LONGEST_CAUSE] or None


async def _refuse(ack: AsyncAck, sentence: str) -> None:
    await ack(response_action="errors", errors={CAUSE_FIELD: sentence[:300]})
