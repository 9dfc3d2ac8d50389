"""What an event of Slack's is to the agent: a message addressed to it, or nothing (and why)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, InstanceOf, ValidationError

from app.conversations.models import Envelope, Incoming, TurnKind
from app.slack.payload import ChannelId, Part, TeamId, Ts, UserId, where
from app.slack.text import first, incoming, without_mention

ANSWERED_SUBTYPES = (None, "file_share", "thread_broadcast", "me_message")
ADDRESSED = re.compile(r"\s*<[@!](?:subteam\^)?(\w+)")
SECONDS_TO_ADD_A_MENTION = 24 * 3600
"""How long after it was written a message may be edited into a question; turns are remembered for longer, so
none is answered again."""


@dataclass(frozen=True)
class Me:
    """Who the agent is in its workspace, as `auth.test` says."""

    team_id: str
    user_id: str
    bot_id: str
    url: str = ""
    """The workspace's address for people, with a slash at its end."""

    def link(self, channel_id: str, ts: str) -> str | None:
        """The address of a message: https://api.slack.com/methods/chat.getPermalink shows its form."""
        return f"{self.url}archives/{channel_id}/p{ts.replace('.', '')}" if self.url else None


@dataclass(frozen=True)
class Ignored:
    reason: str


@dataclass(frozen=True)
class Misshapen(Ignored):
    """An event without what a message has; `reason` is where, without a word of it."""


Text = InstanceOf[str]
"""People's words may hold halves of surrogate pairs, which pydantic takes for no text."""


class _File(Part):
    name: Text | None = None


class _Edited(Part):
    ts: Ts


class _Message(Part):
    """https://docs.slack.dev/reference/events/message"""

    type: str
    channel: ChannelId
    channel_type: str | None = None
    ts: Ts
    thread_ts: Ts | None = None
    user: UserId
    user_team: TeamId | None = None
    team: TeamId | None = None
    text: Text | None = ""
    subtype: str | None = None
    edited: _Edited | None = None
    files: list[_File] | None = Field(None, max_length=1000)

    @property
    def words(self) -> str:
        return self.text or ""


def read(event: Mapping[str, Any], me: Me) -> Incoming | Ignored:
    """Turn an `app_mention` or `message` event into what was asked; pure.

    One text arrives as both events, in any order; both give the same `source_key`, and so does an edit. A
    message in a thread is a follow-up: whether the thread is one of ours, the database knows.
    """
    if event.get("bot_id") or event.get("user") in (None, me.user_id):
        return Ignored("written by a bot")
    if event.get("subtype") not in ANSWERED_SUBTYPES:
        return Ignored("a subtype that asks nothing")
    try:
        message = _Message.model_validate(event)
    except ValidationError as error:
        return Misshapen(where(error))
    if message.edited and not _may_add_a_mention(message, message.edited):
        return Ignored("an edit of a message already seen")
    if (kind := _kind(message, me)) is None:
        return Ignored("not addressed to the agent")
    text, truncated = first(incoming(without_mention(message.words, me.user_id)))
    return Incoming(
        team_id=me.team_id,
        channel_id=message.channel,
        thread_ts=message.thread_ts or message.ts,
        message_ts=message.ts,
        user_id=message.user,
        text=_storable(text),
        kind=kind,
        envelope=Envelope(
            speaker_team_id=message.user_team or message.team,
            attachments=tuple(_storable(file.name or "a file") for file in message.files or ()),
            truncated=truncated,
        ),
    )


def _kind(message: _Message, me: Me) -> TurnKind | None:
    if message.type == "app_mention":
        return "mention"
    if message.channel_type == "im":
        return "direct"
    # Slack has been seen to send no `app_mention` of these: https://github.com/slackapi/bolt-python/issues/925
    if message.subtype == "file_share" and _mentions(message.words, me):
        return "mention"
    in_thread = message.thread_ts not in (None, message.ts)
    return "follow_up" if in_thread and not _for_somebody_else(message.words, me) else None


def _for_somebody_else(text: str, me: Me) -> bool:
    """People talk to each other in the agent's threads too: who is named first is meant."""
    named = ADDRESSED.match(text)
    return named is not None and named[1] != me.user_id and not _mentions(text, me)


def _mentions(text: str, me: Me) -> bool:
    return re.search(rf"<@{re.escape(me.user_id)}[|>]", text) is not None


def _may_add_a_mention(message: _Message, edited: _Edited) -> bool:
    """An edit asks when it is what names the agent; of one that did so before there is a turn already."""
    late = float(edited.ts) - float(message.ts)
    return message.type == "app_mention" and late < SECONDS_TO_ADD_A_MENTION


def _storable(text: str) -> str:
    """Without NUL and halves of surrogate pairs: what cannot be stored would be delivered in vain."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
