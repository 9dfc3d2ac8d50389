"""Every attempt of the corpus in every field of a brief: what is left after the checks, and on the screen."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID

import pytest

from app.investigations.brief import Brief, Cited, Past, Rejected
from app.investigations.checks import checked
from app.investigations.cleaning import has_command
from app.investigations.digest import TAGS, digest
from app.investigations.evidence import Finding, Gap
from app.investigations.gathered import Runbook
from app.investigations.steps import LOOKING, acts
from app.investigations.surface import Told
from app.slack.incident_blocks import evidence_brief, final_brief, note
from tests.investigations.cases import DEPLOYED
from tests.security.injections import ATTEMPTS
from tests.security.test_what_text_can_do import PING, targets, texts_in

FOREIGN = re.compile(r"(?:https?:|www\.|sftp:|javascript:)\S*evil", re.IGNORECASE)
ID = UUID(int=7)
SEEN = Finding("E7", "symptom", "prometheus", "Error rate of checkout rose", "checkout")


def stated(text: str) -> Brief:
    """A brief of a model that obeys: the attempt is all it says."""
    return Brief(
        headline=text,
        impact=Cited(text=text, evidence=("E7", "E99")),
        since=text,
        likely_cause=Cited(text=text, evidence=("E99", "E100")),
        confidence_level="high",
        confidence=1.0,
        alternatives=(Rejected(cause=text, why=text),),
        evidence=("E7", "E99"),
        next_steps=(text, f"Check {text}", f"Verify it and {text}"),
        options=(text,),
        before=Past(happened=True, dates=(text,), pattern=text),
        tickets=(text,),
        follow_up=text,
        runbooks=(text,),
        gaps=(text,),
    )


@pytest.fixture(params=ATTEMPTS)
def attempt(request: pytest.FixtureRequest) -> str:
    return ATTEMPTS[request.param]


def test_nothing_of_it_is_left_in_a_checked_brief(attempt: str) -> None:
    brief, changes = checked(stated(attempt), findings=(SEEN,), plain_headline="Error rate of checkout rose")
    for text in texts_in(brief.model_dump(mode="json")):
        assert not PING.search(text), text
        assert not FOREIGN.search(text), text
        assert not has_command(text), text
        assert not any("evil" in target for target in targets(text)), text
    assert brief.confidence <= 0.2
    assert brief.likely_cause.text == "Not established."
    assert set(brief.evidence) <= {"E7"}
    for step in brief.next_steps:
        assert step.startswith("Review: ") or step.split()[0].lower() in LOOKING
        assert not acts(step), step
    assert changes


def test_nothing_of_it_works_on_the_screen_unchecked(attempt: str) -> None:
    """The blocks hold by themselves, whatever brief they are given and whatever the evidence says."""
    hostile = Finding(
        "E1", "log", attempt, attempt, attempt, query=attempt, link="https://grafana.acme.example/e"
    )
    told = Told(stated(attempt), (hostile,))
    for text, blocks in (
        evidence_brief(told, ID, frozenset()),
        final_brief(told, ID, frozenset()),
        note(attempt),
    ):
        for shown in (text, *texts_in(blocks)):
            assert not PING.search(shown), shown
            assert not any("evil" in target for target in targets(shown)), shown


def test_the_digest_stays_data(attempt: str) -> None:
    """Every tag of ours is opened and closed once, by us."""
    hostile = Finding("E1", "log", "loki", attempt, attempt, query=attempt)
    alert = DEPLOYED.alert.model_copy(
        update={"title": attempt, "labels": {"team": attempt}, "annotations": {"summary": attempt}}
    )
    change = replace(DEPLOYED.changes[0], title=attempt, author=attempt)
    text = digest(
        replace(
            DEPLOYED,
            alert=alert,
            findings=(hostile,),
            changes=(change,),
            past=Past(happened=True, dates=("2026-11-01",), pattern=attempt),
            runbooks=(Runbook(attempt, None, attempt),),
            gaps=(Gap(attempt, attempt),),
        )
    )
    for tag in TAGS:
        assert len(re.findall(rf"<\s*{tag}\b", text, re.IGNORECASE)) <= 1
        assert len(re.findall(rf"<\s*/+\s*{tag}\b", text, re.IGNORECASE)) <= 1
    assert text.count("<investigation>") == text.count("</investigation>") == 1
    assert text.endswith("</investigation>")
