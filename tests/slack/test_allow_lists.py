"""Who is not allowed does nothing, whatever they send and by whichever door: messages, clicks, modals, Stop."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations import repository
from app.conversations.accept import accept
from app.slack.blocks import CHOOSE, FEEDBACK
from app.slack.bolt import HttpEvents, build_app, dispatch
from app.slack.guard import signature
from app.slack.incident_blocks import CAUSE_FIELD, CAUSE_VIEW
from app.slack.incoming import Me
from app.slack.listeners.desk import Desk
from app.slack.people import Admission, People
from app.storage.engine import begin, create_engine
from tests.conversations.test_accept import message
from tests.slack.conftest import CHANNEL, Play
from tests.slack.test_incident_buttons import FirstCome

SECRET = "a signing secret"
INVESTIGATION = "0d7f2a51-5a51-4f0e-9a3e-0f4b1c2d3e4f"
TS = "1800000000.000100"


@dataclass
class Floor:
    """The program's own Bolt app, with a turn that waits in the thread."""

    app: AsyncApp
    engine: AsyncEngine
    incidents: FirstCome
    desk: Desk
    turn: str

    async def done(self) -> tuple[Any, ...]:
        """What there is to see of somebody's doing: turns, stops, thumbs, presses."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM turns), (SELECT count(stopped_by) FROM turns), "
                    "(SELECT count(*) FROM feedback), (SELECT count(*) FROM sessions)"
                )
            )
            return (*rows.one(), len(self.incidents.asked))

    async def send(self, payload: dict[str, Any], mode: str) -> None:
        """As Slack would over HTTP or the socket; it must be acknowledged."""
        if mode == "socket_mode":
            answer = await dispatch(
                self.app, payload, lambda: AsyncBoltRequest(mode="socket_mode", body=payload, headers={})
            )
            status = answer.status
        else:
            form = payload["type"] != "event_callback"
            body = (urlencode({"payload": json.dumps(payload)}) if form else json.dumps(payload)).encode()
            stamp = str(int(time.time()))
            headers = {
                "content-type": "application/x-www-form-urlencoded" if form else "application/json",
                "x-slack-request-timestamp": stamp,
                "x-slack-signature": signature(SECRET, stamp, body),
            }
            status = (await HttpEvents(self.app, SECRET).answer(headers, body)).status
        assert status == 200
        await self.desk.afterwards.done()


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


def floor(play: Play, engine: AsyncEngine, turn: str, **allowed: Any) -> Floor:
    incidents = FirstCome()
    admission = Admission(People(play.client), home_team="T0ACME", **allowed)
    desk = Desk(Me("T0ACME", "U0AGENT", "B0AGENT"), play.client, engine, admission, incidents)
    return Floor(build_app(desk), engine, incidents, desk, turn)


@pytest.fixture
async def turn(engine: AsyncEngine) -> str:
    accepted = await accept(engine, message(TS, channel_id=CHANNEL, team_id="T0ACME", user_id="U0MAYA"))
    assert accepted
    async with begin(engine) as connection:
        assert await repository.begin_turn(connection, accepted.turn_id)
    return str(accepted.turn_id)


def event(kind: str, user: str, team: str, **more: Any) -> dict[str, Any]:
    said = {"type": kind, "user": user, "channel": CHANNEL, **more}
    return {
        "type": "event_callback",
        "team_id": "T0ACME",
        "event_id": f"Ev{kind}",
        "event": said | {"user_team": team},
    }


def clicked(user: str, team: str, action: str, value: str) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": user, "team_id": team},
        "team": {"id": "T0ACME"},
        "trigger_id": "1.2.3",
        "channel": {"id": CHANNEL},
        "container": {"type": "message", "channel_id": CHANNEL, "message_ts": TS, "thread_ts": TS},
        "message": {"ts": TS, "thread_ts": TS},
        "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": value}],
    }


def filled(user: str, team: str) -> dict[str, Any]:
    place = {"investigation_id": INVESTIGATION, "channel_id": CHANNEL, "thread_ts": TS, "message_ts": TS}
    return {
        "type": "view_submission",
        "user": {"id": user, "team_id": team},
        "team": {"id": "T0ACME"},
        "view": {
            "type": "modal",
            "callback_id": CAUSE_VIEW,
            "private_metadata": json.dumps(place),
            "state": {
                "values": {CAUSE_FIELD: {CAUSE_FIELD: {"type": "plain_text_input", "value": "the disk"}}}
            },
        },
    }


def everything(user: str, team: str, turn: str) -> dict[str, dict[str, Any]]:
    new = {"ts": "1800000099.000100", "text": "<@U0AGENT> what now?"}
    return {
        "a mention": event("app_mention", user, team, **new),
        "a message": event("message", user, team, channel_type="channel", **new),
        "a follow-up": event("message", user, team, channel_type="channel", **new, thread_ts=TS),
        "Stop": event("agent_session_stopped", user, team, thread_ts=TS),
        "a thumb": clicked(user, team, FEEDBACK, f"up:{turn}"),
        "a choice": clicked(user, team, f"{CHOOSE}_1", f"{turn}:1"),
        "correct": clicked(user, team, "incident_correct", INVESTIGATION),
        "escalate": clicked(user, team, "incident_escalate", INVESTIGATION),
        "acknowledge": clicked(user, team, "incident_acknowledge", INVESTIGATION),
        "dig deeper": clicked(user, team, "incident_dig_deeper", INVESTIGATION),
        "a cause": filled(user, team),
    }


ELSEWHERE = {"allowed_channels": ("C0INCIDENTS",)}
MODES = pytest.mark.parametrize("mode", ["http", "socket_mode"])


@MODES
@pytest.mark.parametrize(
    ("user", "team", "allowed"),
    [
        ("U0MAYA", "T0ACME", ELSEWHERE),
        ("U0STRANGER", "T0OTHER", {}),
        ("U0GUEST", "T0ACME", {}),
        ("U0MAYA", "T0ACME", {"allowed_teams": ("T0OTHER",)}),
    ],
    ids=["a channel that is not allowed", "a stranger", "a guest", "a team that is not allowed"],
)
async def test_who_is_not_allowed_does_nothing(
    play: Play, engine: AsyncEngine, turn: str, mode: str, user: str, team: str, allowed: dict[str, Any]
) -> None:
    there = floor(play, engine, turn, **allowed)
    before = await there.done()
    for what, payload in everything(user, team, turn).items():
        await there.send(payload, mode)
        assert await there.done() == before, what


@MODES
async def test_who_is_allowed_does_all_of_it(play: Play, engine: AsyncEngine, turn: str, mode: str) -> None:
    there = floor(play, engine, turn, allowed_channels=(CHANNEL,), allowed_teams=("T0ACME",))
    for payload in everything("U0MAYA", "T0ACME", turn).values():
        await there.send(payload, mode)
    turns, stopped, thumbs, _, presses = await there.done()
    # The message is the mention's own text, and the follow-up another's.
    assert (turns >= 2, stopped >= 1, thumbs, presses) == (True, True, 1, 5)
