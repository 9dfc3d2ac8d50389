"""The agent's own clients read the stack, with nothing but reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from app.playground.stack import SCENARIOS, Fault, SimulatedStack
from app.settings import AlertSettings, Endpoint, SourceSettings
from app.sources.argocd import ArgoCd
from app.sources.failures import SourceFailed
from app.sources.loki import Loki
from app.sources.ops import OpsEndpoints
from app.sources.prometheus import Prometheus
from app.sources.tempo import Tempo
from tests.playground.stack.conftest import NOW

AT = NOW.timestamp()


def clock() -> datetime:
    return NOW


class Clients:
    def __init__(self, stack: SimulatedStack) -> None:
        settings = SourceSettings.model_validate(stack.environment())

        def endpoint(name: str) -> Endpoint:
            found = settings.endpoint(name)  # type: ignore[arg-type]
            assert found
            return found

        self.prometheus = Prometheus(endpoint("prometheus"), clock=clock)
        self.loki = Loki(endpoint("loki"), clock=clock)
        self.tempo = Tempo(endpoint("tempo"), clock=clock)
        self.argocd = ArgoCd(endpoint("argocd"), clock=clock)

    async def aclose(self) -> None:
        for each in (self.prometheus, self.loki, self.tempo, self.argocd):
            await each.aclose()


@pytest.fixture
async def clients(stack: SimulatedStack) -> AsyncIterator[Clients]:
    made = Clients(stack)
    yield made
    await made.aclose()


async def test_all_of_a_story_is_read_and_nothing_is_written(stack: SimulatedStack, clients: Clients) -> None:
    for name in SCENARIOS:
        stack.begin(name)
        query = 'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'
        series = await clients.prometheus.query_range(query, AT - 1800, AT, 30)
        assert {each.service for each in series} == {"checkout", "payments", "inventory", "notifications"}
        lines = await clients.loki.query_range('{level="error"}', AT - 900, AT, 500)
        assert {line.level for line in lines} == {"error"}
        assert all(line.trace_id for line in lines)
        spans = await clients.tempo.search(
            start=AT - 900, end=AT, service="checkout", error_only=True, limit=5
        )
        assert any(span.failed and span.error for span in spans)
        changes = await clients.argocd.deploys(AT - 86_400, AT)
        assert {change.service for change in changes} == {each.service for each in SCENARIOS[name].rollouts}
    assert {each.method for each in stack.asked} == {"GET"}


async def test_a_deploy_is_told_with_its_version_message_and_author(clients: Clients) -> None:
    (change,) = [each for each in await clients.argocd.deploys(AT - 3600, AT) if each.service == "checkout"]
    assert "checkout 1.15.0" in change.title
    assert "Apply the cart's promotion" in change.title
    assert change.author == "Jonas Weber"


async def test_ops_pages_are_read_from_registered_services(stack: SimulatedStack) -> None:
    ops = OpsEndpoints(AlertSettings.model_validate(stack.environment()).services, clock=clock)
    assert "1.15.0" in await ops.get("checkout", "status")
    await ops.aclose()


async def test_rules_are_read_with_their_state(clients: Clients) -> None:
    rules = {rule.name: rule for rule in await clients.prometheus.rules()}
    assert set(rules) == {"HighErrorRate", "HighLatency", "PoolNearlyFull", "CertificateExpiring"}


@pytest.mark.parametrize("fault", [Fault.failing(), Fault.html(), Fault.huge()])
async def test_a_system_that_misbehaves_is_a_source_that_failed(
    stack: SimulatedStack, clients: Clients, fault: Fault
) -> None:
    stack.faults.set("prometheus", fault)
    with pytest.raises(SourceFailed):
        await clients.prometheus.query("up", AT)


async def test_no_number_and_nothing_are_no_failure(stack: SimulatedStack, clients: Clients) -> None:
    for fault in (Fault.nan(), Fault.empty()):
        stack.faults.set("prometheus", fault)
        assert [point for each in await clients.prometheus.query("up", AT) for point in each.points] == []


async def test_clocks_agree_until_one_is_skewed(stack: SimulatedStack, clients: Clients) -> None:
    await clients.loki.query_range('{level="error"}', AT - 60, AT, 5)
    assert clients.loki.clock_notice() is None
    stack.faults.set("loki", Fault.skewed(1800))
    await clients.loki.query_range('{level="error"}', AT - 60, AT, 5)
    assert clients.loki.clock_notice()
