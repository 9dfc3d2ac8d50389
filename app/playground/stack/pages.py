"""Small pages for the links people click: a chart, lines of a log, a trace, a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from math import isfinite

from app.playground.stack.promql import Stretch
from app.signals.models import LogLine, Span

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #8884; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #17191c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
code, pre, td { font-family: ui-monospace, monospace; font-size: 13px; }
pre { background: var(--faint); padding: .7rem; border-radius: 6px; white-space: pre-wrap; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2rem .6rem .2rem 0;
       border-bottom: 1px solid var(--faint); vertical-align: top; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 11px; }
.number { white-space: nowrap; } .error { color: #d13b3b; } .warn { color: #b7791f; }
.bar { display: block; height: 12px; border-radius: 3px; background: #4c78c8; min-width: 2px; }
.bar.error { background: #d13b3b; } small { opacity: .7; }
"""
COLOURS = ("#4c78c8", "#d1742f", "#3d9b63", "#b44ba8", "#b0a02b", "#5aa7b8", "#c24d5d", "#7a6bd1")
WIDTH, HEIGHT, LEFT, BOTTOM = 960, 300, 60, 24


def page(title: str, *parts: str) -> str:
    """A whole document; `title` is plain text, parts are HTML."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    note = "<p><small>Simulated: part of the playground.</small></p>"
    return f"{head}<style>{STYLE}</style><h1>{escape(title)}</h1>{''.join(parts)}{note}</html>"


def query_box(query: str) -> str:
    return f"<pre>{escape(query)}</pre>"


def sentence(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """All cells are plain text."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def clock_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


# --- charts ----------------------------------------------------------------------------------------------


def chart(lines: Sequence[Stretch], start: float, end: float) -> str:
    """Lines over time with their scale, then a table of what they are; UTC."""
    if not lines:
        return sentence("No data for this query in this window.")
    values = [value for line in lines for _, value in line.points if isfinite(value)]
    top, bottom = max([*values, 0.0]), min([*values, 0.0])
    scale = _Scale(start, max(end, start + 1), bottom, top if top > bottom else bottom + 1)
    drawn = "".join(
        f'<path d="{scale.path(line.points)}" fill="none" stroke="{COLOURS[place % len(COLOURS)]}" '
        f'stroke-width="1.6"/>'
        for place, line in enumerate(lines[:40])
    )
    frame = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{scale.grid()}{drawn}</svg>'
    return frame + _legend(lines[:40])


class _Scale:
    def __init__(self, start: float, end: float, bottom: float, top: float) -> None:
        self._start, self._end, self._bottom, self._top = start, end, bottom, top

    def _x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (at - self._start) / (self._end - self._start)

    def _y(self, value: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 8) * (self._top - value) / (self._top - self._bottom)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        good = [(at, value) for at, value in points if isfinite(value)]
        return " ".join(
            f"{'L' if n else 'M'}{self._x(at):.1f},{self._y(v):.1f}" for n, (at, v) in enumerate(good)
        )

    def grid(self) -> str:
        parts = []
        for quarter in range(5):
            value = self._bottom + (self._top - self._bottom) * quarter / 4
            at = self._start + (self._end - self._start) * quarter / 4
            y, x = self._y(value), self._x(at)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
            anchor = "end" if quarter == 4 else "middle"
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{clock_time(at)}</text>')
        return "".join(parts)


def _legend(lines: Sequence[Stretch]) -> str:
    head = "".join(f"<th>{each}</th>" for each in ("series", "first", "lowest", "highest", "last"))
    rows = []
    for place, line in enumerate(lines):
        values = [value for _, value in line.points]
        shown = (values[0], min(values), max(values), values[-1])
        colour = COLOURS[place % len(COLOURS)]
        name = f'<td><b style="color:{colour}">●</b> {escape(series_name(line.labels))}</td>'
        rows.append(f"<tr>{name}{''.join(f'<td>{value:.4g}</td>' for value in shown)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def series_name(labels: Mapping[str, str]) -> str:
    rest = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return f"{labels.get('__name__', '')}{{{rest}}}"


# --- logs and traces -------------------------------------------------------------------------------------


def log_lines(lines: Sequence[LogLine]) -> str:
    rows = "".join(
        f'<tr><td class="number">{clock_time(line.at)}</td>'
        f'<td class="number">{escape(line.service or "")}</td>'
        f'<td class="{escape(line.level)}">{escape(line.text)}</td></tr>'
        for line in lines
    )
    return f"<table>{rows}</table>" if rows else sentence("No lines in this window.")


def waterfall(spans: Sequence[Span]) -> str:
    """Each span as a bar under its parent, scaled to the whole trace."""
    start = min(span.start for span in spans)
    whole = max(span.start + span.duration_ms / 1000 for span in spans) - start
    depths: dict[str | None, int] = {None: -1}
    rows = []
    for span in spans:
        depth = depths.setdefault(span.span_id, depths.get(span.parent_id, -1) + 1)
        left, wide = (span.start - start) / whole * 100, span.duration_ms / 10 / whole
        state = " error" if span.failed else ""
        error = f'<br><span class="error">{escape(span.error)}</span>' if span.error else ""
        place = f"margin-left:{left:.1f}%;width:{min(wide, 100 - left):.1f}%"
        rows.append(
            f'<tr><td style="padding-left:{depth * 14}px">{escape(span.service)}: {escape(span.name)}{error}'
            f'</td><td class="number">{span.duration_ms:.1f} ms</td>'
            f'<td style="width:45%"><span class="bar{state}" style="{place}"></span></td></tr>'
        )
    return f"<table>{''.join(rows)}</table>"
