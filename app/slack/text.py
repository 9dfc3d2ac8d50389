"""What our text may do in Slack: it is shown as written, pings nobody, is cut where a reader would cut.

Escaping in markdown blocks and streams follows what Slack does with them: it reads its own `<…>` tokens
inside markdown, shows `&lt;` and `&gt;` as the characters they stand for, and leaves other entities in links
alone. `markdown` works strictly from left to right, so a stream can send what is `settled` and never has to
take it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

JOINER = "\u2060"
"""An invisible character that breaks a token without breaking the line."""

_PINGS = r"(?:channel|here|everyone|group)"
_AT = "@\uff20\ufe6b"  # the plain sign, its fullwidth and its small form
_TOKEN_IN_CODE = re.compile(
    rf"<(?=!(?i:{_PINGS}|subteam\^|date\^)|[@#][A-Z][A-Z0-9]{{2}}|(?i:https?|mailto|slack):)"
)
_PROSE = re.compile(
    r"(?P<literal>\\[\\`])"
    r"|(?P<ticks>`+)"
    r"|(?P<link><https?://[^\s<>|]{1,280}>)"
    r"|(?P<open><)"
    r"|(?P<shut>>)"
    rf"|(?P<at>(?<!\w)[{_AT}])(?=(?i:{_PINGS}))"
    r"|(?P<wide>\uff1c)(?=[!@#\uff01\uff20\uff03])"
)
_LINKED = re.compile(r"(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\])(?=\()", re.IGNORECASE)
_TICKS = re.compile(r"`+")
_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<run>`{3,16}(?!`)|~{3,16}(?!~))(?P<info>[^\n]*)$")
_MAYBE_FENCE = re.compile(r"^[ \t]*(?:`{1,2}|~{1,2}|`{3,}[^\n]*|~{3,}[^\n]*)?$")
_UNSETTLED = re.compile(rf"(?:(?<!`)`+|\\|[{_AT}]\w{{0,8}}|\uff1c|<[^\s<>|]{{0,300}})$")
_QUOTE = re.compile(r"[ \t>]*")


def mrkdwn(text: str) -> str:
    """Escape text for a `mrkdwn` text object or the `text` of a message."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _without_pings(escaped)


def plain(text: str, limit: int) -> str:
    """One line of at most `limit` characters for a plain field, such as a task's title; `-` when empty.

    An address in it stays words: what may be linked is given to Slack as a link.
    """
    line = _in_code(" ".join(text.split()))
    line = _LINKED.sub(JOINER, line)
    return (line if len(line) <= limit else line[: limit - 1].rstrip() + "…") or "-"


def _without_pings(text: str) -> str:
    return re.sub(rf"(?<!\w)([{_AT}])(?=(?i:{_PINGS}))", r"\1" + JOINER, text)


def _in_code(text: str) -> str:
    return _without_pings(_TOKEN_IN_CODE.sub("<" + JOINER, text))


# -- markdown --------------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """Escape markdown for a `markdown` block or a stream, leaving its markup working.

    Outside code `<` and `>` become entities (a quoting `>` and a bare `<https://…>` stay). Inside code
    nothing is changed but what would ping or hide a link, which gets an invisible character after its `<` or
    `@`; so text that Slack takes for prose where we took it for code is harmless too.
    """
    writer = _Writer()
    return "\n".join(writer.line(line) for line in text.split("\n"))


def settled(text: str) -> int:
    """How many characters of `text` are sure to be escaped the same whatever text follows."""
    start = text.rfind("\n") + 1
    line = text[start:]
    if _MAYBE_FENCE.match(line):
        return start
    unsure = _UNSETTLED.search(line)
    return start + unsure.start() if unsure else len(text)


class _Writer:
    """The left-to-right state of escaping: the open fence, or the open run of backticks."""

    def __init__(self) -> None:
        self.fence: str | None = None
        self.ticks = 0

    def line(self, line: str) -> str:
        fence = _fence_after(self.fence, line)
        if fence != self.fence or self.fence is not None:
            self.fence, self.ticks = fence, 0
            return _in_code(line)
        if not line.strip():
            self.ticks = 0
        return self._prose(line)

    def _prose(self, line: str) -> str:
        out: list[str] = []
        at = 0
        quote = _QUOTE.match(line)
        assert quote is not None
        while at < len(line):
            if self.ticks:
                end = self._end_of_code(line, at)
                out.append(_in_code(line[at:end]))
                at = end
                continue
            found = _PROSE.search(line, at)
            if found is None:
                out.append(line[at:])
                break
            out += [line[at : found.start()], self._escape(found, quote.end())]
            at = found.end()
        return "".join(out)

    def _end_of_code(self, line: str, at: int) -> int:
        for run in _TICKS.finditer(line, at):
            if len(run.group()) == self.ticks:
                self.ticks = 0
                return run.end()
        return len(line)

    def _escape(self, found: re.Match[str], quote: int) -> str:
        """What a find is written as; the `>` before `quote` are those of a quotation."""
        match found.lastgroup:
            case "ticks":
                self.ticks = len(found.group())
                return found.group()
            case "open":
                return "&lt;"
            case "shut":
                return ">" if found.start() < quote else "&gt;"
            case "at" | "wide":
                return found.group() + JOINER
            case _:
                return found.group()


def _fence_after(fence: str | None, line: str) -> str | None:
    """The run of the fence that is open after `line`, given the one open before it."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    run, info = found["run"], found["info"]
    if fence is None:
        return None if run[0] == "`" and "`" in info else run
    closes = run[0] == fence[0] and len(run) >= len(fence) and not info.strip()
    return None if closes else fence


# -- cutting ---------------------------------------------------------------------------------------------

_TABLE_RULE = re.compile(r"^\s*(?:\|\s*)?:?-+:?\s*(?:\|\s*:?-+:?\s*)*(?:\|\s*)?$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s")
LONGEST_FENCE = 16 + 1
"""Bytes that closing a fence may take: its run, and a line break before it."""

LONGEST_OPENING = 600
"""Bytes of a fence's first line or a table's head that are worth repeating in the next part."""


@dataclass(frozen=True)
class Piece:
    """A part of a longer markdown text. `text` is the original; the rest makes the part stand on its own."""

    text: str
    opens: str = ""
    closes: str = ""

    @property
    def body(self) -> str:
        return self.opens + self.text + self.closes


def cost(text: str) -> int:
    """At most how many bytes `markdown(text)` has in UTF-8."""
    grow = sum(text.count(sign) for sign in "<>") + sum(text.count(sign) for sign in _AT + "\uff1c")
    return len(text.encode("utf-8", "surrogatepass")) + 3 * grow


def split(text: str, limit: int) -> tuple[Piece, ...]:
    """Cut markdown into pieces whose `cost` is at most `limit` bytes (64 or more).

    Cuts fall, in this order, between paragraphs, between lines, inside a fence or table (closed and
    reopened), at a space, anywhere. The pieces' texts put together are `text` exactly;
    an empty text has no piece.
    """
    pieces: list[Piece] = []
    opens, rest = "", text
    while rest:
        if cost(opens + rest) <= limit:
            return (*pieces, Piece(rest, opens))
        at = break_at(opens + rest, limit, first=len(opens) + 1) - len(opens)
        closes, reopens = reopening(opens + rest[:at], rest[at:], room=min(LONGEST_OPENING, limit // 4))
        pieces.append(Piece(rest[:at], opens, closes))
        opens, rest = reopens, rest[at:]
    return tuple(pieces)


def break_at(body: str, limit: int, first: int = 1) -> int:
    """Where to end a piece that begins with `body`: an offset of at least `first`, within `limit` bytes.

    A place in the second half of what fits is preferred to a better one earlier.
    """
    room = max(_fitting(body, limit - LONGEST_FENCE), first)
    places = [(at, rank) for at, rank in _line_starts(body) if first <= at <= room]
    for early in (room // 2, first):
        for rank in range(4):
            fitting = [at for at, its_rank in places if its_rank == rank and at >= early]
            if fitting:
                return fitting[-1]
    space = max(body.rfind(" ", first - 1, room), body.rfind("\n", first - 1, room))
    return space + 1 if space + 1 >= max(first, room // 2) else room


def last_paragraph(body: str, first: int = 1) -> int | None:
    """The last place at or after `first` where a paragraph ends and another has begun."""
    places = [at for at, rank in _line_starts(body) if rank == 0 and first <= at < len(body)]
    return places[-1] if places else None


def reopening(body: str, following: str, room: int = LONGEST_OPENING) -> tuple[str, str]:
    """What closes `body` when it is cut off here, and what opens the piece that begins with `following`.

    A fence's first line or a table's head of more than `room` bytes is not repeated. Inline code is closed
    and opened again: what was written as code must not become a link because it was cut.
    """
    fence, opening, table = _state_at_end(body)
    ticks = _open_ticks(body)
    ended = not body or body.endswith("\n")
    if fence is not None:
        short = opening if cost(opening) <= room else fence
        return ("" if ended else "\n") + fence, short + "\n"
    if ticks and not ended:
        apart = " " if body.endswith("`") else "", " " if following.startswith("`") else ""
        return apart[0] + ticks, ticks + apart[1]
    if table and ended and _is_row(following.split("\n", 1)[0]) and cost(table) <= room:
        return "", table
    return "", ""


def _open_ticks(body: str) -> str:
    """The run of backticks whose inline code is open at the end of `body`."""
    writer = _Writer()
    for line in body.split("\n"):
        writer.line(line)
    return "`" * writer.ticks if writer.ticks < LONGEST_FENCE else ""


def _fitting(body: str, limit: int) -> int:
    """The longest prefix, in characters, that costs at most `limit` bytes."""
    low, high = 0, min(len(body), max(limit, 0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(body[:middle]) <= limit else (low, middle - 1)
    return low


def _is_row(line: str) -> bool:
    return "|" in line and bool(line.strip())


def _lines(body: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in body.split("\n"):
        yield at, line
        at += len(line) + 1


def _line_starts(body: str) -> Iterator[tuple[int, int]]:
    """Offsets of line starts, each with its rank as a place to cut.

    0 between paragraphs, 1 between list items, 2 between lines, 3 inside a fence or a table.
    """
    fence: str | None = None
    before, above = "", ""  # the line before this one, and the last one that was not blank
    in_table = False
    for at, line in _lines(body):
        if at:
            if fence is not None:
                yield at, 3
            elif in_table and _is_row(line):
                if not _TABLE_RULE.match(line):
                    yield at, 3
            elif _HEADING.match(line) or (not before.strip() and not _goes_on(above, line)):
                yield at, 0
            else:
                yield at, 1 if _ITEM.match(line) or not before.strip() else 2
        fence = _fence_after(fence, line)
        in_table = fence is None and _is_row(line)
        before, above = line, line if line.strip() else above


def _goes_on(above: str, line: str) -> bool:
    """Whether `line`, after a blank one, still belongs to the list that `above` is in."""
    return bool(_ITEM.match(above) or above.startswith((" ", "\t"))) and bool(
        _ITEM.match(line) or line.startswith((" ", "\t"))
    )


def _state_at_end(body: str) -> tuple[str | None, str, str]:
    """The open fence's run and whole first line, and the head of the table the end is in."""
    fence: str | None = None
    opening, head, previous = "", "", ""
    for _, line in _lines(body.removesuffix("\n")):
        after = _fence_after(fence, line)
        if fence is None and after is not None:
            opening = line
        if after is not None or fence is not None or not _is_row(line):
            head = ""
        elif not head and _TABLE_RULE.match(line) and "-" in line and _is_row(previous):
            head = f"{previous}\n{line}\n"
        fence, previous = after, line
    return fence, opening, head


# -- what people write -----------------------------------------------------------------------------------

LONGEST_QUESTION = 12_000
"""Characters of one incoming message that are read."""

_LINK = re.compile(r"<((?:https?|mailto|slack)[^\s<>|]*)(?:\|([^<>]*))?>")
_CHANNEL = re.compile(r"<#([A-Z0-9]+)(?:\|([^<>]*))?>")
_SPECIAL = re.compile(r"<!(?:subteam\^[A-Z0-9]+(?:\|@?([^<>]*))?|(\w+)(?:\|[^<>]*)?)>")


def without_mention(text: str, user_id: str) -> str:
    """Take the mention of `user_id` out of a raw incoming text, with the space and colon beside it."""
    # A run of spaces is tried once, at its beginning: 40,000 of them must not cost a second.
    return re.sub(
        rf"(?:(?<![ \t])[ \t]++)?<@{re.escape(user_id)}(?:\|[^<>]*)?>[ \t]*[:,]?[ \t]*", " ", text
    ).strip()


def incoming(text: str) -> str:
    """Raw text of an event as a person meant it: links, channels and entities in plain words.

    A broadcast becomes its bare word, so that quoting it never pings; a user's mention stays `<@U…>`, for
    `people` to resolve.
    """
    text = _LINK.sub(lambda m: _named(m[2], m[1].removeprefix("mailto:")), text)
    text = _CHANNEL.sub(lambda m: f"#{m[2] or m[1]}", text)
    text = _SPECIAL.sub(lambda m: (m[1] or m[2] or "group").lower(), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _named(label: str | None, url: str) -> str:
    return url if not label or label in url else f"{label} ({url})"


def first(text: str, limit: int = LONGEST_QUESTION) -> tuple[str, bool]:
    """The first `limit` characters, and whether something was left out."""
    return text[:limit], len(text) > limit
