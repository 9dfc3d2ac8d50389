"""Markdown becomes Notion's blocks within its limits, and no word gets lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.blocks import Block, blocks_of
from tests.fakes.notion import what_is_wrong


def shown(block: Block) -> tuple[str, str]:
    """Kind and words, with looks as letters."""
    content = block[block["type"]]
    return block["type"], "".join(map(look, content.get("rich_text", [])))


def look(piece: dict[str, Any]) -> str:
    words = piece["text"]["content"]
    for name in piece.get("annotations", {}):
        words = f"{name[0]}({words})"
    link = piece["text"].get("link")
    return f"{words}→{link['url']}" if link else words


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# One\n\n#### Four", [("heading_1", "One"), ("heading_3", "Four")]),
        ("some **bold** and *it* `x` ~~no~~", [("paragraph", "some b(bold) and i(it) c(x) s(no)")]),
        ("**bold `code`**", [("paragraph", "b(bold )c(b(code))")]),
        ("a [link](https://x.io/a) b", [("paragraph", "a link→https://x.io/a b")]),
        ("a [page](other.md) and [js](javascript:x)", [("paragraph", "a page and [js](javascript:x)")]),
        ("two\nlines", [("paragraph", "two lines")]),
        ("- a\n- b\n  - c", [("bulleted_list_item", "a"), ("bulleted_list_item", "b"), ("bulleted_list_item", "c")]),
        ("1. a\n\n   more\n2. b", [("numbered_list_item", "a"), ("paragraph", "more"), ("numbered_list_item", "b")]),
        ("- [ ] open\n- [x] done", [("to_do", "open"), ("to_do", "done")]),
        ("> said\n>\n> twice", [("quote", "said"), ("quote", "twice")]),
        ("> - a", [("bulleted_list_item", "a")]),
        ("```yaml\na: 1\n```", [("code", "a: 1")]),
        ("---", [("divider", "")]),
        ("<b>x</b>", [("paragraph", "<b>x</b>")]),
        ("<div>\nx\n</div>", [("code", "<div>\nx\n</div>")]),
        ("![a chart](https://x.io/a.png)", [("paragraph", "a chart")]),
        ("[TODO: owner]", [("paragraph", "[TODO: owner]")]),
        ("", []),
    ],
)  # fmt: skip
def test_each_kind(markdown: str, expected: list[tuple[str, str]]) -> None:
    assert list(map(shown, blocks_of(markdown))) == expected


def test_a_table_keeps_its_cells() -> None:
    [table] = blocks_of("| a | **b** |\n|---|---|\n| 1 | 2 |\n| 3 |\n")
    cells = [
        ["".join(map(look, cell)) for cell in row["table_row"]["cells"]] for row in table["table"]["children"]
    ]
    assert cells == [["a", "b(b)"], ["1", "2"], ["3", ""]]
    assert table["table"]["table_width"] == 2


def test_a_long_table_is_several_with_the_same_head() -> None:
    tables = blocks_of("| n |\n|---|\n" + "".join(f"| {number} |\n" for number in range(250)))
    rows = [row["table_row"]["cells"][0] for table in tables for row in table["table"]["children"]]
    told = ["".join(map(look, cell)) for cell in rows]
    assert told.count("n") == 3
    assert [each for each in told if each != "n"] == [str(number) for number in range(250)]
    assert what_is_wrong(tables) == ""


def test_code_of_any_length_is_whole() -> None:
    code = "".join(f"line {number} 😀\n" for number in range(40_000))
    blocks = blocks_of(code, "text/plain")
    assert len(blocks) > 1
    assert what_is_wrong(blocks) == ""
    assert "".join(words for _, words in map(shown, blocks)) == code.rstrip("\n")


@given(st.text(alphabet=st.sampled_from("ab😀 #-*`>|[]()!\n1.~_x\\<"), max_size=400))
def test_any_text_is_within_the_limits(markdown: str) -> None:
    assert what_is_wrong(blocks_of(markdown)[:100]) == ""


@given(st.text(alphabet=st.sampled_from("ab😀 #-*>!\n1._\\<"), max_size=400))
def test_no_word_of_any_text_is_lost(markdown: str) -> None:
    said = "".join(
        piece["text"]["content"]
        for block in blocks_of(markdown)
        for piece in block[block["type"]].get("rich_text", [])
    )
    assert re.findall(r"[ab😀]", said) == re.findall(r"[ab😀]", markdown)
