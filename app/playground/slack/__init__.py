"""A Slack-shaped server of our own: Web API, Socket Mode, signed HTTP events, and the page's backend.

It refuses what Slack documents as refused, because the demo and the tests stand on it.
"""

from app.playground.slack.faults import CallFault, Faults
from app.playground.slack.journal import ApiCall, Delivery
from app.playground.slack.records import Channel, Message, Team, User, UserGroup
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.server import NotSeen, PlaygroundSlack
from app.playground.slack.workspace import Workspace

__all__ = [
    "ApiCall",
    "CallFault",
    "Channel",
    "Delivery",
    "Faults",
    "Message",
    "NotSeen",
    "PlaygroundSlack",
    "SlackRefusal",
    "Team",
    "User",
    "UserGroup",
    "Workspace",
]
