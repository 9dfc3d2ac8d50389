"""What stands under an answer, within Slack's limits whatever it is made of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agent.phrases import FOLDER, Phrases
from app.context.models import Source
from app.playground.slack import blocks as rules
from app.slack.blocks import (
    Task,
    answer_blocks,
    context,
    error_blocks,
    fallback,
    markdown_block,
    plan,
    problems,
    sre_tag,
    task_update,
)


def source(title: str, url: str | None = None) -> Source:
    return Source(kind="blueprint", title=title, path="services/checkout.md", url=url)


NASTY = st.text(max_size=400) | st.sampled_from(["<!channel>", "@here", "a|b>c<d", "", " ", "`", "x" * 5000])
URLS = st.none() | st.sampled_from(
    [
        "https://a.example/x?a=1&b=2",
        "javascript:alert(1)",
        "https://a.example/|b",
        "https://x/" + "y" * 900,
        "",
    ]
)


def accepted(made: list[dict[str, Any]]) -> bool:
    """Whether the playground, which refuses what Slack refuses, takes the blocks."""
    return bool(rules.checked(json.loads(json.dumps(made)), ids=lambda prefix: prefix + "0123456789"))


@given(
    st.none() | st.floats(allow_nan=False),
    st.lists(st.tuples(NASTY, URLS), max_size=30),
    st.lists(NASTY, max_size=8),
    st.tuples(st.none() | NASTY, st.none() | NASTY),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_an_answers_blocks_are_always_taken_and_ping_nobody_but_the_sre_team(
    confidence: float | None,
    sources: list[tuple[str, str | None]],
    notices: list[str],
    small_print: tuple[str | None, str | None],
    tag: bool,
) -> None:
    made = answer_blocks(
        turn_id="turn-1",
        confidence=confidence,
        sources=[source(title, url) for title, url in sources],
        notices=notices,
        sre_team_id="S0SRETEAM" if tag else None,
        offline_reason=small_print[0],
        knowledge_revision=small_print[1],
    )

    assert problems(made) == []
    assert accepted(made)
    pings = re.findall(r"<[!@][^>]*>", json.dumps(made))
    assert pings == (["<!subteam^S0SRETEAM>"] if tag else [])


@given(NASTY, NASTY, st.lists(st.tuples(NASTY, NASTY), max_size=60))
@settings(max_examples=150, deadline=None)
def test_errors_and_plans_are_always_taken(
    sentence: str, trace_id: str, steps: list[tuple[str, str]]
) -> None:
    tasks = [Task(id=f"t{n}", title=title, details=details) for n, (title, details) in enumerate(steps)]
    made = [*error_blocks(sentence, trace_id), plan(sentence, tasks)]

    assert problems(made) == []
    assert accepted(made)


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (0.92, "High confidence (92% sure)"),
        (0.6, "Medium confidence (60% sure)"),
        (0.2, "Low confidence (20% sure)"),
        (1.7, "High confidence (100% sure)"),
    ],
)
def test_confidence_is_said_in_words_and_percent(confidence: float, words: str) -> None:
    assert words in json.dumps(answer_blocks(turn_id="t", confidence=confidence))


def test_an_answer_without_a_confidence_says_nothing_of_it() -> None:
    assert "confidence" not in json.dumps(answer_blocks(turn_id="t"))


def test_sources_are_links_and_the_eleventh_is_counted() -> None:
    made = answer_blocks(
        turn_id="t", sources=[source(f"doc {n}", f"https://a.example/{n}?a=1&b=2") for n in range(12)]
    )

    text = made[0]["elements"][0]["text"]
    assert "<https://a.example/0?a=1&amp;b=2|doc 0>" in text
    assert "and 2 more" in text
    assert "doc 10" not in text


def test_an_answer_without_a_model_says_why() -> None:
    assert "No model: no key is configured" in json.dumps(
        answer_blocks(turn_id="t", offline_reason="no key is configured")
    )


def below(words: Phrases) -> str:
    """All that can stand under answers, in one language."""
    made = [
        answer_blocks(
            turn_id="t",
            confidence=confidence,
            sources=[source(f"doc {n}") for n in range(12)],
            sre_team_id="S0SRETEAM",
            offline_reason="x",
            words=words,
        )
        for confidence in (0.92, 0.7, 0.2)
    ]
    return json.dumps(made, ensure_ascii=False)


FIXED = ("High ", "Medium ", "Low ", " sure", "please have a look", "No model: x", "Sources: ", "and 2 more")


def test_in_english_all_of_it_is_english() -> None:
    assert [words for words in FIXED if words not in below(Phrases())] == []


@pytest.mark.parametrize("language", sorted({path.stem for path in FOLDER.glob("*.yaml")} - {"en"}))
def test_what_stands_under_an_answer_is_in_the_language_of_the_question(language: str) -> None:
    said = below(Phrases(language))
    assert [words for words in FIXED if words in said] == []
    assert all(value in said for value in ("<!subteam^S0SRETEAM>", "92%", "70%", "20%", "doc 9"))


def test_the_feedback_buttons_carry_the_turn() -> None:
    [block] = [each for each in answer_blocks(turn_id="turn-1") if each["type"] == "context_actions"]
    [element] = block["elements"]

    assert element["action_id"] == "feedback"
    assert [element[side]["value"] for side in ("positive_button", "negative_button")] == [
        "up:turn-1",
        "down:turn-1",
    ]


def test_only_a_user_group_can_be_tagged() -> None:
    with pytest.raises(ValueError, match="user group"):
        sre_tag("!channel", "please look")


def test_an_empty_text_becomes_a_dash() -> None:
    assert markdown_block("  ")["text"] == "-"
    assert context("")["elements"][0]["text"] == "-"
    assert fallback("") == "-"


def test_what_slack_would_refuse_is_named() -> None:
    wrong = [
        *[context("x")] * 51,
        {"type": "markdown", "text": "x" * 12_001},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11},
    ]

    said = " / ".join(problems(wrong))

    assert "54 blocks" in said
    assert "12001 characters of markdown" in said
    assert "an empty text" in said
    assert "11 elements" in said


def test_a_task_is_one_line_within_slacks_limits() -> None:
    made = task_update(
        Task(id="t", title="x" * 300, details="a\nb", sources=(source("doc", "https://a.example"),))
    )

    assert len(made["title"]) == 256
    assert made["details"] == "a b"
    assert made["sources"] == [{"type": "url", "url": "https://a.example", "text": "doc"}]


def test_a_few_offers_are_buttons_and_many_are_a_menu() -> None:
    few = answer_blocks(turn_id="t1", offers=["Yes", "No <!channel> " + "x" * 100])[0]
    many = answer_blocks(turn_id="t1", offers=[f"Choice {n}" for n in range(120)])[0]

    assert [(each["action_id"], each["value"]) for each in few["elements"]] == [
        ("choose_0", "t1:0"),
        ("choose_1", "t1:1"),
    ]
    assert all(
        len(each["text"]["text"]) <= 75 and each["text"]["type"] == "plain_text" for each in few["elements"]
    )
    [menu] = many["elements"]
    assert menu["type"] == "static_select"
    assert len(menu["options"]) == 100
    assert menu["options"][7]["value"] == "t1:7"
    assert all(block["type"] != "actions" for block in answer_blocks(turn_id="t1"))
