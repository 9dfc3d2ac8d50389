"""Links in an answer lead to known hosts only, and there are no images: what text can do is bounded.

A link elsewhere keeps its words and loses its target; an image becomes a link or its words; an address
that stands alone becomes “(link removed)”. Fenced code at the left margin and inline code closed on its
line pass as they are. Wherever renderers may disagree on what is code, it is not treated as code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from app.context.models import Source

REMOVED = "(link removed)"

LONGEST_LINK = 2000
"""Characters; what is longer is no link a person follows, and looking further would take quadratic time."""
LONGEST_CODE = 1000
"""Characters of inline code; a longer run could be cut between two messages, where its rest is prose."""

SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]{0,30}://")
ADDRESS = re.compile(rf"{SCHEME.pattern}|(?<![\w.@])www\.(?=[\w\-])", re.IGNORECASE)
WORD = re.compile(r"[^\s<>|\"`\[\]]+")
TRAILING = ".,;:!?)}'*_~…"
TARGET = re.compile(
    r"""\([ \t]*+(?:<(?P<pointed>[^<>\n]*+)>|(?P<plain>[^\s()<>]*+(?:\([^\s()<>]*+\)[^\s()<>]*+)*+))"""
    r"""(?:[ \t]++(?:"[^"\n]*"|'[^'\n]*'))?[ \t]*+\)"""
)
TAG = re.compile(
    r"/?(?:a|area|audio|base|embed|form|iframe|image|img|input|link|math|meta|object|picture|script|source|style"
    r"|svg|video)\b|/?[a-z][^=]*=",
    re.IGNORECASE,
)
MAILBOX = re.compile(r"[^\s<>@]+@[^\s<>@]+")
"""What renderers make a mailto link of when it stands in angle brackets; without them it is words."""
FENCE = re.compile(r"(?P<marks>`{3,16}+)(?P<info>[^`\n]*)$", re.MULTILINE)
"""Not those of tildes and not longer ones: not every place where an answer is shown or cut knows them."""
HIDDEN_FENCE = re.compile(r"[ \t>*+\-\d.)]*(?:`{3,}|~{3,})")


def keep_known_links(text: str, hosts: frozenset[str]) -> str:
    """`text` with links to `hosts` (lower case names) only."""
    guard = LinkGuard(hosts)
    return guard.feed(text) + guard.flush()


def hosts_of(sources: Iterable[Source]) -> frozenset[str]:
    """The hosts an answer may link to because it was made from these."""
    return frozenset(host for source in sources if source.url and (host := urlsplit(source.url).hostname))


def known(address: str, hosts: frozenset[str]) -> bool:
    """Whether every address within `address` is plain http(s) to one of `hosts`, with no user part."""
    starts = [match.start() for match in SCHEME.finditer(address)]
    if not starts or starts[0] != 0 or re.search(r"[\s\\<>\"`|\[\]\x00-\x1f\x7f]", address):
        return False
    if html.unescape(address) != address and "&" in address.split("?", 1)[0]:
        return False
    return all(_known_host(address[start:], hosts) for start in starts)


def _known_host(address: str, hosts: frozenset[str]) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and "@" not in parts.netloc and parts.hostname in hosts
    except ValueError:
        return False


class LinkGuard:
    """The same filter for text that grows: `feed` holds back only what may still become a link."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts
        self._held = ""
        self._out: list[str] = []
        self._last = "\n"
        self._fence = ""
        self._code_is_clear = True  # no unpaired backtick so far in this paragraph
        self._fences_are_clear = True  # no fence so far that a list or a quote may have opened
        self._special: dict[str, Callable[[str, int, bool], int | None]] = {
            "\n": self._newline,
            "`": self._code,
            "<": self._angle,
            "(": self._target,
            "!": self._exclamation,
        }

    def feed(self, delta: str) -> str:
        self._held += delta
        return self._run(final=False)

    def flush(self) -> str:
        """What is still held back; nothing may be fed afterwards."""
        return self._run(final=True)

    def _run(self, *, final: bool) -> str:
        at, text = 0, self._held
        while at < len(text):
            after = self._step(text, at, final)
            if after is None:
                break
            at = after
        self._held = text[at:]
        out, self._out = "".join(self._out), []
        return out

    def _emit(self, piece: str, *, link: bool = False) -> None:
        """Append, keeping apart what together would make an image, a link or a link's definition."""
        if not piece:
            return
        if not link and (self._last + piece[0]) in ("![", "](", "]:"):
            piece = " " + piece
        self._out.append(piece)
        self._last = piece[-1]

    def _step(self, text: str, at: int, final: bool) -> int | None:
        """Handle what begins at `at`; the position after it, None when more text must come first."""
        if self._last == "\n" and (line := self._line_start(text, at, final)) != at:
            return line
        mark = text[at]
        if mark in self._special and (mark != "(" or self._last == "]"):
            return self._special[mark](text, at, final)
        if word := WORD.match(text, at):
            return self._word(word, len(text), final)
        self._emit(mark)
        return at + 1

    def _ahead(self, text: str, at: int, longest: int, final: bool) -> tuple[int, bool]:
        """How far to look from `at`: to the end of the line, at most `longest`; and whether more text could
        not change what is seen up to there."""
        end = text.find("\n", at, at + longest)
        if end >= 0:
            return end, True
        return min(len(text), at + longest), final or len(text) > at + longest

    def _newline(self, text: str, at: int, final: bool) -> int | None:
        self._code_is_clear = self._code_is_clear or self._last == "\n"
        self._emit("\n")
        return at + 1

    def _line_start(self, text: str, at: int, final: bool) -> int | None:
        """Fences. `at` unchanged when this line is not part of fenced code."""
        end = text.find("\n", at)
        whole = end >= 0 or final
        line = text[at : end + 1] if end >= 0 else text[at:]
        if self._fence:
            return self._fenced(line, at) if whole else None
        if not whole and re.fullmatch(r"[ \t>*+\-\d.)]*[`~]*", line):
            return None
        if not HIDDEN_FENCE.match(line):
            return at
        opening = FENCE.match(line)
        if opening is None or not self._fences_are_clear:
            self._fences_are_clear = False
        elif not whole:
            return None
        else:
            self._fence = opening["marks"]
            self._out.append(line)
            return at + len(line)
        return at

    def _fenced(self, line: str, at: int) -> int:
        """A line within a fence. One that holds the fence's marks beside other text ends it for some
        renderers, so from there on nothing is taken for code."""
        ends = re.fullmatch(rf" {{0,3}}{self._fence}`*[ \t]*\n?", line)
        if self._fence in line and not ends:
            self._fence, self._fences_are_clear = "", False
            return at
        self._out.append(line)
        if ends:
            self._fence = ""
            self._code_is_clear = True
        return at + len(line)

    def _code(self, text: str, at: int, final: bool) -> int | None:
        marks = re.compile("`+").match(text, at)
        assert marks is not None
        end, known_to_end = self._ahead(text, at, LONGEST_CODE, final)
        if not known_to_end and marks.end() == end:
            return None
        closing = re.compile(rf"(?<!`){marks[0]}(?!`)").search(text, marks.end(), end)
        if not known_to_end and (closing is None or closing.end() == end):
            return None
        if closing is not None and text[closing.end() : closing.end() + 1] == "`":
            closing = None
        if self._last != "\\" and self._code_is_clear and closing is not None:
            self._emit(text[at : closing.end()])
            return closing.end()
        self._code_is_clear = False
        self._emit(marks[0])
        return marks.end()

    def _angle(self, text: str, at: int, final: bool) -> int | None:
        limit, known_to_end = self._ahead(text, at, LONGEST_LINK, final)
        end = re.compile(r"[<>\n]").search(text, at + 1, limit + 1)
        if end is None and not known_to_end:
            return None
        inner = text[at + 1 : end.start() if end else limit]
        if end is None or end[0] != ">":
            # A tag that goes on elsewhere: without its bracket it is words.
            self._part() if TAG.match(inner) else self._emit("<")
            return at + 1
        address, _, label = inner.partition("|")
        if ADDRESS.match(address) or re.match(r"[a-zA-Z][a-zA-Z0-9+.\-]*:", address):
            if known(address, self._hosts) and not re.search(r"[\[\]()`\\]|//|www\.", label):
                self._emit(f"<{inner}>")
            else:
                self._words(label or (REMOVED if ADDRESS.match(address) else address))
        elif MAILBOX.fullmatch(inner):
            self._part()
            return at + 1
        elif not TAG.match(inner):
            self._emit("<")
            return at + 1
        else:
            self._part()
        return end.end()

    def _part(self) -> None:
        """Keep what stood on both sides of a removed tag from growing into one address."""
        if not self._last.isspace():
            self._emit(" ")

    def _target(self, text: str, at: int, final: bool) -> int | None:
        """The target of a link whose words are out already, up to their `]`."""
        end, known_to_end = self._ahead(text, at, LONGEST_LINK, final)
        link = TARGET.match(text, at, end)
        if link is None:
            if not known_to_end and text.count("(", at, end) > text.count(")", at, end):
                return None
            self._emit("(")
            return at + 1
        address = link["plain"] if link["pointed"] is None else link["pointed"]
        if known(address, self._hosts):
            self._emit(f"({address})", link=True)
        return link.end()

    def _exclamation(self, text: str, at: int, final: bool) -> int | None:
        marks = re.compile("!+").match(text, at)
        assert marks is not None
        if marks.end() == len(text) and not final:
            return None
        if text[marks.end() : marks.end() + 1] != "[":
            self._emit(marks[0])
        return marks.end()

    def _word(self, word: re.Match[str], length: int, final: bool) -> int | None:
        if word.end() == length and not final:
            return None
        self._address(word[0])
        return word.end()

    def _words(self, text: str) -> None:
        """A label that lost its link: its words, none of them an address."""
        self._emit(re.sub(r"\S+", lambda word: REMOVED if _has_address(word[0]) else word[0], text))

    def _address(self, word: str) -> None:
        if not _has_address(word):
            self._emit(word)
            return
        found = ADDRESS.search(word)
        if found is None:
            self._emit(REMOVED)
            return
        address = word[found.start() :].rstrip(TRAILING)
        after = word[found.start() + len(address) :]
        full = address if SCHEME.match(address) else f"https://{address}"
        self._emit(word[: found.start()])
        self._emit(address if known(full, self._hosts) else REMOVED)
        self._emit(after)


def _has_address(word: str) -> bool:
    """Also when it is written with escapes or entities that a renderer resolves."""
    return bool(ADDRESS.search(word) or ADDRESS.search(html.unescape(word).replace("\\", "")))
