"""Acme, the example workspace."""

from __future__ import annotations

from typing import Any

from app.playground.slack.records import Channel, Team, User, UserGroup
from app.playground.slack.workspace import Workspace

ACME = Team("T0ACME", "Acme", "acme")
OTHER = Team("T0OTHER", "Other Industries", "other")
AGENT = User(
    "U0AGENT", "sre-agent", "SRE Agent", ACME.id, title="Asks the dashboards so you need not", is_bot=True
)
MAYA = User(
    "U0MAYA", "maya", "Maya Lindqvist", ACME.id, title="Developer, checkout", email="maya@acme.example"
)
OMAR = User("U0OMAR", "omar", "Omar Haddad", ACME.id, title="SRE", email="omar@acme.example")
GUEST = User("U0GUEST", "gina", "Gina (guest)", ACME.id, title="Contractor", is_guest=True)
STRANGER = User("U0STRANGER", "sten", "Sten Other", OTHER.id, title="Vendor support")
PEOPLE = (MAYA, OMAR, GUEST, STRANGER)

CHANNELS = (
    ("C0CHECKOUT", "checkout-team", "Everything about checkout"),
    ("C0PAYMENTS", "payments-team", "Cards, wallets, ledgers"),
    ("C0INCIDENTS", "incidents", "What is on fire"),
    ("C0GENERAL", "general", "Company-wide"),
)
WITHOUT_AGENT = "C0GENERAL"


def acme(**options: Any) -> Workspace:
    """Team T0ACME with four people, the agent, one user group, four channels and a direct message each."""
    workspace = Workspace(team=ACME, agent=AGENT, other_teams=(OTHER,), **options)
    workspace.users |= {person.id: person for person in PEOPLE}
    workspace.groups["S0SRETEAM"] = UserGroup("S0SRETEAM", "sre-team", "SRE team", (OMAR.id,))
    created = int(workspace.clock())
    for channel_id, name, topic in CHANNELS:
        members = {MAYA.id, OMAR.id, GUEST.id}
        if channel_id != WITHOUT_AGENT:
            members.add(AGENT.id)
        workspace.channels[channel_id] = Channel(
            channel_id, name, members=members, topic=topic, created=created
        )
    for person in (MAYA, OMAR, GUEST):
        workspace.direct_message(person.id)
    return workspace
