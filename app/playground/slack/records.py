"""The things a workspace holds: teams, people, channels, messages, files, sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ChannelKind = Literal["channel", "group", "im"]
SessionStatus = Literal["processing", "active", "suspended", "closed"]


@dataclass(frozen=True)
class Team:
    id: str
    name: str
    domain: str

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "domain": self.domain,
            "url": f"https://{self.domain}.slack.com/",
        }


@dataclass(frozen=True)
class User:
    """A person or the agent. A stranger is a user whose `team_id` is not the workspace's."""

    id: str
    name: str
    real_name: str
    team_id: str
    title: str = ""
    email: str = ""
    is_bot: bool = False
    is_guest: bool = False
    deleted: bool = False
    timezone: str = "Europe/Berlin"

    def as_json(self, home_team: str) -> Json:
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "tz": self.timezone,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_restricted": self.is_guest,
            "is_ultra_restricted": False,
            "is_stranger": self.team_id != home_team,
            "profile": {
                "title": self.title,
                "real_name": self.real_name,
                "display_name": self.name,
                "team": self.team_id,
            }
            | ({"email": self.email} if self.email and self.team_id == home_team else {}),
        }


@dataclass(frozen=True)
class UserGroup:
    id: str
    handle: str
    name: str
    users: tuple[str, ...]

    def as_json(self, team: str) -> Json:
        return {
            "id": self.id,
            "team_id": team,
            "is_usergroup": True,
            "handle": self.handle,
            "name": self.name,
            "description": "",
            "date_delete": 0,
            "user_count": len(self.users),
        }


@dataclass
class Message:
    """One message; `ts` is its identity within its channel."""

    ts: str
    channel: str
    user: str
    team: str
    text: str
    thread_ts: str | None = None
    blocks: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    subtype: str | None = None
    edited: Json | None = None
    files: list[str] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    streaming: bool = False
    visible_to: str | None = None
    """The one user who sees it when it is ephemeral."""

    @property
    def root_ts(self) -> str:
        """The thread it belongs to, its own when it has no replies yet."""
        return self.thread_ts or self.ts

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class Channel:
    id: str
    name: str
    kind: ChannelKind = "channel"
    members: set[str] = field(default_factory=set)
    topic: str = ""
    person: str | None = None
    """The human side of a direct message with the agent."""
    is_archived: bool = False
    is_shared: bool = False
    """Shared with another workspace."""
    created: int = 0
    messages: dict[str, Message] = field(default_factory=dict)
    threads: dict[str, list[str]] = field(default_factory=dict)
    """The reply timestamps of each thread, oldest first."""

    def thread(self, root_ts: str) -> list[Message]:
        """The root and its replies, oldest first; empty when the root does not exist."""
        if root_ts not in self.messages:
            return []
        replies = [self.messages[ts] for ts in self.threads.get(root_ts, []) if ts in self.messages]
        return [self.messages[root_ts], *replies]

    def as_json(self, agent: str) -> Json:
        shared: Json = {
            "id": self.id,
            "created": self.created,
            "is_archived": self.is_archived,
            "is_im": self.kind == "im",
            "is_mpim": False,
            "is_org_shared": False,
            "is_ext_shared": self.is_shared,
            "is_shared": self.is_shared,
        }
        if self.kind == "im":
            return shared | {"user": self.person, "is_open": True}
        return shared | {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_private": self.kind == "group",
            "is_general": self.name == "general",
            "is_member": agent in self.members,
            "num_members": len(self.members),
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }


@dataclass
class StoredFile:
    """A file; `content` is None until its bytes were uploaded."""

    id: str
    name: str
    user: str
    size: int
    created: int
    title: str = ""
    content: bytes | None = None
    mimetype: str = "application/octet-stream"
    shares: dict[str, list[Json]] = field(default_factory=dict)
    """Channel id → where it was shared."""


@dataclass
class Session:
    """What `agents.sessions.*` know of one thread."""

    channel: str
    thread_ts: str
    status: SessionStatus = "active"
    title: str = ""


@dataclass
class Status:
    """What `assistant.threads.*` show in one thread."""

    channel: str
    thread_ts: str
    text: str = ""
    title: str = ""
    prompts: list[Json] = field(default_factory=list)


@dataclass
class View:
    """A modal or home tab that is on someone's screen."""

    id: str
    user: str
    type: str
    body: Json
    hash: str
    external_id: str = ""
    root_id: str = ""
