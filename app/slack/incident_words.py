"""Words of an investigation as mrkdwn: harmless whatever they are, with each “E3” a link to its evidence.

What is said may have been written by a model, an alert or a log line. It is masked, put on one line, escaped,
and can neither ping nor link by itself; the only links are those made here, from addresses that were checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from app.agent.links import REMOVED, known
from app.investigations.cleaning import one_line
from app.investigations.evidence import Finding
from app.slack.blocks import Block
from app.slack.text import mrkdwn, plain
from app.tools.masking import mask

NOTHING = "-"
LONGEST_SAID = 400
LONGEST_NAME = 80
LONGEST_ADDRESS = 1000
LONGEST_LINE = 1400
"""Characters of one line with its links; every section holds at least two such lines."""
LONGEST_SECTION = 2900
BEYOND = 200
"""Characters looked at beyond twice the limit: a secret that reaches into what is shown is seen whole."""

_LABEL = re.compile(r"`[^`]*`|(?<![\w/.:-])(?P<label>E\d{1,3})(?!\w)")
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`\[\]]+")


def said(text: str, limit: int = LONGEST_SAID) -> str:
    """One escaped line of at most `limit` characters before escaping; `-` when there is nothing to say."""
    # What is far beyond the limit is not even looked at: masking takes time by the character.
    return _said(text[: 2 * limit + BEYOND], limit)


@lru_cache(maxsize=2048)
def _said(text: str, limit: int) -> str:
    """A storm's thread says the same of its members as often as another joins."""
    return mrkdwn(_closed(plain(mask(one_line(text)), limit)))


def _closed(line: str) -> str:
    """Backticks that would swallow what is written behind them become apostrophes."""
    line = re.sub(r"`{2,}", "'", line)
    return line if line.count("`") % 2 == 0 else line.replace("`", "'")


# -- evidence --------------------------------------------------------------------------------------------


def links(findings: Iterable[Finding]) -> dict[str, str]:
    """The address of each label whose finding has a page."""
    found = ((finding.label, address(finding.link)) for finding in findings)
    return {label: where for label, where in found if where}


def cited(text: str, pages: Mapping[str, str], labels: Sequence[str] = (), limit: int = LONGEST_SAID) -> str:
    """A sentence with its labels as links; those of `labels` it does not name are put behind it."""
    line = said(text, limit)
    missing = [label for label in labels if re.fullmatch(r"E\d{1,3}", label) and label not in _named(line)]
    return _linked(f"{line} ({', '.join(missing)})" if missing else line, pages)


def _named(line: str) -> set[str]:
    return {match["label"] for match in _LABEL.finditer(line) if match["label"]}


def _linked(line: str, pages: Mapping[str, str]) -> str:
    room = LONGEST_LINE - len(line)

    def link(match: re.Match[str]) -> str:
        nonlocal room
        where = pages.get(match["label"] or "")
        if where is None or len(where) + 3 > room:
            return match[0]
        room -= len(where) + 3
        return f"<{where}|{match['label']}>"

    return _LABEL.sub(link, line)


# -- links -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=2048)
def address(url: str | None) -> str | None:
    """An address as it stands in a link; None when it is no plain http(s) address of one host."""
    if not url or len(url) > LONGEST_ADDRESS:
        return None
    escaped = url.replace("&", "&amp;")
    return escaped if known(url, frozenset({_host(url)})) and len(escaped) <= LONGEST_ADDRESS else None


def hosts_of(urls: Iterable[str | None]) -> frozenset[str]:
    """The hosts of those that are addresses at all."""
    return frozenset(_host(url) for url in urls if url and address(url))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def link(title: str, url: str | None) -> str:
    """A link whose address the domain vouches for; its words alone when it is no address."""
    words = said(title, LONGEST_NAME).replace("|", "¦")
    where = address(url)
    return f"<{where}|{words}>" if where else words


def reference(text: str, hosts: frozenset[str]) -> str:
    """A runbook or a ticket: words, an address, or both in any order; linked when its host is a known one."""
    found = _ADDRESS.search(text[: 4 * LONGEST_ADDRESS])
    if found is None:
        return said(text, LONGEST_NAME * 2)
    url = found[0].rstrip(").,;:!?*_~…")
    words = f"{text[: found.start()]} {text[found.start() + len(url) :]}".strip(" \t\n[]()<>–—-:·,;.")
    words = words or urlsplit(url).path.rstrip("/").rsplit("/", 1)[-1] or "link"
    if not known(url, hosts):
        return f"{said(words, LONGEST_NAME)} {REMOVED}"
    return link(words, url)


def joined(pieces: Sequence[str], most: int, between: str = ", ", room: int = 1100) -> str:
    """As many pieces as there is room for, and how many more there are; `-` for none."""
    kept = list(pieces[:most])
    while len(between.join(kept)) > room and len(kept) > 1:
        kept.pop()
    more = len(pieces) - len(kept)
    return (between.join(kept) or NOTHING) + (f" and {more} more" if more else "")


# -- blocks ----------------------------------------------------------------------------------------------


def paragraph(*lines: str, expand: bool = False) -> Block:
    """A section of escaped lines, as many as there is room for; the rest is counted.

    `expand` keeps Slack from folding it behind “see more”. `verbatim` keeps Slack from looking for links
    and names in it by itself.
    """
    kept = list(lines)
    while len(shown := _with_rest(kept, len(lines) - len(kept))) > LONGEST_SECTION and len(kept) > 1:
        kept.pop()
    block: Block = {"type": "section", "text": text(shown[:LONGEST_SECTION])}
    return block | ({"expand": True} if expand else {})


def _with_rest(lines: Sequence[str], left: int) -> str:
    return "\n".join([*lines, f"… and {left} more"] if left else lines)


def text(written: str) -> Block:
    """A text object of mrkdwn that is already escaped."""
    return {"type": "mrkdwn", "text": written or NOTHING, "verbatim": True}


def small_print(*pieces: str) -> Block:
    shown = [text(piece[:LONGEST_SECTION]) for piece in pieces[:10]]
    return {"type": "context", "elements": shown or [text(NOTHING)]}


def header(words: str, limit: int = 150) -> Block:
    """A headline: plain text, in which nothing is parsed."""
    shown = plain(mask(one_line(words[: 2 * limit + BEYOND])), limit)
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": True}}
