"""Charts as shapes with coordinates: the template draws them, the stylesheet colours them. Pure.

Each comes with the rows of the table that says the same in text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from app.investigations.accuracy import ENOUGH, Judged, Share
from app.web.console.models import Spent, Used

WIDTH, HEIGHT = 480, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 12, 30
MOST_MODELS = 5
OTHER = "others"
MOST_DAYS = 90
BINS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
MOST_TICKS = 6


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    """A share with its 95 % interval; `weak` where it rests on too few cases to mean much."""

    x: float
    y: float
    low: float
    high: float
    weak: bool
    says: str


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    series: int
    says: str


@dataclass(frozen=True)
class Chart:
    """`summary` says in a sentence what is seen; `head` and `rows` are its table."""

    title: str
    summary: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    diagonal: bool = False
    legend: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.dots or self.bars)


def x_of(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def y_of(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


FRAME = {
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
    "width": WIDTH,
    "height": HEIGHT,
}
"""Of what is drawn within a chart."""
SHARES = tuple(Tick(y_of(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1))


def accuracy_by_week(judged: Iterable[Judged], *, now: datetime, days: int) -> Chart:
    """How many diagnoses were right, of those people judged, week by week."""
    first = _week(now - timedelta(days=days - 1))
    weeks = [first + timedelta(weeks=n) for n in range((_week(now) - first).days // 7 + 1)]
    by_week: dict[date, list[bool]] = defaultdict(list)
    for each in judged:
        if each.at and each.named and each.correct is not None:
            by_week[_week(each.at)].append(each.correct)
    dots, rows = [], []
    for place, week in enumerate(weeks):
        told = by_week.get(week, [])
        share = Share(sum(told), len(told))
        rows.append((f"{week:%Y-%m-%d}", str(share.cases), str(share.right), _said(share)))
        if told:
            dots.append(_dot(x_of((place + 0.5) / len(weeks)), share, f"week of {week:%d %b}"))
    every = Share(sum(map(sum, by_week.values())), sum(map(len, by_week.values())))
    return Chart(
        "Diagnoses that were right, by week",
        f"{every.right} of {every.cases} judged diagnoses were right.",
        SHARES,
        _spaced([(x_of((n + 0.5) / len(weeks)), f"{week:%d %b}") for n, week in enumerate(weeks)]),
        ("week of", "judged", "right", "share (95 %)"),
        tuple(reversed(rows)),
        dots=tuple(dots),
    )


def calibration(judged: Iterable[Judged]) -> Chart:
    """What was stated against what was so: on the diagonal, 70 % sure is right in 70 of 100 cases."""
    told = [each for each in judged if each.named and each.correct is not None]
    dots, rows = [], []
    for low, high in BINS:
        within = [each for each in told if low <= each.confidence < high or each.confidence == high == 1]
        share = Share(sum(bool(each.correct) for each in within), len(within))
        stated = sum(each.confidence for each in within) / len(within) if within else None
        name = f"{low:.0%}–{high:.0%}"
        rows.append((name, str(share.cases), "–" if stated is None else f"{stated:.0%}", _said(share)))
        if stated is not None:
            dots.append(_dot(x_of(stated), share, f"stated {stated:.0%}"))
    return Chart(
        "Stated confidence against what was so",
        f"From {len(told)} judged diagnoses; on the line, confidence is worth what it says.",
        SHARES,
        tuple(Tick(x_of(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)),
        ("stated", "judged", "mean stated", "right (95 %)"),
        tuple(rows),
        dots=tuple(dots),
        diagonal=True,
    )


def spend(spent: Sequence[Spent], *, now: datetime, days: int) -> Chart:
    """US dollars by model: a day each, or a week each where the days would be too many to tell apart."""
    weekly = days > MOST_DAYS
    begin: Callable[[date], date] = _monday if weekly else lambda day: day
    step = timedelta(days=7 if weekly else 1)
    names = _largest(spent)
    usd: dict[tuple[date, str], float] = defaultdict(float)
    for each in spent:
        usd[begin(each.day), each.model if each.model in names else OTHER] += float(each.usd)
    if any(each.usd and each.model not in names for each in spent):
        names = (*names, OTHER)
    last = begin(now.astimezone(UTC).date())
    first = begin(now.astimezone(UTC).date() - timedelta(days=days - 1))
    dates = [first + step * n for n in range((last - first) // step + 1)]
    top = _round_up(max(sum(usd[day, name] for name in names) for day in dates))
    slot = (WIDTH - LEFT - RIGHT) / len(dates)
    bars = []
    for place, day in enumerate(dates):
        under = 0.0
        for series, name in enumerate(names):
            if (cost := usd[day, name]) > 0:
                low, high = y_of(under / top), y_of((under + cost) / top)
                x, width = round(LEFT + place * slot + slot * 0.12, 1), round(max(0.8, slot * 0.76), 1)
                bars.append(
                    Bar(x, high, width, round(low - high, 1), series, f"{day}: {name} {cost:.4f} USD")
                )
                under += cost
    labels = [(round(LEFT + (n + 0.5) * slot, 1), f"{day:%d %b}") for n, day in enumerate(dates)]
    return Chart(
        f"Spent by {'week' if weekly else 'day'}, in US dollars",
        f"{sum((each.usd for each in spent), Decimal(0)):.2f} USD in {days} days." + _unpriced(spent),
        tuple(Tick(y_of(share), _dollars(top * share)) for share in (0, 0.25, 0.5, 0.75, 1)),
        _spaced(labels),
        ("week of" if weekly else "day (UTC)", *(name for name in names), "USD"),
        tuple(
            (
                f"{day}",
                *(f"{usd[day, name]:.4f}" for name in names),
                f"{sum(usd[day, name] for name in names):.4f}",
            )
            for day in reversed(dates)
        ),
        bars=tuple(bars),
        legend=names,
    )


def _unpriced(spent: Sequence[Spent]) -> str:
    unpriced = sum(each.unpriced for each in spent)
    if not unpriced:
        return ""
    return f" Not in it: {unpriced:,} {'request' if unpriced == 1 else 'requests'} of unknown price."


def _largest(spent: Sequence[Spent]) -> tuple[str, ...]:
    """The models that cost most, so that what matters has a colour of its own."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for each in spent:
        sums[each.model] += each.usd
    costly = [name for name, usd in sums.items() if usd]
    return tuple(sorted(costly, key=lambda name: (-sums[name], name))[:MOST_MODELS])


def by_model(spent: Sequence[Spent]) -> tuple[Used, ...]:
    """What each model was asked for in all that time, what cost most first."""
    found: dict[str, list[Spent]] = defaultdict(list)
    for each in spent:
        found[each.model].append(each)
    used = (
        Used(
            name,
            sum(each.requests for each in days),
            sum(each.input_tokens for each in days),
            sum(each.cached_tokens for each in days),
            sum(each.output_tokens for each in days),
            sum((each.usd for each in days), Decimal(0)),
            sum(each.unpriced for each in days),
        )
        for name, days in found.items()
    )
    return tuple(sorted(used, key=lambda each: (-each.usd, each.model)))


def _dot(x: float, share: Share, where: str) -> Dot:
    low, high = share.interval
    return Dot(
        x,
        y_of(share.right / share.cases),
        y_of(low),
        y_of(high),
        share.cases < ENOUGH,
        f"{where}: {share.right} of {share.cases} right, 95 % between {low:.0%} and {high:.0%}",
    )


def _said(share: Share) -> str:
    """The share where there are enough cases for one."""
    if share.share is None:
        return "too few" if share.cases else "–"
    low, high = share.interval
    return f"{share.share:.0%} ({low:.0%}–{high:.0%})"


def _spaced(labels: Sequence[tuple[float, str]]) -> tuple[Tick, ...]:
    """Some of the labels, evenly, so that none lies on another; the last is among them."""
    step = max(1, -(-len(labels) // MOST_TICKS))
    return tuple(Tick(at, said) for at, said in reversed(labels[::-1][::step]))


def _week(at: datetime) -> date:
    return _monday(at.astimezone(UTC).date())


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 10 … of its order: what four steps divide well."""
    if value <= 0:
        return 1.0
    order: float = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while order > value:
        order /= 10
    return next(order * step for step in (1, 2, 4, 5, 8, 10) if order * step >= value)


def _dollars(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
