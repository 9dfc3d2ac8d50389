"""Slack as the surface of turns: one reply and one place per turn."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.models import Turn
from app.conversations.reply import Ledger
from app.slack.channels import Channels
from app.slack.client import Pace, ask
from app.slack.incoming import Me
from app.slack.people import Admission
from app.slack.reply import Question, SlackPlace, SlackReply
from app.slack.text import mrkdwn

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SlackSurface:
    """`Surface` in the workspace of `me`; the posts of all turns of this process share one pace."""

    client: AsyncWebClient
    me: Me
    pace: Pace
    channels: Channels
    admission: Admission
    sre_team_id: str | None = None

    def reply(self, turn: Turn, ledger: Ledger) -> SlackReply:
        return SlackReply(
            self.client, question(turn), str(turn.id), ledger, pace=self.pace, sre_team_id=self.sre_team_id
        )

    def place(self, turn: Turn) -> SlackPlace:
        return SlackPlace(self.client, question(turn), self.me, self.channels, self.admission)


def question(turn: Turn) -> Question:
    return Question(
        channel_id=turn.session.channel_id,
        thread_ts=turn.session.thread_ts,
        message_ts=turn.message_ts,
        user_id=turn.user_id,
        team_id=turn.envelope.speaker_team_id or turn.session.team_id,
    )


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
