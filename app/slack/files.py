"""Files in a thread, each once: uploaded, seen to appear, and found again when a predecessor uploaded it."""

from __future__ import annotations

import hashlib
from typing import Protocol

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.slack.client import Clock, SlackRefused, SlackUnavailable, Sleep, ask
from app.slack.shown import Attachment
from app.slack.thread import replies

log = structlog.get_logger(__name__)

LOOKS = (0.2, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between looks whether an uploaded file has appeared."""
UPLOADS = 2
LONGEST_ALT = 1000
LONGEST_TITLE = 200


class Kept(Protocol):
    """Where it is stored which files there are: the intent first, then the file's id."""

    def attachments(self) -> tuple[Attachment, ...]: ...

    async def attachment(self, attachment: Attachment) -> None: ...


class ThreadFiles:
    """The agent's files in one thread; `since` is the ts behind which they are looked for."""

    def __init__(
        self,
        client: AsyncWebClient,
        channel: str,
        thread_ts: str,
        *,
        since: str,
        kept: Kept,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._client, self._channel, self._thread_ts, self._since = client, channel, thread_ts, since
        self._kept, self._clock, self._sleep = kept, clock, sleep

    async def attach(self, file_name: str, title: str, content: bytes, *, alt: str | None = None) -> None:
        """Add a file to the thread, once.

        Raises:
            SlackUnavailable: when Slack never showed it; calling again goes on.
            SlackRefused: when it may not be uploaded.
        """
        content = content or b"\n"  # Slack refuses empty files
        file = await self._known(file_name, content)
        for _ in range(UPLOADS):
            if file.file_id is None:
                file = await self._upload(file, file_name, title, content, alt)
            if file.file_id and await self._appeared(file.file_id):
                return
            log.warning("file_never_appeared", channel_id=self._channel, file_name=file_name)
            file = file.model_copy(update={"file_id": None})
            await self._kept.attachment(file)
        raise SlackUnavailable(f"Slack took the file {file_name} and did not show it.", certain=False)

    async def _known(self, file_name: str, content: bytes) -> Attachment:
        key = hashlib.sha256(file_name.encode() + b"\0" + content).hexdigest()[:16]
        known = next((each for each in self._kept.attachments() if each.key == key), None)
        if known is None:
            known = Attachment(key=key, started_at=self._clock())
            await self._kept.attachment(known)
        elif known.file_id is None:
            found = await self._look_for(file_name, len(content))
            known = known.model_copy(update={"file_id": found})
        return known

    async def _look_for(self, file_name: str, size: int) -> str | None:
        where = (self._client, self._channel, self._thread_ts)
        async for message in replies(*where, oldest=float(self._since)):
            for file in message.get("files") or [] if message.get("bot_id") else []:
                if file.get("name") == file_name and file.get("size") == size:
                    return str(file["id"])
        return None

    async def _upload(
        self, file: Attachment, file_name: str, title: str, content: bytes, alt: str | None
    ) -> Attachment:
        given = {"filename": file_name, "title": title[:LONGEST_TITLE], "content": content}
        given |= {"alt_txt": alt[:LONGEST_ALT]} if alt else {}
        answer = await ask(
            "files.upload",
            self._client.files_upload_v2(
                channel=self._channel, thread_ts=self._thread_ts, file_uploads=[given]
            ),
        )
        file = file.model_copy(update={"file_id": str(answer["files"][0]["id"])})
        await self._kept.attachment(file)
        return file

    async def _appeared(self, file_id: str) -> bool:
        """Completing an upload answers before the file is in its channel, and sometimes it never is."""
        for wait in LOOKS:
            try:
                answer = await ask("files.info", self._client.files_info(file=file_id))
            except SlackRefused as refused:
                if refused.error != "file_not_found":
                    raise
                return False
            shares = answer["file"].get("shares") or {}
            if any(self._channel in places for places in shares.values()):
                return True
            await self._sleep(wait)
        return False
