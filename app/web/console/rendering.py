"""Pages from templates. Everything that is not ours is text: escaped, never markup, and never an address to
follow unless it is http(s)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

HERE = Path(__file__).parent
MEDIA = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
STATIC = {
    file.name: file.read_bytes() for file in sorted((HERE / "static").iterdir()) if file.suffix in MEDIA
}
VERSION = hashlib.sha256(b"".join(STATIC.values())).hexdigest()[:12]
LONGEST_MARKDOWN = 40_000

# Without HTML, links and images there is nothing in it that a browser would run, load or open.
MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .disable(["html_inline", "html_block", "link", "image", "autolink", "reference", "entity"])
)
DAY = 86_400
UNITS = ((60, 1, "s"), (3600, 60, "min"), (2 * DAY, 3600, "h"), (60 * DAY, DAY, "days"))


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        # What was stored by another version may lack a key: nothing is shown there.
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": ago,
        "duration": duration,
        "href": href,
        "percent": percent,
        "pretty": pretty,
        "said": said,
        "short": short,
        "size": size,
        "usd": usd,
        "utc": utc,
    }
    made.globals |= {"moment": moment, "version": VERSION}
    return made


def utc(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else "–"


def ago(at: datetime, now: datetime) -> str:
    """“3 min ago”; a clock that differs a little makes nothing later than now. As in `console.js`."""
    seconds = max(0.0, (now - at).total_seconds())
    for below, per, unit in UNITS:
        if seconds < below:
            return f"{int(seconds // per)} {unit} ago"
    return f"{int(seconds // (30 * DAY))} months ago"


def duration(seconds: float | None) -> str:
    """“340 ms”, “4.2 s”, “3 min 5 s”."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def percent(share: Any) -> str:
    """“82%”; what is no number, or is not there, is a dash."""
    return f"{share:.0%}" if isinstance(share, int | float) else "–"


def usd(amount: Decimal | float | None) -> str:
    if amount is None:
        return "–"
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"


def size(count: int) -> str:
    return f"{count:,} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"


def short(text: Any, most: int = 140) -> str:
    """One line of it."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def pretty(value: Any) -> str:
    """JSON to be read; a text stays one."""
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def href(address: Any) -> str | None:
    """An address that may be followed: http or https, with a host, and nothing that hides where it goes."""
    if not isinstance(address, str) or any(each <= " " or each in "\\\x7f" for each in address):
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return address if usable else None


def said(text: Any) -> Markup:
    """Markdown as far as it is harmless; links and pictures stay the text they are."""
    if not text or not isinstance(text, str):
        return escape(text or "")
    if len(text) > LONGEST_MARKDOWN:
        return Markup("<pre>{}</pre>").format(text)
    tokens = MARKDOWN.parse(text)
    for token in _all(tokens):
        if token.type in ("heading_open", "heading_close"):
            # Headings are the page's.
            token.tag = "p"
            token.attrs = {"class": "heading"} if token.nesting == 1 else {}
        elif "style" in token.attrs:
            # The page's policy forbids styles in place.
            right = "right" in str(token.attrs["style"])
            token.attrs = {"class": "number"} if right else {}
    return Markup(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))


def _all(tokens: list[Token]) -> list[Token]:
    return [each for token in tokens for each in (token, *(token.children or ()))]


def moment(at: datetime | date | None, now: datetime) -> Markup:
    """A time as everybody reads it, with how long ago that is."""
    if at is None:
        return Markup('<span class="faint">–</span>')
    if not isinstance(at, datetime):
        return escape(at)
    return Markup('<time datetime="{}"><span>{}</span> <span class="ago">{}</span></time>').format(
        at.astimezone(UTC).isoformat(), utc(at), ago(at, now)
    )
