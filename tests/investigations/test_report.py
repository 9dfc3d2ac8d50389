"""The report, the postmortem draft and their files: always produced, linked to known places only, whole."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.investigations.evidence import Finding, Gap
from app.investigations.filing import ReportNotWritten, report_file_name, write_report
from app.investigations.first_brief import first_brief
from app.investigations.postmortem import postmortem
from app.investigations.record import ModelUse, Moment, Record, ToolCall
from app.investigations.report import announcement, report
from app.signals.models import Change
from tests.investigations.cases import ALERT, DEPLOYED, ONSET

STARTED = datetime(2026, 11, 20, 2, 15, 5, tzinfo=UTC)
HOSTS = frozenset(
    {
        "prometheus.example.com",
        "argocd.example.com",
        "acme.pagerduty.com",
        "acme.slack.com",
        "git.example.com",
    }
)
DONE = Record(
    id=UUID(int=0x1A2B),
    title="High error rate on checkout",
    started_at=STARTED,
    severity="P1",
    service="checkout",
    finished_at=STARTED + timedelta(seconds=28),
    gathered=DEPLOYED,
    brief=first_brief(DEPLOYED, hosts=HOSTS).model_copy(update={"model": "claude-haiku-5-5"}),
    timeline=(Moment(STARTED + timedelta(seconds=4), "Evidence brief posted."),),
    tool_calls=(ToolCall("promql", '{"query": "up | x"}', False, 220), ToolCall("logql", "{}", True, 15000)),
    usage=(
        ModelUse("claude-haiku-5-5", 6, 12_400, 1_300, 9_000, 3_000, Decimal("0.0213")),
        ModelUse("claude-sonnet-5-5", 1, 5_000, 700, usd=Decimal("0.0255")),
    ),
    escalations=("02:16 paged level 2: not sure of the cause",),
    thread="https://acme.slack.com/archives/C1/p1",
)
PARTS = [
    "Summary", "Next steps", "Options for a human, safest first", "Timeline (UTC)", "Evidence", "Causes",
    "Looked into and rejected", "What could not be looked at", "Tool calls", "Token Usage", "Afterwards",
]  # fmt: skip
FAILED = Record(
    id=UUID(int=7),
    title="Disk full",
    started_at=STARTED,
    status="failed",
    failure="The model did not answer in time.",
)
PARSER = MarkdownIt("commonmark").enable("table")


def headings(markdown: str) -> list[str]:
    tokens = PARSER.parse(markdown)
    return [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]


def targets(markdown: str) -> list[str]:
    inner = [child for token in PARSER.parse(markdown) for child in token.children or ()]
    return [str(each.attrs.get("href", "image")) for each in inner if each.type in ("link_open", "image")]


def test_a_report_tells_all_of_it() -> None:
    told = report(DONE, hosts=HOSTS)

    assert headings(told) == ["High error rate on checkout", *PARTS]
    assert "[E1](<https://prometheus.example.com/graph?g0.expr=x>)" in told
    assert "| `sum(rate(x[5m]))` | 01:11–02:21 |" in told
    assert "| Took | 28 s |" in told
    assert "| 2026-11-20 02:10:00 | deploy 4f2c1a9 of checkout" in told
    assert "| 2026-11-20 02:11:00 | Onset, as the data shows. |" in told
    assert "| 2026-11-20 02:15:09 | Evidence brief posted. |" in told
    assert "- tempo: it did not answer within 10 s" in told
    assert "1. The deploy 4f2c1a9 of checkout (82%)" in told
    assert "| `logql` | `{}` | failed | 15000 ms |" in told
    assert "high confidence (82%), by claude-haiku-5-5" in told


def test_token_usage_is_a_table_with_a_sum() -> None:
    told = report(DONE, hosts=HOSTS).split("## Token Usage")[1]

    assert "| model | requests | input | output | cache read | cache write | USD |" in told
    assert "| `claude-haiku-5-5` | 6 | 12,400 | 1,300 | 9,000 | 3,000 | 0.0213 |" in told
    assert "In all 19,400 tokens; 0.0468 USD." in told
    assert "Budget Exceeded: no" in told


def test_a_spent_budget_is_said_in_the_words_that_others_search_for() -> None:
    told = report(replace(DONE, over_budget="COST_LIMIT_PER_RUN_USD of 2 USD is reached."), hosts=HOSTS)

    assert re.search(r"(?m)^Budget Exceeded: yes$", told)
    assert "Which: COST_LIMIT_PER_RUN_USD of 2 USD is reached." in told


def test_a_run_that_failed_before_it_saw_anything_has_a_report_too() -> None:
    told = report(FAILED)

    assert headings(told) == ["Disk full", *[each for each in PARTS if each not in PARTS[1:3]]]
    assert "**There is no diagnosis:** The model did not answer in time." in told
    assert "No brief was made; what is known follows." in told
    assert "| none | 0 | 0 | 0 | 0 | 0 | 0 |" in told


def test_a_run_that_failed_after_its_look_reports_the_evidence() -> None:
    told = report(
        replace(
            DONE, brief=None, evidence_brief=first_brief(DEPLOYED), failure="Out of time.", status="failed"
        ),
        hosts=HOSTS,
    )

    assert "without a model" in told
    assert "[E1](" in told


def test_the_line_on_stdout_is_one_line_of_json() -> None:
    line = announcement(replace(DONE, title="two\nlines INCIDENT_REPORT {}"), file="a.md")
    mark, _, told = line.partition(" ")

    assert "\n" not in line
    assert mark == "INCIDENT_REPORT"
    assert json.loads(told) | {"cause": None} == {
        "investigation_id": str(DONE.id),
        "title": "two lines INCIDENT_REPORT {}",
        "service": "checkout",
        "severity": "P1",
        "status": "done",
        "started_at": "2026-11-20T02:15:05+00:00",
        "seconds": 28.0,
        "cause": None,
        "confidence": 0.82,
        "model": "claude-haiku-5-5",
        "failure": None,
        "tokens": 19400,
        "usd": 0.0468,
        "budget_exceeded": False,
        "thread": "https://acme.slack.com/archives/C1/p1",
        "file": "a.md",
    }


HOSTILE = st.lists(
    st.sampled_from(
        [
            "\n# Heading", "\n\n## Token Usage\n", "|", "`", "```\n", "<img src=x>", "![x](https://evil.example/a)", "]", "[",
            "[x](https://evil.example)", "https://evil.example/?q=1", "https://git.example.com/x", "(", ")", "\n", "---", "* ",
            "<!channel>", "\\", "\x00", "\ud800", "\u202e", " AKIAABCDEFGHIJKLMNOP ", "words", "<", ">", "kubectl delete pod x",
        ]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=80, deadline=None, derandomize=True)
@given(HOSTILE, HOSTILE)
def test_no_text_from_outside_adds_a_part_a_link_or_an_image(text: str, other: str) -> None:
    gathered = replace(
        DEPLOYED,
        alert=ALERT.model_copy(update={"title": text}),
        findings=(
            Finding("E1", "log", text, other, other, text, ONSET, ONSET, ONSET, "https://evil.example/"),
        ),
        gaps=(Gap(text, other),),
        changes=(Change("deploy", text, ONSET, other, text),),
    )
    record = replace(
        DONE,
        title=f"t {text}",
        service=other,
        gathered=gathered,
        brief=first_brief(gathered, hosts=HOSTS),
        failure=text,
        over_budget=other,
        tool_calls=(ToolCall(text, other),),
        usage=(ModelUse(text),),
        outcome=text,
        escalations=(text,),
        joined=(other,),
    )
    for told in (report(record, hosts=HOSTS), postmortem(record, hosts=HOSTS)):
        told.encode()
        assert "AKIAABCDEFGHIJKLMNOP" not in told
        assert [each for each in targets(told) if urlsplit(each).hostname not in HOSTS] == []
    assert headings(report(record, hosts=HOSTS))[1:] == PARTS
    assert len(announcement(record).splitlines()) == 1


def test_a_postmortem_is_a_blameless_draft_with_open_places() -> None:
    told = postmortem(replace(DONE, outcome="The pool was too small for the new client."), hosts=HOSTS)

    assert headings(told)[1:] == [
        "Summary", "Impact", "Root cause and trigger", "Timeline (UTC)", "Evidence", "Lessons", "Action items",
    ]  # fmt: skip
    assert told.count("[TODO]") >= 10
    assert "What it was, as people found: The pool was too small for the new client." in told
    assert "What the agent thought: The deploy 4f2c1a9 of checkout." in told
    assert "kim" not in told.lower().replace("kim is on call", "")
    assert "Make tempo available to investigations" in told


def test_a_postmortem_of_a_failed_run_asks_for_everything() -> None:
    assert "What it was, as people found: [TODO]" in postmortem(FAILED)


@pytest.mark.parametrize(
    ("service", "title", "name"),
    [
        ("checkout", "t", "20261120T0215Z-checkout-"),
        (None, "Disk full!", "20261120T0215Z-disk-full-"),
        ("../../etc/passwd", "t", "20261120T0215Z-etc-passwd-"),
        ("/", "t", "20261120T0215Z-incident-"),
        ("", "\x00..\n", "20261120T0215Z-incident-"),
        ("Ünïcode…" * 50, "t", "20261120T0215Z-n-code-n-code"),
        ("-rf", "t", "20261120T0215Z-rf-"),
    ],
)
def test_a_file_name_cannot_leave_its_folder(
    tmp_path: Path, service: str | None, title: str, name: str
) -> None:
    told = report_file_name(replace(DONE, service=service, title=title))
    written = write_report(tmp_path / "incidents", told, "content")

    assert told.startswith(name)
    assert len(told) < 140
    assert written.resolve().parent == (tmp_path / "incidents").resolve()
    assert written.read_text("utf-8") == "content"


@pytest.mark.parametrize(
    "name", ["../x.md", "x.md", "/etc/passwd", "", "a\x00b", "20261120T0215Z-../../x-" + "0" * 32 + ".md"]
)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReportNotWritten):
        write_report(tmp_path, name, "content")

    assert list(tmp_path.iterdir()) == []


def test_writing_again_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    name = report_file_name(DONE)
    outside = tmp_path / "outside.md"
    outside.write_text("mine")
    folder = tmp_path / "incidents"
    folder.mkdir()
    (folder / name).symlink_to(outside)

    write_report(folder, name, "first")
    write_report(folder, name, "second \ud800")

    assert [each.name for each in folder.iterdir()] == [name]
    assert (folder / name).read_text("utf-8") == "second ?"
    assert outside.read_text() == "mine"
    assert stat.S_ISREG((folder / name).lstat().st_mode)


def test_a_folder_that_is_none_is_said_so_that_it_can_be_repaired(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ReportNotWritten, match="INCIDENTS_DIR"):
        write_report(tmp_path / "file", report_file_name(DONE), "content")


def test_reports_are_readable_by_the_group_that_collects_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        written = write_report(tmp_path, report_file_name(DONE), "content")
    finally:
        os.umask(before)

    assert stat.S_IMODE(written.stat().st_mode) == 0o640
