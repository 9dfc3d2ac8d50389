"""Text in Slack: nobody is pinged, nothing is lost, cuts fall where a reader would make them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.slack.text import (
    JOINER,
    break_at,
    cost,
    first,
    incoming,
    markdown,
    mrkdwn,
    plain,
    reopening,
    settled,
    split,
    without_mention,
)

PING = re.compile(
    r"<!(?:channel|here|everyone|group|subteam\^|date\^)|<[@#][A-Z][A-Z0-9]{2}|<(?:https?|mailto|slack):[^>\s]*\|",
    re.IGNORECASE,
)
WORD = re.compile(r"(?<!\w)[@\uff20\ufe6b](?:channel|here|everyone|group)", re.IGNORECASE)

FRAGMENTS = st.sampled_from(
    [
        *[
            "<!channel>",
            "<!here|x>",
            "<!subteam^S0123ABC>",
            "<@U0123ABC>",
            "<#C0123ABC|general>",
            "@channel",
            "@here",
        ],
        *[
            "\uff20here",
            "\uff1c!channel\uff1e",
            "<https://a.example/x?a=1&b=2>",
            "<https://evil.example|good>",
        ],
        *[
            "<",
            ">",
            "&",
            "&lt;!here&gt;",
            "!",
            "@",
            "`",
            "``",
            "```",
            "```python",
            "~~~",
            "\\`",
            "\\\\",
            "\\",
        ],
        *[
            "\n",
            "\n\n",
            " ",
            "    ",
            "> ",
            "- item",
            "1. one",
            "# Title",
            "| a | b |",
            "|---|---|",
            "word",
            "ü",
            "🚒",
        ],
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=6), max_size=60).map("".join)


@given(TEXTS)
@settings(max_examples=600, deadline=None)
def test_markdown_never_carries_a_token_that_pings_or_hides_a_link(text: str) -> None:
    assert not PING.search(markdown(text))


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_mrkdwn_and_plain_text_never_ping(text: str) -> None:
    for written in (mrkdwn(text), plain(text, 256)):
        assert not PING.search(written)
        assert not WORD.search(written)


@given(TEXTS, st.data())
@settings(max_examples=600, deadline=None)
def test_what_is_settled_is_escaped_the_same_whatever_follows(text: str, data: st.DataObject) -> None:
    so_far = text[: data.draw(st.integers(0, len(text)))]

    sure = markdown(so_far[: settled(so_far)])

    assert markdown(text).startswith(sure)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_reader_sees_the_characters_that_were_written(text: str) -> None:
    shown = markdown(text).replace(JOINER, "").replace("&lt;", "<").replace("&gt;", ">")

    assert shown == text.replace(JOINER, "").replace("&lt;", "<").replace("&gt;", ">")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("a < b && c > d", "a &lt; b && c &gt; d"),
        ("> a quote -> arrow", "> a quote -&gt; arrow"),
        ("see <https://a.example/x?a=1&b=2>", "see <https://a.example/x?a=1&b=2>"),
        ("<https://evil.example|good.example>", "&lt;https://evil.example|good.example&gt;"),
        ("`if a < b`, then <b>", "`if a < b`, then &lt;b&gt;"),
        ("```html\n<b>x</b>\n```\n<b>", "```html\n<b>x</b>\n```\n&lt;b&gt;"),
        ("```\n<!channel>\n```", f"```\n<{JOINER}!channel>\n```"),
        ("ask @channel or me@here.example", f"ask @{JOINER}channel or me@here.example"),
        ("`unclosed <!here>", f"`unclosed <{JOINER}!here>"),
        (r"\`<!here>", r"\`&lt;!here&gt;"),
        ("List<String> and <@Component>", "List&lt;String&gt; and &lt;@Component&gt;"),
        ("`List<String>` and `<@U0123ABCD>`", f"`List<String>` and `<{JOINER}@U0123ABCD>`"),
    ],
)
def test_markdown_escapes_prose_and_leaves_code_readable(written: str, sent: str) -> None:
    assert markdown(written) == sent


@pytest.mark.parametrize(
    ("tail", "held"),
    [
        ("word", ""),
        ("a <!chan", "<!chan"),
        ("see <https://a.ex", "<https://a.ex"),
        ("hi @her", "@her"),
        ("x ``", "``"),
    ],
)
def test_a_tail_that_may_become_a_token_is_held_back(tail: str, held: str) -> None:
    assert tail[settled(tail) :] == held


@given(TEXTS, st.integers(64, 400))
@settings(max_examples=600, deadline=None)
def test_pieces_put_together_are_the_text_and_each_fits(text: str, limit: int) -> None:
    pieces = split(text, limit)

    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)
    assert all(len(markdown(piece.body).encode()) <= limit for piece in pieces)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_cost_is_never_below_what_is_sent(text: str) -> None:
    assert len(markdown(text).encode()) <= cost(text)


def test_a_text_that_fits_is_one_piece_and_an_empty_one_is_none() -> None:
    assert [piece.body for piece in split("short", 64)] == ["short"]
    assert split("", 64) == ()


def test_a_cut_falls_between_paragraphs_when_it_can() -> None:
    text = "first paragraph, of some length\n\nsecond paragraph, of some length\n\nthird paragraph here"

    assert [piece.text for piece in split(text, 85)] == [
        "first paragraph, of some length\n\nsecond paragraph, of some length\n\n",
        "third paragraph here",
    ]


def test_a_fence_cut_in_two_is_closed_and_opened_again_with_its_language() -> None:
    code = "".join(f"line {number} = {number}\n" for number in range(20))

    pieces = split(f"Look:\n\n```python\n{code}```\nDone.", 160)

    assert len(pieces) > 1
    assert all(piece.body.count("```") == 2 for piece in pieces if "line" in piece.text)
    assert all(piece.opens == "```python\n" for piece in pieces[1:] if "line" in piece.text)


def test_a_short_list_stays_whole() -> None:
    listed = "- one\n- two\n- three\n"
    text = "intro " * 12 + "\n\n" + listed + "\nafter " * 8

    pieces = split(text, 120)

    assert any(listed in piece.text for piece in pieces)


def test_a_table_cut_in_two_repeats_its_head() -> None:
    head = "| service | tier |\n|---|---|\n"
    rows = "".join(f"| service-{number} | {number} |\n" for number in range(30))

    pieces = split(head + rows, 300)

    assert len(pieces) > 1
    assert all(piece.body.startswith(head) for piece in pieces)


def test_a_part_of_which_something_was_shown_is_cut_after_that() -> None:
    body = "one two three four " * 10

    assert break_at(body, 100, first=60) >= 60


def test_reopening_knows_the_fence_that_is_open() -> None:
    assert reopening("```sh\nls", "\nmore") == ("\n```", "```sh\n")
    assert reopening("```sh\nls\n```\n", "more") == ("", "")


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("see <https://a.example/x|the page>", "see the page (https://a.example/x)"),
        ("<https://a.example>", "https://a.example"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("in <#C0123|general> or <#C0456>", "in #general or #C0456"),
        ("<!channel> <!subteam^S012|@sre> look", "channel sre look"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("ask <@U0123>", "ask <@U0123>"),
        ("&amp;lt; stays", "&lt; stays"),
    ],
)
def test_incoming_text_is_read_as_it_was_meant(raw: str, meant: str) -> None:
    assert incoming(raw) == meant


@pytest.mark.parametrize(
    ("raw", "rest"),
    [
        ("<@UBOT> hello", "hello"),
        ("<@UBOT>: hello", "hello"),
        ("hey <@UBOT|agent> hello", "hey hello"),
        ("<@UBOT>", ""),
    ],
)
def test_the_bots_own_mention_is_taken_out(raw: str, rest: str) -> None:
    assert without_mention(raw, "UBOT") == rest


def test_only_the_first_characters_of_a_long_text_are_used_and_that_is_said() -> None:
    assert first("x" * 40_000) == ("x" * 12_000, True)
    assert first("short") == ("short", False)


def test_a_plain_field_is_one_line_within_its_limit() -> None:
    assert plain("a\n b", 256) == "a b"
    assert plain("x" * 300, 256) == "x" * 255 + "…"
    assert plain("  ", 10) == "-"
