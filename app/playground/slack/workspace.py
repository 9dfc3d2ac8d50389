"""One Slack workspace in memory, with the rules of who may do what to which message.

Pure state: no network, no sleeping. Whoever wants to know what happens adds a listener to `on_event` (what
Slack would tell the app) or `on_change` (what somebody looking at the screen would see).
"""

from __future__ import annotations

import json
import secrets
import string
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.playground.slack import blocks, shapes
from app.playground.slack.limits import RateLimiter
from app.playground.slack.records import (
    Channel,
    Json,
    Message,
    Session,
    Status,
    StoredFile,
    Team,
    User,
    UserGroup,
    View,
)
from app.playground.slack.refusal import SlackRefusal

Clock = Callable[[], float]
MANIFEST_SCOPES = frozenset(
    {
        "app_mentions:read",
        "assistant:write",
        "channels:history",
        "channels:read",
        "chat:write",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "im:history",
        "reactions:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)
MANIFEST_EVENTS = frozenset(
    {
        "agent_session_stopped",
        "app_home_opened",
        "app_mention",
        "message.channels",
        "message.groups",
        "message.im",
    }
)
EVENT_OF_KIND = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}
TEXT_CHARACTERS = 40_000
UPDATE_CHARACTERS = 4_000
MARKDOWN_CHARACTERS = 12_000
METADATA_BYTES = 8_192
_ALPHABET = string.ascii_uppercase + string.digits


def random_id(prefix: str) -> str:
    """`prefix` and ten capital letters or digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(10))


@dataclass(frozen=True)
class Event:
    """One thing to tell the app: the whole `event_callback` body."""

    id: str
    type: str
    body: Json


@dataclass(frozen=True)
class Change:
    """One thing that changed: on the screen `message`, `removed`, `ephemeral`, `session`, `status`, `view`;
    behind it `call`, `delivery`, `connected`, `disconnected`."""

    kind: str
    channel: str = ""
    item: Any = None


class Workspace:
    """Teams, people, channels and everything said in them."""

    def __init__(
        self,
        *,
        team: Team,
        agent: User,
        other_teams: Iterable[Team] = (),
        clock: Clock = time.time,
        ids: Callable[[str], str] = random_id,
        scopes: Iterable[str] = MANIFEST_SCOPES,
        events: Iterable[str] = MANIFEST_EVENTS,
        rate_limits: bool | float = True,
        mention_first: bool = True,
        stream_seconds: float = 300,
        bot_token: str = "xoxb-playground",
        app_token: str = "xapp-playground",
        signing_secret: str = "0123456789abcdef0123456789abcdef",
    ) -> None:
        self.team = team
        self.teams = {each.id: each for each in (team, *other_teams)}
        self.agent = agent
        self.bot_id = "B0AGENT"
        self.app_id = "A0AGENT"
        self.url = "https://acme.slack.com"
        """Where the server answers; the server sets it when it starts."""
        self.clock = clock
        self.ids = ids
        self.scopes = set(scopes)
        self.subscribed = set(events)
        self.limiter = RateLimiter(clock, _factor(rate_limits))
        self.mention_first = mention_first
        self.stream_seconds = stream_seconds
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        self.users: dict[str, User] = {agent.id: agent}
        self.groups: dict[str, UserGroup] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, StoredFile] = {}
        self.sessions: dict[tuple[str, str], Session] = {}
        self.statuses: dict[tuple[str, str], Status] = {}
        self.views: dict[str, View] = {}
        self.ephemeral: list[Message] = []
        self.on_event: list[Callable[[Event], None]] = []
        self.on_change: list[Callable[[Change], None]] = []
        self._last_tick = 0

    # --- looking things up -------------------------------------------------------------------------------

    def next_ts(self) -> str:
        """A message timestamp: now, to the microsecond, never the same twice."""
        self._last_tick = max(self._last_tick + 1, int(self.clock() * 1_000_000))
        return f"{self._last_tick // 1_000_000}.{self._last_tick % 1_000_000:06d}"

    def user(self, user_id: str) -> User:
        if user_id not in self.users:
            raise SlackRefusal("user_not_found")
        return self.users[user_id]

    def channel(self, channel_id: str) -> Channel:
        """A channel the agent can know of: private ones only where it is a member."""
        found = self.channels.get(channel_id)
        if found is None or (found.kind != "channel" and self.agent.id not in found.members):
            raise SlackRefusal("channel_not_found")
        return found

    def joined_channel(self, channel_id: str) -> Channel:
        """A channel the agent may write to; a person's id stands for the direct message with them."""
        channel = self.direct_message(channel_id) if channel_id in self.users else self.channel(channel_id)
        if channel.is_archived:
            raise SlackRefusal("is_archived")
        if self.agent.id not in channel.members:
            raise SlackRefusal("not_in_channel")
        return channel

    def direct_message(self, user_id: str) -> Channel:
        """The direct message between the agent and a person; made when there is none yet."""
        person = self.user(user_id)
        if person.is_bot:
            raise SlackRefusal("channel_not_found")
        for channel in self.channels.values():
            if channel.kind == "im" and channel.person == user_id:
                return channel
        channel = Channel(f"D{user_id[1:]}", person.name, "im", {user_id, self.agent.id}, person=user_id)
        self.channels[channel.id] = channel
        return channel

    def message(self, channel: Channel, ts: str, error: str = "message_not_found") -> Message:
        if ts not in channel.messages:
            raise SlackRefusal(error)
        return channel.messages[ts]

    def root_of(self, channel: Channel, thread_ts: str | None) -> str | None:
        """`thread_ts`, when a reply may be put under it."""
        if thread_ts is None:
            return None
        whole, _, fraction = thread_ts.partition(".")
        if not (whole.isdigit() and fraction.isdigit()):
            raise SlackRefusal("invalid_thread_ts")
        root = self.message(channel, thread_ts, "thread_not_found")
        if root.is_reply:
            raise SlackRefusal("cannot_reply_to_message")
        return thread_ts

    def bot_profile(self) -> Json:
        return {
            "id": self.bot_id,
            "app_id": self.app_id,
            "user_id": self.agent.id,
            "name": self.agent.name,
            "team_id": self.team.id,
            "deleted": False,
            "updated": 0,
            "icons": {},
        }

    # --- telling others ----------------------------------------------------------------------------------

    def changed(self, kind: str, channel: str = "", item: Any = None) -> None:
        for listener in list(self.on_change):
            listener(Change(kind, channel, item))

    def emit(self, event: Json, channel: Channel | None = None, *, needs: str) -> None:
        """Tell the app, when it subscribed to `needs` and is in the channel."""
        if needs not in self.subscribed or (channel and self.agent.id not in channel.members):
            return
        event_id = self.ids("Ev")
        body = shapes.event_callback(self, event, event_id, channel, self.clock())
        for listener in list(self.on_event):
            listener(Event(event_id, event["type"], body))

    # --- messages ----------------------------------------------------------------------------------------

    def add(self, message: Message) -> Message:
        """Put a new message into its channel and tell everybody."""
        channel = self.channels[message.channel]
        channel.messages[message.ts] = message
        if message.is_reply:
            channel.threads.setdefault(message.root_ts, []).append(message.ts)
            root = channel.messages[message.root_ts]
            root.thread_ts = root.ts
        self.changed("message", channel.id, message)
        if message.is_reply:
            self.changed("message", channel.id, channel.messages[message.root_ts])
        self._announce(channel, message)
        return message

    def _announce(self, channel: Channel, message: Message) -> None:
        tell = [(shapes.message_event(self, message), EVENT_OF_KIND[channel.kind])]
        if message.bot_id is None:
            tell[0][0]["client_msg_id"] = self.ids("")
            # Of a message that brings files the real one tells as a `message` alone, at times.
            if channel.kind != "im" and shapes.mentions(message.text, self.agent.id) and not message.files:
                tell.append((shapes.app_mention(self, message, message.ts), "app_mention"))
        for event, needs in reversed(tell) if self.mention_first else tell:
            self.emit(event, channel, needs=needs)

    def rewritten(self, message: Message, previous: Json) -> None:
        """Tell everybody that a message has a new content; `previous` is how it looked before."""
        channel = self.channels[message.channel]
        event_ts = self.next_ts()
        self.changed("message", channel.id, message)
        event = {
            "type": "message",
            "subtype": "message_changed",
            "message": shapes.message(self, message),
            "previous_message": previous,
            "channel": channel.id,
            "hidden": True,
            "ts": event_ts,
            "event_ts": event_ts,
            "channel_type": channel.kind,
        }
        tell = [(event, EVENT_OF_KIND[channel.kind])]
        if message.bot_id is None and channel.kind != "im" and shapes.mentions(message.text, self.agent.id):
            tell.append((shapes.app_mention(self, message, event_ts), "app_mention"))
        for each, needs in reversed(tell) if self.mention_first else tell:
            self.emit(each, channel, needs=needs)

    def remove(self, message: Message) -> None:
        channel = self.channels[message.channel]
        previous = shapes.message(self, message)
        del channel.messages[message.ts]
        if message.is_reply:
            channel.threads[message.root_ts].remove(message.ts)
        self.changed("removed", channel.id, message)
        event_ts = self.next_ts()
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "previous_message": previous,
            "deleted_ts": message.ts,
            "channel": channel.id,
            "hidden": True,
            "ts": event_ts,
            "event_ts": event_ts,
            "channel_type": channel.kind,
        }
        self.emit(event, channel, needs=EVENT_OF_KIND[channel.kind])

    def agent_message(self, channel: Channel, thread_ts: str | None, **content: Any) -> Message:
        """A message of the agent, not yet in its channel."""
        return Message(
            ts=self.next_ts(),
            channel=channel.id,
            user=self.agent.id,
            team=self.team.id,
            thread_ts=self.root_of(channel, thread_ts),
            bot_id=self.bot_id,
            app_id=self.app_id,
            **content,
        )

    def content(
        self, *, text: str | None, markdown: str | None, raw_blocks: Any, attachments: Any = None
    ) -> tuple[str, list[Json], list[str]]:
        """The text and blocks a message would have, and Slack's warnings about them.

        Raises:
            SlackRefusal: `markdown_text_conflict`, `msg_too_long`, `no_text` and what Block Kit refuses.
        """
        if markdown is not None and (text is not None or raw_blocks is not None):
            raise SlackRefusal("markdown_text_conflict")
        if markdown is not None:
            if len(markdown) > MARKDOWN_CHARACTERS:
                raise SlackRefusal("msg_too_long")
            raw_blocks = [{"type": "markdown", "text": markdown}] if markdown.strip() else None
            text = markdown
        made = blocks.checked(raw_blocks, ids=self.ids) if raw_blocks else []
        if not made and not attachments and not (text or "").strip():
            raise SlackRefusal("no_text")
        text = text or ""
        if len(text) > TEXT_CHARACTERS:
            return text[:TEXT_CHARACTERS], made, ["message_truncated"]
        return text, made, []

    def metadata(self, raw: Any) -> Json | None:
        """A message's metadata, checked; an empty object removes it.

        Raises:
            SlackRefusal: `invalid_metadata_format`, `invalid_metadata_schema`, `metadata_too_large`.
        """
        if raw is None or raw == {}:
            return None
        if not isinstance(raw, dict):
            raise SlackRefusal("invalid_metadata_format")
        if not isinstance(raw.get("event_type"), str) or not raw["event_type"]:
            raise SlackRefusal("invalid_metadata_schema", "[ERROR] event_type must be a string")
        if not isinstance(raw.get("event_payload"), dict):
            raise SlackRefusal("invalid_metadata_schema", "[ERROR] event_payload must be an object")
        if set(raw) - {"event_type", "event_payload", "entities"}:
            raise SlackRefusal("invalid_metadata_schema", "[ERROR] unknown field")
        if len(json.dumps(raw).encode()) > METADATA_BYTES:
            raise SlackRefusal("metadata_too_large")
        return raw

    def own_message(self, channel: Channel, ts: str, error: str) -> Message:
        """A message the agent wrote; anybody else's raises `error`."""
        message = self.message(channel, ts)
        if message.bot_id != self.bot_id:
            raise SlackRefusal(error)
        return message

    def demand_scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise SlackRefusal("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    @classmethod
    def example(cls, **options: Any) -> Workspace:
        """The workspace of Acme that demo and tests play in; `options` go to the constructor."""
        from app.playground.slack.seed import acme  # noqa: PLC0415 — the seed builds workspaces

        return acme(**options)


def _factor(rate_limits: bool | float) -> float | None:
    if isinstance(rate_limits, bool):
        return 1.0 if rate_limits else None
    return rate_limits
