"""Events reach a real Bolt app over Socket Mode, and reach it again when it does not ack."""

from __future__ import annotations

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

from app.playground.slack import CallFault, PlaygroundSlack, Workspace
from app.playground.slack.records import Team, User
from app.playground.slack.workspace import Event
from tests.playground.conftest import Bot, _ignore


def acked(slack: PlaygroundSlack) -> int:
    return sum(delivery.outcome == "acked" for delivery in slack.deliveries)


async def test_a_mention_in_a_channel_yields_a_mention_and_a_message(
    slack: PlaygroundSlack, bot: Bot
) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
    await slack.wait_for(lambda: acked(slack) == 2)

    mention, message = bot.events("app_mention")[0], bot.events("message")[0]
    assert mention["ts"] == message["ts"] == ts
    assert message["channel_type"] == "channel"
    assert "channel_type" not in mention
    assert len({delivery.event_id for delivery in slack.deliveries}) == 2


async def test_the_envelope_is_the_documented_one(slack: PlaygroundSlack, bot: Bot) -> None:
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: bot.seen)
    body = bot.seen[0]
    assert body["type"] == "event_callback"
    assert body["team_id"] == "T0ACME"
    assert body["api_app_id"] == "A0AGENT"
    assert body["is_ext_shared_channel"] is False
    assert str(body["event_id"]).startswith("Ev")
    assert body["authorizations"] == [
        {
            "enterprise_id": None,
            "team_id": "T0ACME",
            "user_id": "U0AGENT",
            "is_bot": True,
            "is_enterprise_install": False,
        }
    ]


async def test_mention_and_message_come_in_either_order(slack: PlaygroundSlack, bot: Bot) -> None:
    for mention_first, kinds in ((True, ["app_mention", "message"]), (False, ["message", "app_mention"])):
        slack.workspace.mention_first = mention_first
        slack.journal.deliveries.clear()
        await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
        await slack.wait_for(lambda: acked(slack) == 2)
        assert [delivery.type for delivery in slack.deliveries] == kinds


async def test_an_edit_fires_a_second_mention_that_says_edited(slack: PlaygroundSlack, bot: Bot) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
    await slack.edit("U0MAYA", "C0CHECKOUT", ts, "<@U0AGENT> hello again")
    await slack.wait_for(lambda: acked(slack) == 4)
    first, second = sorted(bot.events("app_mention"), key=lambda event: "edited" in event)
    assert "edited" not in first
    assert second["edited"]
    assert second["ts"] == ts
    assert "message_changed" in {event.get("subtype") for event in bot.events("message")}


async def test_a_direct_message_is_no_mention(slack: PlaygroundSlack, bot: Bot) -> None:
    await slack.say("U0MAYA", "U0AGENT", "<@U0AGENT> hello")
    await slack.wait_for(lambda: acked(slack) == 1)
    assert bot.events("message")[0]["channel_type"] == "im"
    assert bot.events("message")[0]["channel"] == slack.dm("U0MAYA")


async def test_a_reply_names_its_thread(slack: PlaygroundSlack, bot: Bot) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.say("U0OMAR", "C0CHECKOUT", "hi", thread_ts=ts)
    await slack.wait_for(lambda: acked(slack) == 2)
    reply = next(event for event in bot.events("message") if event["user"] == "U0OMAR")
    assert reply["thread_ts"] == ts
    assert reply["parent_user_id"] == "U0MAYA"


async def test_what_the_agent_is_not_part_of_it_does_not_hear(slack: PlaygroundSlack, bot: Bot) -> None:
    await slack.say("U0MAYA", "C0GENERAL", "<@U0AGENT> psst")
    await slack.say("U0MAYA", "C0CHECKOUT", "loud")
    await slack.wait_for(lambda: acked(slack) == 1)
    assert [event["text"] for event in bot.events("message")] == ["loud"]


async def test_the_agents_own_words_come_back_as_a_bots(slack: PlaygroundSlack, bot: Bot) -> None:
    told: list[Event] = []
    slack.workspace.on_event.append(told.append)
    await bot.client.chat_postMessage(channel="C0CHECKOUT", text="<@U0AGENT> talks to itself")
    # Bolt's middleware drops what its own bot said, so only the wire shows it.
    await slack.wait_for(lambda: acked(slack) == 1)
    assert [(event.type, event.body["event"]["bot_id"]) for event in told] == [("message", "B0AGENT")]
    assert bot.seen == []


async def test_strangers_and_guests_are_known_by_their_marks(slack: PlaygroundSlack, bot: Bot) -> None:
    await slack.say("U0STRANGER", "C0PAYMENTS", "hello from next door")
    await slack.wait_for(lambda: acked(slack) == 1)
    event = bot.events("message")[0]
    assert event["user_team"] == event["source_team"] == "T0OTHER"
    assert bot.seen[0]["is_ext_shared_channel"] is True
    stranger = (await bot.client.users_info(user="U0STRANGER"))["user"]
    guest = (await bot.client.users_info(user="U0GUEST"))["user"]
    assert stranger["is_stranger"] is True
    assert stranger["team_id"] == "T0OTHER"
    assert guest["is_restricted"] is True
    assert guest["is_stranger"] is False


async def test_a_file_comes_as_a_file_share(slack: PlaygroundSlack, bot: Bot) -> None:
    await slack.say("U0MAYA", "C0CHECKOUT", "see this", files={"error.log": b"boom"})
    await slack.wait_for(lambda: acked(slack) == 1)
    event = bot.events("message")[0]
    assert event["subtype"] == "file_share"
    assert event["files"][0]["name"] == "error.log"  # type: ignore[index]


async def test_a_lost_ack_brings_the_event_again_and_says_so(slack: PlaygroundSlack, bot: Bot) -> None:
    slack.faults.deliveries.lose_acks = 1
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: acked(slack) == 1)
    assert [(d.attempt, d.outcome) for d in slack.deliveries] == [(0, "lost"), (1, "acked")]
    assert len({body["event_id"] for body in bot.seen}) == 1
    assert len(bot.seen) == 2


async def test_a_doubled_event_is_the_same_event(slack: PlaygroundSlack, bot: Bot) -> None:
    slack.faults.deliveries.twice = 1
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: acked(slack) == 2)
    assert len({delivery.event_id for delivery in slack.deliveries}) == 1
    assert {delivery.attempt for delivery in slack.deliveries} == {0}


async def test_held_events_come_last_first(slack: PlaygroundSlack, bot: Bot) -> None:
    slack.faults.deliveries.reorder = 3
    for text in ("one", "two", "three"):
        await slack.say("U0MAYA", "C0CHECKOUT", text)
    await slack.wait_for(lambda: acked(slack) == 3)
    assert [event["text"] for event in bot.events("message")] == ["three", "two", "one"]


async def test_an_event_waits_for_an_app_that_is_away(slack: PlaygroundSlack) -> None:
    await slack.say("U0MAYA", "C0CHECKOUT", "is anybody there?")
    late = Bot(slack)
    late.app.event("message")(_ignore)
    handler = AsyncSocketModeHandler(late.app, slack.workspace.app_token)
    await handler.connect_async()
    await slack.wait_for(lambda: late.seen)
    await handler.close_async()
    assert late.events("message")[0]["text"] == "is anybody there?"


async def test_an_app_asked_to_reconnect_does(slack: PlaygroundSlack, bot: Bot) -> None:
    opened = len(slack.calls("apps.connections.open"))
    await slack.socket_mode.ask_to_reconnect()
    await slack.wait_for(lambda: len(slack.calls("apps.connections.open")) > opened)
    await slack.connected()
    await slack.say("U0MAYA", "C0CHECKOUT", "still there?")
    await slack.wait_for(lambda: bot.seen)
    assert bot.events("message")[0]["text"] == "still there?"


async def test_a_failing_app_gets_its_event_until_retries_are_used_up(
    slack: PlaygroundSlack, bot: Bot
) -> None:
    slack.faults.calls.add("auth.test", CallFault.failing(), times=100)
    slack.faults.deliveries.lose_acks = 100
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: slack.journal.given_up)
    assert [delivery.attempt for delivery in slack.deliveries] == [0, 1, 2, 3]


async def test_a_workspace_of_ones_own_can_be_seeded() -> None:
    team, agent = Team("T1", "One", "one"), User("U1", "bot", "Bot", "T1", is_bot=True)
    workspace = Workspace(team=team, agent=agent)
    workspace.users["U2"] = User("U2", "ann", "Ann", "T1")
    async with PlaygroundSlack(workspace) as slack:
        await slack.say("U2", "U1", "hello")
        assert [message.text for message in slack.channel(slack.dm("U2"))] == ["hello"]
