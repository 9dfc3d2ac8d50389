"""A question in an incident's thread without a model: answered from the evidence, or said that it is not."""

from __future__ import annotations

import pytest

from app.investigations.brief import Brief, Cited, Past
from app.investigations.evidence import Finding
from app.investigations.recall import fitting, recalled

FINDINGS = (
    Finding(
        "E1",
        "symptom",
        "prometheus",
        "Error rate of checkout rose from 0 % to 4 %",
        "checkout",
        link="https://p/1",
    ),
    Finding("E2", "change", "argocd", "Deploy: checkout 1.15.0, 40 s before the onset", "checkout"),
    Finding(
        "E3",
        "metric",
        "prometheus",
        "Pool use ledger of payments rose from 40 % to 100 %",
        "payments",
        link="https://p/3",
    ),
    Finding("E4", "log", "loki", "Log line of payments: no connection of pool ledger", "payments"),
)
BRIEF = Brief(
    headline="checkout fails",
    impact=Cited(text="4 % of requests"),
    since="11:40 UTC",
    likely_cause=Cited(text="The ledger's pool is exhausted."),
    confidence_level="medium",
    confidence=0.6,
    evidence=("E3",),
    gaps=("traces: did not answer within 3 s",),
)


@pytest.mark.parametrize(
    ("question", "labels"),
    [
        ("what about the database?", ["E3", "E4"]),
        ("was there a rollout before it?", ["E2"]),
        ("how are the errors of checkout?", ["E1", "E2"]),
        ("is payments affected?", ["E3", "E4"]),
        ("and the weather?", []),
    ],
)
def test_what_was_asked_finds_its_evidence(question: str, labels: list[str]) -> None:
    assert [each.label for each in fitting(question, FINDINGS)] == labels


def test_an_answer_links_its_evidence_and_says_what_stands() -> None:
    answer = recalled("what about the database?", BRIEF, FINDINGS, "no model is configured")
    assert "[E3](https://p/3): Pool use ledger of payments" in answer.text
    assert "The ledger's pool is exhausted." in answer.text
    assert "traces: did not answer" in answer.text
    assert [each.path for each in answer.sources] == ["E3", "E4"]
    assert answer.offline_reason == "no model is configured"


def test_a_question_nothing_speaks_of_is_said_to_be_one() -> None:
    answer = recalled("and the weather?", BRIEF, FINDINGS, "no model is configured")
    assert "Nothing that was found speaks of that" in answer.text
    assert answer.confidence == 0.1
    assert [each.path for each in answer.sources] == ["E3"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("what should I do now?", "1. Check the pool of payments."),
        ("did this happen before?", "Yes: 2026-11-01. Every Sunday."),
    ],
)
def test_what_the_brief_says_itself_is_told(question: str, said: str) -> None:
    known = BRIEF.model_copy(
        update={
            "next_steps": ("Check the pool of payments.",),
            "before": Past(happened=True, dates=("2026-11-01",), pattern="Every Sunday."),
        }
    )
    assert said in recalled(question, known, FINDINGS, "no model is configured").text
