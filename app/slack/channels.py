"""The names of channels, asked once and remembered for a while."""

from __future__ import annotations

import time
from collections import OrderedDict

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.slack.client import Clock, SlackRefused, SlackUnavailable, ask

log = structlog.get_logger(__name__)

FRESH = 3600.0
"""Seconds a name is believed; channels are renamed rarely."""
MOST_CHANNELS = 10_000


class Channels:
    def __init__(self, client: AsyncWebClient, *, clock: Clock = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    async def name(self, channel_id: str) -> str | None:
        """The channel's name without `#`; None for direct messages and when Slack does not say."""
        if channel_id.startswith("D"):
            return None
        at, name = self._known.get(channel_id, (float("-inf"), None))
        if self._clock() - at < FRESH:
            return name
        try:
            answer = await ask("conversations.info", self._client.conversations_info(channel=channel_id))
        except (SlackRefused, SlackUnavailable) as error:
            log.warning("channel_name_unknown", channel_id=channel_id, reason=error.sentence)
            return name
        said = answer["channel"].get("name")
        name = str(said) if said else None
        self._known[channel_id] = (self._clock(), name)
        while len(self._known) > MOST_CHANNELS:
            self._known.popitem(last=False)
        return name
