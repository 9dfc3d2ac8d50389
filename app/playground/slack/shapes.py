"""How messages and events look on the wire: pure functions from records to Slack's JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.playground.slack.records import Channel, Json, Message, StoredFile, User

if TYPE_CHECKING:
    from app.playground.slack.workspace import Workspace

MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def message(workspace: Workspace, item: Message, *, with_metadata: bool = False) -> Json:
    """A message as `conversations.history`, `conversations.replies` and events show it."""
    channel = workspace.channels[item.channel]
    body: Json = {"type": "message", "user": item.user, "ts": item.ts, "text": item.text, "team": item.team}
    if item.subtype:
        body["subtype"] = item.subtype
    if item.blocks:
        body["blocks"] = item.blocks
    if item.attachments:
        body["attachments"] = item.attachments
    if item.bot_id:
        body |= {"bot_id": item.bot_id, "app_id": item.app_id, "bot_profile": workspace.bot_profile()}
    if item.edited:
        body["edited"] = item.edited
    if item.files:
        body |= {"files": [file(workspace, workspace.files[each]) for each in item.files], "upload": False}
    if item.reactions:
        body["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)}
            for name, users in item.reactions.items()
        ]
    if with_metadata and item.metadata:
        body["metadata"] = item.metadata
    return body | _thread_fields(channel, item)


def _thread_fields(channel: Channel, item: Message) -> Json:
    if item.is_reply:
        root = channel.messages.get(item.root_ts)
        return {"thread_ts": item.thread_ts, "parent_user_id": root.user if root else None}
    replies = [channel.messages[ts] for ts in channel.threads.get(item.ts, []) if ts in channel.messages]
    if not replies:
        return {"thread_ts": item.thread_ts} if item.thread_ts else {}
    people = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": item.ts,
        "reply_count": len(replies),
        "reply_users_count": len(people),
        "reply_users": people[:5],
        "latest_reply": replies[-1].ts,
    }


def file(workspace: Workspace, item: StoredFile) -> Json:
    """A file object; `url_private` answers to the bot token alone."""
    shares: Json = {}
    for channel_id, places in item.shares.items():
        kind = "public" if workspace.channels[channel_id].kind == "channel" else "private"
        shares.setdefault(kind, {})[channel_id] = places
    extension = item.name.rsplit(".", 1)[-1] if "." in item.name else "text"
    base = f"{workspace.url}/files-pri/{workspace.team.id}-{item.id}"
    return {
        "id": item.id,
        "created": item.created,
        "timestamp": item.created,
        "name": item.name,
        "title": item.title or item.name,
        "mimetype": item.mimetype,
        "filetype": extension,
        "pretty_type": extension.upper(),
        "user": item.user,
        "size": item.size,
        "mode": "hosted",
        "is_external": False,
        "is_public": bool(shares),
        "url_private": f"{base}/{item.name}",
        "url_private_download": f"{base}/download/{item.name}",
        "permalink": f"{workspace.url}/files/{item.user}/{item.id}/{item.name}",
        "channels": [c for c in item.shares if workspace.channels[c].kind == "channel"],
        "groups": [c for c in item.shares if workspace.channels[c].kind == "group"],
        "ims": [c for c in item.shares if workspace.channels[c].kind == "im"],
        "shares": shares,
    }


def message_event(workspace: Workspace, item: Message, **extra: Any) -> Json:
    """The `message` event of a new message."""
    channel = workspace.channels[item.channel]
    event = message(workspace, item) | {
        "channel": item.channel,
        "event_ts": item.ts,
        "channel_type": channel.kind,
    }
    for count in ("reply_count", "reply_users_count", "reply_users", "latest_reply", "reactions"):
        event.pop(count, None)
    return event | foreign(workspace, item.user) | extra


def app_mention(workspace: Workspace, item: Message, event_ts: str) -> Json:
    """The `app_mention` event: a message that names the agent, without the fields only `message` has."""
    event = message_event(workspace, item) | {"type": "app_mention", "event_ts": event_ts}
    event.pop("channel_type", None)
    event.pop("subtype", None)
    return event


def foreign(workspace: Workspace, user: str) -> Json:
    """What a message of somebody from another workspace carries besides."""
    person = workspace.users.get(user)
    if person is None or person.team_id == workspace.team.id:
        return {}
    return {"user_team": person.team_id, "source_team": person.team_id, "team": person.team_id}


def event_callback(
    workspace: Workspace, event: Json, event_id: str, channel: Channel | None, now: float
) -> Json:
    """The outer envelope of the Events API."""
    return {
        "token": "playground-verification-token",
        "team_id": workspace.team.id,
        "context_team_id": workspace.team.id,
        "context_enterprise_id": None,
        "api_app_id": workspace.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(now),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": workspace.team.id,
                "user_id": workspace.agent.id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": bool(channel and channel.is_shared),
        "event_context": f"4-{event_id}",
    }


def rich_text_of(text: str) -> list[Json]:
    """The `rich_text` block that Slack's own composer makes of what a person typed."""
    parts: list[Json] = []
    last = 0
    for found in MENTION.finditer(text):
        if found.start() > last:
            parts.append({"type": "text", "text": text[last : found.start()]})
        parts.append({"type": "user", "user_id": found[1]})
        last = found.end()
    if last < len(text):
        parts.append({"type": "text", "text": text[last:]})
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}]


def mentions(text: str, user: str) -> bool:
    return any(found[1] == user for found in MENTION.finditer(text))


def person(user: User) -> Json:
    """The `user` of an interaction payload."""
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id}
