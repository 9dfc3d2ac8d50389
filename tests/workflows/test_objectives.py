"""What a service delivered and what targets would have meant, against series whose numbers are known."""

from __future__ import annotations

import pytest

from app.investigations.chart import drawn
from app.signals.models import Series
from app.workflows.wants.backtest import backtest
from app.workflows.wants.counts import DAY, Count, Counts, bucket_for, counted, shares, slow, step_down
from app.workflows.wants.journeys import journeys_in, route_for, routes_in
from app.workflows.wants.proposing import availability, latency, together
from app.workflows.wants.saying import percent, period, time_of
from app.workflows.wants.standard import Standard, standard_of
from tests.workflows.books import EXAMPLE, knowledge

HOUR = 3600.0
TIER_1 = Standard(1, availability=99.95, latency_share=99.0, latency_seconds=0.8)


def hours(count: int, bad: dict[int, float] | None = None, valid: float = 1000.0) -> Counts:
    """Hours with as many requests each, of which in some of them a share is bad."""
    shares = bad or {}
    return Counts(HOUR, tuple(Count((n + 1) * HOUR, valid, valid * shares.get(n, 0.0)) for n in range(count)))


@pytest.mark.parametrize(
    ("history", "target", "used", "spent_hour", "pages", "tickets"),
    [
        (hours(720), 99.9, 0.0, None, 0, 0),
        # 720 hours of 1,000 requests leave a budget of 720; one hour at 10 % takes 100 of it. Over three days
        # that is 100 of 72,000, above 0.93 × 0.1 %: a ticket, too.
        (hours(720, {100: 0.1}), 99.9, 100 / 720, None, 1, 1),
        # the same at a target ten times as tight: gone at once.
        (hours(720, {100: 0.1}), 99.99, 1000 / 720, 101, 1, 1),
        # exactly the budget: used up, not overdrawn.
        (hours(720, {100: 0.72}), 99.9, 1.0, None, 1, 1),
        # 1.3 % for an hour is below 13.44 × 0.1 %, and what remains of it in six hours below 5.6 × 0.1 %.
        (hours(720, {100: 0.013}), 99.9, 13 / 720, None, 0, 0),
        # 0.7 % for seven hours is below the fast page and above the slower one.
        (hours(720, dict.fromkeys(range(100, 107), 0.007)), 99.9, 49 / 720, None, 1, 0),
        # 0.11 % all the time never pages; it is a ticket, once.
        (hours(720, dict.fromkeys(range(720), 0.0011)), 99.9, 1.1, 655, 0, 1),
        # two outages, far apart, page twice.
        (hours(720, {100: 0.5, 400: 0.5}), 99.5, 1000 / 3600, None, 2, 2),
    ],
)  # fmt: skip
def test_what_a_target_would_have_meant(
    history: Counts, target: float, used: float, spent_hour: int | None, pages: int, tickets: int
) -> None:
    tested = backtest(history, target)

    assert tested is not None
    assert tested.used == pytest.approx(used)
    assert tested.spent_at == (None if spent_hour is None else spent_hour * HOUR)
    assert (tested.pages, tested.tickets) == (pages, tickets)
    assert tested.left[-1][1] == pytest.approx(1 - used)


def test_the_worst_day_is_the_one_that_took_most() -> None:
    tested = backtest(hours(240, {30: 0.1, 100: 0.3}), 99.0)

    assert tested is not None
    assert tested.worst == (4 * DAY, pytest.approx(300 / 2400))


@pytest.mark.parametrize("history", [Counts(HOUR), hours(10, valid=0)])
def test_without_requests_nothing_is_tested(history: Counts) -> None:
    assert backtest(history, 99.9) is None
    assert history.delivered is None


def test_rates_become_counts_and_no_failure_is_zero() -> None:
    valid = [Series("v", ((60.0, 2.0), (120.0, 4.0))), Series("v", ((60.0, 1.0),))]
    found = counted(valid, [Series("b", ((120.0, 1.0),))], 60.0)

    assert found.counts == (Count(60.0, 180.0, 0.0), Count(120.0, 240.0, 60.0))
    assert found.delivered == pytest.approx(100 * 360 / 420)
    assert slow([Series("f", ((60.0, 2.0),))], [Series("a", ((60.0, 3.0),))], 60.0).counts == (
        Count(60.0, 180.0, 60.0),
    )


def test_the_share_below_each_bound() -> None:
    buckets = [
        Series("b", ((1.0, 90.0), (2.0, 90.0)), labels={"le": "0.5"}),
        Series("b", ((1.0, 99.0), (2.0, 99.0)), labels={"le": "1.0"}),
        Series("b", ((1.0, 100.0), (2.0, 100.0)), labels={"le": "+Inf"}),
    ]

    assert shares(buckets) == {"0.5": pytest.approx(90.0), "1.0": pytest.approx(99.0)}
    assert shares(buckets[:2]) == {}


@pytest.mark.parametrize(
    ("standard", "history", "target", "said"),
    [
        (TIER_1, hours(720), 99.95, "and it kept that"),
        (TIER_1, hours(720, {5: 0.5, 6: 0.94}), 99.8, "begin with 99.8 % and raise it"),
        (TIER_1, hours(48, {5: 0.5}), 99.95, "less than a week"),
        (TIER_1, Counts(HOUR), 99.95, "no history"),
        (TIER_1, hours(720, valid=2), 99.95, "fewer than 1,000 a week"),
        (Standard(), hours(720, {5: 0.5}), 99.9, "no tier asks for more"),
        (Standard(), Counts(HOUR), None, "no tier that asks"),
    ],
)
def test_the_lower_of_what_is_asked_and_what_was_delivered_is_proposed(
    standard: Standard, history: Counts, target: float | None, said: str
) -> None:
    proposed = availability(standard, history)

    assert proposed.target == target
    assert said in proposed.reason


@pytest.mark.parametrize(
    ("delivered", "threshold", "share"),
    [
        ({"0.5": 99.5, "0.8": 99.7, "1": 99.9}, "800ms", 99.0),
        ({"0.25": 90.0, "0.5": 99.5, "1": 99.9}, "500ms", 99.0),
        ({"0.25": 80.0, "0.5": 90.0, "1": 98.4}, "1s", 98.0),
        ({"0.25": 80.0, "0.5": 90.0}, "500ms", 90.0),
        ({}, "800ms", 99.0),
    ],
)
def test_a_threshold_is_a_bound_that_can_be_measured(
    delivered: dict[str, float], threshold: str, share: float
) -> None:
    found = latency(TIER_1, delivered, hours(720))

    assert (found.threshold, found.share.target) == (threshold, share)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [(1, (99.95, 99.0, 0.8)), (2, (99.9, 99.0, 1.5)), (3, (99.5, 95.0, 3.0)), (4, (None, None, None))],
)
def test_a_tiers_page_says_what_it_owes(
    tier: int, expected: tuple[float | None, float | None, float | None]
) -> None:
    found = standard_of(tier, knowledge().tiers[tier].text)

    assert (found.availability, found.latency_share, found.latency_seconds) == expected
    assert found.rows["Runbook"]
    assert len(found.checklist) == {1: 10, 2: 8, 3: 6, 4: 4}[tier]


def test_journeys_and_routes_of_a_blueprint() -> None:
    page = (EXAMPLE / "services/checkout.md").read_text("utf-8")

    assert journeys_in(page) == ("quote", "order status", "pay")
    assert routes_in(page) == ("/cart/{id}/quote", "/pay", "/orders/{id}")


@pytest.mark.parametrize(
    ("journey", "route"),
    [
        ("quote", "/cart/{id}/quote"),
        ("order status", "/orders/{id}"),
        ("pay", "/pay"),
        ("POST /pay", "/pay"),
        ("log in", None),
        ("cart", None),
    ],
)
def test_the_route_of_a_journey_is_told_only_where_one_fits(journey: str, route: str | None) -> None:
    assert route_for(journey, ["/cart/{id}/quote", "/cart/{id}", "/pay", "/orders/{id}"]) == route


async def test_the_budget_is_drawn_in_a_process_of_its_own() -> None:
    points = [(hour * HOUR, 1 - hour / 500) for hour in range(720)]

    assert (await drawn("Error budget left", "ratio", points)).startswith(b"\x89PNG")


def test_small_words() -> None:
    assert [percent(each) for each in (99.95, 99.0, 100.0, 99.9996)] == [
        "99.95 %",
        "99 %",
        "100 %",
        "99.9996 %",
    ]
    assert [time_of(each) for each in (0.8, 1.5, 2.0)] == ["800ms", "1500ms", "2s"]
    assert [step_down(each) for each in (99.97, 99.95, 99.7, 12.34)] == [99.95, 99.95, 99.5, 12.3]
    assert [bucket_for(each, ["0.5", "1.0"]) for each in (0.4, 0.5, 0.8, 3)] == ["0.5", "0.5", "1.0", "1.0"]
    assert bucket_for(1, []) is None
    assert period(hours(720)) == "the last 30 days"
    assert period(hours(5)) == "the 5 hours that Prometheus has of the last 30 days"
    assert "99.85 %" in together({"a": 99.95, "b": 99.9, "c": None})
    assert together({"c": None}) == ""
