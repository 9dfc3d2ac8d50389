"""An investigation as a terminal shows it: columns that wrap, links as text, nothing that steers it.

What is said may have been written by a model, an alert or a log line: it is masked and put on one line, and
what a terminal would obey is left out. It is never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.investigations.brief import Brief, Cited
from app.investigations.cleaning import one_line
from app.investigations.evidence import Cause, Finding, Ranking
from app.investigations.surface import Footer, Headline, Told
from app.investigations.times import clock_of, day_and_clock, lasting
from app.tools.masking import mask

if TYPE_CHECKING:
    from rich.console import RenderableType

LONGEST = 600
MOST_CAUSES = 3
MOST_REASONS = 3
MOST_FINDINGS = 12
URGENCY = {"act now": "Act now", "act today": "Act today", "watch": "Watch"}
NOTHING = "-"

Row = tuple[str, Sequence[str]]
"""What a row is called, and its lines."""


def said(text: str, limit: int = LONGEST) -> str:
    """One harmless line; `-` for nothing."""
    # What shows nothing must not part a secret from its pattern.
    line = mask(one_line(text[: 2 * limit]))
    return (line if len(line) <= limit else line[: limit - 1] + "…") or NOTHING


def address(url: str | None) -> str | None:
    """A web address as text, None when it is none: a terminal may open what it takes for a link."""
    if not url or len(url) > 2000 or one_line(url) != url or " " in url:
        return None
    try:
        return url if urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None


# -- rows, which are pure ----------------------------------------------------------------------------------


def heading(given: Headline) -> list[str]:
    """The title, and below it where it comes from and since when."""
    named = [each for each in (given.severity, given.service) if each]
    facts = [
        *([f"from {said(given.source, 80)}"] if given.source else []),
        *([f"since {day_and_clock(given.started_at)}"] if given.started_at is not None else []),
        *([f"on call: {said(given.on_call, 80)}"] if given.on_call else []),
    ]
    page = address(given.link.url) if given.link else None
    title = said(f"{' · '.join(named)}: {given.title}" if named else given.title)
    return [title, *([" · ".join(facts)] if facts else []), *([page] if page else [])]


def brief_rows(told: Told) -> list[Row]:
    """What to do first, then what is happening, then the rest; rows with nothing to say are left out."""
    brief = told.brief
    rows: list[Row] = [
        ("Look at", [f"{number}. {said(step)}" for number, step in enumerate(brief.next_steps, 1)]),
        ("Happening", [f"{cited(brief.impact)} Since {said(brief.since, 120)}; {brief.status}."]),
        ("Likely cause", [cited(brief.likely_cause), sure(brief)]),
        ("Candidates", list(_candidates(told.ranking)) if brief.model is None else []),
        ("Ruled out", [f"{said(each.cause)}: {said(each.why)}" for each in brief.alternatives]),
        ("Before", [_before(brief)]),
        ("Options", [f"{said(each)} (for you to weigh)" for each in brief.options]),
        ("Runbooks", [said(each) for each in brief.runbooks]),
        ("Tickets", [said(each) for each in brief.tickets]),
        ("Follow up", [said(brief.follow_up)] if brief.follow_up else []),
        ("Evidence", list(_evidence(told))),
        ("Not seen", [said(each) for each in brief.gaps]),
    ]
    return [(name, lines) for name, lines in rows if lines]


def cited(given: Cited) -> str:
    """A sentence with the labels of its evidence behind it."""
    line = said(given.text)
    missing = [said(each, 8) for each in given.evidence if each not in line]
    return f"{line} ({', '.join(missing)})" if missing else line


def sure(brief: Brief) -> str:
    return f"{brief.confidence_level} confidence, {brief.confidence:.0%}"


def footer(given: Footer) -> str:
    parts = [lasting(given.seconds), said(given.model, 80) if given.model else "no model"]
    parts += [f"{given.turns} turns, {given.tool_calls} tool calls"] if given.turns else []
    parts += [f"{given.tokens:,} tokens"] if given.tokens else []
    parts += [f"{given.usd:.4f} USD"] if given.usd is not None else []
    return " · ".join(parts)


def _before(brief: Brief) -> str:
    past = brief.before
    if not past.happened:
        return {"new": "Not that I know of.", "recurring": "Yes."}.get(brief.recurrence, "Not known.")
    dates = ", ".join(said(each, 40) for each in past.dates[:5]) or "no dates"
    return f"{dates}" + (f": {said(past.pattern)}" if past.pattern else "")


def _candidates(ranking: Ranking | None) -> Iterator[str]:
    for number, cause in enumerate(ranking.causes[:MOST_CAUSES] if ranking else (), 1):
        yield f"{number}. {said(cause.statement)} ({cause.score:.0%})"
        yield from _reasons(cause)


def _reasons(cause: Cause) -> Iterator[str]:
    for sign, reasons in (("+", cause.reasons_for), ("-", cause.reasons_against)):
        for reason in sorted(reasons, key=lambda each: -abs(each.weight))[:MOST_REASONS]:
            yield f"   {sign} {said(reason.text, 300)}"


def _evidence(told: Told) -> Iterator[str]:
    yield from map(_finding, _shown(told))
    if (more := len(told.findings) - MOST_FINDINGS) > 0:
        yield f"… and {more} more in the report"


def _finding(finding: Finding) -> str:
    at = f", {clock_of(finding.at)}" if finding.at is not None else ""
    return f"{said(finding.label, 8)} {said(finding.statement, 300)} ({said(finding.source, 40)}{at})"


def pages(told: Told) -> list[str]:
    """Where the evidence that is shown opens, a line each: too long to be wrapped in a column."""
    shown = ((each.label, address(each.link)) for each in _shown(told))
    return [f"{said(label, 8)}  {page}" for label, page in shown if page]


def _shown(told: Told) -> list[Finding]:
    """The findings a brief lists, those it cites first."""
    brief = told.brief
    named = {*brief.evidence, *brief.likely_cause.evidence, *brief.impact.evidence}
    return sorted(told.findings, key=lambda each: each.label not in named)[:MOST_FINDINGS]


# -- on the screen -----------------------------------------------------------------------------------------


def panel(title: str, headline: str, rows: Iterable[Row], small_print: str) -> RenderableType:
    """A brief: its headline, then a row for each of its parts, wrapped to the width there is."""
    from rich.console import Group  # noqa: PLC0415 — a quarter of a second that only this command takes
    from rich.rule import Rule  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2), expand=False)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, lines in rows:
        grid.add_row(Text(name), Text("\n".join(lines)))
    return Group(
        Rule(Text(title, style="bold"), align="left", characters="─"),
        Text(headline, style="bold"),
        Text(),
        grid,
        Text(),
        Text(small_print, style="dim"),
    )
