"""PagerDuty as it is read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.sources.failures import NotThere, QueryRejected, SourceFailed
from app.sources.pagerduty import PagerDutyReader
from tests.fakes.pagerduty import FakePagerDuty, incident, on_call

AT = "2026-11-20T11:00:00Z"
SECONDS = datetime(2026, 11, 20, 11, tzinfo=UTC).timestamp()


@pytest.fixture
async def server() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty() as running:
        yield running


@pytest.fixture
async def reader(server: FakePagerDuty) -> AsyncIterator[PagerDutyReader]:
    client = PagerDutyReader(server.endpoint, timeout_seconds=60)
    yield client
    await client.aclose()


async def test_on_calls_of_a_service_come_by_level_and_each_once(
    server: FakePagerDuty, reader: PagerDutyReader
) -> None:
    server.on_calls = [
        on_call("Jonas", 2),
        on_call("Maya", 1),
        on_call("Maya", 1),
        on_call("Boss", 3, until=None),
    ]
    found = await reader.on_calls(service="checkout")

    assert [(each.person, each.level) for each in found] == [("Maya", 1), ("Jonas", 2), ("Boss", 3)]
    assert found[0].schedule == "Schedule 1"
    assert found[2].until is None
    assert server.asked[-1].params["escalation_policy_ids[]"] == "PPOLICY"
    assert {asked.headers["authorization"] for asked in server.asked} == {"Token token=k3y"}
    assert {asked.method for asked in server.asked} == {"GET"}


async def test_addresses_come_only_when_they_are_asked_for(
    server: FakePagerDuty, reader: PagerDutyReader
) -> None:
    server.on_calls = [on_call("Maya", 1)]

    assert [each.email for each in await reader.on_calls()] == [None]
    assert [each.email for each in await reader.on_calls(emails=True)] == ["maya@acme.example"]


@pytest.mark.parametrize(
    ("name", "id"), [("checkout", "PSERV01"), ("Checkout-EU", None), ("checkout eu", "PSERV02")]
)
async def test_a_service_is_found_by_its_name(reader: PagerDutyReader, name: str, id: str | None) -> None:
    if id is None:
        with pytest.raises(QueryRejected, match="has no service"):
            await reader.service(name)
    else:
        assert (await reader.service(name)).id == id


async def test_several_services_that_might_be_meant_are_named(reader: PagerDutyReader) -> None:
    with pytest.raises(QueryRejected, match="several for 'check': Checkout, Checkout EU"):
        await reader.service("check")


async def test_notes_and_log_entries_come_oldest_first(
    server: FakePagerDuty, reader: PagerDutyReader
) -> None:
    server.notes["QPAST01"] = [
        {"content": "It was the pool", "created_at": AT, "user": {"summary": "Maya"}},
        {"content": "Looking", "created_at": "2026-11-20T10:00:00Z"},
    ]
    server.log = [{"summary": "Notified Maya", "created_at": AT, "agent": {"summary": "Shop"}}]

    assert [(each.text, each.author) for each in await reader.notes("QPAST01")] == [
        ("Looking", None),
        ("It was the pool", "Maya"),
    ]
    assert [each.text for each in await reader.log_entries("QPAST01")] == ["Notified Maya"]


async def test_past_and_related_incidents_are_told(server: FakePagerDuty, reader: PagerDutyReader) -> None:
    server.past = [{"incident": incident("QPAST01", AT, "Pool exhausted"), "score": 46.8}, {"incident": {}}]
    server.related = [{"incident": incident("QOPEN01", AT, "Cart is slow", "triggered", "cart")}]

    (past,) = await reader.past("QNOW001")
    (related,) = await reader.related("QNOW001")
    assert (past.title, past.at, past.score) == ("Pool exhausted", SECONDS, 46.8)
    assert (related.service, related.status) == ("cart", "triggered")


async def test_the_last_note_is_the_resolution(server: FakePagerDuty, reader: PagerDutyReader) -> None:
    server.past = [{"incident": incident("QPAST01", AT, "A")}, {"incident": incident("QPAST02", AT, "B")}]
    server.notes["QPAST01"] = [
        {"content": "It was the pool", "created_at": AT},
        {"content": "SRE Agent: handed over", "created_at": "2026-11-20T23:59:00Z"},
    ]

    assert await reader.resolutions(await reader.past("QNOW001")) == ("It was the pool", None)


@pytest.mark.parametrize("id", ["", "x/../y", "abc", "Q" * 41])
async def test_what_is_no_id_is_not_sent(server: FakePagerDuty, reader: PagerDutyReader, id: str) -> None:
    with pytest.raises(QueryRejected):
        await reader.notes(id)
    assert server.asked == []


async def test_unknown_and_sick_are_told_apart(server: FakePagerDuty, reader: PagerDutyReader) -> None:
    with pytest.raises(NotThere):
        await reader.incident("QNOBODY")
    server.routes["/oncalls"] = lambda asked: _answer([])
    with pytest.raises(SourceFailed, match="shape"):
        await reader.on_calls()
    server.fault = "500"
    with pytest.raises(SourceFailed):
        await reader.on_calls()


def _answer(body: object):  # type: ignore[no-untyped-def]
    from tests.fakes.sources import Answer

    return Answer(body)
