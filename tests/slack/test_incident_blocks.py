"""What a brief looks like: its order, its links, and Slack's limits whatever it is made of."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.investigations.alert import Link
from app.investigations.brief import Brief, Cited, Past, Rejected
from app.investigations.evidence import Cause, Finding, Ranking, Reason
from app.investigations.surface import DIAGNOSED, EVIDENCE_ONLY, Footer, Headline, Member, Storm, Told
from app.playground.slack import blocks as rules
from app.playground.slack.interactions import _checked_view
from app.playground.slack.workspace import Workspace
from app.slack import incident_blocks as kit
from app.slack.incident_evidence import document
from app.slack.incident_words import LONGEST_ADDRESS, cited, link, reference, said

ID = UUID("7d4c2b8e-5a51-4f0e-9a3e-0f4b1c2d3e4f")
HOSTS = frozenset({"wiki.acme.example"})
GRAFANA = "https://grafana.acme.example/explore?left=%7B%22a%22&right=1"

FINDINGS = (
    Finding(
        "E1",
        "symptom",
        "prometheus",
        "5xx of checkout rose from 0.2 % to 12 %",
        "checkout",
        "rate(x)",
        link=GRAFANA,
    ),
    Finding("E2", "change", "argocd", "checkout 4f1c2ab was rolled out", at=1_800_000_000.0),
    Finding("E3", "log", "loki", "new template: pool exhausted", link="https://loki.acme.example/e3"),
)
BRIEF = Brief(
    headline="checkout fails 12 % of requests since a rollout",
    recurrence="recurring",
    urgency="act now",
    status="ongoing",
    impact=Cited(text="One in eight payments fails.", evidence=("E1",)),
    since="08:35 UTC",
    likely_cause=Cited(text="The rollout of 4f1c2ab halved the pool, see E3.", evidence=("E2", "E3")),
    confidence_level="high",
    confidence=0.82,
    alternatives=(Rejected(cause="Traffic", why="Requests are flat (E1)."),),
    evidence=("E1", "E3"),
    next_steps=("Check the pool's size.", "Compare with yesterday."),
    options=("Roll back checkout.", "Restart checkout."),
    before=Past(happened=True, dates=("2026-10-02", "2026-11-05"), pattern="after rollouts"),
    tickets=("OPS-12 https://wiki.acme.example/OPS-12",),
    follow_up="Alert on the pool.",
    runbooks=("[High error rate](https://wiki.acme.example/high-errors)", "https://evil.example/run"),
    gaps=("tempo: did not answer within 4 s",),
    model="claude-haiku-5-5",
)
TOLD = Told(
    BRIEF,
    FINDINGS,
    footer=Footer(23.4, "claude-haiku-5-5", 4, 6, 12_340, Decimal("0.0212")),
    on_call="Omar Haddad",
    on_call_ids=("U0OMAR",),
    buttons=DIAGNOSED,
)


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    """Everything a reader sees, in the order in which they see it."""
    found: list[str] = []
    for block in blocks:
        for each in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if isinstance(each, dict):
                inner = each.get("text")
                found.append(inner["text"] if isinstance(inner, dict) else str(inner))
    return found


def parsed(blocks: list[dict[str, Any]]) -> list[str]:
    """The texts in which Slack reads its own tokens."""
    inside = [
        each
        for block in blocks
        for each in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    ]
    return [each["text"] for each in inside if isinstance(each, dict) and each.get("type") == "mrkdwn"]


def accepted(blocks: list[dict[str, Any]]) -> bool:
    """Whether the playground, which refuses what Slack refuses, takes the blocks."""
    return bool(rules.checked(json.loads(json.dumps(blocks)), ids=lambda prefix: prefix + "0123456789"))


def test_a_brief_says_first_what_to_do_then_what_is_happening_then_the_rest() -> None:
    said_ = "\n".join(texts(kit.final_brief(TOLD, ID, HOSTS)[1]))

    order = [
        "<@U0OMAR>",
        "🔎 checkout fails",
        "What do I do right now?*  🔴 Act now",
        "1. Check the pool",
        "📖 <https://wiki.acme.example/high-errors|High error rate>",
        "What is happening?",
        "One in eight payments fails.",
        "Since*\n08:35 UTC",
        "Likely cause* · High confidence (82%)",
        "Has it happened before?* Yes: 2026-10-02, 2026-11-05; after rollouts",
        "Open tickets:* <https://wiki.acme.example/OPS-12|OPS-12>",
        "Follow-up:* Alert on the pool.",
        "Ruled out*\n• Traffic",
        "Options for a human*, safest first\n1. Roll back checkout.\n2. Restart",
        "Evidence",
        "Could not be looked at: tempo",
        "✅ Correct",
        "⏱️ 23 s · claude-haiku-5-5 · 4 turns · 6 tool calls · 12,340 tokens · $0.0212",
    ]
    places = [said_.find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_who_is_on_call_is_told_by_name_where_slack_does_not_know_them() -> None:
    two = replace(TOLD, on_call_ids=("U0OMAR", "<!channel>", "U0MAYA"))
    unknown = replace(TOLD, on_call_ids=())

    assert texts(kit.final_brief(two, ID, HOSTS)[1])[0].startswith("<@U0OMAR> <@U0MAYA> you are on call")
    assert texts(kit.final_brief(unknown, ID, HOSTS)[1])[0] == "On call: Omar Haddad"


def test_every_label_is_a_link_to_the_evidence_s_own_page() -> None:
    said_ = "\n".join(texts(kit.final_brief(TOLD, ID, HOSTS)[1]))

    assert f"<{GRAFANA.replace('&', '&amp;')}|E1>" in said_
    assert re.findall(r"(?<!\|)\bE[13]\b", said_) == []
    assert "(E2)" in said_, "a finding without a page keeps its label"


def test_a_runbook_on_a_foreign_host_is_no_link() -> None:
    said_ = json.dumps(kit.final_brief(TOLD, ID, HOSTS)[1])

    assert "run (link removed)" in said_
    assert "evil.example" not in said_


def test_nothing_is_a_dash() -> None:
    empty = Brief(
        headline="",
        impact=Cited(text=""),
        since="",
        likely_cause=Cited(text=""),
        confidence_level="low",
        confidence=0,
        model="claude-haiku-5-5",
    )
    said_ = "\n".join(texts(kit.final_brief(Told(empty), ID, frozenset())[1]))

    for words in (
        "⚪ Watch\n-\n📖 -",
        "happening?*\n-",
        "Since*\n-",
        "tickets:* -",
        "Follow-up:* -",
        "out*\n-",
        "first\n-",
    ):
        assert words in said_
    assert "Low confidence (0%)" in said_
    assert "Could not be looked up" in said_


def test_the_evidence_brief_shows_candidates_with_both_sides_and_what_comes_next() -> None:
    ranking = Ranking(
        1_800_000_000.0,
        "none_of_the_changes",
        0.7,
        (
            Cause(
                "traffic",
                "checkout",
                "Traffic tripled",
                0.71,
                reasons_for=(Reason("Requests rose at the onset (E1)", 0.5),),
                reasons_against=(Reason("The pool was small before", 0.1),),
            ),
        ),
    )
    told = Told(
        BRIEF, FINDINGS, ranking, waits_for="The diagnosis follows within a minute.", buttons=("escalate",)
    )

    said_ = "\n".join(texts(kit.evidence_brief(told, ID, HOSTS)[1]))

    assert "none of the changes explains the onset" in said_
    assert "1. Traffic tripled (71%)\n      _for:_ Requests rose at the onset (<https" in said_
    assert "_against:_ The pool was small before" in said_
    assert "⏳ The diagnosis follows within a minute." in said_


def test_a_model_that_failed_is_said_first_and_the_evidence_follows() -> None:
    alone = BRIEF.model_copy(update={"model": None})
    told = replace(TOLD, brief=alone, failure="The model service refused the API key; check it.")

    notified, blocks = kit.final_brief(told, ID, HOSTS)
    said_ = texts(blocks)

    line = "⚠️ No model concluded: The model service refused the API key; check it. What follows is the evidence brief."
    assert said_[0] == line
    assert notified == f"{line} {BRIEF.headline}"
    assert said_[1].startswith("<@U0OMAR>")
    assert said_[2] == f"🟠 {BRIEF.headline}"
    assert "🔎 Dig deeper" in said_
    assert not [each for each in said_ if each.startswith(("🔎 checkout", "❔"))]


def test_without_a_model_the_end_is_short_and_says_what_it_is() -> None:
    alone = replace(TOLD, brief=BRIEF.model_copy(update={"model": None}), buttons=EVIDENCE_ONLY)

    notified, blocks = kit.final_brief(alone, ID, HOSTS)
    said_ = "\n".join(texts(blocks))

    assert notified == f"{kit.NO_MODEL} {BRIEF.headline}"
    assert texts(blocks)[0] == f"*{kit.NO_MODEL}*"
    assert "Likely cause* · High confidence (82%)\nThe rollout of 4f1c2ab" in said_
    assert "Look at first*\nCheck the pool's size." in said_
    for repeated in ("What do I do", "What is happening", "happened before", "Options", "*Evidence*"):
        assert repeated not in said_
    assert [each for each in texts(blocks) if each in kit.ACTIONS.values()] == [
        "✅ Correct",
        "❌ Wrong",
        "📟 Escalate",
    ]
    assert accepted(blocks)


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("The incident is over.", "ℹ️ The incident is over."),
        ("✅ Resolved at 10:00 UTC.", "✅ Resolved at 10:00 UTC."),
    ],
)
def test_a_note_has_one_sign(sentence: str, shown: str) -> None:
    assert kit.note(sentence) == (sentence, [kit.small_print(shown)])


def test_findings_beyond_the_list_are_counted_and_stand_in_the_file() -> None:
    many = tuple(Finding(f"E{n}", "metric", "prometheus", f"finding {n}", query="up") for n in range(1, 31))
    told = Told(BRIEF.model_copy(update={"evidence": ("E30",)}), many)

    said_ = "\n".join(texts(kit.evidence_brief(told, ID, HOSTS)[1]))
    file = document(told).decode()

    assert "*Evidence* · 22 more in the attached file\nE1 finding 1 · prometheus" in said_
    assert "E30 finding 30" in said_
    assert all(f"## E{n}: finding {n}" in file for n in range(1, 31))
    assert "```\nup\n```" in file


def test_the_file_masks_secrets_and_keeps_its_fences() -> None:
    told = Told(BRIEF, (Finding("E1", "log", "loki", "password=hunter2secret", query="a ``` b"),))

    file = document(told).decode()

    assert "hunter2secret" not in file
    assert "a ''' b" in file


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("investigating", "🔴"),
        ("evidence", "🟠"),
        ("evidence_only", "🟠"),
        ("diagnosed", "🔎"),
        ("failed", "⚠️"),
        ("resolved", "☑️"),
    ],
)
def test_the_headline_shows_its_state(state: Any, words: str) -> None:
    text, blocks = kit.headline(
        Headline("High error rate", state, "checkout", "P1", 1_800_000_000.0, on_call="Omar")
    )

    assert text.startswith(words)
    assert texts(blocks)[0] == f"{words} P1 · checkout: High error rate"
    assert "since 08:00 UTC" in texts(blocks)[1]
    assert "on call: Omar" in texts(blocks)[1]
    assert accepted(blocks)


def test_a_storm_lists_its_members_p1_first_and_why_they_are_one() -> None:
    members = tuple(
        Member(
            f"alert {n}",
            f"service-{n}",
            "P1" if n == 17 else "P3",
            Link(title="x", url="https://pd.example/1"),
        )
        for n in range(20)
    )

    lines = listed_in(Storm(members, {"": 1, "all call payments": 120}), 121)

    assert lines[0] == "*121 incidents*, grouped because all call payments:"
    assert lines[1] == "• *P1* <https://pd.example/1|service-17: alert 17>"
    assert len(lines) == 17
    assert lines[-1] == "… and 106 more"


def listed_in(storm: Storm, incidents: int) -> list[str]:
    shown = kit.headline(Headline("Storm", incidents=incidents, storm=storm))[1]
    assert accepted(shown)
    return texts(shown)[-1].split("\n")


def test_a_storm_says_of_each_why_it_is_there_and_of_the_rest_how_many_for_which_reason() -> None:
    why = "checkout depends on payments"
    members = (
        Member("first", "checkout", "P3"),
        Member("over", "payments", "P1", because=why, status="resolved"),
        Member("burns", "payments", "P2", because=why, status="acknowledged"),
        *(Member("slow", "mail", "P4", because="it is about mail as well") for _ in range(14)),
    )
    reasons = {"": 1, why: 9, "it is about mail as well": 40, "a": 3, "b": 2, "c": 1}

    lines = listed_in(Storm(members, reasons), 56)

    assert lines[:3] == [
        "*56 incidents*, grouped because:",
        f"• 👤 *P2* payments: burns: {why}",
        "• *P3* checkout: first",
    ]
    assert lines[3] == "• *P4* mail: slow: it is about mail as well"
    assert lines[-1] == (
        f"… and 41 more: 27 because it is about mail as well; 8 because {why}; 3 because a; 3 for other reasons"
    )


def test_what_a_storm_has_no_room_for_is_counted_with_the_rest() -> None:
    page = Link(title="x", url="https://pd.example/" + "1" * 900)
    members = tuple(Member(f"alert {n}", "s", "P2", page, because="b") for n in range(15))

    lines = listed_in(Storm(members, {"b": 200, "c": 1}), 201)

    assert [page.url in line for line in lines] == [False, *[True] * 2, *[False] * 14]
    assert lines[3] == "• *P2* s: alert 2: b"
    assert lines[-1] == "… and 186 more: 185 because b; 1 because c"

    long = tuple(Member("long " * 40, "s", "P2", page, because="word " * 30 + str(n)) for n in range(15))
    lines = listed_in(Storm(long, {each.because: 1 for each in long} | {"d": 5}), 20)
    shown = len(lines) - 2
    assert 5 < shown < 15
    assert lines[-1].startswith(f"… and {20 - shown} more: 5 because d; 1 because word ")


@pytest.mark.parametrize(("over", "words"), [(0, ""), (4, " · 4 of 30 over"), (30, "")])
def test_the_headline_says_how_many_are_over(over: int, words: str) -> None:
    text, blocks = kit.headline(Headline("Storm", "diagnosed", incidents=30, over=over))
    assert texts(blocks)[1] == f"*Diagnosed*{words}"
    assert text.endswith("diagnosed, 4 of 30 over" if words else "diagnosed")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("runbooks/high-errors.md", "runbooks/high-errors.md"),
        ("https://wiki.acme.example/a/b", "<https://wiki.acme.example/a/b|b>"),
        (
            "Restarts: https://wiki.acme.example/a?x=1&y=2",
            "<https://wiki.acme.example/a?x=1&amp;y=2|Restarts>",
        ),
        ("[Restarts](https://wiki.acme.example/a)", "<https://wiki.acme.example/a|Restarts>"),
        ("[Restarts](https://evil.example/a)", "Restarts (link removed)"),
        ("https://wiki.acme.example@evil.example/a", "a (link removed)"),
        ("https://wiki.acme.example|x>/<!channel>", None),
        ("", "-"),
    ],
)
def test_references_are_links_on_known_hosts_only(written: str, shown: str | None) -> None:
    made = reference(written, HOSTS)

    if shown is not None:
        assert made == shown
    assert "<!" not in made


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a <!channel> b", "a &lt;\u2060!channel&gt; b"),
        ("@here", "@\u2060here"),
        ("one\n\ntwo", "one two"),
        ("run `ls", "run 'ls"),
        ("``` code", "' code"),
        ("\u202eevil\x00", "evil"),
        ("see https://evil.example", "see https:\u2060//evil.example"),
        ("\ud800", "-"),
    ],
)
def test_words_are_shown_as_written_and_do_nothing(written: str, shown: str) -> None:
    assert said(written) == shown


def test_labels_in_code_and_in_addresses_stay_as_they_are() -> None:
    pages = {"E1": "https://a.example/1"}

    assert cited("`E1` and /E1 and E1, E12", pages) == "`E1` and /E1 and <https://a.example/1|E1>, E12"


def test_an_address_that_is_no_plain_one_is_no_link() -> None:
    for url in (
        "javascript:alert(1)",
        "https://a@b.example/",
        "https://a.example/|b",
        "https://a.example/ b",
        "https://a.example/" + "y" * LONGEST_ADDRESS,
    ):
        assert link("title", url) == "title"


# -- whatever it is made of ------------------------------------------------------------------------------

EVIL = [
    "<!channel>",
    "<!subteam^S0SRETEAM>",
    "<@U0MAYA> @here @everyone",
    "![x](https://evil.example/x.png) [click](https://evil.example) https://evil.example/?E1",
    "```\n`code` *bold* ~x~ > quote",
    "שלום \u202eevil\u202c עולם",
    "\x00\x01\ud800",
    "E1 " * 3000,
    "&<>|" * 2000,
    "x" * 20_000,
    "",
    " \n ",
    "＜!channel＞ ＠channel",
]
NASTY = (
    st.text(max_size=300)
    | st.sampled_from(EVIL)
    | st.builds("".join, st.lists(st.sampled_from(EVIL), max_size=3))
)
LABELS = st.sampled_from(["E1", "E2", "E999", "<!channel>", "E1|x", ""])
URLS = st.sampled_from(
    [
        None,
        GRAFANA,
        "https://a.example/" + "q" * 900,
        "javascript:1",
        "https://a@evil.example",
        "http://[x",
        "<!channel>",
    ]
)
cites = st.builds(Cited, text=NASTY, evidence=st.lists(LABELS, max_size=9).map(tuple))
many = st.lists(NASTY, max_size=14).map(tuple)
briefs = st.builds(
    Brief,
    headline=NASTY,
    impact=cites,
    since=NASTY,
    likely_cause=cites,
    confidence_level=st.sampled_from(["high", "medium", "low"]),
    confidence=st.floats(0, 1),
    alternatives=st.lists(st.builds(Rejected, cause=NASTY, why=NASTY), max_size=30).map(tuple),
    evidence=st.lists(LABELS, max_size=6).map(tuple),
    next_steps=st.lists(NASTY, max_size=4).map(tuple),
    options=many,
    before=st.builds(Past, happened=st.booleans(), dates=many, pattern=NASTY),
    tickets=many,
    follow_up=NASTY,
    runbooks=many,
    gaps=many,
    model=st.sampled_from([None, "claude-haiku-5-5"]),
)
findings = st.lists(
    st.builds(Finding, LABELS, st.just("log"), NASTY, NASTY, query=NASTY, link=URLS), max_size=12
).map(tuple)
reasons = st.lists(st.builds(Reason, NASTY, st.floats()), max_size=5).map(tuple)
rankings = st.none() | st.builds(
    Ranking,
    st.none(),
    st.sampled_from(["cause", "none_of_the_changes", "unknown"]),
    st.floats(0, 1),
    st.lists(
        st.builds(
            Cause, st.just("change"), NASTY, NASTY, st.floats(), reasons_for=reasons, reasons_against=reasons
        ),
        max_size=6,
    ).map(tuple),
)
footers = st.none() | st.builds(
    Footer, st.floats(0, 1e6), NASTY, st.integers(0), st.integers(0), st.integers(0)
)
tolds = st.builds(
    Told,
    briefs,
    findings,
    rankings,
    footers,
    on_call=NASTY,
    on_call_ids=st.lists(st.sampled_from(["U0OMAR", "!channel", "U0OMAR> <!here"]), max_size=9).map(tuple),
    buttons=st.lists(st.sampled_from(list(kit.ACTIONS)), max_size=8).map(tuple),
    waits_for=NASTY,
    failure=st.just("") | NASTY,
)


def harmless(shown: tuple[str, list[dict[str, Any]]], *allowed: str) -> None:
    text, blocks = shown
    everything = "\n".join([text, *parsed(blocks)])
    assert set(re.findall(r"<[!@#][^>]*>", everything)) <= set(allowed)
    assert not re.search(r"(?<!\w)[@＠](channel|here|everyone)", everything)
    for where in re.findall(r"<([^|>]*)\|[^>]*>", everything):
        assert "evil" not in where
        assert where.startswith(("https://grafana.acme.example/", "https://a.example/"))
    for where in re.findall(r"(?<!<)https?://[^\s|>]+", everything):
        raise AssertionError(f"Slack would link {where}")
    assert not re.search("[\x00\u202e\ud800]", everything)


@given(tolds)
@settings(max_examples=60, deadline=None)
def test_briefs_are_always_taken_and_harmless(told: Told) -> None:
    final = kit.final_brief(told, ID, HOSTS)
    evidence = kit.evidence_brief(told, ID, HOSTS)

    for shown in (final, evidence):
        assert accepted(shown[1])
        assert 0 < len(shown[0]) < 4000
        assert len(json.dumps(shown[1])) < 60_000
    harmless(final, *(["<@U0OMAR>"] if "U0OMAR" in told.on_call_ids else []))
    harmless(evidence)
    assert document(told)


@given(
    NASTY,
    NASTY,
    NASTY,
    st.lists(st.tuples(NASTY, NASTY, URLS), max_size=40),
    st.sampled_from(list(kit.STATES)),
)
@settings(max_examples=60, deadline=None)
def test_headlines_failures_and_notes_are_always_taken_and_harmless(
    title: str, service: str, because: str, members: list[tuple[str, str, str | None]], state: Any
) -> None:
    listed = tuple(
        Member(each, name, "P2", Link(title="x", url=url) if url else None, because)
        for each, name, url in members
    )
    storm = Storm(listed, {because: len(listed) + 3, title: 1, service: 2, "x": 4})
    shown = kit.headline(
        Headline(title, state, service, "P1", 1_800_000_000.0, service, None, title, because, 50, 3, storm)
    )
    failure = kit.failed(because, title, ID, DIAGNOSED)

    for each in (shown, failure, kit.note(title)):
        assert accepted(each[1])
        harmless(each)


# -- buttons ---------------------------------------------------------------------------------------------


def test_a_button_carries_the_investigation_and_nothing_else() -> None:
    [row] = kit.buttons(ID, DIAGNOSED)

    assert [element["value"] for element in row["elements"]] == [str(ID)] * 4
    assert [element["action_id"] for element in row["elements"]] == [
        "incident_correct",
        "incident_wrong",
        "incident_dig_deeper",
        "incident_escalate",
    ]
    assert kit.buttons(ID, ()) == []


def test_a_press_replaces_what_it_decided_and_leaves_the_rest() -> None:
    blocks = kit.final_brief(TOLD, ID, HOSTS)[1]

    after = kit.pressed(blocks, "correct", "U0MAYA", "confirmed this cause")

    [row] = [block for block in after if block["type"] == "actions"]
    assert [element["action_id"] for element in row["elements"]] == [
        "incident_dig_deeper",
        "incident_escalate",
    ]
    assert "✅ <@U0MAYA> confirmed this cause" in texts(after)
    assert kit.pressed(after, "wrong", "U0OMAR", "said it was wrong") == after
    assert accepted(after)


def test_the_last_button_takes_its_row_with_it() -> None:
    after = kit.pressed(kit.buttons(ID, ("escalate",)), "escalate", "<!channel>", "<!here> escalated")

    assert texts(after) == ["📟 Somebody &lt;\u2060!here&gt; escalated"]


def test_the_question_for_the_cause_is_a_modal_slack_takes() -> None:
    view = kit.cause_view("x" * 3000)

    assert _checked_view(json.loads(json.dumps(view)), ("modal",), Workspace.example())["submit"]
