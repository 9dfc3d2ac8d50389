"""All evidence of an investigation as a markdown file: what was asked of whom, and what came."""

from __future__ import annotations

from datetime import UTC, datetime

from app.investigations.evidence import Finding
from app.investigations.surface import Told
from app.tools.masking import mask

LONGEST = 60_000
"""Characters of the file; masking them takes 30 ms."""
LONGEST_LINE = 1000
LONGEST_QUERY = 4000


def document(told: Told) -> bytes:
    """Readable without Slack: what could not be looked at, then the findings in the order of their labels."""
    parts = [f"# Evidence: {_line(told.brief.headline)}"]
    parts += [_finding(finding) for finding in told.findings] or ["No evidence was found."]
    if told.brief.gaps:
        parts.append(
            "## Could not be looked at\n\n" + "\n".join(f"- {_line(gap)}" for gap in told.brief.gaps)
        )
    return mask("\n\n".join(parts)[:LONGEST]).encode("utf-8", "replace") + b"\n"


def _finding(finding: Finding) -> str:
    facts = [f"- Source: {_line(finding.source)}"]
    facts += [f"- Service: {_line(finding.service)}"] if finding.service else []
    facts += [f"- At: {_time(finding.at)}"] if finding.at is not None else []
    if finding.window_start is not None and finding.window_end is not None:
        facts.append(f"- Window: {_time(finding.window_start)} to {_time(finding.window_end)}")
    facts += [f"- Page: {_line(finding.link)}"] if finding.link else []
    parts = [f"## {finding.label}: {_line(finding.statement)}", "\n".join(facts)]
    parts += [_fenced(finding.query)] if finding.query else []
    return "\n\n".join(parts)


def _fenced(query: str) -> str:
    return "```\n" + query[:LONGEST_QUERY].replace("```", "'''") + "\n```"


def _line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:LONGEST_LINE]).split())


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
