"""What people do in the playground: write, edit, click, stop. Tests and the page drive the agent with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.playground.slack import shapes
from app.playground.slack.desk import Desk
from app.playground.slack.records import Channel, Json, Message, User
from app.playground.slack.refusal import SlackRefusal


class Persons:
    """Acts for the people of a workspace; a refusal names what Slack's own client would not offer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def channel_for(self, user: User, channel_id: str) -> Channel:
        """The channel a person writes to; the agent's id stands for their direct message with it."""
        workspace = self._desk.workspace
        if channel_id == workspace.agent.id:
            return workspace.direct_message(user.id)
        channel = workspace.channels.get(channel_id)
        if channel is None or (channel.kind != "channel" and user.id not in channel.members):
            raise SlackRefusal("channel_not_found")
        return channel

    def say(
        self,
        user_id: str,
        channel_id: str,
        text: str,
        thread_ts: str | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        file_ids: Sequence[str] = (),
    ) -> Message:
        """Write a message; who was no member of a public channel joins it, strangers make it shared."""
        workspace = self._desk.workspace
        user = workspace.user(user_id)
        channel = self.channel_for(user, channel_id)
        channel.members.add(user.id)
        channel.is_shared = channel.is_shared or user.team_id != workspace.team.id
        stored = [self._desk.files.by_person(user_id, name, data).id for name, data in (files or {}).items()]
        stored += [self._desk.files.find(each).id for each in file_ids]
        if not text.strip() and not stored:
            raise SlackRefusal("no_text")
        message = Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=user.id,
            team=user.team_id,
            text=text,
            blocks=shapes.rich_text_of(text) if text else [],
            thread_ts=workspace.root_of(channel, thread_ts),
            files=stored,
            subtype="file_share" if stored else None,
        )
        if stored:
            self._desk.files.arrive(message)
            return message
        return workspace.add(message)

    def edit(self, user_id: str, channel_id: str, ts: str, text: str) -> Message:
        """Change one's own message."""
        workspace = self._desk.workspace
        channel = self.channel_for(workspace.user(user_id), channel_id)
        message = workspace.message(channel, ts)
        if message.user != user_id:
            raise SlackRefusal("cant_update_message")
        previous = shapes.message(workspace, message)
        message.text, message.blocks = text, shapes.rich_text_of(text)
        message.edited = {"user": user_id, "ts": workspace.next_ts()}
        workspace.rewritten(message, previous)
        return message

    def delete(self, user_id: str, channel_id: str, ts: str) -> None:
        """Remove one's own message."""
        workspace = self._desk.workspace
        channel = self.channel_for(workspace.user(user_id), channel_id)
        message = workspace.message(channel, ts)
        if message.user != user_id:
            raise SlackRefusal("cant_delete_message")
        workspace.remove(message)

    def react(self, user_id: str, channel_id: str, ts: str, name: str) -> Message:
        """Add an emoji, or take it back when it is there already."""
        workspace = self._desk.workspace
        message = workspace.message(self.channel_for(workspace.user(user_id), channel_id), ts)
        people = message.reactions.setdefault(name, [])
        if user_id in people:
            people.remove(user_id)
        else:
            people.append(user_id)
        if not people:
            del message.reactions[name]
        workspace.changed("message", message.channel, message)
        return message

    def seen(self, user_id: str, message_ts: str) -> Message:
        """A message by its timestamp, in whatever channel, ephemeral ones of this user included."""
        workspace = self._desk.workspace
        for message in workspace.ephemeral:
            if message.ts == message_ts and message.visible_to == user_id:
                return message
        for channel in workspace.channels.values():
            if message_ts in channel.messages:
                return channel.messages[message_ts]
        raise SlackRefusal("message_not_found")

    def click(self, user_id: str, message_ts: str, action_id: str, value: Any = None) -> Json:
        """Click an element of a message; returns the payload the app gets."""
        workspace = self._desk.workspace
        message = self.seen(user_id, message_ts)
        return self._desk.interactions.click(workspace.user(user_id), message, action_id, value)

    def stop(self, user_id: str, channel_id: str, thread_ts: str) -> None:
        """Press the Stop button of a thread; it is there while its session is processing.

        Raises:
            SlackRefusal: `not_processing` when there is no such button.
        """
        workspace = self._desk.workspace
        channel = self.channel_for(workspace.user(user_id), channel_id)
        session = workspace.sessions.get((channel.id, thread_ts))
        if session is None or session.status != "processing":
            raise SlackRefusal("not_processing")
        open_streams = self._desk.streams.streaming(channel.id, thread_ts)
        for stream in open_streams:
            stream.stopped_by_user = True
            stream.message.streaming = False
            workspace.changed("message", channel.id, stream.message)
        event = {
            "type": "agent_session_stopped",
            "channel": channel.id,
            "thread_ts": thread_ts,
            "user": user_id,
            "streaming_message_ts": [stream.message.ts for stream in open_streams],
            "event_ts": workspace.next_ts(),
        }
        workspace.emit(event, channel, needs="agent_session_stopped")

    def open_home(self, user_id: str, tab: str = "home") -> None:
        """Open the agent's home tab or its direct messages."""
        workspace = self._desk.workspace
        channel = workspace.direct_message(user_id)
        event = {
            "type": "app_home_opened",
            "user": user_id,
            "channel": channel.id,
            "tab": tab,
            "event_ts": workspace.next_ts(),
        }
        workspace.emit(event, channel, needs="app_home_opened")
