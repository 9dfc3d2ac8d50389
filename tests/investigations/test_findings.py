"""What was seen as evidence: one sentence each, labelled, the telling ones and no more."""

from __future__ import annotations

from datetime import UTC, datetime

from app.investigations.evidence import Cause, Observations, Ranking, Reason
from app.investigations.findings import LONGEST, MOST, findings
from app.investigations.gather import Asked, PastTime, Seen
from app.signals.models import Change, ClusterEvent, LogLine, Series, Span

ONSET = 1_800_000_000.0
POINTS = tuple((ONSET + 30 * n, 0.001 + n % 3 / 1e4 + (0.12 if n >= 0 else 0)) for n in range(-100, 40))
ASKED = Asked("prometheus", "rate(errors)", ONSET - 3600, ONSET + 600, "https://prometheus.example/g")


def series(name: str, service: str = "checkout", points: tuple[tuple[float, float], ...] = POINTS) -> Series:
    return Series(name, points, service, unit="ratio")


def seen(**changes: object) -> Seen:
    known = {
        "service": "checkout",
        "alerted_at": ONSET + 120,
        "symptom": series("error_rate"),
        "series": (series("error_rate"), series("latency_p99")),
        "depends_on": {"checkout": ("payments",), "payments": ()},
    }
    return Seen(Observations(**{**known, **changes}), (), {"series:error_rate": ASKED})  # type: ignore[arg-type]


def ranked(*seen_by: str) -> Ranking:
    reasons = tuple(Reason("because", 0.5, seen=each) for each in seen_by)
    return Ranking(ONSET, "cause", 0.6, (Cause("change", "checkout", "A deploy", 0.6, reasons_for=reasons),))


def test_the_symptom_comes_first_with_the_question_that_showed_it() -> None:
    told, labels = findings(seen(), ranked())
    assert (told[0].label, told[0].kind) == ("E1", "symptom")
    assert "rose from" in told[0].statement
    assert (told[0].query, told[0].link) == ("rate(errors)", "https://prometheus.example/g")
    assert labels["series:checkout/error_rate"] == "E1"
    assert [each.label for each in told] == [f"E{n}" for n in range(1, len(told) + 1)]


def test_a_series_that_kept_its_level_is_evidence_only_as_the_symptom() -> None:
    flat = tuple((ONSET + 30 * n, 1.0) for n in range(-100, 40))
    told, _ = findings(
        seen(symptom=series("error_rate", points=flat), series=(series("cpu", points=flat),)), ranked()
    )
    assert [each.kind for each in told] == ["symptom"]
    assert "has kept its level" in told[0].statement


def test_what_the_causes_rest_on_is_kept_before_what_moved_most() -> None:
    many = tuple(series(f"signal_{n}") for n in range(MOST["metric"] + 5))
    last = f"series:checkout/signal_{len(many) - 1}"
    told, labels = findings(seen(series=many), ranked(last))
    assert last in labels
    assert len([each for each in told if each.kind == "metric"]) == MOST["metric"]


def test_changes_of_services_that_have_nothing_to_do_with_it_are_no_evidence() -> None:
    near = Change("deploy", "a1", ONSET - 60, "checkout 2", "checkout", "Jonas")
    far = Change("deploy", "b2", ONSET - 60, "reports 7", "reports")
    anywhere = Change("flag", "c3", ONSET + 60, "new-cart on")
    told, _ = findings(seen(changes=(near, far, anywhere)), ranked())
    said = [each.statement for each in told if each.kind == "change"]
    assert len(said) == 2
    assert any("before the onset" in each for each in said)
    assert any("after the onset" in each for each in said)


def test_log_lines_below_a_warning_are_no_evidence() -> None:
    lines = [LogLine(ONSET + n, "charge refused by payments", "checkout", "error") for n in range(20)]
    lines += [LogLine(ONSET + n, "request served in good time", "checkout", "info") for n in range(20)]
    told, _ = findings(seen(logs=tuple(lines)), ranked())
    [log] = [each for each in told if each.kind == "log"]
    assert "charge refused" in log.statement
    assert "20 times" in log.statement


def test_a_trace_is_told_by_its_deepest_failure() -> None:
    outer = Span("t", "1", "checkout", "/pay", ONSET, 1200, failed=True, error="payments answered 503")
    inner = Span("t", "2", "payments", "/charge", ONSET, 1000, "1", failed=True, error="no connection")
    told, labels = findings(seen(spans=(outer, inner)), ranked())
    [trace] = [each for each in told if each.kind == "trace"]
    assert "payments" in trace.statement
    assert "no connection" in trace.statement
    assert labels["span:t/1"] == labels["span:t/2"] == trace.label


def test_nothing_is_told_at_greater_length_than_people_read() -> None:
    event = ClusterEvent(ONSET, "Pod", "p", "BackOff", "x " * 2000, "checkout", 3)
    past = PastTime(datetime(2026, 10, 1, tzinfo=UTC), "y " * 2000, "z " * 2000)
    base = seen(events=(event,))
    told, _ = findings(Seen(base.observations, (), past=(past,), on_call="Maya"), ranked())
    assert {each.kind for each in told} >= {"cluster", "past_incident", "on_call"}
    assert all(len(each.statement) <= LONGEST for each in told)
