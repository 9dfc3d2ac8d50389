"""What an event is to the agent: a table of events and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from app.conversations.models import LONGEST_QUESTION, Incoming
from app.slack.incoming import Ignored, Me, read

ME = Me("T1", "U0AGENT", "B0AGENT")


def event(**changes: Any) -> dict[str, Any]:
    base = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "ts": "2.0"}
    return {**base, "text": "hello", "team": "T1", **changes}


def mention(**changes: Any) -> dict[str, Any]:
    return event(type="app_mention", text="<@U0AGENT> what do I need?", channel_type=None, **changes)


@pytest.mark.parametrize(
    ("given", "kind", "thread", "text"),
    [
        (mention(), "mention", "2.0", "what do I need?"),
        (mention(thread_ts="1.0"), "mention", "1.0", "what do I need?"),
        (event(thread_ts="1.0", text="and payments?"), "follow_up", "1.0", "and payments?"),
        (event(thread_ts="1.0", text="<@U0AGENT> and you?"), "follow_up", "1.0", "and you?"),
        (
            event(thread_ts="1.0", text="<@U2> <@U0AGENT> both of you"),
            "follow_up",
            "1.0",
            "<@U2> both of you",
        ),
        (event(channel="D1", channel_type="im"), "direct", "2.0", "hello"),
        (mention(edited={"user": "U1", "ts": "3.0"}), "mention", "2.0", "what do I need?"),
        (event(subtype="file_share", text="<@U0AGENT> look"), "mention", "2.0", "look"),
        (event(subtype="file_share", text="<@U0AGENT|sre> look"), "mention", "2.0", "look"),
        (event(subtype="file_share", text="<@U0AGENT> look", thread_ts="1.0"), "mention", "1.0", "look"),
        (event(channel="D1", channel_type="im", thread_ts="1.0"), "direct", "1.0", "hello"),
        (event(thread_ts="1.0", subtype="thread_broadcast"), "follow_up", "1.0", "hello"),
        (event(thread_ts="1.0", text="tell <!channel> &lt;b&gt;"), "follow_up", "1.0", "tell channel <b>"),
        (event(thread_ts="1.0", text="a\0b"), "follow_up", "1.0", "ab"),
    ],
)
def test_what_is_addressed_to_the_agent(given: dict[str, Any], kind: str, thread: str, text: str) -> None:
    incoming = read(given, ME)
    assert isinstance(incoming, Incoming)
    assert (incoming.kind, incoming.thread_ts, incoming.text) == (kind, thread, text)


@pytest.mark.parametrize(
    "given",
    [
        event(),
        event(thread_ts="2.0"),
        event(thread_ts="1.0", bot_id="B2"),
        event(thread_ts="1.0", user="U0AGENT"),
        event(thread_ts="1.0", user=None),
        event(thread_ts="1.0", subtype="message_changed"),
        event(thread_ts="1.0", subtype="message_deleted"),
        event(thread_ts="1.0", subtype="channel_join"),
        mention(edited={"user": "U1", "ts": f"{2 + 24 * 3600}.0"}),
        event(thread_ts="1.0", edited={"user": "U1", "ts": "3.0"}),
        event(subtype="file_share", text="<@U0AGENTS> look"),
        event(thread_ts="1.0", text="<!here> lunch?"),
        event(thread_ts="1.0", text="<!channel> we are rolling back"),
        event(thread_ts="1.0", text="<@U2> ask <@U0AGENTS>"),
        event(thread_ts="1.0", text="<@U2> can you look?"),
        event(thread_ts="1.0", text="<!subteam^S1|@sre> can you look?"),
    ],
)
def test_what_is_not(given: dict[str, Any]) -> None:
    assert isinstance(read(given, ME), Ignored)


def test_a_long_message_is_used_up_to_the_limit_and_says_so() -> None:
    incoming = read(event(thread_ts="1.0", text="x" * 40_000), ME)
    assert isinstance(incoming, Incoming)
    assert len(incoming.text) == LONGEST_QUESTION
    assert incoming.envelope.truncated


def test_the_two_events_of_one_message_have_one_key() -> None:
    first, second = read(mention(thread_ts="1.0"), ME), read(event(thread_ts="1.0"), ME)
    assert isinstance(first, Incoming)
    assert isinstance(second, Incoming)
    edited = read(mention(thread_ts="1.0", edited={"user": "U1", "ts": "3.0"}), ME)
    assert isinstance(edited, Incoming)
    assert first.source_key == second.source_key == edited.source_key


def test_files_and_the_speakers_workspace_are_kept() -> None:
    incoming = read(
        event(thread_ts="1.0", subtype="file_share", files=[{"name": "graph.png"}], user_team="T9"), ME
    )
    assert isinstance(incoming, Incoming)
    assert incoming.envelope.attachments == ("graph.png",)
    assert incoming.envelope.speaker_team_id == "T9"
