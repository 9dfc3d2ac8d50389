"""One investigation from a shell: the stages of a page, on a real database, against the simulated stack."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent import spending
from app.conversations import showing
from app.investigations import by_hand, recording
from app.investigations.intake import Intake
from app.investigations.postmortem import postmortem
from app.investigations.services import CatalogServices
from app.playground.stack import Fault, SimulatedStack
from app.settings import Settings
from app.storage.engine import create_engine
from app.terminal import payload
from app.terminal.investigate import NothingRejected, Wanted, investigate
from app.terminal.screen import Screen
from tests.acceptance.investigating import diagnosis
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Call, call, say, wrong_key
from tests.investigations.conftest import SHOP

pytestmark = pytest.mark.slow

ERRORS = 'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'


@dataclass
class Shell:
    """A database, a simulated stack, a model on the wire, and what was printed."""

    url: str
    engine: AsyncEngine
    sim: SimulatedStack
    model: FakeAnthropic
    home: Path
    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)

    async def run(self, wanted: Wanted, *, as_json: bool = False, **values: str) -> bool:
        settings = Settings.load(env_file=None, SRE_AGENT_HOME=str(self.home), **values)
        return await investigate(settings, self.url, wanted, Screen(self.out, self.err, as_json))

    def asked(self, *replies: Any) -> dict[str, str]:
        self.model.script.add(*replies)
        return {
            "MODEL_PROVIDER": "anthropic",
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "ANTHROPIC_BASE_URL": self.model.url,
            **self.sim.environment(),
        }

    def page(self) -> Wanted:
        return Wanted(payload.understood(self.sim.alert("alertmanager"), datetime.now(UTC)))

    def intake(self) -> Intake:
        return Intake(self.engine, CatalogServices(lambda: SHOP))

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]


@pytest.fixture
async def shell(database_url: str, tmp_path: Path) -> AsyncIterator[Shell]:
    engine = create_engine(database_url)
    async with (
        SimulatedStack("bad-deploy", clock=lambda: datetime.now(UTC)) as sim,
        FakeAnthropic([]) as model,
    ):
        yield Shell(database_url, engine, sim, model, tmp_path)
    await engine.dispose()


def unsure() -> Call:
    return diagnosis(0.2)


async def test_the_evidence_and_the_diagnosis_are_printed_and_stored(shell: Shell) -> None:
    model = shell.asked(say("", call("promql", query=ERRORS)), say("", diagnosis()))
    assert await shell.run(shell.page(), **model)

    said, steps = shell.out.getvalue(), shell.err.getvalue()
    for part in ("Evidence brief", "Candidates", "Deploy: checkout 1.", "Diagnosis", "2 turns, 1 tool calls"):
        assert part in said
    assert said.index("Evidence brief") < said.index("Diagnosis")
    for step in ("✓ metrics: answered", "✓ logs: answered", "✓ the model asks promql", "✓ diagnosing"):
        assert step in steps
    assert await shell.rows("SELECT status, title <> '' FROM investigations") == [("done", True)]
    assert await shell.rows("SELECT action FROM audit_log WHERE action = 'investigation'") == [
        ("investigation",)
    ]
    assert {each.method for each in shell.sim.asked} == {"GET"}


async def test_json_is_one_document_with_everything_cited(shell: Shell) -> None:
    assert await shell.run(shell.page(), as_json=True, **shell.sim.environment(), MODEL_PROVIDER="offline")
    told = json.loads(shell.out.getvalue())
    assert (told["status"], told["service"], told["failure"]) == ("done", "checkout", None)
    labels = {each["label"] for each in told["findings"]}
    assert set(told["brief"]["evidence"]) <= labels
    assert "checkout" in told["evidence_brief"]["likely_cause"]["text"]


async def test_nobody_is_called_and_nothing_is_left_for_a_worker(shell: Shell) -> None:
    model = shell.asked(say("", unsure()), say("", unsure()))
    assert await shell.run(shell.page(), **model)
    assert shell.sim.written == []
    assert await shell.rows("SELECT task_name FROM procrastinate_jobs") == []


async def test_without_any_source_the_gaps_say_so(shell: Shell) -> None:
    wanted = Wanted(payload.read("{title: Slow, service: mail}", datetime.now(UTC)))
    assert await shell.run(wanted, MODEL_PROVIDER="offline")
    said = " ".join(shell.out.getvalue().split())
    assert "not configured, so not looked at: metrics (PROMETHEUS_URL), logs (LOKI_URL)" in said
    assert "Not established. No source showed anything about it." in said
    assert "No model is configured: the evidence brief above is what the evidence alone says." in said


async def test_a_model_that_fails_is_no_diagnosis_and_no_success(shell: Shell) -> None:
    assert not await shell.run(shell.page(), **shell.asked(*[wrong_key()] * 9))
    said = " ".join(shell.out.getvalue().split())
    assert "No model concluded: The model service refused the API key" in said
    assert "✗ diagnosing" in shell.err.getvalue()


async def test_a_source_that_hangs_is_a_step_that_failed(shell: Shell) -> None:
    shell.sim.faults.set("loki", Fault.hanging())
    assert await shell.run(shell.page(), **shell.sim.environment(), MODEL_PROVIDER="offline")
    assert "✗ logs: no answer" in shell.err.getvalue()
    assert "loki: did not answer within" in " ".join(shell.out.getvalue().split())


async def test_a_real_page_about_the_same_is_not_swallowed(shell: Shell) -> None:
    wanted = shell.page()
    assert await shell.run(wanted, **shell.sim.environment(), MODEL_PROVIDER="offline")
    assert wanted.read
    accepted = await shell.intake().accept(wanted.read.alert)
    assert accepted.status == "queued"
    twin = wanted.read.alert.model_copy(update={"source": "grafana", "incident_key": "another"})
    assert (await shell.intake().accept(twin)).investigation_id == accepted.investigation_id


async def test_looking_twice_does_not_make_it_happen_twice(shell: Shell) -> None:
    for _ in range(2):
        assert await shell.run(shell.page(), **shell.sim.environment(), MODEL_PROVIDER="offline")
    briefs = await shell.rows("SELECT evidence_brief #> '{before,happened}' FROM investigations")
    assert briefs == [(False,), (False,)]


async def test_who_interrupts_it_leaves_it_cancelled(shell: Shell) -> None:
    shell.sim.faults.set("prometheus", Fault.hanging())
    running = asyncio.create_task(
        shell.run(shell.page(), **shell.sim.environment(), MODEL_PROVIDER="offline")
    )
    async with asyncio.timeout(60):
        while await shell.rows("SELECT 1 FROM investigations WHERE status = 'looking'") == []:
            await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await shell.rows("SELECT status, error_code FROM investigations") == [("cancelled", "interrupted")]


async def test_a_stage_that_raises_is_tried_again_and_no_more_often_than_the_queue_would(
    shell: Shell,
) -> None:
    tries = 0

    async def stage(_: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError("once more")

    opened = await by_hand.open_by_hand(shell.intake(), shell.page().read.alert)  # type: ignore[union-attr]
    await by_hand.carry_out((stage,), opened)
    assert tries == 3


async def test_a_refused_webhook_is_replayed_by_its_number(shell: Shell) -> None:
    alert = shell.sim.alert("alertmanager")
    await shell.intake().reject("alertmanager", "alerts is missing.", {**alert, "alerts": []})
    await shell.intake().reject("alertmanager", "it was not understood then", alert)
    [(broken,), (fine,)] = await shell.rows("SELECT id FROM rejected_webhooks ORDER BY id")

    assert await shell.run(Wanted(replay=fine), **shell.sim.environment(), MODEL_PROVIDER="offline")
    with pytest.raises(payload.NotAnAlert, match="alerts is missing"):
        await shell.run(Wanted(replay=broken), MODEL_PROVIDER="offline")
    with pytest.raises(NothingRejected) as nothing:
        await shell.run(Wanted(replay=fine + 1), MODEL_PROVIDER="offline")
    assert f"  {broken}  " in nothing.value.sentence
    assert "alerts is missing." in nothing.value.sentence


async def test_what_is_left_of_it_tells_the_whole_story(shell: Shell) -> None:
    """Its record, its postmortem, its session and what it cost, from the database alone."""
    model = shell.asked(say("", call("promql", query=ERRORS)), say("", diagnosis()))
    assert await shell.run(shell.page(), **model)
    [(investigation_id, report)] = await shell.rows("SELECT id, report FROM investigations")
    async with shell.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO outcomes (investigation_id, correct, cause) VALUES (:id, false, 'A poisoned cache')"
            ),
            {"id": investigation_id},
        )

    record = await recording.finished(shell.engine, investigation_id)
    assert (record.status, len(record.tool_calls), len(record.usage)) == ("done", 1, 1)
    assert record.gathered
    assert {each.label for each in record.gathered.findings} >= {"E1", "E2"}
    assert record.tokens > 0
    assert "## Token Usage" in report
    draft = postmortem(record, hosts=recording.hosts(record))
    for part in (
        "A poisoned cache",
        "The newest version of checkout.",
        "## Timeline (UTC)",
        "/applications/argocd/",
    ):
        assert part in draft

    shown = await showing.show(shell.engine, str(investigation_id))
    assert "checkout refuses payments since its newest version" in shown
    assert "80% sure" in shown
    assert "promql" in shown
    assert "Of it 2 requests for 1 diagnoses of incidents" in await spending.report(shell.engine, days=1)


async def test_a_record_of_what_is_not_over_is_refused(shell: Shell) -> None:
    accepted = await shell.intake().accept(shell.page().read.alert)  # type: ignore[union-attr]
    assert accepted.investigation_id
    with pytest.raises(recording.NotOver, match="still queued"):
        await recording.finished(shell.engine, accepted.investigation_id)
