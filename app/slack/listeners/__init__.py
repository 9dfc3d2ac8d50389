"""What the agent listens to, one file per kind of event. Each listener stores first; the ack follows."""

from __future__ import annotations

from slack_bolt.async_app import AsyncApp

from app.slack.listeners import choices, feedback, incident, messages, others, stop
from app.slack.listeners.desk import Desk


def register(app: AsyncApp, desk: Desk) -> None:
    messages.register(app, desk)
    stop.register(app, desk)
    feedback.register(app, desk)
    choices.register(app, desk)
    if desk.incidents is not None:
        incident.register(app, desk, desk.incidents)
    others.register(app)  # last: it takes what no listener above wanted
