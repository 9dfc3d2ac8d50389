"""What mkdocs does not do by itself: a hook, named in mkdocs.yml.

The pages are read on the repository's host as well, and written for both: links into the repository become
text in the book, and what a shell block says of itself becomes its title.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from handbook.blocks import titled

OUTWARD = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """Fill in the folders of the table of contents, and append the pages that it does not name."""
    docs = Path(config["docs_dir"])
    nav = [_filled(entry, docs) for entry in config["nav"]]
    named = set(_named(nav))
    found = sorted(str(path.relative_to(docs).as_posix()) for path in docs.rglob("*.md"))
    config["nav"] = [*nav, *(name for name in found if name not in named)]
    return config


def _filled(entry: Any, docs: Path) -> Any:
    """A folder's entry becomes its pages, the one that introduces them first."""
    if isinstance(entry, dict):
        [(title, inner)] = entry.items()
        if isinstance(inner, list):
            return {title: [_filled(each, docs) for each in inner]}
        if inner.endswith("/"):
            pages = sorted((docs / inner).glob("*.md"), key=lambda path: (path.name != "index.md", path.name))
            return {title: [f"{inner}{path.name}" for path in pages]}
    return entry


def _named(nav: list[Any]) -> list[str]:
    names: list[str] = []
    for entry in nav:
        inner = next(iter(entry.values())) if isinstance(entry, dict) else entry
        names += _named(inner) if isinstance(inner, list) else [inner]
    return names


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    docs, here = Path(config["docs_dir"]), Path(page.file.abs_src_path).parent

    def told(link: re.Match[str]) -> str:
        words, *_ = link.groups()
        target = (here / re.split(r"[(#]", link[0].rpartition("](")[2])[0].rstrip(")")).resolve()
        if target.is_relative_to(docs.resolve()):
            return link[0]
        name = target.relative_to(docs.resolve().parent)
        return words if str(name) in words else f"{words} (`{name}`)"

    return titled(OUTWARD.sub(told, markdown))
