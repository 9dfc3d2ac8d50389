"""What an event of Slack's is to the agent: a message addressed to it, or nothing (and why)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.conversations.models import Envelope, Incoming, TurnKind
from app.slack.text import first, incoming, without_mention

ANSWERED_SUBTYPES = frozenset({None, "file_share", "thread_broadcast", "me_message"})
ADDRESSED = re.compile(r"\s*<[@!](?:subteam\^)?([A-Z0-9]+)")


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


def read(event: Mapping[str, Any], me: Me) -> Incoming | Ignored:
    """Turn an `app_mention` or `message` event into what was asked; pure.

    One text arrives as both events, in any order; both give the same `source_key`. A message in a thread
    is a follow-up: whether the thread is one of ours, the database knows.
    """
    if event.get("bot_id") or event.get("user") in (None, me.user_id):
        return Ignored("written by a bot")
    if event.get("subtype") not in ANSWERED_SUBTYPES:
        return Ignored(f"subtype {event['subtype']}")
    if event.get("edited"):
        return Ignored("an edit of a message already seen")
    if (kind := _kind(event, me)) is None:
        return Ignored("not addressed to the agent")
    text, truncated = first(incoming(without_mention(str(event.get("text") or ""), me.user_id)))
    return Incoming(
        team_id=me.team_id,
        channel_id=str(event["channel"]),
        thread_ts=str(event.get("thread_ts") or event["ts"]),
        message_ts=str(event["ts"]),
        user_id=str(event["user"]),
        text=_storable(text),
        kind=kind,
        envelope=Envelope(
            speaker_team_id=event.get("user_team") or event.get("team"),
            attachments=tuple(
                _storable(str(file.get("name") or "a file")) for file in event.get("files") or ()
            ),
            truncated=truncated,
        ),
    )


def _kind(event: Mapping[str, Any], me: Me) -> TurnKind | None:
    if event.get("type") == "app_mention":
        return "mention"
    if event.get("channel_type") == "im":
        return "direct"
    in_thread = event.get("thread_ts") not in (None, event.get("ts"))
    return "follow_up" if in_thread and not _for_somebody_else(str(event.get("text") or ""), me) else None


def _for_somebody_else(text: str, me: Me) -> bool:
    """People talk to each other in the agent's threads too: who is named first is meant."""
    named = ADDRESSED.match(text)
    return named is not None and named[1] != me.user_id and f"<@{me.user_id}" not in text


def _storable(text: str) -> str:
    """Without NUL and halves of surrogate pairs: what cannot be stored would be delivered in vain."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
