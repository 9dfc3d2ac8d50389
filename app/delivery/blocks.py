"""Markdown as Notion's blocks, within its limits. Pure.

https://developers.notion.com/reference/block, limits: https://developers.notion.com/reference/request-limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

Block = dict[str, Any]
Words = dict[str, Any]

LONGEST_TEXT = 2000
"""Characters of one piece of text, in UTF-16 as Notion counts them; emoji are two."""
MOST_PIECES = 100
MOST_ROWS = 100
LONGEST_LINK = 2000
TASK = re.compile(r"\[([ xX])\]\s+")
LANGUAGES = {
    **{name: name for name in ("bash", "json", "yaml", "python", "sql", "go", "java", "diff", "markdown")},
    **{
        "sh": "shell",
        "console": "shell",
        "shell": "shell",
        "yml": "yaml",
        "md": "markdown",
        "js": "javascript",
    },
    **{"toml": "toml", "xml": "xml", "html": "html", "ruby": "ruby", "hcl": "hcl", "mermaid": "mermaid"},
}
BY_MEDIA_TYPE = {"application/yaml": "yaml", "application/json": "json"}
MARKS = {"strong": "bold", "em": "italic", "s": "strikethrough"}


def blocks_of(content: str, media_type: str = "text/markdown") -> list[Block]:
    """What a page shows of a file: markdown as it reads, anything else as code."""
    if media_type != "text/markdown":
        return list(_code(content, BY_MEDIA_TYPE.get(media_type, "plain text")))
    tree = SyntaxTreeNode(_parser().parse(content))
    return [block for node in tree.children for block in _of(node)]


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _of(node: SyntaxTreeNode) -> Iterator[Block]:
    match node.type:
        case "heading":
            level = min(int(node.tag[1:]), 3)
            yield from _worded(f"heading_{level}", _words(node))
        case "bullet_list" | "ordered_list":
            for item in node.children:
                yield from _item(item, "numbered" if node.type == "ordered_list" else "bulleted")
        case "blockquote":
            for child in node.children:
                for block in _of(child):
                    # A quotation is one of Notion's for each paragraph; what else is quoted stands as itself.
                    words = block.get("paragraph")
                    yield _block("quote", words) if words else block
        case "fence" | "code_block":
            yield from _code(node.content, LANGUAGES.get((node.info or "").strip().lower(), "plain text"))
        case "hr":
            yield _block("divider", {})
        case "table":
            yield from _table(node)
        case "html_block":
            yield from _code(node.content, "html")
        case _:
            yield from _worded("paragraph", _words(node))


def _item(item: SyntaxTreeNode, kind: str) -> Iterator[Block]:
    """An entry of a list; what is below it follows it, for a request may nest only so deep."""
    first = item.children[0] if item.children else None
    rest = item.children[1:]
    pieces = _words(first) if first is not None and first.type == "paragraph" else []
    task = TASK.match(pieces[0]["text"]["content"]) if pieces else None
    if task:
        pieces[0]["text"]["content"] = pieces[0]["text"]["content"][task.end() :]
        yield from _worded("to_do", pieces, checked=task[1] in "xX")
    elif pieces:
        yield from _worded(f"{kind}_list_item", pieces)
    elif first is not None:
        rest = [first, *rest]
    for child in rest:
        yield from _of(child)


def _table(node: SyntaxTreeNode) -> Iterator[Block]:
    rows = [
        [_cell(cell) for cell in row.children]
        for part in node.children
        for row in part.children
    ]  # fmt: skip
    width = max(map(len, rows))
    head, *body = rows
    for start in range(0, max(len(body), 1), MOST_ROWS - 1):
        shown = [head, *body[start : start + MOST_ROWS - 1]]
        cells = [[*row, *([[]] * (width - len(row)))] for row in shown]
        yield _block(
            "table",
            {
                "table_width": width,
                "has_column_header": True,
                "has_row_header": False,
                "children": [_block("table_row", {"cells": row}) for row in cells],
            },
        )


def _cell(cell: SyntaxTreeNode) -> list[Words]:
    return _words(cell)[:MOST_PIECES]


def _code(content: str, language: str) -> Iterator[Block]:
    pieces = [_text(part) for part in _parts(content.rstrip("\n"))]
    return _worded("code", pieces or [_text("")], language=language)


def _worded(kind: str, pieces: Sequence[Words], **more: Any) -> Iterator[Block]:
    """One block, or as many as the pieces take."""
    for start in range(0, len(pieces), MOST_PIECES):
        yield _block(kind, {"rich_text": list(pieces[start : start + MOST_PIECES]), **more})


def _block(kind: str, content: dict[str, Any]) -> Block:
    return {"object": "block", "type": kind, kind: content}


# -- words ---------------------------------------------------------------------------------------------------


def _words(node: SyntaxTreeNode) -> list[Words]:
    """What a paragraph, a heading or a cell says, in pieces of one look each."""
    inline = [child.token for child in node.children if child.type == "inline" and child.token]
    return list(_pieces(token for each in inline for token in each.children or ()))


def _pieces(tokens: Iterable[Token]) -> Iterator[Words]:
    looks: set[str] = set()
    link: str | None = None
    for token in tokens:
        name = token.type.removesuffix("_open").removesuffix("_close")
        if name in MARKS:
            (looks.add if token.nesting == 1 else looks.discard)(MARKS[name])
        elif name == "link":
            link = _address(str(token.attrs.get("href", ""))) if token.nesting == 1 else None
        elif said := _said(token):
            look = looks | ({"code"} if token.type == "code_inline" else set())
            for part in _parts(said):
                yield _text(part, look, link)


def _said(token: Token) -> str:
    if token.type == "softbreak":
        return " "
    return "\n" if token.type == "hardbreak" else token.content


def _text(content: str, looks: Iterable[str] = (), link: str | None = None) -> Words:
    piece: Words = {"type": "text", "text": {"content": content}}
    if link:
        piece["text"]["link"] = {"url": link}
    if marks := dict.fromkeys(sorted(looks), True):
        piece["annotations"] = marks
    return piece


def _address(href: str) -> str | None:
    """Notion takes whole addresses; a link within the repo keeps its words."""
    return href if href.startswith(("https://", "http://")) and len(href) <= LONGEST_LINK else None


def _parts(text: str) -> Iterator[str]:
    """A text in pieces that are not too long, in UTF-16."""
    start = 0
    while start < len(text):
        end = start + LONGEST_TEXT
        while len(text[start:end].encode("utf-16-le", "surrogatepass")) > 2 * LONGEST_TEXT:
            end -= max(
                1, (len(text[start:end].encode("utf-16-le", "surrogatepass")) // 2 - LONGEST_TEXT + 1) // 2
            )
        yield text[start:end]
        start = end
