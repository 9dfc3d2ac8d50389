"""The brief of the evidence core: what it says about hand-made incidents, and what it never says."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from pydantic_core import from_json

from app.investigations.advice import REMEDIES
from app.investigations.brief import MOST_EVIDENCE, MOST_STEPS, Brief
from app.investigations.checks import checked
from app.investigations.evidence import Cause, Observations, Ranking, Reason
from app.investigations.first_brief import first_brief
from app.investigations.gathered import Gathered, restored, stored
from app.investigations.ranking import rank
from app.investigations.steps import danger
from app.signals.models import Series
from app.storage.engine import as_json
from tests.investigations.cases import ALERT, BAD_DEPLOY, DEPLOYED, NOTHING, ONSET, TRAFFIC, UNKNOWN

HOSTS = frozenset({"git.example.com"})


def test_a_bad_deploy_reads_like_this() -> None:
    brief = first_brief(DEPLOYED, hosts=HOSTS)

    assert brief.headline == "High error rate on checkout, since 02:11 UTC"
    assert brief.since == "2026-11-20 02:11 UTC, as the data shows; the alert came 4 min later."
    assert brief.impact.text == "12 % of requests to checkout fail, 0.1 % before. Also affected: web, mobile."
    assert brief.likely_cause.text == (
        "The deploy 4f2c1a9 of checkout. For it: errors began 60 s after it; a new log template names what it touched."
    )
    assert brief.likely_cause.evidence == ("E2", "E3")
    assert (brief.confidence, brief.confidence_level) == (0.82, "high")
    assert [(each.cause, each.why) for each in brief.alternatives] == [
        (
            "The connection pool of payments-db is exhausted",
            "Against it: it filled up after checkout's errors began. For it: it is at its limit since the onset.",
        )
    ]
    assert brief.evidence == ("E2", "E3", "E1", "E5", "E6", "E4")
    assert brief.next_steps == (
        "Review the runbook “HighErrorRate”.",
        "Review the deploy 4f2c1a9 of 02:10 UTC against the symptom.",
        "Compare errors and latency of checkout by version before and after 02:11 UTC.",
        "Check tempo by hand: it could not be looked at.",
    )
    assert brief.options == ("If the cause is confirmed: roll checkout back to what ran before 4f2c1a9.",)
    assert (brief.recurrence, brief.before.dates) == ("recurring", ("2026-10-05", "2026-11-02"))
    assert brief.follow_up == "It is the 3rd time on record: a lasting repair may be due."
    assert brief.runbooks == ("[HighErrorRate](https://git.example.com/runbooks/HighErrorRate.md)",)
    assert brief.gaps == ("tempo: it did not answer within 10 s",)
    assert (brief.urgency, brief.status, brief.model) == ("act now", "ongoing", None)


def test_when_no_change_explains_it_the_brief_says_so() -> None:
    brief = first_brief(TRAFFIC)

    assert "None of the changes in the window explains it." in brief.likely_cause.text
    assert brief.confidence == 0.5  # one finding alone supports it
    assert brief.alternatives[0].cause == "The deploy 4f2c1a9 of checkout"
    assert (
        brief.options[0] == "If the cause is confirmed: scale checkout out, if what it calls can take more."
    )


def test_when_nothing_stands_out_no_cause_and_no_remedy_is_named() -> None:
    brief = first_brief(UNKNOWN)

    assert brief.likely_cause.text.startswith("Not established. Several causes are possible")
    assert (brief.confidence, brief.confidence_level, brief.options) == (0, "low", ())
    assert len(brief.alternatives) == 2
    assert "the data does not show when it began" in brief.since
    assert brief.recurrence == "unknown"


def test_an_alert_alone_makes_a_brief_that_invents_nothing() -> None:
    brief = first_brief(NOTHING)

    assert brief.likely_cause.text == "Not established. No source showed anything about it."
    assert brief.impact.text == "Not established. No source measured it; the alert alone says so."
    assert brief.evidence == ()
    assert (
        brief.next_steps[0]
        == "Check errors, latency and traffic of checkout since 02:15 UTC on its dashboard."
    )


@pytest.mark.parametrize("gathered", [DEPLOYED, TRAFFIC, UNKNOWN, NOTHING])
def test_it_keeps_the_rules_that_are_demanded_of_a_model(gathered: Gathered) -> None:
    brief = first_brief(gathered)
    again, changes = checked(
        brief,
        findings=gathered.findings,
        gaps=gathered.gaps,
        past=gathered.past,
    )

    assert (again, changes) == (brief, ())
    assert Brief.model_validate(brief.model_dump()) == brief
    assert len(brief.evidence) <= MOST_EVIDENCE
    assert len(brief.next_steps) <= MOST_STEPS


@pytest.mark.parametrize("kind", REMEDIES)
def test_remedies_of_every_kind_of_cause_come_safest_first(kind: str) -> None:
    cause = Cause(kind, "payments", "Something in payments", 0.8)  # type: ignore[arg-type]
    brief = first_brief(replace(DEPLOYED, ranking=Ranking(ONSET, "cause", 0.8, (cause,))))

    assert 1 <= len(brief.options) <= 4
    assert [danger(each) for each in brief.options] == sorted(danger(each) for each in brief.options)


def test_a_cause_elsewhere_names_whom_to_page() -> None:
    cause = Cause(
        "dependency", "payments-db", "payments-db", 0.8, None,
        (Reason("It fails first", 1, "payments-db", "series:payments-db/db_pool_in_use"),),
    )  # fmt: skip
    brief = first_brief(replace(DEPLOYED, ranking=Ranking(ONSET, "cause", 0.8, (cause,))))

    assert brief.likely_cause.evidence == ("E5",)
    assert (
        "Page whoever is on call for payments-db, and say that checkout suffers from it." in brief.next_steps
    )


def test_a_service_is_not_told_that_it_suffers_from_itself() -> None:
    ranking = replace(DEPLOYED.ranking, impact=("checkout", "web"))

    assert first_brief(replace(DEPLOYED, ranking=ranking)).impact.text.endswith("Also affected: web.")


def test_sources_that_were_down_lower_what_it_claims() -> None:
    assert first_brief(DEPLOYED, sources_down=("tempo",)).confidence == 0.6


def test_a_resolved_alert_is_no_longer_urgent() -> None:
    brief = first_brief(replace(DEPLOYED, alert=ALERT.model_copy(update={"status": "resolved"})))

    assert (brief.status, brief.urgency) == ("resolved", "watch")


def test_the_order_in_which_findings_came_does_not_matter_to_what_is_cited() -> None:
    causes = {
        first_brief(replace(DEPLOYED, findings=order)).likely_cause
        for order in list(permutations(DEPLOYED.findings))[::700]
    }

    assert len(causes) == 1


def test_labels_that_gathering_knows_win_over_guessing() -> None:
    told = replace(
        DEPLOYED, labels={"change:4f2c1a9": "E5"}, ranking=Ranking(ONSET, "cause", 0.8, (BAD_DEPLOY,))
    )

    assert first_brief(told).likely_cause.evidence == ("E5", "E3")


def test_it_takes_the_ranking_as_it_comes() -> None:
    def series(name: str, service: str, before: float, after: float) -> Series:
        points = tuple(
            (ONSET + 30 * n, (before if n < 0 else after) * (1 + n % 3 / 100)) for n in range(-120, 20)
        )
        return Series(name, points, service)

    symptom = series("error_rate", "checkout", 0.001, 0.12)
    pool = series("db_pool_in_use", "payments-db", 20, 50)
    ranking = rank(
        Observations(
            "checkout",
            ALERT.started_at.timestamp(),
            symptom=symptom,
            series=(symptom, pool),
            depends_on={"checkout": ("payments-db",)},
            sources_asked=frozenset({"metrics"}),
        )
    )
    brief = first_brief(replace(DEPLOYED, ranking=ranking, changes=()))

    assert brief.likely_cause.evidence or brief.likely_cause.text.startswith("Not established")
    assert checked(brief, findings=DEPLOYED.findings, gaps=DEPLOYED.gaps, past=DEPLOYED.past) == (brief, ())
    assert "02:1" in brief.since


@pytest.mark.parametrize("gathered", [DEPLOYED, TRAFFIC, UNKNOWN, NOTHING])
def test_what_was_gathered_survives_being_stored(gathered: Gathered) -> None:
    again = restored(from_json(as_json(stored(gathered))))

    assert again == gathered
    assert first_brief(again) == first_brief(gathered)
