"""What a terminal shows of a brief: all of it, in the order it is needed, and nothing a terminal would obey."""

from __future__ import annotations

import io
from decimal import Decimal

from app.investigations.brief import Brief, Cited, Past, Rejected
from app.investigations.evidence import Cause, Finding, Ranking, Reason
from app.investigations.surface import Footer, Headline, Told
from app.terminal import words
from app.terminal.screen import PIPED_WIDTH, Screen

LONG = "https://prometheus.example/graph?g0.expr=" + "x" * 150
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m[bold]red[/bold]\nnext\u202eline"
FINDINGS = (
    Finding("E1", "symptom", "prometheus", "Errors rose to 5 %", at=1_795_262_400.0, link=LONG),
    Finding("E2", "change", "argocd", "Deploy of checkout", link="javascript:alert(1)"),
)
BRIEF = Brief(
    headline="checkout refuses payments",
    urgency="act now",
    status="ongoing",
    impact=Cited(text="One of twenty payments fails.", evidence=("E1",)),
    since="02:05 UTC",
    likely_cause=Cited(text="The newest version.", evidence=("E2",)),
    confidence_level="high",
    confidence=0.86,
    alternatives=(Rejected(cause="payments is down", why="it answers"),),
    evidence=("E1", "E2"),
    next_steps=("Check the errors by version.",),
    options=("Roll checkout back.",),
    before=Past(happened=True, dates=("2026-10-01",), pattern="after deploys"),
    runbooks=("HighErrorRate",),
    gaps=("loki: did not answer within 3 s",),
    model="claude",
)


def shown(told: Told) -> str:
    out = io.StringIO()
    Screen(out, io.StringIO()).brief("Diagnosis", told)
    return out.getvalue()


def test_a_brief_says_first_what_to_look_at_and_leaves_nothing_out() -> None:
    footer = Footer(28.2, "claude", turns=4, tool_calls=3, tokens=12_345, usd=Decimal("0.0123"))
    text = shown(Told(BRIEF, FINDINGS, footer=footer))
    order = [
        "checkout refuses payments",
        "1. Check the errors by version.",
        "One of twenty payments fails. (E1)",
        "The newest version. (E2)",
        "high confidence, 86%",
        "payments is down: it answers",
        "2026-10-01: after deploys",
        "Roll checkout back. (for you to weigh)",
        "HighErrorRate",
        "E1 Errors rose to 5 % (prometheus, 12:00 UTC)",
        "loki: did not answer within 3 s",
        "28 s · claude · 4 turns, 3 tool calls · 12,345 tokens · 0.0123 USD",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)


def test_lines_fit_and_only_addresses_are_longer() -> None:
    lines = shown(Told(BRIEF, FINDINGS)).splitlines()
    assert [line for line in lines if len(line) > PIPED_WIDTH] == [f"E1  {LONG}"]
    assert [line for line in lines if line != line.rstrip()] == []


def test_what_the_evidence_core_weighed_is_shown_without_a_model() -> None:
    cause = Cause(
        "change", "checkout", "Deploy of checkout", 0.74, None,
        (Reason("errors begin with it", 1.0),), (Reason("it is small", 0.2),),
    )  # fmt: skip
    ranking = Ranking(1.0, "cause", 0.7, (cause,))
    alone = BRIEF.model_copy(update={"model": None})
    text = shown(Told(alone, FINDINGS, ranking))
    assert "1. Deploy of checkout (74%)" in text
    assert "+ errors begin with it" in text
    assert "- it is small" in text
    assert "Candidates" not in shown(Told(BRIEF, FINDINGS, ranking))


def test_nothing_steers_the_terminal_and_no_secret_is_shown() -> None:
    secret = "xoxb-" + "1234567890-abcdefghijkl"
    said = Cited(text=HOSTILE)
    hostile = BRIEF.model_copy(
        update={"headline": HOSTILE, "likely_cause": said, "impact": said, "gaps": (HOSTILE, secret)}
    )
    finding = Finding(HOSTILE, "log", HOSTILE, HOSTILE, link="https://x.example/\x1b[2J")
    out = io.StringIO()
    screen = Screen(out, err := io.StringIO())
    screen.opened(Headline(HOSTILE, service=HOSTILE, source=HOSTILE, on_call=HOSTILE))
    screen.brief("Diagnosis", Told(hostile, (finding,)))
    screen.note(HOSTILE)
    text = out.getvalue() + err.getvalue()
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "[bold]red[/bold] next" in text
    assert secret not in text


def test_a_secret_parted_by_what_shows_nothing_is_masked() -> None:
    parted = "xoxb-" + "1234567890\u200b-abcdefghijkl"
    assert words.said(parted) == "[masked slack token]"


def test_an_address_is_one_or_none() -> None:
    assert words.address(LONG) == LONG
    for no in (
        None,
        "",
        "javascript:alert(1)",
        "https://a b",
        "https://[",
        "file:///etc/passwd",
        "https://x/\x07",
    ):
        assert words.address(no) is None


def test_steps_are_lines_where_nobody_watches() -> None:
    times = iter((1.0, 1.0, 3.5, 4.0))
    err = io.StringIO()
    screen = Screen(io.StringIO(), err, clock=lambda: next(times))
    screen.begin("metrics", "metrics: asking")
    screen.begin("logs", "logs: asking")
    screen.end("metrics", "metrics: answered")
    screen.end("logs", failed=True)
    screen.end("logs")
    assert err.getvalue() == "✓ metrics: answered  2.5 s\n✗ logs: asking  3.0 s\n"
