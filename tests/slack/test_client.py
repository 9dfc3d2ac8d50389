"""The way to Slack: what is repeated, what is not, and how fast a channel is written to."""

from __future__ import annotations

import asyncio

import pytest

from app.playground.slack import CallFault
from app.slack.client import Pace, SlackRefused, SlackUnavailable, ask, web_client
from tests.slack.conftest import CHANNEL, Play, Time


async def test_a_post_is_not_repeated_when_nobody_knows_whether_it_arrived(play: Play) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.failing(503, applied=True))

    with pytest.raises(SlackUnavailable) as raised:
        await ask("chat.postMessage", play.client.chat_postMessage(channel=CHANNEL, text="once"))

    assert not raised.value.certain
    assert len(play.slack.calls("chat.postMessage")) == 1


@pytest.mark.parametrize("fault", [CallFault.failing(503), CallFault.dropped(applied=False)])
async def test_what_may_be_repeated_is_repeated(play: Play, fault: CallFault) -> None:
    play.slack.faults.calls.add("users.info", fault, times=2)

    answer = await ask("users.info", play.client.users_info(user="U0MAYA"))

    assert answer["user"]["name"] == "maya"
    assert len(play.slack.calls("users.info")) == 3


async def test_a_rate_limit_is_waited_for_as_long_as_slack_says(play: Play) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.limited(7))
    began = play.time.now

    await ask("chat.postMessage", play.client.chat_postMessage(channel=CHANNEL, text="patience"))

    assert play.time.now - began == 7


@pytest.mark.parametrize(("retry_after", "calls"), [(1, 4), (600, 1)])
async def test_waiting_has_an_end(play: Play, retry_after: int, calls: int) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.limited(retry_after), times=9)

    with pytest.raises(SlackUnavailable) as raised:
        await ask("chat.postMessage", play.client.chat_postMessage(channel=CHANNEL, text="patience"))

    assert raised.value.certain
    assert len(play.slack.calls("chat.postMessage")) == calls


async def test_a_refusal_carries_slacks_word_for_it(play: Play) -> None:
    with pytest.raises(SlackRefused) as raised:
        await ask("chat.postMessage", play.client.chat_postMessage(channel="C0NOWHERE", text="hello"))

    assert raised.value.error == "channel_not_found"


async def test_a_slack_that_is_not_there_is_unavailable_for_certain() -> None:
    time = Time()
    client = web_client("xoxb-1", "http://127.0.0.1:9/api/", sleep=time.pass_over, chance=lambda: 0.0)

    with pytest.raises(SlackUnavailable) as raised:
        await ask("auth.test", client.auth_test())

    assert raised.value.certain


async def test_posts_to_one_channel_keep_their_pace_and_order_and_others_do_not_wait() -> None:
    time = Time()
    pace = Pace(per_second=1, burst=2, clock=time.clock, sleep=time.sleep)
    gone: list[str] = []

    async def post(channel: str, name: str) -> None:
        await pace.turn(channel)
        gone.append(name)

    posts = [asyncio.create_task(post("C1", f"first-{n}")) for n in range(4)]
    posts.append(asyncio.create_task(post("C2", "other")))
    await asyncio.sleep(0.01)
    assert gone == ["first-0", "first-1", "other"]
    time.advance(1)
    await asyncio.sleep(0.01)
    assert gone[-1] == "first-2"
    time.advance(1)
    await asyncio.gather(*posts)
    assert gone[-1] == "first-3"


async def test_channels_nobody_posts_to_are_forgotten() -> None:
    time = Time()
    pace = Pace(clock=time.clock, sleep=time.sleep)
    for number in range(1000):
        await pace.turn(f"C{number}")
        time.advance(1)

    assert len(pace._levels) < 10
