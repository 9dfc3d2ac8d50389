"""Causes ranked without a model: tables of small incidents and what must be said of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.investigations.evidence import Observations
from app.investigations.ranking import rank
from app.signals.models import Change, ClusterEvent, LogLine
from tests.investigations.story import at, call, chart, deploy, lines, ramp, told, usual

SHOP = {"web": ("shop",), "shop": ("store", "bank"), "store": ("db",)}

LOST_GUARD = """\
@@ -10,7 +10,4 @@ func (s *Shop) Total(c *Cart) int {
-    if c.Voucher == nil {
-        return c.Sum
-    }
     return c.Sum - c.Voucher.Worth
"""
HARMLESS = """\
@@ -1,5 +1,4 @@ func (s *Shop) Show(w http.ResponseWriter, r *http.Request) {
-    body := template.Render(r.Context(), page, values)
-    w.Write(body)
+    writeBody(w, template.Render(r.Context(), page, values))
"""
SMALLER_POOL = """\
@@ -3,4 +3,4 @@ database:
-  max_connections: 60
+  max_connections: 6
"""
STYLES = "@@ -1 +1 @@\n-.button { padding: 4px }\n+.button { padding: 6px }"
LOOKUP_IN_LOOP = """\
@@ -5,3 +5,6 @@ def totals(orders):
-    return [order.price for order in orders]
+    prices = []
+    for order in orders:
+        prices.append(store.fetch_price(order.sku))
+    return prices
"""


def bad_deploy() -> Observations:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    return told(
        "shop",
        errors,
        series=[chart("web", "error_ratio", 0.003, (60, 0.3)), chart("store", "error_ratio", 0.001)],
        logs=[*usual("shop", "web"), *lines("shop", "panic: nil voucher in Total", 60)],
        changes=[
            *deploy("shop", 59.5, "guilty", diff=LOST_GUARD, files=("shop/total.go",)),
            *deploy("web", 60, "innocent", diff=STYLES, files=("web/static/a.css",)),
        ],
        depends_on=SHOP,
    )


def pool_exhausted_downstream() -> Observations:
    """A setting of the store is lowered; the shop, deployed minutes before the page, only suffers."""
    slow = chart("shop", "latency_p99_seconds", 0.2, (60, 5))
    return told(
        "shop",
        slow,
        series=[
            chart("store", "db_pool_connections_in_use", 20, (55, 6), noise=0.01),
            chart("store", "latency_p99_seconds", 0.1, (60, 4.8)),
            chart("db", "latency_p99_seconds", 0.01),
            chart("web", "latency_p99_seconds", 0.3, (60, 5.2)),
        ],
        logs=[
            *usual("shop", "store"),
            *lines("store", "timed out waiting for one of max_connections in the pool", 59),
            *lines("shop", "store did not answer in 5s", 60, level="warn"),
        ],
        changes=[
            *deploy("store", 54, "guilty", diff=SMALLER_POOL, files=("config/store.yaml",)),
            *deploy("shop", 58, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        ],
        depends_on=SHOP,
    )


def dependency_in_trouble() -> Observations:
    """Nothing was changed below; the deploy above is harmless and only came just before."""
    slow = chart("shop", "latency_p99_seconds", 0.2, (60, 5))
    return told(
        "shop",
        slow,
        series=[
            chart("store", "latency_p99_seconds", 0.1, (60, 4.8)),
            chart("db", "latency_p99_seconds", 0.01, (60, 4.7)),
            chart("bank", "latency_p99_seconds", 0.1),
        ],
        changes=deploy("shop", 57, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        depends_on=SHOP,
    )


def traffic_surge() -> Observations:
    slow = chart("web", "latency_p99_seconds", 0.2, (61, 3))
    return told(
        "web",
        slow,
        series=[
            chart("web", "requests_per_second", 100, (60, 640)),
            chart("shop", "requests_per_second", 60, (60, 380)),
            chart("store", "requests_per_second", 40, (60, 260)),
            chart("web", "cpu_utilization", 0.3, (60, 0.99)),
        ],
        logs=[*usual("web"), *lines("web", "queue full, request rejected", 61)],
        changes=deploy("web", 58, "innocent", diff=HARMLESS, files=("web/show.go",)),
        depends_on=SHOP,
    )


def expired_certificate() -> Observations:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.9))
    return told(
        "shop",
        errors,
        series=[ramp("bank", "certificate_expiry_seconds", 3600, 0, -60)],
        logs=[
            *usual("shop"),
            *lines("shop", "handshake with bank failed: x509: certificate has expired", 60),
        ],
        changes=deploy("shop", 58, "innocent", diff=HARMLESS, files=("shop/tls.go",)),
        depends_on=SHOP,
    )


def outage_elsewhere() -> Observations:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.7))
    spans = [
        span
        for index in range(6)
        for span in call(
            f"t{index}", "shop", "shop", 61 + index, "503", **{"peer.service": "cards.example.com"}
        )
    ]
    return told(
        "shop",
        errors,
        spans=spans,
        logs=[*usual("shop"), *lines("shop", "POST https://cards.example.com/v1/pay returned 503", 60)],
        changes=deploy("shop", 57, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        depends_on=SHOP,
    )


def node_lost() -> Observations:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.5))
    return told(
        "shop",
        errors,
        events=[ClusterEvent(at(59.5), "Node", "node-7", "NodeNotReady", "kubelet stopped posting status")],
        changes=deploy("shop", 20, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        depends_on=SHOP,
    )


def full_disk() -> Observations:
    errors = chart("db", "error_ratio", 0.001, (60, 0.8))
    return told(
        "db",
        errors,
        series=[ramp("db", "disk_usage_percent", 60, 0, 0.66)],
        logs=[*usual("db"), *lines("db", "could not extend file: No space left on device", 60)],
        changes=deploy("shop", 55, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        depends_on=SHOP,
    )


def slow_leak() -> Observations:
    """The onset comes forty minutes after the deploy; memory grows from it on."""
    errors = chart("store", "error_ratio", 0.001, (60, 0.5))
    leak = "@@ -1,4 +1,3 @@ func (c *Cache) Put(k string, v []byte) {\n-\tif len(c.items) >= c.limit {\n-\t\tc.evict()\n-\t}\n \tc.items[k] = v\n"
    return told(
        "store",
        errors,
        series=[ramp("store", "memory_bytes", 2e8, 20, 2e7)],
        logs=[*usual("store"), *lines("store", "cannot allocate memory", 60)],
        changes=[
            *deploy("store", 20, "guilty", diff=leak, files=("store/cache.go",)),
            *deploy("store", 58, "innocent", diff=HARMLESS, files=("store/show.go",)),
        ],
        depends_on=SHOP,
    )


def asked_in_a_loop() -> Observations:
    """The store is asked ten times as much, because the shop asks more often for the same requests."""
    slow = chart("shop", "latency_p99_seconds", 0.2, (60, 4))
    return told(
        "shop",
        slow,
        series=[
            chart("shop", "requests_per_second", 50),
            chart("store", "requests_per_second", 60, (60, 600)),
            chart("store", "latency_p99_seconds", 0.05),
        ],
        changes=[
            *deploy("shop", 59, "guilty", diff=LOOKUP_IN_LOOP, files=("shop/totals.py",)),
            *deploy("shop", 59.8, "innocent", diff=HARMLESS, files=("shop/show.go",)),
        ],
        depends_on=SHOP,
    )


def only_a_deploy_is_known() -> Observations:
    """No diff, no logs, no traces: a single rollout of the failing service, as it began to fail."""
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    return told("shop", errors, changes=[Change("deploy", "guilty", at(59.5), "rollout of v7", "shop")])


@pytest.mark.parametrize(
    ("story", "change"),
    [
        (bad_deploy, "guilty"),
        (pool_exhausted_downstream, "guilty"),
        (slow_leak, "guilty"),
        (asked_in_a_loop, "guilty"),
        (only_a_deploy_is_known, "guilty"),
    ],
)
def test_the_change_that_did_it_is_named(story: Callable[[], Observations], change: str) -> None:
    ranking = rank(story())
    assert ranking.verdict == "cause"
    assert ranking.causes[0].change_id == change
    assert ranking.causes[0].reasons_for


@pytest.mark.parametrize(
    ("story", "kind", "service"),
    [
        (dependency_in_trouble, "dependency", "db"),
        (traffic_surge, "traffic", "web"),
        (expired_certificate, "certificate", "bank"),
        (outage_elsewhere, "dependency", "cards.example.com"),
        (node_lost, "platform", None),
        (full_disk, "saturation", "db"),
    ],
)
def test_an_innocent_change_is_not_blamed_for_what_something_else_did(
    story: Callable[[], Observations], kind: str, service: str | None
) -> None:
    ranking = rank(story())
    assert ranking.verdict == "none_of_the_changes"
    assert (ranking.causes[0].kind, ranking.causes[0].service) == (kind, service)
    blamed = next(cause for cause in ranking.causes if cause.change_id == "innocent")
    assert blamed.score < 0.5
    assert blamed.reasons_against


def test_when_nothing_is_known_nothing_is_said() -> None:
    ranking = rank(Observations(service=None, alerted_at=at(60)))
    assert (ranking.verdict, ranking.causes, ranking.services) == ("unknown", (), ())
    assert ranking.confidence == 0


def test_charts_that_kept_their_level_tell_nothing() -> None:
    ranking = rank(told("shop", chart("shop", "error_ratio", 0.002), changes=deploy("shop", 59, "innocent")))
    assert ranking.onset is None
    assert ranking.verdict == "unknown"


def test_a_change_after_the_onset_is_never_named() -> None:
    errors = chart("shop", "error_ratio", 0.002, (50, 0.4))
    ranking = rank(told("shop", errors, changes=deploy("shop", 58, "late", diff=LOST_GUARD, files=("a.go",))))
    assert ranking.verdict != "cause"
    late = next(cause for cause in ranking.causes if cause.change_id == "late")
    assert late.score < 0.05
    assert "after the trouble began" in late.reasons_against[0].text


def test_a_commit_that_nobody_deployed_gives_way_to_the_one_that_was() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    waiting = Change("commit", "waiting", at(59), "work", None, files=("shop/a.go",), diff=LOST_GUARD)
    ranking = rank(
        told(
            "shop",
            errors,
            changes=[waiting, *deploy("shop", 58, "out", diff=LOST_GUARD, files=("shop/b.go",))],
        )
    )
    assert ranking.causes[0].change_id == "out"


def test_two_changes_alike_in_everything_are_not_told_apart_by_guessing() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    twins = [
        Change("deploy", "left", at(59), "rollout", "shop"),
        Change("deploy", "right", at(59), "rollout", "shop"),
    ]
    ranking = rank(told("shop", errors, changes=twins))
    assert ranking.verdict == "unknown"
    assert {cause.change_id for cause in ranking.causes[:2]} == {"left", "right"}


def test_of_a_rollout_with_many_commits_the_likeliest_is_named() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    commits = [
        Change("commit", f"c{place}", at(50 + place), "work", "shop", files=("shop/a.go",), diff=diff)
        for place, diff in enumerate((HARMLESS, LOST_GUARD, STYLES))
    ]
    rollout = Change("deploy", "r1", at(59.5), "rollout", "shop")
    ranking = rank(told("shop", errors, changes=[rollout, *commits]))
    assert ranking.verdict == "cause"
    assert [cause.change_id for cause in ranking.causes if cause.kind == "change"] == ["c1"]
    assert "change:r1" in {reason.seen for reason in ranking.causes[0].reasons_for}


def test_commits_of_one_rollout_that_nothing_tells_apart_do_not_clear_it() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    commits = [Change("commit", f"abcdef{n}", at(50 + n), "work", "shop") for n in range(3)]
    rollout = Change("deploy", "abcdef2", at(59.5), "rollout", "shop")
    ranking = rank(told("shop", errors, changes=[rollout, *commits]))
    assert ranking.verdict == "cause"


def test_a_stack_that_names_a_touched_file_accuses_its_change() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    changes = [
        *deploy("shop", 58, "near", files=("internal/cart/sum.go",)),
        *deploy("shop", 57, "named", files=("internal/pay/total.go",)),
    ]
    logs = [*usual("shop"), *lines("shop", "panic: runtime error at internal/pay/total.go:31", 60)]
    ranking = rank(told("shop", errors, logs=logs, changes=changes))
    assert ranking.verdict == "cause"
    assert ranking.causes[0].change_id == "named"
    assert any(
        reason.seen and reason.seen.startswith("log:shop/") for reason in ranking.causes[0].reasons_for
    )


@pytest.mark.parametrize("late", [0, 60, 120, 600])
@pytest.mark.parametrize("story", [bad_deploy, pool_exhausted_downstream, traffic_surge])
def test_how_late_the_alert_is_makes_no_difference(story: Callable[[], Observations], late: float) -> None:
    seen = story()
    ranking, delayed = rank(seen), rank(replace(seen, alerted_at=seen.alerted_at + late))
    assert delayed.onset == ranking.onset
    assert delayed.causes[0].statement == ranking.causes[0].statement


def test_the_onset_is_that_of_the_chart_and_not_that_of_the_alert() -> None:
    assert rank(bad_deploy()).onset == at(60)


def test_services_above_the_cause_are_its_impact_nearest_first() -> None:
    assert rank(pool_exhausted_downstream()).impact == ("shop", "web")


def test_without_charts_the_log_tells_the_onset() -> None:
    logs: list[LogLine] = [*usual("shop"), *lines("shop", "panic: nil voucher", 60)]
    ranking = rank(
        Observations(
            service="shop",
            alerted_at=at(66),
            logs=tuple(logs),
            changes=tuple(deploy("shop", 59.5, "guilty", diff=LOST_GUARD, files=("shop/total.go",))),
        )
    )
    assert ranking.onset == pytest.approx(at(60), abs=60)
    assert ranking.causes[0].change_id == "guilty"


def test_every_reason_says_what_it_rests_on() -> None:
    first = rank(bad_deploy()).causes[0]
    assert all(reason.seen for reason in first.reasons_for)
    assert all(reason.weight > 0 for reason in (*first.reasons_for, *first.reasons_against))


def test_a_secret_in_a_diff_is_not_repeated() -> None:
    errors = chart("shop", "error_ratio", 0.002, (60, 0.4))
    secret = "hunter2" + "x9Kq81"
    diff = f'@@ -1 +1 @@\n-password = "{secret}"\n+password = "{secret}z"\n'
    ranking = rank(told("shop", errors, changes=deploy("shop", 59, "c1", diff=diff, files=("shop/a.py",))))
    assert secret not in repr(ranking)
