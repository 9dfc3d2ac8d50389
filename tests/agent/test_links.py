"""What a model may link to: tables of tricks, and properties checked against a real Markdown parser."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.agent.links import REMOVED, LinkGuard, keep_known_links

HOSTS = frozenset({"git.example.com", "grafana.example.com"})
GOOD = "https://git.example.com/a/b.md"


@pytest.mark.parametrize(
    "text",
    [
        f"See [the README]({GOOD}).",
        f"See {GOOD}, and <{GOOD}>.",
        f"<{GOOD}|README>",
        f"**{GOOD}**",
        "https://git.example.com/wiki/A_(b)",
        "[b](https://git.example.com/wiki/A_(b))",
        "HTTPS://Git.Example.com/a",
        "https://grafana.example.com/d/x?from=now-1h&to=now#panel",
        "`curl http://localhost:9090/-/ready` works",
        "```\ncurl http://localhost:9090\n```\nafter",
        "Use `<name>` or <name>; 1 < 2 and 3 > 2; wow! [sic] (really)",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "Five words! And e-mail a@b.example.",
    ],
)
def test_what_is_fine_stays_as_it_is(text: str) -> None:
    assert keep_known_links(text, HOSTS) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("[docs](https://evil.example/x)", "[docs]"),
        ("[docs](//evil.example/x)", "[docs]"),
        ("[docs](javascript:alert(1))", "[docs]"),
        ("[docs](README.md)", "[docs]"),
        ("[docs](<https://evil.example/a b>)", "[docs]"),
        ('[docs](https://evil.example "title")', "[docs]"),
        (f'[docs]({GOOD} "title")', f"[docs]({GOOD})"),
        ("[docs](https://git.example.com@evil.example/)", "[docs]"),
        ("[docs](https://user:pw@git.example.com/)", "[docs]"),
        ("[docs](https://git.example.com\\@evil.example/)", "[docs]"),
        ("[docs](https://git.example.com.evil.example/)", "[docs]"),
        ("[docs](https://git.example.com&#46;evil.example/)", "[docs]"),
        ("[docs](evil)(//evil.example)", "[docs]"),
        (f"![chart]({GOOD})", f"[chart]({GOOD})"),
        ("![chart](https://evil.example/a.png)", "[chart]"),
        ("!!![chart](https://evil.example/a.png)", "[chart]"),
        ("[a][r]\n\n[r]: //evil.example/x", "[a][r]\n\n[r] : //evil.example/x"),
        ("https://evil.example/x.", f"{REMOVED}."),
        ("(see https://evil.example/x)", f"(see {REMOVED})"),
        ("www.evil.example/x", REMOVED),
        ("ftp://evil.example", REMOVED),
        ("<https://evil.example>", REMOVED),
        ("<https://evil.example|the docs>", "the docs"),
        ("<mailto:a@evil.example|write>", "write"),
        ("<https://evil.example|https://evil.example>", REMOVED),
        (f"{GOOD}?next=https://evil.example", REMOVED),
        (f"{GOOD}/)[x](//evil.example)", f"{GOOD}/)[x]"),
        ("https&#58;//evil.example", REMOVED),
        ("https:\\/\\/evil.example", REMOVED),
        ('<img src="https://evil.example/a.png">', ""),
        ('<a href="//evil.example">x</a>', "x "),
        ("https:<img src=x>//evil.example", "https: //evil.example"),
        ("www.<b class=x>evil.example", "www. evil.example"),
        ("<img\nsrc=//evil.example>", "img\nsrc=//evil.example>"),
        ("write to <//@evil.example>", "write to //@evil.example>"),
        ("unpaired ` and\n` [x](//evil.example) `", "unpaired ` and\n` [x] `"),
        ("\\` [x](//evil.example) `", "\\` [x] `"),
        ("- ```\n```\n[x](//evil.example)", "- ```\n```\n[x]"),
        ("  ```\n```\n[x](//evil.example)", "  ```\n```\n[x]"),
    ],
)
def test_what_leads_elsewhere_loses_its_target(text: str, kept: str) -> None:
    assert keep_known_links(text, HOSTS) == kept


PIECES = st.sampled_from(
    [
        "[", "]", "(", ")", "<", ">", "!", "|", "`", "```", "~~~", "\n", "\n\n", " ", "\\", ":", "- ", "> ",
        "  ", "1. ", "a", "words", '"', "=", "&#58;", "&amp;", "@", "//", "http", "https://", "www.",
        "javascript:",
        "evil.example", "git.example.com", GOOD, "https://evil.example/x", "//evil.example", "[x]", "](",
        "]: ", "<img src=", "<a href=", "[r]: ", "[r]", "/", "?u=", "#", ".", "mailto:",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=24).map("".join) | st.text(max_size=60)
PARSER = MarkdownIt("commonmark", {"html": True})


def targets(markdown: str) -> list[str]:
    """Every link and image target a CommonMark parser sees, images marked by a leading `!`."""
    found: list[str] = []
    for block in PARSER.parse(markdown):
        for token in block.children or ():
            if token.type == "link_open":
                found.append(str(token.attrs["href"]))
            elif token.type == "image":
                found.append("!" + str(token.attrs["src"]))
    return found


@settings(max_examples=600, deadline=None)
@given(TEXTS)
def test_no_parser_finds_a_link_elsewhere_or_an_image(text: str) -> None:
    for target in targets(keep_known_links(text, HOSTS)):
        assert not target.startswith("!")
        assert urlsplit(target).hostname in HOSTS


@settings(max_examples=600, deadline=None)
@given(TEXTS)
def test_no_address_elsewhere_is_left_outside_code(text: str) -> None:
    kept = keep_known_links(text, HOSTS)
    for block in PARSER.parse(kept):
        for token in block.children or ():
            if token.type == "text":
                for address in re.findall(r"https?://[^\s/?#<>|\"`\[\]]+", token.content):
                    assert urlsplit(address.rstrip(".,;:!?)}'*_~")).hostname in HOSTS


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 60), max_size=6))
def test_text_that_grows_is_filtered_like_the_whole(text: str, cuts: list[int]) -> None:
    guard, grown, start = LinkGuard(HOSTS), "", 0
    for cut in sorted(cuts):
        grown += guard.feed(text[start : max(start, cut)])
        start = max(start, cut)
    grown += guard.feed(text[start:]) + guard.flush()
    assert grown == keep_known_links(text, HOSTS)


def test_plain_prose_is_shown_word_by_word() -> None:
    guard = LinkGuard(HOSTS)
    assert [guard.feed(word) for word in ("Take", " the", " README", " [of", " it](")] == [
        "", "Take ", "the ", "README [", "of it]",
    ]  # fmt: skip
