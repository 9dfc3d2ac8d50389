"""What is said in a channel of its own accord, and is no answer."""

from __future__ import annotations

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.slack.client import ask
from app.slack.text import mrkdwn

log = structlog.get_logger(__name__)


def as_code(text: str) -> str:
    """Text that cannot end the code it is shown as."""
    return text.replace("`", "'")


async def tell_refusal(client: AsyncWebClient, channel: str, revision: str, faults: str) -> None:
    """Tell the SREs' channel that a revision of the knowledge repo is not in force, and why."""
    named = mrkdwn(revision)
    said = f":warning: Knowledge revision `{named}` was refused; another one serves until it is mended."
    await _warn(client, channel, f"{said}\n```{mrkdwn(as_code(faults[:2500]))}```")


async def tell_stand_in(client: AsyncWebClient, channel: str, notice: str) -> None:
    """Tell the SREs' channel that what serves is not what it should be: an old copy, what comes with the
    program."""
    await _warn(client, channel, f":warning: {mrkdwn(notice)}")


async def _warn(client: AsyncWebClient, channel: str, text: str) -> None:
    try:
        await client.chat_postMessage(channel=channel, text=text, unfurl_links=False, unfurl_media=False)
    except Exception as error:  # it is logged and audited already
        log.warning("warning_not_posted", channel=channel, reason=str(error))


async def tell_channel(client: AsyncWebClient, channel: str, said: str) -> None:
    """Say something of our own making in a channel. Raises what `ask` raises."""
    post = client.chat_postMessage(channel=channel, text=mrkdwn(said), unfurl_links=False, unfurl_media=False)
    await ask("chat.postMessage", post)
