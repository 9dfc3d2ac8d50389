"""The incident report in markdown: always written, whatever came of the investigation.

Every part is there in every report, with “-” for nothing, so that reports can be compared and searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from app.investigations.brief import Brief
from app.investigations.evidence import Finding
from app.investigations.markdown import NOTHING, bullets, code, link, table, text
from app.investigations.record import Moment, Record
from app.investigations.times import day_and_clock, lasting, utc

MARK = "INCIDENT_REPORT"
MOST_MOMENTS = 80
MOST_FINDINGS = 60
MOST_CALLS = 100

Hosts = frozenset[str]


def report(record: Record, *, hosts: Hosts = frozenset()) -> str:
    """`hosts` are those it may link to: the sources' own and the catalog's."""
    parts = (
        _head(record, hosts),
        _summary(record, hosts),
        _timeline(record, hosts),
        _evidence(record, hosts),
        _causes(record, hosts),
        _gaps(record, hosts),
        _calls(record),
        _usage(record),
        _after(record, hosts),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def announcement(record: Record, *, file: str | None = None) -> str:
    """The line for stdout by which logs find the report: `INCIDENT_REPORT` and one line of JSON."""
    told = record.told
    said = {
        "investigation_id": str(record.id),
        "title": text(record.title, frozenset(), limit=300),
        "service": record.service,
        "severity": record.severity,
        "status": record.status,
        "started_at": utc(record.started_at).isoformat(),
        "seconds": None if record.seconds is None else round(record.seconds, 1),
        "cause": text(told.likely_cause.text, frozenset(), limit=500) if told else None,
        "confidence": told.confidence if told else None,
        "model": told.model if told else None,
        "failure": text(record.failure, frozenset(), limit=300) if record.failure else None,
        "tokens": record.tokens,
        "usd": None if record.usd is None else float(record.usd),
        "budget_exceeded": record.over_budget is not None,
        "thread": record.thread,
        "file": file,
    }
    return f"{MARK} {json.dumps(said, ensure_ascii=True)}"


def moments(record: Record) -> list[Moment]:
    """The timeline: what was told, the alert, the onset, changes and dated evidence, in order."""
    return sorted(_moments(record), key=lambda each: utc(each.at))[:MOST_MOMENTS]


def _moments(record: Record) -> Iterator[Moment]:
    yield from record.timeline
    gathered = record.gathered
    if gathered is None:
        return
    yield Moment(gathered.alert.started_at, f"Alert: {gathered.alert.title}")
    if gathered.ranking.onset is not None:
        yield Moment(utc(gathered.ranking.onset), "Onset, as the data shows.")
    for change in gathered.changes:
        where = f" of {change.service}" if change.service else ""
        yield Moment(utc(change.at), f"{change.kind} {change.id}{where}: {change.title}")
    for finding in gathered.findings:
        if finding.at is not None and finding.kind != "change":
            yield Moment(utc(finding.at), f"{finding.label}: {finding.statement}")


def _head(record: Record, hosts: Hosts) -> list[str]:
    alert = record.gathered.alert if record.gathered else None
    lines = [
        f"# {text(record.title, frozenset(), limit=300)}",
        "",
        *table(
            ("", ""),
            (
                ("Service", text(record.service or "", hosts)),
                ("Severity", text(record.severity, hosts)),
                ("Status", text(record.status, hosts)),
                ("Started", day_and_clock(record.started_at)),
                ("Took", "-" if record.seconds is None else lasting(record.seconds)),
                ("Source", link(alert.source, alert.links[0].url, hosts) if alert and alert.links else "-"),
                ("Thread", link("Slack", record.thread, hosts) if record.thread else "-"),
                ("Investigation", code(str(record.id))),
            ),
        ),
    ]
    if record.over_budget:
        lines += ["", "Budget Exceeded: yes", "", f"Which: {text(record.over_budget, hosts)}"]
    if record.failure:
        what = "The deeper look failed" if record.brief and record.brief.model else "There is no diagnosis"
        lines += ["", f"**{what}:** {text(record.failure, hosts)}"]
    return lines


def _summary(record: Record, hosts: Hosts) -> list[str]:
    told = record.told
    if told is None:
        return ["## Summary", "", "No brief was made; what is known follows."]
    return [
        "## Summary",
        "",
        f"**{text(told.headline, hosts)}**",
        "",
        *bullets(_points(told, hosts)),
        "",
        "### Next steps",
        "",
        *bullets(text(each, hosts) for each in told.next_steps),
        "",
        "### Options for a human, safest first",
        "",
        *bullets(text(each, hosts) for each in told.options),
    ]


def _points(told: Brief, hosts: Hosts) -> Iterator[str]:
    by = f"by {text(told.model, hosts)}" if told.model else "without a model"
    sure = f"{told.confidence_level} confidence ({told.confidence:.0%}), {by}"
    yield f"Impact: {text(told.impact.text, hosts)}{_labels(told.impact.evidence)}"
    yield f"Since: {text(told.since, hosts)}"
    yield f"Likely cause: {text(told.likely_cause.text, hosts)}{_labels(told.likely_cause.evidence)} ({sure})"
    before = f"{', '.join(told.before.dates)} {told.before.pattern}".strip() if told.before.happened else "-"
    yield f"Happened before: {text(before, hosts)}"
    yield f"Open tickets: {text(', '.join(told.tickets), hosts)}"
    yield f"Runbooks: {text(', '.join(told.runbooks), hosts)}"
    yield f"Follow-up: {text(told.follow_up, hosts)}"


def _labels(labels: Iterable[str]) -> str:
    listed = ", ".join(labels)
    return f" ({listed})" if listed else ""


def _timeline(record: Record, hosts: Hosts) -> list[str]:
    rows = ((f"{utc(each.at):%Y-%m-%d %H:%M:%S}", text(each.what, hosts)) for each in moments(record))
    return ["## Timeline (UTC)", "", *table(("when", "what"), rows)]


def _evidence(record: Record, hosts: Hosts) -> list[str]:
    findings = record.gathered.findings[:MOST_FINDINGS] if record.gathered else ()
    rows = (_finding(each, hosts) for each in findings)
    return [
        "## Evidence",
        "",
        *(table(("id", "finding", "source", "query", "window"), rows) if findings else [NOTHING]),
    ]


def _finding(each: Finding, hosts: Hosts) -> tuple[str, ...]:
    window = "-"
    if each.window_start is not None and each.window_end is not None:
        window = f"{utc(each.window_start):%H:%M}–{utc(each.window_end):%H:%M}"
    return (
        link(each.label, each.link, hosts),
        text(each.statement, hosts),
        text(each.source, hosts),
        code(each.query or ""),
        window,
    )


def _causes(record: Record, hosts: Hosts) -> list[str]:
    lines = ["## Causes", "", "As ranked without a model:", ""]
    causes = record.gathered.ranking.causes if record.gathered else ()
    for number, cause in enumerate(causes[:10], 1):
        lines.append(f"{number}. {text(cause.statement, hosts)} ({cause.score:.0%})")
        lines += [f"   - for: {text(each.text, hosts)}" for each in cause.reasons_for[:6]]
        lines += [f"   - against: {text(each.text, hosts)}" for each in cause.reasons_against[:6]]
    if not causes:
        lines.append(NOTHING)
    told = record.told
    rejected = (
        (f"{text(each.cause, hosts)} — {text(each.why, hosts)}" for each in told.alternatives) if told else ()
    )
    return [*lines, "", "### Looked into and rejected", "", *bullets(rejected)]


def _gaps(record: Record, hosts: Hosts) -> list[str]:
    known = [f"{each.source}: {each.reason}" for each in record.gathered.gaps] if record.gathered else []
    told = list(record.told.gaps) if record.told else []
    gaps = dict.fromkeys((*known, *told))
    return ["## What could not be looked at", "", *bullets(text(each, hosts) for each in gaps)]


def _calls(record: Record) -> list[str]:
    rows = (
        (
            code(each.name, limit=80),
            code(each.arguments, limit=400),
            "failed" if each.failed else "ok",
            "-" if each.duration_ms is None else f"{each.duration_ms} ms",
        )
        for each in record.tool_calls[:MOST_CALLS]
    )
    body = table(("tool", "arguments", "result", "took"), rows) if record.tool_calls else [NOTHING]
    return ["## Tool calls", "", *body]


def _usage(record: Record) -> list[str]:
    rows = [
        (
            code(each.model, limit=80),
            *(
                f"{number:,}"
                for number in (
                    each.requests,
                    each.input_tokens,
                    each.output_tokens,
                    each.cache_read_tokens,
                    each.cache_write_tokens,
                )
            ),
            "not known" if each.usd is None else f"{each.usd:.4f}",
        )
        for each in record.usage
    ]
    heads = ("model", "requests", "input", "output", "cache read", "cache write", "USD")
    total = "not known" if record.usd is None else f"{record.usd:.4f} USD"
    return [
        "## Token Usage",
        "",
        *table(heads, rows or [("none", "0", "0", "0", "0", "0", "0")]),
        "",
        f"In all {record.tokens:,} tokens; {total if record.usage else '0 USD'}.",
        f"Budget Exceeded: {'yes' if record.over_budget else 'no'}",
    ]


def _after(record: Record, hosts: Hosts) -> list[str]:
    return [
        "## Afterwards",
        "",
        "Joined incidents:",
        *bullets(text(each, hosts) for each in record.joined),
        "",
        "Escalations:",
        *bullets(text(each, hosts) for each in record.escalations),
        "",
        "Changed by the checks:",
        *bullets(text(each, hosts) for each in record.checked),
        "",
        f"Outcome, as a person told it: {text(record.outcome or '', hosts)}",
    ]
