"""Draws one chart: `python -m app.investigations.drawing` reads a drawing as JSON and writes a PNG.

It runs in a child process, which alone pays for matplotlib (half a second and 60 MB).
The picture brings its own dark ground, so it reads the same in Slack's light and dark themes.
"""

from __future__ import annotations

import io
import itertools
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.investigations.amounts import digits, scale
from app.standing_back import stand_back

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

Point = tuple[float, float]

INCHES = (9.0, 3.6)
DPI = 200
"""900 × 360 logical pixels at twice the density."""

GROUND, PANEL_EDGE, GRID = "#12161d", "#2a3240", "#252c38"
TEXT, MUTED = "#eef2f7", "#9aa7b8"
CALM, TROUBLE, ONSET, CHANGE = "#5db3ff", "#ff6f6a", "#ffc44d", "#c9a4ff"

HOLE = 2.5
"""Steps without a point after which the line is broken."""
MOST_MARKS = 3
LONGEST_MARK = 28
SIGN = 0.0115
"""The width of one character of a label, as a share of the panel's."""
ROW = 0.058
"""The height of one row of labels, as a share of the picture's."""
COLOURS = 128
LONGEST_TITLE = 68


@dataclass(frozen=True)
class Drawing:
    """`points` ascend in time (seconds since the epoch); `marks` are (time, label), most telling first."""

    title: str
    unit: str
    points: tuple[Point, ...]
    onset: float | None = None
    marks: tuple[tuple[float, str], ...] = ()
    subtitle: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Drawing:
        given = json.loads(raw)
        pairs = {name: tuple((at, what) for at, what in given[name]) for name in ("points", "marks")}
        return cls(**(given | pairs))


def pieces(points: Sequence[Point]) -> list[list[Point]]:
    """The runs of points between holes in the data."""
    steps = [after[0] - before[0] for before, after in itertools.pairwise(points)]
    hole = HOLE * statistics.median(steps) if steps else 0
    runs: list[list[Point]] = [[points[0]]]
    for point, step in zip(points[1:], steps, strict=True):
        if step > hole:
            runs.append([])
        runs[-1].append(point)
    return runs


def parted(run: Sequence[Point], at: float | None) -> Iterator[tuple[bool, Sequence[Point]]]:
    """What of a run is before `at` and what is after it (True); the two meet."""
    if at is None or run[-1][0] < at:
        yield False, run
    elif run[0][0] >= at:
        yield True, run
    else:
        first = next(index for index, (time, _) in enumerate(run) if time >= at)
        yield False, run[:first]
        yield True, run[first - 1 :]


@dataclass(frozen=True)
class Label:
    """Words above the panel at `share` (0–1) of its width; right of their line, left of it near the end."""

    at: float
    share: float
    words: str
    color: str
    bold: bool = False

    @property
    def leftward(self) -> bool:
        return self.share + len(self.words) * SIGN > 1.04

    @property
    def extent(self) -> tuple[float, float]:
        width = len(self.words) * SIGN
        return (self.share - width, self.share) if self.leftward else (self.share, self.share + width)


def rows(labels: Sequence[Label]) -> list[tuple[Label, int]]:
    """Each label with its row, 0 the lowest: words meet neither each other nor another label's line."""
    outward = sorted(labels, key=lambda label: label.share if label.leftward else 1 - label.share)
    placed: list[tuple[Label, int]] = []
    for label in sorted(outward, key=lambda label: label.leftward):
        left, right = label.extent
        below = [row for other, row in placed if other.extent[0] <= right and left <= other.extent[1]]
        placed.append((label, max(below, default=-1) + 1))
    return placed


def png(drawing: Drawing) -> bytes:
    """The picture. Needs at least one point."""
    import matplotlib  # noqa: PLC0415 — heavy, and needed in the child process alone
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    # A title is data: dollar signs in it are no formula.
    with matplotlib.rc_context({"text.parse_math": False, "font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=INCHES, dpi=DPI, facecolor=GROUND, edgecolor=PANEL_EDGE, linewidth=1.5)
        canvas = FigureCanvasAgg(figure)
        labels = rows(_labels(drawing))
        height = 0.67 - ROW * max((row + 1 for _, row in labels), default=0)
        axes = figure.add_axes((0.097, 0.155, 0.798, height), facecolor=GROUND)
        scaled, suffix = _scaled(drawing)
        _frame(axes, scaled, suffix)
        _curve(axes, scaled, suffix)
        _lines(axes, drawing)
        for label, row in labels:
            _write(axes, label, row)
        _titles(figure, drawing)
        canvas.draw()  # type: ignore[no-untyped-call]
    return _small_png(canvas)


def _small_png(canvas: FigureCanvasAgg) -> bytes:
    """A picture of few colours: a palette makes it a third as large."""
    from PIL import Image  # noqa: PLC0415

    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    picture = Image.frombuffer("RGBA", canvas.get_width_height(), pixels).convert("RGB")
    out = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()


# -- parts of the picture --------------------------------------------------------------------------------


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _number(at: float) -> Any:
    from matplotlib.dates import date2num  # noqa: PLC0415

    return date2num(_time(at))  # type: ignore[no-untyped-call]


def _bounds(drawing: Drawing) -> tuple[float, float]:
    """Left and right end, in seconds: never nothing in between."""
    first, last = drawing.points[0][0], drawing.points[-1][0]
    return (first, last) if last - first >= 60 else (first - 300, last + 300)


def _scaled(drawing: Drawing) -> tuple[Drawing, str]:
    """The drawing in the unit its axis shows, so that ticks are round there; what is written behind them."""
    by, suffix = scale(drawing.unit, max(abs(value) for _, value in drawing.points))
    return replace(drawing, points=tuple((at, value / by) for at, value in drawing.points)), suffix


def _frame(axes: Axes, drawing: Drawing, suffix: str) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    values = [value for _, value in drawing.points]
    low, high = min(values), max(values)
    # From zero: a flat line of large numbers must not look like an upheaval.
    bottom = 0.0 if low >= 0 else low * 1.1
    top = high * 1.18 if high > 0 else (1.0 if low >= 0 else 0.0)
    axes.set_ylim(bottom, top if top > bottom else bottom + 1)
    left, right = _bounds(drawing)
    axes.set_xlim(_number(left), _number(right + (right - left) * 0.01))

    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: digits(value) + suffix))
    locator = AutoDateLocator(tz=UTC, minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    concise = ConciseDateFormatter(locator, tz=UTC, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(concise)

    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MUTED, labelsize=10.5, pad=5)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PANEL_EDGE)


def _curve(axes: Axes, drawing: Drawing, suffix: str) -> None:
    runs = pieces(drawing.points)
    for run in runs:
        for late, part in parted(run, drawing.onset):
            color = TROUBLE if late else CALM
            times, values = [_number(at) for at, _ in part], [value for _, value in part]
            axes.plot(times, values, color=color, linewidth=2.2, solid_capstyle="round", zorder=4)
            axes.fill_between(times, values, axes.get_ylim()[0], color=color, alpha=0.13, linewidth=0)
            if len(run) == 1:
                axes.plot(times, values, "o", color=color, markersize=3.5, zorder=4)
    for before, after in itertools.pairwise(runs):
        _hole(axes, before[-1][0], after[0][0])
    _last(axes, drawing, suffix)


def _hole(axes: Axes, start: float, end: float) -> None:
    axes.axvspan(_number(start), _number(end), facecolor="none", edgecolor=GRID, hatch="////", linewidth=0)
    left, right = axes.get_xlim()
    if _number(end) - _number(start) > (right - left) * 0.08:
        axes.text(
            (_number(start) + _number(end)) / 2,
            0.5,
            "no data",
            transform=axes.get_xaxis_transform(),
            color=MUTED,
            ha="center",
            va="center",
            fontsize=11,
        )


def _last(axes: Axes, drawing: Drawing, suffix: str) -> None:
    at, value = drawing.points[-1]
    late = drawing.onset is not None and at >= drawing.onset
    color = TROUBLE if late else CALM
    axes.plot([_number(at)], [value], "o", color=color, markersize=5, clip_on=False, zorder=6)
    axes.annotate(
        digits(value) + suffix,
        (_number(at), value),
        xytext=(7, 0),
        textcoords="offset points",
        color=color,
        fontsize=12,
        fontweight="bold",
        va="center",
        annotation_clip=False,
    )


def _labels(drawing: Drawing) -> list[Label]:
    left, right = _bounds(drawing)
    wanted = [(at, f"{_short(label, LONGEST_MARK)} {_time(at):%H:%M}", CHANGE) for at, label in drawing.marks]
    wanted = [each for each in wanted if left <= each[0] <= right][:MOST_MARKS]
    if drawing.onset is not None and left <= drawing.onset <= right:
        wanted.append((drawing.onset, f"onset {_time(drawing.onset):%H:%M}", ONSET))
    return [
        Label(at, (at - left) / (right - left), words, color, bold=color == ONSET)
        for at, words, color in wanted
    ]


def _lines(axes: Axes, drawing: Drawing) -> None:
    left, right = _bounds(drawing)
    if drawing.onset is not None and left <= drawing.onset <= right:
        axes.axvline(_number(drawing.onset), color=ONSET, linewidth=1.4, dashes=(4, 3), zorder=5)
    for at, _ in drawing.marks:
        if left <= at <= right:
            axes.axvline(_number(at), color=CHANGE, linewidth=1.1, alpha=0.85, zorder=3)
            foot = axes.get_xaxis_transform()
            axes.plot(
                [_number(at)], [0], "^", transform=foot, color=CHANGE, markersize=7, clip_on=False, zorder=6
            )


def _write(axes: Axes, label: Label, row: int) -> None:
    points = row * ROW * INCHES[1] * 72
    place: dict[str, Any] = {
        "xycoords": axes.get_xaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(
        label.words,
        (_number(label.at), 1.0),
        xytext=(-4 if label.leftward else 4, 2 + points),
        color=label.color,
        fontsize=11,
        fontweight="bold" if label.bold else "normal",
        ha="right" if label.leftward else "left",
        va="bottom",
        **place,
    )
    line = {"arrowstyle": "-", "color": label.color, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (_number(label.at), 1.0), xytext=(0, 14 + points), arrowprops=line, **place)


def _titles(figure: Figure, drawing: Drawing) -> None:
    figure.text(
        0.02,
        0.955,
        _short(drawing.title, LONGEST_TITLE),
        color=TEXT,
        fontsize=13.5,
        fontweight="bold",
        va="top",
    )
    first, last = (_time(at) for at in _bounds(drawing))
    day = f"{first:%d %b %Y}" if first.date() == last.date() else f"{first:%d %b} – {last:%d %b %Y}"
    words = " · ".join(filter(None, [_short(drawing.subtitle, LONGEST_TITLE), day, "times in UTC"]))
    figure.text(0.98, 0.02, words, color=MUTED, fontsize=9, ha="right", va="bottom")


def _short(text: str, longest: int) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


if __name__ == "__main__":
    stand_back()
    sys.stdout.buffer.write(png(Drawing.from_json(sys.stdin.buffer.read())))
