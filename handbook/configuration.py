"""docs/configuration.md: every setting, what it takes, its default, and what it is for."""

from __future__ import annotations

import html
import types
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr

from handbook.settings import Setting, settings

HEAD = """\
# Configuration

Settings are environment variables, or lines of a file `.env` in the folder the program is started in; the
environment goes before the file. Each command asks only for what it needs. A value that is wrong or missing
stops the start with a line that names the variable, what is wrong with it, and one that would do. An empty
value is none.

Secrets are marked with 🔒: they are masked wherever something is shown, and no program that the agent starts
sees them. A secret that is not set switches off what it guards.

This page is written by `./run docs` from `app/settings.py` and `.env.example`.
"""
TABLE = "\n| variable | takes | default | what it is for |\n|---|---|---|---|\n"
NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    tuple: "a list",
}


def page() -> str:
    """The whole page, in the order of .env.example."""
    sections = groupby(settings(), key=lambda each: each.section)
    return HEAD + "".join(f"\n## {section}\n{TABLE}{''.join(_rows(found))}" for section, found in sections)


def _rows(found: Iterator[Setting]) -> Iterator[str]:
    for said, group in groupby(found, key=lambda each: each.said):
        for number, each in enumerate(group):
            name = f"`{each.name}`" + (" 🔒" if each.secret else "")
            yield f"| {name} | {takes(each)} | {_default(each)} | {_cell(said) if number == 0 else '〃'} |\n"


def _default(setting: Setting) -> str:
    if setting.default is not None:
        return _code(setting.default)
    return "none" if setting.shown == "…" else f"none; such as {_code(setting.shown)}"


def takes(setting: Setting) -> str:
    """In words what a value may be."""
    kind = _kind(setting.field.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(_code(str(each)) for each in get_args(kind))
    if kind is SecretStr:
        return "a secret"
    words = NAMES[get_origin(kind) or kind]
    limits = [*map(_limit, setting.field.metadata)]
    return " ".join([words, *filter(None, limits)])


def _kind(annotation: Any) -> Any:
    """Without the `| None` of what need not be set."""
    if get_origin(annotation) in (Union, types.UnionType):
        [annotation] = [each for each in get_args(annotation) if each is not type(None)]
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _limit(bound: object) -> str:
    match bound:
        case Ge(ge=least):
            return f"≥ {least}"
        case Gt(gt=least):
            return f"> {least}"
        case Le(le=most):
            return f"≤ {most}"
    return ""


def _code(text: str) -> str:
    """A bar in a code span would end the cell for one reader and be shown with its backslash by another."""
    return f"<code>{html.escape(text, quote=False).replace('|', '&#124;')}</code>"


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "&#124;")
