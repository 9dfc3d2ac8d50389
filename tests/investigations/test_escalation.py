"""Calling people through PagerDuty, against a server shaped after its documentation: once, and only that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.escalation.escalation import Escalation, next_level
from app.escalation.models import EscalationFailed, EscalationNotConfigured, Incident, Intent
from app.investigations.intake import Intake
from app.investigations.intents import StoredIntents
from app.settings import EscalationSettings
from app.tools.masking import mask
from tests.fakes.pagerduty_escalation import ROUTING_KEY, TOKEN, PagerDutyWire
from tests.investigations.conftest import alert

OWN = Incident(
    "pagerduty", "PT4KHLK", "High error rate", "P1", "checkout", "https://acme.slack.com/archives/C1/p1"
)
OTHER = Incident(
    "alertmanager", '{}:{alertname="X"}', "High error rate", "P2", "checkout", "https://acme.slack.com/p2"
)


class Kept:
    """Intents as a database keeps them: as JSON, and each of them once."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str | None]] = {}
        self._lock = asyncio.Lock()

    def alone(self) -> asyncio.Lock:
        return self._lock

    async def find(self, key: str) -> Intent | None:
        row = self.rows.get(key)
        return Intent(json.loads(row[0] or ""), json.loads(row[1]) if row[1] else None) if row else None

    async def begin(self, key: str, plan: Mapping[str, Any]) -> Intent:
        self.rows.setdefault(key, [json.dumps(plan), None])
        stored = await self.find(key)
        assert stored is not None
        return stored

    async def finish(self, key: str, outcome: Mapping[str, Any]) -> None:
        self.rows[key][1] = json.dumps(outcome)


@pytest.fixture
async def wire() -> AsyncIterator[PagerDutyWire]:
    async with PagerDutyWire() as server:
        yield server


@pytest.fixture
def intents() -> Kept:
    return Kept()


def escalation(
    wire: PagerDutyWire, intents: Kept, *, from_address: str | None = "sre@acme.example", **settings: str
) -> Escalation:
    values = {
        "PAGERDUTY_API_TOKEN": TOKEN,
        "PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
        "PAGERDUTY_API_URL": wire.url,
        "PAGERDUTY_EVENTS_URL": wire.url,
        **settings,
    }

    async def at_once(_seconds: float) -> None:
        return None

    return Escalation(
        EscalationSettings(_env_file=None, **{name: value for name, value in values.items() if value}),
        intents,
        mask=mask,
        from_address=from_address,
        sleep=at_once,
    )


async def test_pagerduty_s_own_incident_gets_a_note_and_its_next_level(
    wire: PagerDutyWire, intents: Kept
) -> None:
    done = await escalation(wire, intents).escalate(
        OWN, why="low_confidence", explanation="30 %.", dedup="i-1"
    )

    assert (done.status, done.link) == ("paged", "https://acme.pagerduty.com/incidents/PT4KHLK")
    assert done.said == "escalated the incident to level 2 in PagerDuty, with a note"
    assert wire.world.paged == [("PPOLICY", 2)]
    assert wire.world.notes == [
        "SRE Agent: The automatic diagnosis is not sure of the cause. 30 %.\n"
        "Investigation: https://acme.slack.com/archives/C1/p1\n"
        "Reference: sre-agent/i-1/low_confidence"
    ]
    assert wire.world.status == "triggered"
    assert wire.world.events == []


async def test_the_same_reason_is_sent_once_and_another_one_again(wire: PagerDutyWire, intents: Kept) -> None:
    for _ in range(2):
        done = await escalation(wire, intents).escalate(OWN, why="timeout", dedup="i-1")
    again = await escalation(wire, intents).escalate(OWN, why="failure", dedup="i-1")

    assert done.repeated
    assert not again.repeated
    assert wire.world.paged == [("PPOLICY", 2), ("PPOLICY", 3)]
    assert len(wire.world.notes) == 2


async def test_a_configured_policy_takes_the_incident_over(wire: PagerDutyWire, intents: Kept) -> None:
    done = await escalation(wire, intents, PAGERDUTY_ESCALATION_POLICY_ID="PSRE").escalate(
        OWN, why="asked", dedup="i-1"
    )

    assert wire.world.paged == [("PSRE", 1)]
    assert done.said == "handed the incident to the configured escalation policy in PagerDuty, with a note"


async def test_at_the_highest_level_a_note_is_all_there_is_and_it_says_so(
    wire: PagerDutyWire, intents: Kept
) -> None:
    wire.world.level = 3
    done = await escalation(wire, intents).escalate(OWN, why="asked", dedup="i-1")

    assert (done.status, wire.world.paged, len(wire.world.notes)) == ("noted", [], 1)
    assert "there is no higher level" in done.said


@pytest.mark.parametrize("kept", ["in a database", "in memory"])
async def test_two_who_ask_at_the_same_time_page_once(
    wire: PagerDutyWire, intents: Kept, engine: AsyncEngine, intake: Intake, kept: str
) -> None:
    id = (await intake.accept(alert())).investigation_id
    assert id
    stored = [StoredIntents(engine, id) if kept == "in a database" else intents for _ in range(3)]
    asked = (escalation(wire, each).escalate(OWN, why="asked", dedup="i-1") for each in stored)
    done = await asyncio.gather(*asked)

    assert sorted(each.repeated for each in done) == [False, True, True]
    assert wire.writes == ["PUT /incidents/PT4KHLK", "POST /incidents/PT4KHLK/notes"]


async def test_what_cannot_be_shown_is_told_to_whoever_pagerduty_has_paged(
    wire: PagerDutyWire, intents: Kept
) -> None:
    found = replace(OWN, found="The pool is exhausted.")
    done = await escalation(wire, intents).escalate(found, why="unseen", dedup="i-1")

    assert (done.status, done.said, wire.world.paged) == ("noted", "added a note in PagerDuty", [])
    assert "The pool is exhausted." in wire.world.notes[0]


async def test_what_is_resolved_before_it_is_moved_pages_nobody_and_says_so(
    wire: PagerDutyWire, intents: Kept
) -> None:
    await escalation(wire, intents).escalate(OWN, why="timeout", dedup="i-0")
    plan = {
        **json.loads(intents.rows["i-0/timeout"][0] or ""),
        "note": "x\nReference: sre-agent/i-1/failure",
        "level": 3,
    }
    await intents.begin("i-1/failure", plan)
    wire.world.status = "resolved"
    done = await escalation(wire, intents).escalate(OWN, why="failure", dedup="i-1")

    assert (done.status, wire.world.paged) == ("noted", [("PPOLICY", 2)])
    assert "resolved there" in done.said


async def test_a_resolved_incident_pages_nobody(wire: PagerDutyWire, intents: Kept) -> None:
    wire.world.status = "resolved"
    done = await escalation(wire, intents).escalate(OWN, why="asked", dedup="i-1")

    assert (done.status, wire.world.paged, wire.world.status) == ("noted", [], "resolved")


async def test_other_sources_become_an_event_with_a_stable_key(wire: PagerDutyWire, intents: Kept) -> None:
    told = escalation(wire, intents)
    await told.escalate(OTHER, why="budget", explanation="password=hunter2222", dedup="i-2")
    await told.escalate(OTHER, why="failure", dedup="i-2")

    first, second = wire.world.events
    assert first["event_action"] == "trigger"
    assert first["dedup_key"] == second["dedup_key"] == "sre-agent/i-2"
    assert first["payload"]["severity"] == "error"
    assert first["payload"]["source"] == "checkout"
    assert first["links"] == [{"href": "https://acme.slack.com/p2", "text": "Investigation"}]
    assert "hunter2222" not in json.dumps(wire.world.events)


@pytest.mark.parametrize(
    ("failure", "fails_on"),
    [
        (503, ""),
        (429, "GET /oncalls"),
        ("cut", "PUT"),
        ("cut after", "PUT"),
        ("cut after", "POST /incidents"),
        (500, "POST /incidents"),
    ],
)
async def test_trouble_on_the_way_pages_once_and_notes_once(
    wire: PagerDutyWire, intents: Kept, failure: int | str, fails_on: str
) -> None:
    wire.failures, wire.fails_on = [failure], fails_on
    done = await escalation(wire, intents).escalate(OWN, why="failure", dedup="i-1")

    assert done.status == "paged"
    assert wire.world.paged == [("PPOLICY", 2)]
    assert len(wire.world.notes) == 1
    assert wire.failures == []


@pytest.mark.parametrize("fails_on", ["GET", "GET /oncalls", "PUT", "POST", "GET /incidents/PT4KHLK/notes"])
@pytest.mark.parametrize("failure", ["cut", "cut after", 503])
async def test_a_process_that_gives_up_anywhere_is_carried_on_by_the_next(
    wire: PagerDutyWire, intents: Kept, fails_on: str, failure: int | str
) -> None:
    wire.failures, wire.fails_on = [failure] * 3, fails_on
    gave_up = False
    try:
        await escalation(wire, intents).escalate(OWN, why="failure", dedup="i-1")
    except EscalationFailed as failed:
        gave_up = failed.passing
    wire.failures = []
    done = await escalation(wire, intents).escalate(OWN, why="failure", dedup="i-1")

    # What was cut off after it happened is found done by the next try, so that one needs no second process.
    assert gave_up or (failure == "cut after" and fails_on in ("PUT", "POST"))
    assert done.said == "escalated the incident to level 2 in PagerDuty, with a note"
    assert wire.world.paged == [("PPOLICY", 2)]
    assert len(wire.world.notes) == 1


async def test_an_event_nobody_heard_of_is_sent_again_under_the_same_key(
    wire: PagerDutyWire, intents: Kept
) -> None:
    wire.failures = ["cut after"]
    await escalation(wire, intents).escalate(OTHER, why="failure", dedup="i-2")

    assert {each["dedup_key"] for each in wire.world.events} == {"sre-agent/i-2"}


@pytest.mark.parametrize(
    ("incident", "without", "variable"),
    [
        (OWN, "PAGERDUTY_API_TOKEN", "PAGERDUTY_API_TOKEN"),
        (OTHER, "PAGERDUTY_ROUTING_KEY", "PAGERDUTY_ROUTING_KEY"),
    ],
)
async def test_without_credentials_it_says_what_to_set(
    wire: PagerDutyWire, intents: Kept, incident: Incident, without: str, variable: str
) -> None:
    with pytest.raises(EscalationNotConfigured, match=variable):
        await escalation(wire, intents, **{without: ""}).escalate(incident, why="failure", dedup="i-1")

    assert wire.requests == []


@pytest.mark.parametrize(
    ("settings", "from_address", "world", "sentence"),
    [
        ({"PAGERDUTY_API_TOKEN": "wrong"}, "a@b.example", {}, "check PAGERDUTY_API_TOKEN"),
        ({}, None, {}, "PAGERDUTY_FROM"),
        ({}, "a@b.example", {"reads_only": True}, "not read-only"),
        ({}, "a@b.example", {"incident_id": "PELSE"}, "does not know this incident"),
    ],
)
async def test_what_pagerduty_refuses_is_said_so_that_it_can_be_repaired(
    wire: PagerDutyWire,
    intents: Kept,
    settings: dict[str, str],
    from_address: str | None,
    world: dict[str, Any],
    sentence: str,
) -> None:
    for name, value in world.items():
        setattr(wire.world, name, value)
    with pytest.raises(EscalationFailed, match=sentence) as failed:
        await escalation(wire, intents, from_address=from_address, **settings).escalate(
            OWN, why="asked", dedup="i-1"
        )

    assert not failed.value.passing
    assert wire.world.paged == []


async def test_a_refused_routing_key_is_named(wire: PagerDutyWire, intents: Kept) -> None:
    with pytest.raises(EscalationFailed, match=r"should be 32 characters.*PAGERDUTY_ROUTING_KEY"):
        await escalation(wire, intents, PAGERDUTY_ROUTING_KEY="short").escalate(OTHER, why="asked", dedup="i")


@pytest.mark.parametrize("key", ["../users", "a/b", "PT4KHLK?x=1", "a b", "x" * 80])
async def test_what_is_no_id_never_becomes_a_path(wire: PagerDutyWire, intents: Kept, key: str) -> None:
    with pytest.raises(EscalationFailed, match="no id of PagerDuty"):
        await escalation(wire, intents).escalate(Incident("pagerduty", key, "t"), why="asked", dedup="i")

    assert wire.requests == []


async def test_a_user_s_own_token_needs_no_from(wire: PagerDutyWire, intents: Kept) -> None:
    wire.world.needs_from = False
    done = await escalation(wire, intents, from_address=None).escalate(OWN, why="asked", dedup="i-1")

    assert done.status == "paged"


async def test_only_a_person_s_button_acknowledges(wire: PagerDutyWire, intents: Kept) -> None:
    told = escalation(wire, intents)
    await told.escalate(OWN, why="low_confidence", dedup="i-1")
    before = wire.world.status
    done = await told.acknowledge(OWN, by="Kim", dedup="i-1")
    await told.acknowledge(OTHER, by="Kim", dedup="i-2")

    assert (before, wire.world.status) == ("triggered", "acknowledged")
    assert done.status == "acknowledged"
    assert "Acknowledged in Slack by Kim." in wire.world.notes[-1]
    assert wire.world.events[-1]["event_action"] == "acknowledge"


async def test_nothing_but_notes_updates_and_events_is_ever_written(
    wire: PagerDutyWire, intents: Kept
) -> None:
    told = escalation(wire, intents)
    await told.escalate(OWN, why="failure", dedup="i-1")
    await told.escalate(OTHER, why="failure", dedup="i-2")

    assert wire.writes == ["PUT /incidents/PT4KHLK", "POST /incidents/PT4KHLK/notes", "POST /v2/enqueue"]


@pytest.mark.parametrize(
    ("levels", "assigned", "level"),
    [
        ([(1, "a"), (2, "b")], {"a"}, 2),
        ([(1, "a"), (2, "b")], {"b"}, None),
        ([(1, "a"), (3, "b")], {"a"}, 3),
        ([(1, "a"), (2, "a"), (3, "c")], {"a"}, 2),
        ([(1, "a"), (2, "b")], {"stranger"}, 1),
        ([], {"a"}, None),
    ],
)
def test_the_next_level_is_the_one_above_whoever_has_it(
    levels: list[tuple[int, str]], assigned: set[str], level: int | None
) -> None:
    assert next_level(levels, frozenset(assigned)) == level
