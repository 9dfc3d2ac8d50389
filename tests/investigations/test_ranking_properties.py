"""What holds of the ranking whatever was observed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.investigations.evidence import Observations, Ranking
from app.investigations.ranking import rank
from app.signals.models import Change, ClusterEvent, LogLine, Series, Span
from tests.investigations import test_ranking as stories

SERVICES = st.sampled_from([None, "web", "shop", "db", ""])
NAMED = st.sampled_from(["web", "shop", "db"])
TIMES = st.one_of(st.floats(0, 7200), st.integers(0, 120).map(lambda minute: minute * 60.0), st.floats())
NAMES = st.sampled_from(
    [
        "error_ratio",
        "latency_p99",
        "requests_per_second",
        "availability",
        "cpu_utilization",
        "cert_expiry",
        "",
        "x",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["x509: certificate has expired", "no space left on device", "POST https://a.example.com 503"]
    ),
)
POINTS = st.lists(st.tuples(TIMES, st.one_of(st.floats(), st.floats(0, 100))), max_size=25)
SERIES = st.builds(
    Series,
    name=NAMES,
    points=POINTS.map(lambda points: tuple(sorted(points, key=lambda p: (p[0] == p[0], p[0])))),
    service=SERVICES,
)
LINES = st.builds(
    LogLine, at=TIMES, text=TEXTS, service=SERVICES, level=st.sampled_from(["", "info", "warn", "error"])
)
SPANS = st.builds(
    Span,
    trace_id=st.sampled_from("tu"),
    span_id=st.sampled_from("abc"),
    service=NAMED,
    name=TEXTS,
    start=TIMES,
    duration_ms=st.floats(),
    parent_id=st.sampled_from([None, "a", "b"]),
    failed=st.booleans(),
    error=st.one_of(st.none(), TEXTS),
    attributes=st.dictionaries(st.sampled_from(["peer.service", "http.url"]), TEXTS, max_size=1),
)
CHANGES = st.builds(
    Change,
    kind=st.sampled_from(["deploy", "commit", "flag", "config"]),
    id=st.sampled_from(["c1", "c2", "c3", ""]),
    at=TIMES,
    title=TEXTS,
    service=SERVICES,
    commits=st.sampled_from([(), ("c1",), ("c2", "c9")]),
    files=st.sampled_from([(), ("a.go",), ("README.md", "b.py")]),
    diff=st.one_of(st.none(), st.text(alphabet="+-@ \nabif()=0123", max_size=60)),
)
EVENTS = st.builds(
    ClusterEvent,
    at=TIMES,
    kind=st.sampled_from(["Node", "Pod"]),
    name=st.text(max_size=4),
    reason=st.sampled_from(["NodeNotReady", "OOMKilled", ""]),
    message=TEXTS,
    service=SERVICES,
)
OBSERVATIONS = st.builds(
    Observations,
    service=SERVICES,
    alerted_at=TIMES,
    title=TEXTS,
    symptom=st.one_of(st.none(), SERIES),
    series=st.lists(SERIES, max_size=4).map(tuple),
    logs=st.lists(LINES, max_size=8).map(tuple),
    spans=st.lists(SPANS, max_size=5).map(tuple),
    changes=st.lists(CHANGES, max_size=4).map(tuple),
    events=st.lists(EVENTS, max_size=2).map(tuple),
    depends_on=st.dictionaries(NAMED, st.lists(NAMED, max_size=3).map(tuple), max_size=3),
    sources_asked=st.sampled_from([frozenset(), frozenset({"deploys"})]),
)
SLOW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STORIES = [
    stories.bad_deploy,
    stories.pool_exhausted_downstream,
    stories.dependency_in_trouble,
    stories.traffic_surge,
    stories.expired_certificate,
    stories.outage_elsewhere,
    stories.slow_leak,
]


def shuffled(seen: Observations, chance: Random) -> Observations:
    def mixed(every: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(chance.sample(every, len(every)))

    return replace(
        seen,
        series=mixed(seen.series),
        logs=mixed(seen.logs),
        spans=mixed(seen.spans),
        changes=mixed(seen.changes),
        events=mixed(seen.events),
        depends_on={
            name: mixed(seen.depends_on[name])
            for name in chance.sample(sorted(seen.depends_on), len(seen.depends_on))
        },
    )


def is_sound(ranking: Ranking) -> bool:
    scores = [cause.score for cause in ranking.causes]
    weights = [r.weight for cause in ranking.causes for r in (*cause.reasons_for, *cause.reasons_against)]
    return (
        scores == sorted(scores, reverse=True)
        and all(0 <= score <= 1 for score in [*scores, ranking.confidence])
        and all(weight > 0 for weight in weights)
        and len(set(ranking.services)) == len(ranking.services)
    )


@SLOW
@given(OBSERVATIONS)
def test_anything_can_be_ranked(seen: Observations) -> None:
    assert is_sound(rank(seen))


@SLOW
@given(OBSERVATIONS, st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_makes_no_difference(seen: Observations, chance: Random) -> None:
    assert repr(rank(shuffled(seen, chance))) == repr(rank(seen))


@pytest.mark.parametrize("story", STORIES)
def test_the_order_of_a_story_makes_no_difference(story) -> None:
    seen = story()
    assert rank(shuffled(seen, Random(7))) == rank(seen)


@pytest.mark.parametrize("story", STORIES)
def test_names_of_services_and_changes_make_no_difference(story) -> None:
    seen = story()
    names = {"shop": "qzkfw", "store": "vvhtr", "bank": "jjxpl", "web": "ggmnd", "db": "kkrts"}

    def new(text: str) -> str:
        for name, other in names.items():
            text = text.replace(name, other)
        return text

    def named(each):
        return replace(each, service=new(each.service) if each.service else None)

    renamed = replace(
        seen,
        service=new(seen.service or ""),
        title=new(seen.title),
        symptom=named(seen.symptom) if seen.symptom else None,
        series=tuple(map(named, seen.series)),
        logs=tuple(replace(named(line), text=new(line.text)) for line in seen.logs),
        spans=tuple(map(named, seen.spans)),
        changes=tuple(
            replace(
                named(each),
                id=f"x{each.id}",
                title=new(each.title),
                commits=tuple(f"x{c}" for c in each.commits),
                files=tuple(map(new, each.files)),
            )
            for each in seen.changes
        ),
        depends_on={new(caller): tuple(map(new, callees)) for caller, callees in seen.depends_on.items()},
    )
    plain, other = rank(seen), rank(renamed)
    assert other.verdict == plain.verdict
    assert other.causes[0].kind == plain.causes[0].kind
    assert other.causes[0].score == pytest.approx(plain.causes[0].score, abs=0.02)
    assert other.services[:1] == tuple(map(new, plain.services[:1]))


@pytest.mark.parametrize("source", ["series", "logs", "spans", "changes", "events"])
@pytest.mark.parametrize("story", STORIES)
def test_without_one_source_an_innocent_change_is_still_not_blamed(story, source: str) -> None:
    ranking = rank(replace(story(), **{source: ()}))
    assert is_sound(ranking)
    assert ranking.verdict != "cause" or ranking.causes[0].change_id != "innocent"
