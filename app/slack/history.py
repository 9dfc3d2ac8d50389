"""What was said in the incident channel and in the teams' channels, for whoever looks into an incident."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from app.errors import AgentError
from app.slack.client import Clock, ask
from app.slack.incoming import Me
from app.tools.channel_history import Said

FRESH = 3600.0
"""Seconds a list of channels is believed."""
PAGES = 10
AT_A_TIME = 1000


class NotReadable(AgentError):
    """A channel that is neither the incident channel nor one of the catalog, or whose name nobody has."""

    code = "channel_not_readable"
    status = 403


@dataclass
class ChannelReader:
    """`listed` are the channels the catalog names: besides the incident channel only these are read, for
    what is said in others is nobody's business here."""

    client: AsyncWebClient
    me: Me
    incident_channel: str | None
    listed: Callable[[], frozenset[str]] = frozenset
    clock: Clock = time.monotonic
    _ids: dict[str, str] = field(default_factory=dict)
    _listed_at: float = float("-inf")

    async def said(self, channel: str, start: float, end: float, limit: int) -> Sequence[Said]:
        """The newest `limit` messages of a channel (id, or name with `#`) between two times, oldest first.

        Raises:
            NotReadable: it may not be read, or Slack knows none of that name.
            SlackRefused, SlackUnavailable: as `ask`.
        """
        if channel != self.incident_channel and _bare(channel) not in {_bare(each) for each in self.listed()}:
            raise NotReadable(f"{channel} is no channel of the catalog; it is not read.")
        id = await self._id(channel)
        found = await ask(
            "conversations.history",
            self.client.conversations_history(
                channel=id,
                oldest=f"{start:.6f}",
                latest=f"{end:.6f}",
                limit=min(limit, AT_A_TIME),
            ),
        )
        return [self._said(id, each) for each in reversed(found.get("messages", []))]

    def _said(self, channel_id: str, message: Mapping[str, Any]) -> Said:
        ts = str(message.get("ts", "0"))
        who = str(message.get("user") or message.get("username") or message.get("bot_id") or "somebody")
        return Said(float(ts), who, str(message.get("text", "")), self.me.link(channel_id, ts))

    async def _id(self, channel: str) -> str:
        if not channel.startswith("#"):
            return channel
        if self.clock() - self._listed_at > FRESH or _bare(channel) not in self._ids:
            self._ids, self._listed_at = await self._every_channel(), self.clock()
        if _bare(channel) not in self._ids:
            raise NotReadable(f"Slack has no channel {channel} that I am in.")
        return self._ids[_bare(channel)]

    async def _every_channel(self) -> dict[str, str]:
        """Ids by name, of the channels the agent is in."""
        ids: dict[str, str] = {}
        cursor: str | None = None
        for _ in range(PAGES):
            answer = await ask(
                "users.conversations",
                self.client.users_conversations(
                    types="public_channel,private_channel", exclude_archived=True, limit=200, cursor=cursor
                ),
            )
            ids |= {str(each.get("name")): str(each["id"]) for each in answer.get("channels", [])}
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return ids


def _bare(channel: str) -> str:
    return channel.removeprefix("#")
