"""Slack as the surface of turns: one reply and one place per turn."""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.models import Turn
from app.conversations.reply import Ledger
from app.slack.channels import Channels
from app.slack.client import Pace
from app.slack.incoming import Me
from app.slack.people import Admission
from app.slack.reply import Question, SlackPlace, SlackReply


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
