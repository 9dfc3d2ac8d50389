"""Who is answered: members of allowed workspaces in allowed channels, asked about only once."""

from __future__ import annotations

import asyncio

import pytest

from app.conversations.models import Envelope, Incoming
from app.playground.slack import CallFault
from app.slack.client import SlackRefused, SlackUnavailable
from app.slack.people import FRESH, STALE, Admission, People, ids_of
from tests.slack.conftest import CHANNEL, Play


def asked(user: str, channel: str = CHANNEL, team: str | None = None) -> Incoming:
    return Incoming(
        team_id="T0ACME",
        channel_id=channel,
        thread_ts="1.0",
        message_ts="1.0",
        user_id=user,
        text="hello",
        kind="mention",
        envelope=Envelope(speaker_team_id=team),
    )


def people(play: Play) -> People:
    return People(play.client, clock=play.time.clock)


async def test_a_member_is_answered(play: Play) -> None:
    assert await Admission(people(play), home_team="T0ACME").refuses(asked("U0MAYA", team="T0ACME")) is None


@pytest.mark.parametrize("team", ["T0OTHER", None, "E0GRID"])
async def test_a_stranger_is_refused_with_a_sentence(play: Play, team: str | None) -> None:
    refused = await Admission(people(play), home_team="T0ACME").refuses(asked("U0STRANGER", team=team))

    assert refused is not None
    assert "SLACK_ALLOWED_TEAMS" in refused


async def test_a_stranger_of_an_allowed_workspace_is_answered(play: Play) -> None:
    admission = Admission(people(play), home_team="T0ACME", allowed_teams=("T0ACME", "T0OTHER"))

    assert await admission.refuses(asked("U0STRANGER", team="T0OTHER")) is None


async def test_guests_are_answered_only_where_that_is_allowed(play: Play) -> None:
    refused = await Admission(people(play), home_team="T0ACME").refuses(asked("U0GUEST"))
    allowed = await Admission(people(play), home_team="T0ACME", allow_guests=True).refuses(asked("U0GUEST"))

    assert refused is not None
    assert "guests" in refused
    assert allowed is None


async def test_only_allowed_channels_are_answered_and_direct_messages(play: Play) -> None:
    admission = Admission(people(play), home_team="T0ACME", allowed_channels=("C0INCIDENTS",))

    assert await admission.refuses(asked("U0MAYA")) is not None
    assert await admission.refuses(asked("U0MAYA", "C0INCIDENTS")) is None
    assert await admission.refuses(asked("U0MAYA", play.slack.dm("U0MAYA"))) is None


@pytest.mark.parametrize("user", ["U0AGENT", "U0NOBODY"])
async def test_bots_and_unknown_users_are_refused(play: Play, user: str) -> None:
    assert await Admission(people(play), home_team="T0ACME").refuses(asked(user)) is not None


async def test_without_the_scope_to_look_people_up_nobody_is_answered(play: Play) -> None:
    play.slack.workspace.scopes.discard("users:read")

    refused = await Admission(people(play), home_team="T0ACME").refuses(asked("U0MAYA"))

    assert refused is not None
    assert "missing_scope" in refused


async def test_of_many_who_ask_at_once_one_asks_slack(play: Play) -> None:
    known = people(play)

    names = await asyncio.gather(*(known.person("U0MAYA") for _ in range(20)))

    assert {person.name for person in names} == {"maya"}
    assert len(play.slack.calls("users.info")) == 1


async def test_what_is_known_is_asked_again_after_a_while(play: Play) -> None:
    known = people(play)
    await known.person("U0MAYA")
    await known.person("U0MAYA")
    play.time.advance(FRESH + 1)
    await known.person("U0MAYA")

    assert len(play.slack.calls("users.info")) == 2


async def test_while_slack_is_away_people_stay_who_they_were_for_a_day(play: Play) -> None:
    known = people(play)
    await known.person("U0MAYA")
    play.time.advance(FRESH + 1)
    play.slack.faults.calls.add("users.info", CallFault.failing(503), times=99)

    assert (await known.person("U0MAYA")).name == "maya"
    play.time.advance(STALE)
    with pytest.raises(SlackUnavailable):
        await known.person("U0MAYA")


async def test_nobody_is_answered_while_slack_cannot_say_who_it_is(play: Play) -> None:
    play.slack.faults.calls.add("users.info", CallFault.failing(503), times=99)

    with pytest.raises(SlackUnavailable):
        await Admission(people(play), home_team="T0ACME").refuses(asked("U0MAYA"))


async def test_only_so_many_people_are_remembered(play: Play) -> None:
    known = People(play.client, clock=play.time.clock, most=1)
    await known.person("U0MAYA")
    await known.person("U0OMAR")
    await known.person("U0MAYA")

    assert len(play.slack.calls("users.info")) == 3


async def test_a_failed_question_is_not_remembered(play: Play) -> None:
    known = people(play)
    play.slack.faults.calls.add("users.info", CallFault.refused("user_not_found"))
    with pytest.raises(SlackRefused):
        await known.person("U0MAYA")

    assert (await known.person("U0MAYA")).name == "maya"


async def test_people_are_known_by_their_addresses_once_each(play: Play) -> None:
    known = await ids_of(
        play.client, ("maya@acme.example", "OMAR@acme.example", "nobody@acme.example", "maya@acme.example")
    )

    assert known == ("U0MAYA", "U0OMAR")


async def test_without_the_scope_nobody_is_known_by_an_address(play: Play) -> None:
    play.slack.workspace.scopes.discard("users:read.email")

    assert await ids_of(play.client, ("maya@acme.example",)) == ()


async def test_while_slack_is_away_nobody_is_known_by_an_address(play: Play) -> None:
    play.slack.faults.calls.add("users.lookupByEmail", CallFault.failing(503), times=99)

    assert await ids_of(play.client, ("maya@acme.example",)) == ()
