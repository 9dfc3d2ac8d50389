"""The six workflows that ship, side by side in six threads: without a model, and with one on the wire."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import CHECKOUT, Stack
from tests.acceptance.test_workflows import files, said
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Reply, Script, call, say
from tests.workflows.books import datadog, promtool

MOST = 25
"""Answers that a workflow may want of people; a readiness review has thirteen lines."""


@dataclass(frozen=True)
class Run:
    """A workflow: the words that start it, an answer in free text and what a model reads out of it, the files
    it makes, and a line that the free text leaves in them. `asked_back`: the reading is not in its words."""

    start: str
    answer: str
    reads: dict[str, str]
    made: tuple[str, ...]
    leaves: str
    asked_back: bool = False


RUNS = (
    Run(
        "let's define SLOs for checkout",
        "People pay, and before that they want a quote; hand it over for Datadog, we left Prometheus last year",
        {"journeys": "pay, quote", "format": "datadog"},
        ("checkout.yaml",),
        "checkout: quote availability",
    ),
    Run(
        "failure mode analysis of checkout",
        "There is the PostgreSQL of course, and then there is the card network that we reach through a proxy",
        {"others": "PostgreSQL, card network"},
        ("failure-modes-checkout.md",),
        "| **card network** |",
    ),
    Run(
        "production readiness review of checkout",
        "It is for the winter sale that begins on the first of December, in all countries",
        {"launch": "Winter sale, first of December"},
        ("readiness-checkout.md",),
        "Winter sale, first of December",
    ),
    Run(
        "alerting review of checkout",
        "Of these I would only have the fast one and the one that tells when nothing is measured any more",
        {"add": "CheckoutErrorBudgetBurnFast, CheckoutNotMeasured"},
        ("alerting-review-checkout.md", "checkout-alerts.yaml"),
        "alert: CheckoutErrorBudgetBurnFast",
        asked_back=True,
    ),
    Run(
        "draft a runbook for checkout",
        "It is about the alert for the connection pool, CheckoutPoolExhausted is what we call it over here",
        {"alert": "CheckoutPoolExhausted"},
        ("checkoutpoolexhausted.md",),
        "# CheckoutPoolExhausted",
    ),
    Run(
        "draft a README for checkout",
        "Checkout takes the money of a cart and nothing else; it is run with make dev, and make check tests it",
        {"purpose": "Checkout takes the money of a cart and nothing else."},
        ("README.md",),
        "Checkout takes the money of a cart and nothing else.",
    ),
)


async def to_its_end(stack: Stack, run: Run, *, in_words: bool) -> dict[str, str]:
    """Start it, give the answer in free text or by name, then skip to the end; the files it made."""
    ts, [first] = await stack.ask(f"<@U0AGENT> {run.start}")
    assert "**skip**" in first.text
    by_name = "\n".join(f"{name}: {value}" for name, value in run.reads.items())
    last = await said(stack, ts, run.answer if in_words else by_name)
    if in_words and run.asked_back:
        assert "you did not say it in these words" in last.text
        last = await said(stack, ts, "yes")
    for _ in range(MOST):
        if "I attached" in last.text:
            break
        last = await said(stack, ts, "skip")
    assert "is done" in last.text, last.text
    made = files(stack, ts)
    assert tuple(name for name in made if not name.endswith(".png")) == run.made
    return made


async def ran(stack: Stack, tmp_path: Path, *, in_words: bool) -> None:
    """All of them at once; what their own tools say of their files is part of it."""
    made = await asyncio.gather(*(to_its_end(stack, run, in_words=in_words) for run in RUNS))
    stored = await stack.rows("SELECT file_name, faults FROM artifacts")
    assert (len(stored), [each for each in stored if each[1]]) == (sum(len(run.made) for run in RUNS), [])
    assert await stack.rows(
        "SELECT action, count(*), count(DISTINCT workflow) FROM audit_log WHERE action LIKE 'workflow%' "
        "GROUP BY action ORDER BY action"
    ) == [("workflow_complete", len(RUNS), len(RUNS)), ("workflow_start", len(RUNS), len(RUNS))]
    (
        slos,
        *_,
    ) = made
    assert datadog(slos["checkout.yaml"])
    promtool(made[3]["checkout-alerts.yaml"], tmp_path)
    for run, each in zip(RUNS, made, strict=True):
        assert any(run.leaves in text for text in each.values()), run.start


async def test_each_runs_to_its_file_without_a_model(stack: Stack, tmp_path: Path) -> None:
    await stack.serve()
    await ran(stack, tmp_path, in_words=False)

    assert await stack.rows("SELECT count(*) FROM usage") == [(0,)]


WAY_IN = "Let us go on with what the documents say about it."


def reading(body: dict[str, Any]) -> Reply:
    """A model that reads what `RUNS` say, leads to questions, and drafts nothing."""
    asked = json.dumps(body["messages"], ensure_ascii=False)
    if "<message>" not in asked:
        return say("", call("conclude", text=WAY_IN))
    found = next((run.reads for run in RUNS if run.answer in asked), {})
    return say("", call("conclude", fields=[{"name": name, "value": value} for name, value in found.items()]))


async def test_each_runs_to_its_file_with_a_model_that_reads_free_text(
    stack: Stack, tmp_path: Path, model: FakeAnthropic
) -> None:
    model.script = Script(reading)
    await stack.serve()
    await ran(stack, tmp_path, in_words=True)

    read = await stack.rows(
        "SELECT workflow, answer.key FROM sessions, jsonb_each(workflow_state -> 'answers') AS answer "
        "WHERE answer.value ->> 'how' = 'model'"
    )
    at_once = [run for run in RUNS if not run.asked_back]
    assert len({workflow for workflow, _ in read}) == len(at_once)
    assert sum(len(run.reads) for run in at_once) == len(read)
    assert any(WAY_IN in message.text for message in stack.slack.channel(CHECKOUT))
