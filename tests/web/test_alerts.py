"""`/alerts` on OPS_PORT: what waits and was lately, in a storm too, and nothing that is secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.alert import Severity
from app.operations.models import LONGEST
from app.storage.engine import begin, create_engine
from app.web.alerts import AlertReader
from app.web.ops import ops_app
from tests.investigations.conftest import alert, intake_on
from tests.investigations.test_repository import begun, with_thread
from tests.slack.test_incident_blocks import BRIEF


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def ops(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with client(engine) as asking:
        yield asking


def client(engine: AsyncEngine) -> httpx.AsyncClient:
    reader = AlertReader(engine, lambda channel, ts: f"https://acme.slack.com/archives/{channel}/p{ts}")
    app = ops_app({}, draining=lambda: False, alerts=reader)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ops")


async def asked(ops: httpx.AsyncClient, path: str) -> Any:
    answer = await ops.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_nothing_is_an_empty_list(ops: httpx.AsyncClient) -> None:
    assert await asked(ops, "/alerts") == {"waiting_in_all": 0, "waiting": [], "recent": []}


async def test_what_waits_is_in_the_order_of_the_queue_and_what_was_is_the_newest_first(
    engine: AsyncEngine, ops: httpx.AsyncClient
) -> None:
    intake = intake_on(engine)
    severities: tuple[Severity, ...] = ("P4", "P1", "P2", "P2")
    ids = [
        str((await intake.accept(alert(f"Q{n}", severity=each))).investigation_id)
        for n, each in enumerate(severities)
    ]
    done = await begun(engine, intake, "Q9")
    async with begin(engine) as connection:
        await repository.finish(connection, done, "done")

    told = await asked(ops, "/alerts?limit=3")
    assert told["waiting_in_all"] == 4
    assert [each["id"] for each in told["waiting"]] == [ids[1], ids[2], ids[3]]
    assert [each["id"] for each in told["recent"]] == [str(done.id), ids[3], ids[2]]
    assert told["recent"][0]["status"] == "done"
    assert told["recent"][0]["finished_at"]


async def test_a_storm_is_one_line_and_each_of_it_can_be_asked_for(
    engine: AsyncEngine, ops: httpx.AsyncClient
) -> None:
    intake = intake_on(engine, incidents=2)
    leader = await intake.accept(alert("Q0"))
    await intake.accept(alert("Q1", service="mail"))
    member = await intake.accept(alert("Q2", service="payments", severity="P1"))
    await intake.accept(alert("Q0", status="resolved"))

    recent = (await asked(ops, "/alerts"))["recent"]
    assert [(each["service_name"], each["incidents"]) for each in recent] == [("mail", 1), ("checkout", 2)]
    whole = await asked(ops, f"/alerts/{leader.investigation_id}")
    assert (whole["incidents_in_all"], whole["over"], whole["resolved_at"]) == (2, 1, None)
    assert [(each["incident_key"], each["because"]) for each in whole["incidents"]] == [
        ("Q0", ""),
        ("Q2", "checkout depends on payments"),
    ]
    one = await asked(ops, f"/alerts/{member.investigation_id}")
    assert (one["thread_of"], one["status"]) == (str(leader.investigation_id), "joined")
    assert one["grouped_because"] == "checkout depends on payments"


async def test_an_investigation_tells_its_thread_and_what_its_newest_brief_says(
    engine: AsyncEngine, ops: httpx.AsyncClient
) -> None:
    taken = await with_thread(engine, await begun(engine, intake_on(engine)))
    assert (await asked(ops, f"/alerts/{taken.id}"))["brief"] is None
    async with begin(engine) as connection:
        evidence = BRIEF.model_copy(update={"headline": "from the evidence", "model": None})
        await repository.save(connection, taken, evidence_brief=evidence.model_dump(mode="json"))
    told = await asked(ops, f"/alerts/{taken.id}")
    assert told["thread"] == "https://acme.slack.com/archives/C1/p100.1"
    assert (told["brief"]["headline"], told["brief"]["model"]) == ("from the evidence", None)
    async with begin(engine) as connection:
        await repository.save(connection, taken, brief=BRIEF.model_dump(mode="json"))
    assert (await asked(ops, f"/alerts/{taken.id}"))["brief"] == {
        "headline": BRIEF.headline,
        "likely_cause": BRIEF.likely_cause.text,
        "confidence_level": "high",
        "confidence": 0.82,
        "model": "claude-haiku-5-5",
    }


async def test_what_a_brief_should_not_say_is_masked_and_all_of_it_is_bounded(
    engine: AsyncEngine, ops: httpx.AsyncClient
) -> None:
    intake = intake_on(engine)
    key = "{}:{password=hunter2-very-long}"
    accepted = await intake.accept(alert(key, title="x" * 1000, service="s" * 5000))
    assert accepted.investigation_id
    async with begin(engine) as connection:
        taken = await repository.begin_look(connection, accepted.investigation_id)
        assert taken
        leaky = BRIEF.model_copy(update={"headline": "api_key=abcdefgh12345678 " + "long " * 3000})
        await repository.save(connection, taken, evidence_brief=leaky.model_dump(mode="json"))
    for path in ("/alerts", f"/alerts/{taken.id}"):
        answer = await ops.get(path)
        assert answer.status_code == 200
        assert "hunter2" not in answer.text
        assert "abcdefgh12345678" not in answer.text
        assert len(answer.text) < 10 * LONGEST


REFUSED = {
    "/alerts/nonsense": (422, "bad_request", "investigation_id: "),
    "/alerts/1": (422, "bad_request", "investigation_id: "),
    "/alerts?limit=0": (422, "bad_request", "limit: "),
    "/alerts?limit=201": (422, "bad_request", "limit: "),
    "/alerts?limit=many": (422, "bad_request", "limit: "),
    f"/alerts/{UUID(int=7)}": (404, "no_such_investigation", f"There is no investigation {UUID(int=7)}"),
}


@pytest.mark.parametrize("path", REFUSED)
async def test_a_refusal_says_in_a_sentence_what_is_wrong(ops: httpx.AsyncClient, path: str) -> None:
    status, code, words = REFUSED[path]
    answer = await ops.get(path)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert words in answer.json()["reason"]
    assert answer.json().keys() == {"error", "reason"}


async def test_a_database_that_is_away_is_said_with_when_to_ask_again() -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    async with client(away) as ops:
        for path in ("/alerts", f"/alerts/{uuid4()}"):
            answer = await ops.get(path)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert answer.json()["error"] == "database_unavailable"
    await away.dispose()
