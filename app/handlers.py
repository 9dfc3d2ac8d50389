"""The handlers of the queue's jobs: whoever takes one answers, looks or diagnoses, and shows it in Slack.

What they are made of is most of what there is to import, so no start waits for it (`app.later`).
"""

from __future__ import annotations

from app.conversations.accept import RUN_TURN
from app.conversations.turn import TurnRunner
from app.investigations.queueing import DIAGNOSE, LOOK, UPDATE_INCIDENT
from app.jobs import Handler, Handlers
from app.parts import Parts
from app.shared import Shared
from app.slack.channels import Channels
from app.slack.client import Pace, SlackClient
from app.slack.incident_surface import SlackIncidentSurface
from app.slack.incoming import Me
from app.slack.people import Admission
from app.slack.surface import SlackSurface


def handlers(
    shared: Shared, client: SlackClient, me: Me, channels: Channels, admission: Admission
) -> Handlers:
    """Those of investigations only where there is a channel to show them in."""
    slack, pace, parts = shared.settings.slack, Pace(), Parts(**vars(shared))
    means = parts.means()
    runner = TurnRunner(
        parts.engine,
        SlackSurface(client, me, pace, channels, admission, slack.sre_team_id),
        parts.keeper,
        parts.analyst(means),
        parts.drafts(),
        parts.guide(means),
        parts.courier(),
    )
    made: dict[str, Handler] = {RUN_TURN: runner.run}
    if slack.incident_channel:
        surface = SlackIncidentSurface(client, me, pace, hosts=parts.hosts, sre_team_id=slack.sre_team_id)
        stages = parts.stages(surface, slack.incident_channel, means)
        made |= {
            LOOK: stages.looker.run,
            UPDATE_INCIDENT: stages.updater.run,
            DIAGNOSE: stages.diagnoser.run,
        }
    return made
