"""Sources that are away, slow or wrong cost the brief a line, never the brief."""

from __future__ import annotations

import pytest

from app.investigations.not_configured import NOT_CONFIGURED
from app.playground.stack import Fault
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import diagnosis, incident, told
from tests.fakes.script import call, say

FAULTS = {
    "down": Fault.failing(503),
    "error": Fault.failing(500),
    "refused": Fault.failing(403),
    "slow": Fault.slow(20),
    "hanging": Fault.hanging(),
    "html": Fault.html(),
    "huge": Fault.huge(),
}
NAMES = {
    "prometheus": "prometheus",
    "loki": "loki",
    "tempo": "traces",
    "argocd": "argocd",
    "kubernetes": "kubernetes",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_metrics_that_cannot_be_had_are_a_gap(stack: Stack, fault: str) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        one.sim.faults.set("prometheus", FAULTS[fault])
        await one.investigated()
        [(gathered,)] = await stack.rows("SELECT observations -> 'gathered' FROM investigations")
        assert "prometheus" in {each["source"] for each in gathered["gaps"]}
        for part in ("evidence", "final"):
            assert "prometheus" in told(one.said(part)).lower()
        assert "prometheus" in str(one.model.requests[0]["messages"]).split("<gaps>")[1]
        [(confidence,)] = await stack.rows("SELECT brief -> 'confidence' FROM investigations")
        assert confidence <= 0.6


@pytest.mark.parametrize("system", ["loki", "tempo", "argocd", "kubernetes"])
@pytest.mark.parametrize("fault", ["error", "hanging", "html"])
async def test_no_source_holds_up_the_others(stack: Stack, system: str, fault: str) -> None:
    async with incident(stack, model=False) as one:
        one.sim.faults.set(system, FAULTS[fault])
        await one.investigated()
        [(gathered,)] = await stack.rows("SELECT observations -> 'gathered' FROM investigations")
        assert {each["source"] for each in gathered["gaps"]} - {NOT_CONFIGURED} == {NAMES[system]}
        assert NAMES[system] in told(one.said("evidence"))
        assert "Error rate of checkout rose" in told(one.said("evidence"))


async def test_deploys_nobody_tells_of_are_said_to_be_not_looked_at(stack: Stack) -> None:
    async with incident(stack, model=False, ARGOCD_URL="", KUBERNETES="off") as one:
        await one.investigated()
        shown = told(one.said("evidence"))
        assert "not configured, so not looked at: deploys (ARGOCD_URL), the cluster (KUBERNETES)" in shown
        assert "None of the changes" not in shown


async def test_without_argo_cd_the_cluster_tells_the_rollouts(stack: Stack) -> None:
    async with incident(stack, model=False, ARGOCD_URL="") as one:
        await one.investigated()
        [(brief,)] = await stack.rows("SELECT brief FROM investigations")
        assert "checkout 1.15.0" in brief["likely_cause"]["text"]
        assert "deploys (ARGOCD_URL; replica sets of the cluster stand in)" in told(one.said("evidence"))


async def test_a_history_that_cannot_be_read_is_not_called_new(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        one.sim.faults.set("pagerduty", Fault.failing(500))
        await one.investigated("pagerduty")
        shown = told(one.said("evidence"))
        assert "past incidents: pagerduty" in shown
        assert "*Has it happened before?* Could not be looked up" in shown
        assert "Not that I know of" not in shown


async def test_everything_away_at_once_still_ends_in_a_brief(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()), say("", diagnosis()))
        for system in NAMES:
            one.sim.faults.set(system, Fault.hanging())
        one.sim.faults.set("pagerduty", Fault.failing(403))
        await one.investigated()
        shown = told(one.said("evidence")).lower()
        assert all(name in shown for name in NAMES.values())
        [(brief,)] = await stack.rows("SELECT brief FROM investigations")
        assert brief["confidence"] <= 0.2
        assert brief["likely_cause"]["text"] == "Not established."


async def test_numbers_that_are_none_are_no_evidence(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        one.sim.faults.set("prometheus", Fault.nan())
        await one.investigated()
        [(brief,)] = await stack.rows("SELECT evidence_brief FROM investigations")
        assert "nan" not in str(brief).lower().split()
        assert one.said("final")


async def test_sources_that_find_nothing_leave_the_cause_open(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        for system in ("prometheus", "loki", "tempo"):
            one.sim.faults.set(system, Fault.empty())
        await one.investigated()
        [(brief,)] = await stack.rows("SELECT brief FROM investigations")
        assert brief["confidence_level"] == "low"
        assert one.said("final")


async def test_a_clock_that_is_ahead_is_told(stack: Stack) -> None:
    async with incident(stack, model=False) as one:
        one.sim.faults.set("prometheus", Fault.skewed(900))
        await one.investigated()
        [(gathered,)] = await stack.rows("SELECT observations -> 'gathered' FROM investigations")
        assert any("clock" in each["reason"] for each in gathered["gaps"])
        assert "clock" in told(one.said("evidence"))


async def test_a_query_the_model_got_wrong_comes_back_to_it(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", call("promql", query="sum(rate(")), say("", diagnosis()))
        await one.investigated()
        assert await stack.rows("SELECT failed FROM tool_calls") == [(True,)]
        assert "parse" in str(one.model.requests[1]["messages"][-1]).lower()
        assert "checkout refuses payments" in told(one.said("final"))
