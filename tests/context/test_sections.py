"""Markdown is cut at its headings, verbatim, each section with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.context.sections import LARGEST_SECTION, cut, tokens_of

PAGE = """\
# Checkout

Takes the money.

## Failure modes

Two are known.

### Card *declined*

```bash
# not a heading
## neither
```

> # quoted heading

- # heading in a list

## Empty

## Owners
"""


def test_each_section_has_its_heading_its_text_and_its_line() -> None:
    assert [(part.heading, part.line) for part in cut(PAGE)] == [
        ("Checkout", 1),
        ("Failure modes", 5),
        ("Failure modes › Card declined", 9),
    ]
    assert cut(PAGE)[0].text == "# Checkout\n\nTakes the money."
    assert cut(PAGE)[2].text.startswith("### Card *declined*\n\n```bash\n# not a heading")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n", []),
        ("plain words", [(None, 1)]),
        ("\n\nabove\n\n# One\n\nx", [(None, 3), ("One", 5)]),
        ("# Only a title", []),
        ("One\n===\n\nx\n\nTwo\n---\n\ny", [("One", 1), ("Two", 6)]),
        ("# One\r\n\r\nx\r\n\r\n## Two\r\n\r\ny", [("One", 1), ("Two", 5)]),
        ("## B\n\nx\n\n# A\n\ny\n\n### C\n\nz", [("B", 1), ("A", 5), ("C", 9)]),
        ("---\ntitle: T\n# a comment\n---\n# One\n\nx", [("One", 5)]),
        ("# `code` & [link](https://x.io) <b>bold</b>\n\nx", [("code & link bold", 1)]),
        ("#\n\nx", [(None, 1)]),
        ("```\n# never closed\n", [(None, 1)]),
    ],
)
def test_what_counts_as_a_section(text: str, expected: list[tuple[str | None, int]]) -> None:
    assert [(part.heading, part.line) for part in cut(text)] == expected


def test_lines_are_those_of_the_file_when_the_text_begins_further_down() -> None:
    assert [part.line for part in cut("# One\n\nx\n\n## Two\n\ny", first_line=8)] == [8, 12]


@pytest.mark.parametrize(
    "long",
    [
        "\n\n".join(["A paragraph of words." * 20] * 40),
        "```\n" + "a line of code\n" * 1000 + "```",
        "| a | b |\n|---|---|\n" + "| some | thing |\n" * 900,
    ],
    ids=["paragraphs", "code", "table"],
)
def test_a_long_section_is_cut_into_parts_with_their_own_lines(long: str) -> None:
    text = f"# One\n\n{long}\n\n## Two\n\nshort"
    lines = text.split("\n")
    parts = cut(text)
    assert len(parts) > 2
    assert all(tokens_of(part.text) <= LARGEST_SECTION for part in parts)
    assert all(lines[part.line - 1] == part.text.split("\n")[0] for part in parts)
    assert len({part.line for part in parts}) == len(parts), "a line names one section"
    assert parts[-1].heading == "Two"


def test_paragraphs_are_not_cut_when_they_fit() -> None:
    paragraph = "A sentence of seven words stands here. " * 20
    parts = cut("# One\n\n" + "\n\n".join([paragraph.strip()] * 40))
    assert all(part.text.removeprefix("# One\n\n").startswith("A sentence") for part in parts)


@given(st.text(alphabet=st.sampled_from("# `-=>\n\t*ab1.~|:\r\\[]"), max_size=200))
def test_no_line_is_lost_changed_or_told_twice(text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    told: list[int] = []
    for part in cut(text):
        body = part.text.split("\n")
        assert lines[part.line - 1 : part.line - 1 + len(body)] == body
        told += range(part.line, part.line + len(body))
    assert told == sorted(set(told))


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 1), ("a" * 7, 2), ("a" * 350, 100)])
def test_tokens_are_estimated_from_characters(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens
