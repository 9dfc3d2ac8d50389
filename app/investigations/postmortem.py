"""A draft of the postmortem from the same record as the report: blameless, and open where people must tell.

No person is named in it: it asks what made the mistake possible, not who made it
(https://sre.google/sre-book/postmortem-culture/).
"""

from __future__ import annotations

from app.investigations.markdown import bullets, link, table, text
from app.investigations.record import Record
from app.investigations.report import Hosts, moments
from app.investigations.times import day_and_clock, utc

TODO = "[TODO]"


def postmortem(record: Record, *, hosts: Hosts = frozenset()) -> str:
    """Markdown; what only people know is marked `[TODO]`."""
    parts = (
        _head(record),
        _summary(record, hosts),
        _cause(record, hosts),
        _timeline(record, hosts),
        _learned(record, hosts),
        _actions(record, hosts),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(record: Record) -> list[str]:
    return [
        f"# Postmortem (draft): {text(record.title, frozenset(), limit=300)}",
        "",
        f"Drafted from investigation `{record.id}`. Read it as a start: a machine wrote it, people decide.",
        "",
        *table(
            ("", ""),
            (
                ("Date", day_and_clock(record.started_at)),
                ("Service", text(record.service or "", frozenset())),
                ("Severity", text(record.severity, frozenset())),
                ("Authors", TODO),
                ("Status", "draft"),
            ),
        ),
    ]


def _summary(record: Record, hosts: Hosts) -> list[str]:
    told = record.told
    impact = text(told.impact.text, hosts) if told else "-"
    since = text(told.since, hosts) if told else day_and_clock(record.started_at)
    return [
        "## Summary",
        "",
        f"**{text(told.headline if told else record.title, hosts)}**",
        "",
        "## Impact",
        "",
        f"- As measured: {impact}",
        f"- Since: {since}",
        f"- Until: {TODO}",
        f"- Users, requests and money affected: {TODO}",
        f"- Error budget spent: {TODO}",
    ]


def _cause(record: Record, hosts: Hosts) -> list[str]:
    told = record.told
    agent = f"{text(told.likely_cause.text, hosts)} ({told.confidence:.0%} sure)" if told else "-"
    person = text(record.outcome, hosts) if record.outcome else TODO
    rejected = (
        [f"{text(each.cause, hosts)} — {text(each.why, hosts)}" for each in told.alternatives] if told else []
    )
    return [
        "## Root cause and trigger",
        "",
        f"- What it was, as people found: {person}",
        f"- What the agent thought: {agent}",
        f"- What made it possible, and what hid it: {TODO}",
        "",
        "Looked into and rejected:",
        *bullets(rejected),
    ]


def _timeline(record: Record, hosts: Hosts) -> list[str]:
    rows = [(f"{utc(each.at):%Y-%m-%d %H:%M:%S}", text(each.what, hosts)) for each in moments(record)]
    return [
        "## Timeline (UTC)",
        "",
        *table(("when", "what"), [*rows, (TODO, f"What people did, and when it was over: {TODO}")]),
    ]


def _learned(record: Record, hosts: Hosts) -> list[str]:
    gathered = record.gathered
    evidence = (
        [
            f"{link(each.label, each.link, hosts)} {text(each.statement, hosts)}"
            for each in gathered.findings[:12]
        ]
        if gathered
        else []
    )
    gaps = [text(f"{each.source}: {each.reason}", hosts) for each in gathered.gaps] if gathered else []
    return [
        "## Evidence",
        "",
        *bullets(evidence),
        "",
        "## Lessons",
        "",
        f"- What went well: {TODO}",
        f"- What went badly: {TODO}",
        f"- Where we were lucky: {TODO}",
        "",
        "What could not be looked at during the incident:",
        *bullets(gaps),
    ]


def _actions(record: Record, hosts: Hosts) -> list[str]:
    told = record.told
    proposed = [text(told.follow_up, hosts)] if told and told.follow_up else []
    gaps = record.gathered.gaps if record.gathered else ()
    proposed += [f"Make {text(each.source, hosts)} available to investigations" for each in gaps[:3]]
    rows = [(each, TODO, TODO, TODO) for each in (*proposed, TODO)]
    return ["## Action items", "", *table(("what", "kind (prevent, detect, mitigate)", "owner", "due"), rows)]
