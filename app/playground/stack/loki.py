"""The Loki-shaped system: lines by stream selector and line filters, labels, and a page of lines.

Shapes follow https://grafana.com/docs/loki/latest/reference/loki-http-api/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiohttp import web

from app.playground.stack.pages import log_lines, page, query_box, sentence
from app.playground.stack.promql import BadQuery, Matcher, parse
from app.playground.stack.promql.lexer import Token, tokens
from app.playground.stack.promql.syntax import Selector
from app.playground.stack.serving import Declined, System
from app.playground.stack.world import World, moment, stamp
from app.signals.models import LogLine

LABELS = ("app", "level", "namespace", "pod", "service")
USUAL_LIMIT = 100
MOST = 5000
FILTER = re.compile(r"""\s*(\|=|!=|\|~|!~)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)""")
LONGEST = 24 * 3600.0


@dataclass(frozen=True)
class LineFilter:
    """Keeps lines that hold a text, or match a pattern anywhere; or those that do not."""

    operator: str
    text: str

    def keeps(self, line: str) -> bool:
        if self.operator in ("|=", "!="):
            return (self.text in line) == (self.operator == "|=")
        return bool(re.search(self.text, line)) == (self.operator == "|~")


@dataclass(frozen=True)
class LogQuery:
    matchers: tuple[Matcher, ...]
    filters: tuple[LineFilter, ...]

    def keeps(self, line: LogLine) -> bool:
        return all(each.fits(line.labels) for each in self.matchers) and all(
            each.keeps(line.text) for each in self.filters
        )


def read(query: str) -> LogQuery:
    """A LogQL query of lines.

    Raises:
        BadQuery: for what cannot be read or is not supported; says which.
    """
    text = query.strip()
    if not text.startswith("{"):
        raise BadQuery.at(query, 0, 'only queries of lines are supported: {label="value"} |= "text"')
    end = _closing(text)
    node = parse(text[:end])
    assert isinstance(node, Selector)
    filters, place = [], end
    while place < len(text):
        match = FILTER.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise BadQuery.at(text, place, f"{rest[:40]!r} is not supported by this simulated Loki")
        filters.append(_filter(text, match))
        place = match.end()
    return LogQuery(node.matchers, tuple(filters))


def _closing(text: str) -> int:
    """Where the braces end; a brace inside a quoted value does not count."""
    match = re.match(r"""\{(?:[^"`}]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}""", text)
    if match is None:
        raise BadQuery.at(text, len(text), "unexpected end of input, expected '}'")
    return match.end()


def _filter(text: str, match: re.Match[str]) -> LineFilter:
    value: Token = tokens(match.group(2))[0]
    if "~" in match.group(1):
        try:
            re.compile(value.value)
        except re.error as error:
            raise BadQuery.at(text, match.start(2), f"invalid regular expression: {error}") from None
    return LineFilter(match.group(1), value.value)


class Loki:
    """Answers for `system` out of the world's log lines."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        system.get("/loki/api/v1/query_range", self._query_range, self._page)
        system.get("/loki/api/v1/query", self._instant)
        system.get("/loki/api/v1/labels", lambda _: {"status": "success", "data": list(LABELS)})
        system.get("/loki/api/v1/label/{name}/values", self._values)
        system.page("/ready", lambda _: "ready\n")
        for path in ("/", "/explore"):
            system.page(path, self._page)

    def lines(self, query: LogQuery, start: float, end: float, limit: int, backward: bool) -> list[LogLine]:
        """At most `limit` lines in [start, end), the newest ones first when `backward`, else the oldest."""
        end = min(end, self._world.now())
        start = max(start, end - LONGEST)
        logs = self._world.logs
        source = logs.backwards(start, end) if backward else logs.between(start, end)
        return list(islice((line for line in source if query.keeps(line)), limit))

    def _asked(self, request: web.Request) -> tuple[LogQuery, list[LogLine], bool]:
        now = self._world.now()
        end = self._time(request, "end", now)
        start = self._time(request, "start", end - 3600)
        if start > end:
            raise Declined(400, "end timestamp must not be before or equal to start time")
        backward = request.query.get("direction", "backward").lower() != "forward"
        try:
            query = read(request.query.get("query", ""))
        except BadQuery as error:
            raise Declined(400, error.sentence) from None
        return query, self.lines(query, start, end, _limit(request), backward), backward

    def _query_range(self, request: web.Request) -> Any:
        _, lines, _ = self._asked(request)
        return _streams(lines)

    def _instant(self, request: web.Request) -> Any:
        raise Declined(
            400, "log queries are not supported as an instant query type, please change your query"
        )

    def _values(self, request: web.Request) -> Any:
        end = self._world.now()
        name = request.match_info["name"]
        lines = self._world.logs.between(end - 600, end)
        return {"status": "success", "data": sorted({line.labels.get(name, "") for line in lines} - {""})}

    def _time(self, request: web.Request, name: str, default: float) -> float:
        """Nanoseconds, seconds with a fraction, or RFC 3339."""
        if not (text := request.query.get(name)):
            return default
        try:
            return int(text) / 1e9 if text.isdigit() and len(text) > 12 else moment(text)
        except ValueError:
            raise Declined(400, f"could not parse '{name}' parameter: {text}") from None

    def _page(self, request: web.Request) -> str:
        if not request.query.get("query"):
            return page("Loki", sentence('Ask with ?query={service="checkout"}.'))
        query = request.query["query"]
        try:
            _, lines, _ = self._asked(request)
        except Declined as refusal:
            return page("Loki", query_box(query), sentence(str(refusal.body)))
        shown = sentence(f"{len(lines)} lines until {stamp(self._world.now())}")
        return page("Loki", query_box(query), shown, log_lines(lines))


def _limit(request: web.Request) -> int:
    text = request.query.get("limit") or str(USUAL_LIMIT)
    if not text.isdigit() or int(text) == 0:
        raise Declined(400, f"limit must be a positive value, got {text!r}")
    if int(text) > MOST:
        raise Declined(
            400, f"max entries limit per query exceeded, limit > max_entries_limit ({text} > {MOST})"
        )
    return int(text)


def _streams(lines: Sequence[LogLine]) -> dict[str, Any]:
    """Lines gathered by their labels, each stream in the order of the answer."""
    streams: dict[tuple[tuple[str, str], ...], list[list[str]]] = {}
    for line in lines:
        key = tuple(sorted(line.labels.items()))
        streams.setdefault(key, []).append([str(int(line.at * 1e6) * 1000), line.text])
    result = [{"stream": dict(key), "values": values} for key, values in streams.items()]
    return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}
