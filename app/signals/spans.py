"""Traces: where the time went, and where the errors began."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from app.signals.models import Span

Key = tuple[str, str]


def self_times(spans: Sequence[Span]) -> Mapping[str, float]:
    """Milliseconds each service spent itself: its spans without what their children cover, summed."""
    children = children_of(spans)
    spent: defaultdict[str, float] = defaultdict(float)
    for span in spans:
        spent[span.service] += self_time(span, children.get(key_of(span), ()))
    return dict(spent)


def self_time(span: Span, children: Iterable[Span]) -> float:
    """Milliseconds of `span` in which none of its children ran; overlapping children count once, and what
    a child ran beyond its parent not at all."""
    end = span.start + max(span.duration_ms, 0.0) / 1000
    covered, reached = 0.0, span.start
    for child in sorted(children, key=lambda each: (each.start, each.duration_ms)):
        child_end = min(child.start + child.duration_ms / 1000, end)
        if child_end > reached:
            covered += child_end - max(child.start, reached)
            reached = child_end
    return max(0.0, span.duration_ms - covered * 1000)


def error_spans_by_service(spans: Iterable[Span]) -> Mapping[str, tuple[Span, ...]]:
    """Failed spans, earliest first, by service."""
    failed: defaultdict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda each: (each.start, each.trace_id, each.span_id)):
        if span.failed:
            failed[span.service].append(span)
    return {service: tuple(found) for service, found in failed.items()}


def deepest_failing(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Failed spans none of whose children failed, earliest first: where errors began, as traces saw it."""
    children = children_of(spans)
    found = [
        span
        for span in spans
        if span.failed and not any(child.failed for child in children.get(key_of(span), ()))
    ]
    return tuple(sorted(found, key=lambda each: (each.start, each.trace_id, each.span_id)))


def calls(spans: Sequence[Span]) -> Mapping[str, tuple[str, ...]]:
    """Which service called which, as far as the traces show it, names in order."""
    by_key = {key_of(span): span for span in spans}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for span in spans:
        parent = by_key.get((span.trace_id, span.parent_id)) if span.parent_id else None
        if parent is not None and parent.service != span.service:
            found[parent.service].add(span.service)
    return {service: tuple(sorted(callees)) for service, callees in found.items()}


def children_of(spans: Iterable[Span]) -> Mapping[Key, tuple[Span, ...]]:
    """The direct children of each span, by (trace, span)."""
    children: defaultdict[Key, list[Span]] = defaultdict(list)
    for span in spans:
        if span.parent_id is not None and span.parent_id != span.span_id:
            children[span.trace_id, span.parent_id].append(span)
    return {key: tuple(found) for key, found in children.items()}


def key_of(span: Span) -> Key:
    return span.trace_id, span.span_id
