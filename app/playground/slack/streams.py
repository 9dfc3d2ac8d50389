"""Streamed messages: what `chat.startStream`, `chat.appendStream` and `chat.stopStream` allow.

Rules from https://docs.slack.dev/reference/methods/chat.startStream and its siblings, and from what their
users report: a stream ends by itself after about five minutes, and about 12,000 characters fit into one
message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.playground.slack import blocks, shapes
from app.playground.slack.elements import Fault, demand, items, string
from app.playground.slack.records import Channel, Json, Message
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import MARKDOWN_CHARACTERS, Workspace

DISPLAY_MODES = ("timeline", "plan", "dense")
TASK_CHARACTERS = 256
"""Of a task's `details` and of its `output`."""


@dataclass
class Stream:
    """A message that is being written: its parts in the order they came."""

    message: Message
    started_at: float
    display: str
    mode: str | None = None
    """`markdown_text` or `chunks`, whichever came first."""
    parts: list[Json] = field(default_factory=list)
    tasks: dict[str, Json] = field(default_factory=dict)
    plan_title: str = ""
    stopped_by_user: bool = False

    def text(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "markdown")

    def blocks(self) -> list[Json]:
        """The message's blocks: text as markdown, tasks as one plan or as cards of their own."""
        shown: list[Json] = []
        planned = False
        for part in self.parts:
            if part["type"] == "task" and self.display == "plan":
                # Later tasks join the plan where the first one stands: text around them is one text.
                if not planned:
                    shown.append(self._plan())
                planned = True
            elif part["type"] == "task":
                shown.append({"type": "task_card", "block_id": part["id"]} | self.tasks[part["id"]])
            elif part["type"] == "blocks":
                shown += part["blocks"]
            elif shown and shown[-1]["type"] == "markdown":
                shown[-1] = shown[-1] | {"text": shown[-1]["text"] + part["text"]}
            else:
                shown.append({"type": "markdown", "block_id": f"text{len(shown)}", "text": part["text"]})
        return shown if planned or not self.plan_title or self.display != "plan" else [self._plan(), *shown]

    def _plan(self) -> Json:
        return {
            "type": "plan",
            "block_id": "plan",
            "title": self.plan_title or "Working on it",
            "tasks": [{"type": "task_card"} | task for task in self.tasks.values()],
        }


class Streams:
    """All streams of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._streams: dict[tuple[str, str], Stream] = {}

    def start(
        self,
        *,
        channel_id: str,
        thread_ts: str,
        recipient_team: str | None,
        recipient_user: str | None,
        markdown: str | None,
        chunks: Any,
        display: str,
    ) -> Message:
        """Open a stream as a reply in a thread.

        Raises:
            SlackRefusal: `missing_recipient_team_id` and `missing_recipient_user_id` outside direct messages,
                and whatever `append` refuses.
        """
        workspace = self._workspace
        channel = workspace.joined_channel(channel_id)
        if display not in DISPLAY_MODES:
            raise SlackRefusal("invalid_arguments", "[ERROR] unknown task_display_mode")
        if channel.kind != "im":
            self._check_recipient(recipient_team, recipient_user)
        message = workspace.agent_message(channel, thread_ts, text="", streaming=True)
        stream = Stream(message, workspace.clock(), display)
        self._write(stream, markdown, chunks)
        self._streams[channel.id, message.ts] = stream
        self._render(stream)
        return workspace.add(message)

    def append(self, channel_id: str, ts: str, markdown: str | None, chunks: Any) -> Message:
        """Add text or chunks.

        Raises:
            SlackRefusal: `message_not_in_streaming_state` after a stop or after five minutes,
                `stopped_by_user`, `no_text`, `msg_too_long`, `invalid_chunks`,
                `cannot_provide_both_markdown_text_and_chunks`, `streaming_mode_mismatch`.
        """
        stream = self._open(channel_id, ts)
        if stream.stopped_by_user:
            raise SlackRefusal("stopped_by_user")
        if not markdown and not chunks:
            raise SlackRefusal("no_text")
        self._write(stream, markdown, chunks)
        self._render(stream)
        self._workspace.changed("message", stream.message.channel, stream.message)
        return stream.message

    def stop(
        self, channel_id: str, ts: str, *, markdown: str | None, chunks: Any, raw_blocks: Any, metadata: Any
    ) -> Message:
        """Finish the message: a last text, blocks at its bottom, metadata.

        Raises:
            SlackRefusal: as `append` does, and what Block Kit and metadata refuse; `no_text` when the
                message would stay empty.
        """
        workspace = self._workspace
        stream = self._open(channel_id, ts)
        if stream.stopped_by_user and (markdown or chunks):
            raise SlackRefusal("stopped_by_user")
        made = (
            blocks.checked(raw_blocks, too_many="msg_blocks_too_many", ids=workspace.ids)
            if raw_blocks
            else []
        )
        checked_metadata = workspace.metadata(metadata)
        draft = Stream(stream.message, 0, stream.display, stream.mode, list(stream.parts), dict(stream.tasks))
        draft.plan_title = stream.plan_title
        self._write(draft, markdown, chunks)
        if not made and not draft.blocks():
            raise SlackRefusal("no_text")
        previous = shapes.message(workspace, stream.message)
        self._render(draft)
        message = stream.message
        message.blocks += made
        message.metadata = checked_metadata
        message.streaming = False
        del self._streams[message.channel, ts]
        workspace.rewritten(message, previous)
        return message

    def streaming(self, channel_id: str, thread_ts: str) -> list[Stream]:
        """The open streams of a thread."""
        self._expire()
        return [
            stream
            for (channel, _), stream in self._streams.items()
            if channel == channel_id and stream.message.root_ts == thread_ts and not stream.stopped_by_user
        ]

    def is_streaming(self, message: Message) -> bool:
        self._expire()
        stream = self._streams.get((message.channel, message.ts))
        return stream is not None and not stream.stopped_by_user

    def _check_recipient(self, team: str | None, user: str | None) -> None:
        if not team:
            raise SlackRefusal("missing_recipient_team_id")
        if not user:
            raise SlackRefusal("missing_recipient_user_id")
        if team not in self._workspace.teams:
            raise SlackRefusal("team_not_found")
        self._workspace.user(user)

    def _open(self, channel_id: str, ts: str) -> Stream:
        workspace = self._workspace
        channel: Channel = workspace.joined_channel(channel_id)
        workspace.own_message(channel, ts, "message_not_owned_by_app")
        self._expire()
        stream = self._streams.get((channel.id, ts))
        if stream is None:
            raise SlackRefusal("message_not_in_streaming_state")
        return stream

    def _expire(self) -> None:
        deadline = self._workspace.clock() - self._workspace.stream_seconds
        for key, stream in list(self._streams.items()):
            if stream.started_at <= deadline:
                stream.message.streaming = False
                del self._streams[key]
                self._workspace.changed("message", stream.message.channel, stream.message)

    def _render(self, stream: Stream) -> None:
        stream.message.text = stream.text()
        stream.message.blocks = stream.blocks()

    def _write(self, stream: Stream, markdown: str | None, chunks: Any) -> None:
        if markdown is not None and chunks is not None:
            raise SlackRefusal("cannot_provide_both_markdown_text_and_chunks")
        given = _chunks(self._workspace, markdown, chunks)
        mode = "markdown_text" if markdown else "chunks" if chunks else None
        if mode and stream.mode and mode != stream.mode:
            raise SlackRefusal("streaming_mode_mismatch")
        added = sum(len(chunk["text"]) for chunk in given if chunk["type"] == "markdown_text")
        if added + len(stream.text()) > MARKDOWN_CHARACTERS:
            raise SlackRefusal("msg_too_long")
        in_blocks = sum(len(chunk["blocks"]) for chunk in given if chunk["type"] == "blocks")
        if (
            in_blocks + sum(len(p["blocks"]) for p in stream.parts if p["type"] == "blocks")
            > blocks.MOST_BLOCKS
        ):
            raise SlackRefusal("msg_blocks_too_many")
        stream.mode = stream.mode or mode
        for chunk in given:
            _apply(stream, chunk)


def _apply(stream: Stream, chunk: Json) -> None:
    if chunk["type"] == "markdown_text":
        if stream.parts and stream.parts[-1]["type"] == "markdown":
            stream.parts[-1] = {"type": "markdown", "text": stream.parts[-1]["text"] + chunk["text"]}
        else:
            stream.parts.append({"type": "markdown", "text": chunk["text"]})
    elif chunk["type"] == "plan_update":
        stream.plan_title = chunk["title"]
    elif chunk["type"] == "blocks":
        stream.parts.append(chunk)
    else:
        if chunk["id"] not in stream.tasks:
            stream.parts.append({"type": "task", "id": chunk["id"]})
        stream.tasks[chunk["id"]] = stream.tasks.get(chunk["id"], {}) | _task(chunk)


def _task(chunk: Json) -> Json:
    task: Json = {"task_id": chunk["id"], "title": chunk["title"], "status": chunk["status"]}
    for part in ("details", "output"):
        if chunk.get(part):
            task[part] = shapes.rich_text_of(chunk[part])[0]
    return task | ({"sources": chunk["sources"]} if chunk.get("sources") else {})


def _chunks(workspace: Workspace, markdown: str | None, chunks: Any) -> list[Json]:
    """What a call adds, as checked chunks."""
    if markdown is not None:
        chunks = [{"type": "markdown_text", "text": markdown}] if markdown else []
    if chunks is None:
        return []
    if not isinstance(chunks, list):
        raise SlackRefusal("invalid_chunks")
    try:
        return [_checked_chunk(workspace, chunk, f"/chunks/{index}") for index, chunk in enumerate(chunks)]
    except Fault as fault:
        raise SlackRefusal("invalid_chunks", str(fault)) from None


def _checked_chunk(workspace: Workspace, chunk: Any, at: str) -> Json:
    demand(isinstance(chunk, dict), "must be an object", at)
    kind = chunk.get("type")
    if kind == "markdown_text":
        if not chunk.get("text"):
            raise SlackRefusal("no_text")
        if len(string(chunk["text"], 10**9, f"{at}/text")) > MARKDOWN_CHARACTERS:
            raise SlackRefusal("msg_too_long")
    elif kind == "plan_update":
        string(chunk.get("title"), TASK_CHARACTERS, f"{at}/title")
    elif kind == "blocks":
        made = blocks.checked(chunk.get("blocks"), too_many="msg_blocks_too_many", ids=workspace.ids)
        return {"type": "blocks", "blocks": made}
    elif kind == "task_update":
        _check_task(chunk, at)
    else:
        raise Fault(f"unsupported type: {kind}", at)
    return dict(chunk)


def _check_task(chunk: Json, at: str) -> None:
    string(chunk.get("id"), 255, f"{at}/id")
    string(chunk.get("title"), TASK_CHARACTERS, f"{at}/title")
    demand(chunk.get("status") in blocks.TASK_STATUSES, "unsupported status", f"{at}/status")
    for part in ("details", "output"):
        string(chunk.get(part) or "", TASK_CHARACTERS, f"{at}/{part}", least=0)
    for index, source in enumerate(items(chunk.get("sources") or [], 0, 50, f"{at}/sources")):
        blocks.url_source(source, f"{at}/sources/{index}")
