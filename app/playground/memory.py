"""What was said in a playground, kept between runs: the agent remembers it, and so must the page."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from app.playground.slack.records import Channel, Message, Session, StoredFile
from app.playground.slack.workspace import Change, Workspace

log = structlog.get_logger(__name__)

SAID = frozenset({"message", "removed", "ephemeral", "session"})


class _Remembered(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    channels: dict[str, Channel]
    files: dict[str, StoredFile]
    sessions: list[Session]
    ephemeral: list[Message]


class Memory:
    """The file of one workspace; `recall` first, then `keep` for as long as it is used."""

    def __init__(self, workspace: Workspace, file: Path) -> None:
        self._workspace = workspace
        self._file = file
        self._changed = asyncio.Event()
        workspace.on_change.append(self._notice)

    def recall(self) -> None:
        """Put everything back where it was; a file that cannot be read is as good as none."""
        try:
            kept = _Remembered.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            log.warning("playground_forgot", file=str(self._file), reason=type(error).__name__)
            return
        workspace = self._workspace
        for channel in kept.channels.values():
            for message in channel.messages.values():
                message.streaming = False  # nobody goes on writing into a stream of the last run
        workspace.channels |= kept.channels
        workspace.files |= kept.files
        workspace.sessions |= {(each.channel, each.thread_ts): each for each in kept.sessions}
        workspace.ephemeral += kept.ephemeral

    async def keep(self, every: float = 2.0) -> None:
        """Write what is new, at most every so many seconds, until cancelled; then once more."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(every)
                self.write()
        finally:
            self.write()

    def write(self) -> None:
        self._changed.clear()
        workspace = self._workspace
        kept = _Remembered.model_construct(
            channels=workspace.channels,
            files=workspace.files,
            sessions=list(workspace.sessions.values()),
            ephemeral=workspace.ephemeral,
        )
        draft = self._file.with_suffix(".new")
        with suppress(OSError):
            draft.write_text(kept.model_dump_json(), encoding="utf-8")
            draft.replace(self._file)

    def _notice(self, change: Change) -> None:
        if change.kind in SAID:
            self._changed.set()
