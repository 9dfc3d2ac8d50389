"""What happens to a button: who may press it, what is stored, what everybody sees. Over Socket Mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from sqlalchemy.ext.asyncio import create_async_engine

from app.errors import AgentError
from app.investigations.surface import IncidentDesk, Pressed, Told
from app.playground.slack import CallFault, Message
from app.slack.bolt import SocketMode
from app.slack.incident_blocks import CAUSE_FIELD, final_brief
from app.slack.incoming import Me
from app.slack.listeners import others
from app.slack.listeners.desk import Desk
from app.slack.listeners.incident import read, register
from app.slack.people import Admission, People
from tests.slack.conftest import Play
from tests.slack.test_incident_blocks import ID, TOLD, texts

CHANNEL = "C0INCIDENTS"


class Unpaged(AgentError):
    code = "unpaged"


@dataclass
class FirstCome(IncidentDesk):
    """A desk that lets the first press of each kind stand."""

    stands: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: list[tuple[str, UUID, str, Any]] = field(default_factory=list)
    away: bool = False

    def _press(
        self, what: str, investigation_id: UUID, user_id: str, words: str, more: Any = None
    ) -> Pressed:
        if self.away:
            raise Unpaged("PagerDuty does not answer; escalate there.")
        self.asked.append((what, investigation_id, user_id, more))
        first = self.stands.setdefault(what, (user_id, words))
        return Pressed(first == (user_id, words), *first)

    async def outcome(
        self, investigation_id: UUID, user_id: str, *, correct: bool, cause: str | None
    ) -> Pressed:
        words = "confirmed this cause" if correct else f"said it was: {cause or 'something else'}"
        return self._press("outcome", investigation_id, user_id, words, (correct, cause))

    async def dig_deeper(self, investigation_id: UUID, user_id: str) -> Pressed:
        return self._press("dig_deeper", investigation_id, user_id, "asked to dig deeper")

    async def escalate(self, investigation_id: UUID, user_id: str) -> Pressed:
        return self._press("escalate", investigation_id, user_id, "escalated this")

    async def acknowledge(self, investigation_id: UUID, user_id: str) -> Pressed:
        return self._press("acknowledge", investigation_id, user_id, "acknowledged this")


@dataclass
class Floor:
    """A brief in the incident channel, with its buttons wired to a desk."""

    play: Play
    desk: FirstCome
    ts: str

    def brief(self) -> Message:
        return next(each for each in self.play.slack.channel(CHANNEL) if each.ts == self.ts)

    def said(self) -> str:
        return "\n".join(texts(self.brief().blocks))

    def actions(self) -> list[str]:
        return [e["action_id"] for b in self.brief().blocks if b["type"] == "actions" for e in b["elements"]]

    async def press(self, user: str, button: str) -> None:
        await self.play.slack.click(user, self.ts, f"incident_{button}")

    async def see(self, words: str) -> None:
        await self.play.slack.wait_for(lambda: words in self.said())

    async def told(self, user: str) -> str:
        found = await self.play.slack.wait_for(lambda: self.play.slack.ephemeral(user))
        return found[-1].text

    async def modal(self) -> str:
        views = self.play.slack.workspace.views
        return await self.play.slack.wait_for(lambda: next(iter(views), ""))

    async def fill_in(self, view: str, cause: str | None) -> dict[str, Any]:
        state = {"type": "plain_text_input", "value": cause}
        return await self.play.slack.submit(view, {CAUSE_FIELD: {CAUSE_FIELD: state}})


@pytest.fixture
async def floor(play: Play) -> AsyncIterator[Floor]:
    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id="T0ACME", bot_user_id="U0AGENT", bot_token=play.client.token
        )

    desk = Desk(
        Me("T0ACME", "U0AGENT", "B0AGENT"),
        play.client,
        create_async_engine("postgresql+asyncpg://nobody@localhost/none"),  # these buttons ask their own desk
        Admission(People(play.client), home_team="T0ACME"),
    )
    incidents = FirstCome()
    app = AsyncApp(client=play.client, authorize=authorize, process_before_response=True)
    register(app, desk, incidents)
    others.register(app)
    socket = SocketMode(app, play.slack.workspace.app_token, play.client)
    await socket.start()
    told = Told(
        TOLD.brief, TOLD.findings, buttons=("correct", "wrong", "dig_deeper", "escalate", "acknowledge")
    )
    text, blocks = final_brief(told, ID, frozenset())
    answer = await play.client.chat_postMessage(channel=CHANNEL, text=text, blocks=blocks)
    try:
        yield Floor(play, incidents, str(answer["ts"]))
    finally:
        await desk.afterwards.done()
        await socket.stop()


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ("correct", "✅ <@U0MAYA> confirmed this cause"),
        ("dig_deeper", "🔎 <@U0MAYA> asked to dig deeper"),
        ("escalate", "📟 <@U0MAYA> escalated this"),
        ("acknowledge", "🙋 <@U0MAYA> acknowledged this"),
    ],
)
async def test_a_press_is_stored_and_takes_the_button_s_place(floor: Floor, button: str, words: str) -> None:
    await floor.press("U0MAYA", button)
    await floor.see(words)

    assert [(investigation, user) for _, investigation, user, _ in floor.desk.asked] == [(ID, "U0MAYA")]
    assert f"incident_{button}" not in floor.actions()
    assert "incident_wrong" not in floor.actions() or button != "correct"
    assert "checkout fails 12 %" in floor.said()


async def test_two_people_press_one_after_the_other_and_both_stand(floor: Floor) -> None:
    await floor.press("U0MAYA", "escalate")
    await floor.press("U0OMAR", "correct")
    await floor.see("<@U0MAYA> escalated this")
    await floor.see("<@U0OMAR> confirmed this cause")

    assert floor.actions() == ["incident_dig_deeper", "incident_acknowledge"]


async def test_the_second_to_press_is_told_who_was_first(floor: Floor) -> None:
    floor.desk.stands["escalate"] = ("U0OMAR", "escalated this")
    await floor.press("U0MAYA", "escalate")

    assert await floor.told("U0MAYA") == "<@U0OMAR> was first and escalated this."
    await floor.see("📟 <@U0OMAR> escalated this")


async def test_wrong_asks_for_the_real_cause(floor: Floor) -> None:
    await floor.press("U0MAYA", "wrong")
    view = await floor.modal()
    assert floor.desk.asked == [], "nothing is stored before it was said"

    assert await floor.fill_in(view, "  The nightly <!channel> export.\x00 ") == {}
    await floor.see("said it was: The nightly &lt;\u2060!channel&gt; export.")

    assert floor.desk.asked == [("outcome", ID, "U0MAYA", (False, "The nightly <!channel> export."))]
    assert floor.actions() == ["incident_dig_deeper", "incident_escalate", "incident_acknowledge"]


async def test_wrong_without_a_cause_is_stored_too(floor: Floor) -> None:
    await floor.press("U0MAYA", "wrong")
    await floor.fill_in(await floor.modal(), None)
    await floor.see("said it was: something else")

    assert floor.desk.asked[0][3] == (False, None)


@pytest.mark.parametrize("who", ["U0STRANGER", "U0GUEST"])
@pytest.mark.parametrize("button", ["correct", "wrong", "escalate"])
async def test_strangers_and_guests_decide_nothing(floor: Floor, who: str, button: str) -> None:
    floor.play.slack.workspace.channels[CHANNEL].members.add(who)
    await floor.press(who, button)

    assert "I answer" in await floor.told(who)
    assert floor.desk.asked == []
    assert floor.play.slack.workspace.views == {}
    assert len(floor.actions()) == 5


async def test_whoever_cannot_be_looked_up_decides_nothing(floor: Floor) -> None:
    floor.play.slack.faults.calls.add("users.info", CallFault.refused("fatal_error"))
    await floor.press("U0MAYA", "escalate")
    await floor.play.called("users.info")
    await floor.press("U0OMAR", "correct")
    await floor.see("<@U0OMAR> confirmed")

    assert [asked[0] for asked in floor.desk.asked] == ["outcome"]


async def test_a_decision_that_cannot_be_carried_out_leaves_the_button_and_says_why(floor: Floor) -> None:
    floor.desk.away = True
    await floor.press("U0MAYA", "escalate")

    assert await floor.told("U0MAYA") == "PagerDuty does not answer; escalate there."
    assert "incident_escalate" in floor.actions()


async def test_a_cause_that_cannot_be_stored_stays_in_the_modal(floor: Floor) -> None:
    await floor.press("U0MAYA", "wrong")
    view = await floor.modal()
    floor.desk.away = True

    answer = await floor.fill_in(view, "the pool")

    assert answer == {"errors": {CAUSE_FIELD: "PagerDuty does not answer; escalate there."}}


@pytest.mark.parametrize(
    ("action", "container"),
    [
        ({"action_id": "incident_escalate", "value": "not an id"}, {"message_ts": "1.2", "channel_id": "C1"}),
        ({"action_id": "incident_escalate", "value": str(ID)}, {"message_ts": "1.2"}),
        ({"action_id": "incident_explode", "value": str(ID)}, {"message_ts": "1.2", "channel_id": "C1"}),
        ({"action_id": "incident_escalate"}, {}),
    ],
)
def test_a_payload_that_is_not_ours_is_nothing(action: dict[str, Any], container: dict[str, Any]) -> None:
    assert read(action, {"user": {"id": "U0MAYA"}, "container": container}) is None
