"""The webhooks with the real intake and a real database behind them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.investigations.intake import Intake
from app.investigations.services import Known
from app.storage.engine import create_engine
from tests.web.webhooks.stage import sample
from tests.web.webhooks.test_fuzz import SOURCES, mutated, values
from tests.web.webhooks.test_route import app_of, send

OVER: dict[str, dict[str, Any]] = {
    "pagerduty": {"event__event_type": "incident.resolved", "event__data__status": "resolved"},
    "alertmanager": {"status": "resolved"},
    "grafana": {"status": "resolved"},
    "datadog": {"alert_transition": "Recovered"},
    "newrelic": {"state": "CLOSED"},
    "gcp": {"incident__state": "closed", "incident__ended_at": 1795144442},
}


class NoCatalog:
    def resolve(self, name: str) -> Known | None:
        return None


async def delivered(database_url: str, name: str, *bodies: bytes) -> tuple[list[tuple[int, Any]], list[Any]]:
    """What each delivery is answered, and the rows of what could not be read."""
    engine = create_engine(database_url, pool_size=2)
    try:
        app = app_of(Intake(engine, NoCatalog()))
        answers = [await send(app, name, body) for body in bodies]
        async with engine.connect() as connection:
            kept = await connection.execute(text("SELECT source, reason, payload FROM rejected_webhooks"))
            return [(each.status_code, each.json()) for each in answers], [tuple(row) for row in kept]
    finally:
        await engine.dispose()


@pytest.mark.parametrize("name", SOURCES)
async def test_an_incident_is_opened_joined_and_closed(database_url: str, name: str) -> None:
    fires, ends = (json.dumps(each).encode() for each in (sample(name), sample(name, **OVER[name])))
    answers, kept = await delivered(database_url, name, fires, fires, ends, ends, fires)
    assert [(status, answer["status"]) for status, answer in answers] == [
        (202, "queued"),
        (202, "joined"),
        (202, "joined"),
        (202, "joined"),
        (202, "joined"),
    ]
    assert len({answer["investigation_id"] for _, answer in answers}) == 1
    assert kept == []


async def test_what_cannot_be_read_is_kept_as_a_database_takes_it(database_url: str) -> None:
    odd = rb'{"a": 1e999, "b": "\u0000\ud800", "deep": ' + b"[" * 500 + b"]" * 500 + b"}"
    [(status, answer)], [(source, reason, payload)] = await delivered(database_url, "gcp", odd)
    assert (status, answer["reason"], source) == (422, "incident is missing.", "gcp")
    assert reason == answer["reason"]
    assert payload["a"] is None


@pytest.mark.parametrize("name", SOURCES)
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_whatever_is_authentic_is_stored_or_kept(database_url: str, name: str, data: st.DataObject) -> None:
    payloads = data.draw(st.lists(mutated(name) | values, min_size=10, max_size=10))
    bodies = [json.dumps(each).encode() for each in payloads]
    answers, kept = asyncio.run(delivered(database_url, name, *bodies))
    assert {status for status, _ in answers} <= {202, 422}
    assert len(kept) >= sum(
        answer.get("reason") != "The body is not JSON." for s, answer in answers if s == 422
    )


@pytest.mark.parametrize("name", ["alertmanager", "pagerduty"])
async def test_keys_and_names_of_any_length_and_script_fit_the_indexes(database_url: str, name: str) -> None:
    # Random letters of four bytes each: what compression could save is little.
    long = "".join(chr(0x20000 + (n * 7919) % 0xA000) for n in range(3000))
    changes = (
        {"groupKey": long, "commonLabels": {"service": long}}
        if name == "alertmanager"
        else {"event__data__id": long, "event__data__service": {"summary": long}}
    )
    body = json.dumps(sample(name, **changes)).encode()
    answers, _ = await delivered(database_url, name, body, body)
    assert [answer["status"] for _, answer in answers] == ["queued", "joined"]
