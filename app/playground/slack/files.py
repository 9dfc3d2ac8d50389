"""Files: the three steps of an upload, and where a file ends up.

As in Slack, completing an upload answers before the file appears in its channel, and names no message.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Sequence

from app.playground.slack.faults import Faults
from app.playground.slack.records import Channel, Message, StoredFile
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.workspace import Workspace


class FileStore:
    """Files and the upload tickets that lead to them."""

    def __init__(
        self, workspace: Workspace, faults: Faults, later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._workspace = workspace
        self._faults = faults
        self._later = later
        self._tickets: dict[str, StoredFile] = {}

    def ticket(self, name: str, length: int) -> tuple[StoredFile, str]:
        """A file that is to come, and the address its bytes are posted to."""
        workspace = self._workspace
        item = self._new(name, workspace.agent.id, length)
        ticket = workspace.ids("up")
        self._tickets[ticket] = item
        workspace.files[item.id] = item
        return item, f"{workspace.url}/upload/v1/{ticket}"

    def receive(self, ticket: str, content: bytes) -> StoredFile:
        """Take the bytes of a file.

        Raises:
            SlackRefusal: `file_not_found` for an unknown ticket, `invalid_arguments` when the length is not
                the one announced.
        """
        item = self._tickets.pop(ticket, None)
        if item is None:
            raise SlackRefusal("file_not_found")
        if len(content) != item.size:
            raise SlackRefusal("invalid_arguments", f"[ERROR] expected {item.size} bytes, got {len(content)}")
        item.content = content
        return item

    def by_person(self, user: str, name: str, content: bytes) -> StoredFile:
        """A file a person drops into the composer."""
        item = self._new(name, user, len(content))
        item.content = content
        self._workspace.files[item.id] = item
        return item

    def find(self, file_id: str) -> StoredFile:
        item = self._workspace.files.get(file_id)
        if item is None or item.content is None:
            raise SlackRefusal("file_not_found")
        return item

    def share(
        self, files: Sequence[StoredFile], channels: Sequence[Channel], thread_ts: str | None, text: str
    ) -> None:
        """Put uploaded files into channels, a moment later."""
        if self._faults.files_never_shared > 0:
            self._faults.files_never_shared -= 1
            return
        for channel in channels:
            message = self._workspace.agent_message(
                channel, thread_ts, text=text, files=[item.id for item in files], subtype="file_share"
            )
            self._later(lambda message=message: self.arrive(message))  # type: ignore[misc]

    def arrive(self, message: Message) -> None:
        """Show a message with files in its channel."""
        # The timestamp is that of the arrival: other messages may have come since the upload was completed.
        message.ts = self._workspace.next_ts()
        place = {"ts": message.ts, "channel_name": self._workspace.channels[message.channel].name}
        if message.is_reply:
            place["thread_ts"] = message.root_ts
        for file_id in message.files:
            self._workspace.files[file_id].shares.setdefault(message.channel, []).append(dict(place))
        self._workspace.add(message)

    def _new(self, name: str, user: str, length: int) -> StoredFile:
        workspace = self._workspace
        kind = mimetypes.guess_type(name)[0] or (
            "text/plain" if "." not in name else "application/octet-stream"
        )
        if name.endswith((".md", ".yaml", ".yml", ".log", ".txt")):
            kind = "text/plain"
        return StoredFile(workspace.ids("F"), name, user, length, int(workspace.clock()), mimetype=kind)
