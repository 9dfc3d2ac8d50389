"""Traces: self time, failing spans and who called whom."""

from __future__ import annotations

from app.signals.models import Span
from app.signals.spans import calls, deepest_failing, error_spans_by_service, self_times


def span(
    key: str, service: str, start: float, ms: float, parent: str | None = None, failed: bool = False
) -> Span:
    return Span("t", key, service, key, start, ms, parent, failed)


def test_time_belongs_to_the_service_that_spent_it() -> None:
    spans = [span("a", "web", 0, 1000), span("b", "shop", 0.1, 800, "a"), span("c", "db", 0.2, 600, "b")]
    assert {name: round(ms) for name, ms in self_times(spans).items()} == {"web": 200, "shop": 200, "db": 600}


def test_children_that_overlap_are_taken_off_once() -> None:
    spans = [span("a", "web", 0, 1000), span("b", "x", 0, 500, "a"), span("c", "x", 0.25, 500, "a")]
    assert round(self_times(spans)["web"]) == 250


def test_a_child_that_outlives_its_parent_takes_no_more_than_there_is() -> None:
    spans = [span("a", "web", 0, 100), span("b", "queue", 0.05, 5000, "a")]
    assert round(self_times(spans)["web"]) == 50


def test_errors_begin_where_no_child_failed() -> None:
    spans = [
        span("a", "web", 0, 100, failed=True),
        span("b", "shop", 0, 90, "a", failed=True),
        span("c", "db", 0, 10, "b"),
        span("d", "mail", 0, 10, "a"),
    ]
    assert [each.service for each in deepest_failing(spans)] == ["shop"]
    assert list(error_spans_by_service(spans)) == ["web", "shop"]


def test_traces_tell_who_calls_whom() -> None:
    spans = [span("a", "web", 0, 100), span("b", "shop", 0, 9, "a"), span("c", "shop", 0, 9, "b")]
    assert calls(spans) == {"web": ("shop",)}


def test_a_span_that_names_itself_or_nobody_as_parent_does_no_harm() -> None:
    spans = [span("a", "web", 0, 100, "a", failed=True), span("b", "shop", 0, 50, "gone", failed=True)]
    assert self_times(spans) == {"web": 100, "shop": 50}
    assert len(deepest_failing(spans)) == 2
