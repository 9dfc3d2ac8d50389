"""The Prometheus-shaped system: queries, rules, labels, and a page with a chart.

Shapes follow https://prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web

from app.playground.stack.metrics import HELP
from app.playground.stack.pages import chart, page, query_box, sentence, table
from app.playground.stack.promql import BadQuery, Matcher, Sample, Stretch, evaluate, evaluate_range
from app.playground.stack.promql.lexer import DURATION, seconds
from app.playground.stack.serving import Declined, System
from app.playground.stack.world import World, moment, stamp


class Rule(NamedTuple):
    """An alerting rule: it fires for each element its query gives."""

    name: str
    query: str
    seconds: int
    severity: str
    summary: str


RULES = (
    Rule(
        "HighErrorRate",
        'sum by (service) (rate(http_requests_total{status=~"5.."}[2m])) '
        "/ sum by (service) (rate(http_requests_total[2m])) > 0.05",
        120,
        "critical",
        "{{ $labels.service }} answers more than 5 % of requests with 5xx",
    ),
    Rule(
        "HighLatency",
        "histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[2m]))) > 1",
        120,
        "critical",
        "{{ $labels.service }}'s p99 latency is above 1 s",
    ),
    Rule(
        "PoolNearlyFull",
        "db_pool_connections_in_use / db_pool_connections_max > 0.9",
        300,
        "warning",
        "Pool {{ $labels.pool }} of {{ $labels.service }} is more than 90 % in use",
    ),
    Rule(
        "CertificateExpiring",
        "tls_certificate_expiry_seconds < 7 * 86400",
        3600,
        "warning",
        "The certificate of {{ $labels.host }} ends within 7 days",
    ),
)


class Prometheus:
    """Answers for `system` out of the world's metrics."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        system.get("/api/v1/query", self._query)
        system.get("/api/v1/query_range", self._query_range)
        system.get("/api/v1/rules", self._rules)
        system.get("/api/v1/alerts", lambda _: _success({"alerts": self._alerts()}))
        system.get("/api/v1/labels", lambda _: _success(self._labels()))
        system.get("/api/v1/label/{name}/values", self._label_values)
        system.get("/api/v1/metadata", lambda _: _success(_metadata()))
        system.get("/api/v1/status/buildinfo", lambda _: _success({"version": "2.53.0"}))
        system.page("/-/ready", lambda _: "Prometheus Server is Ready.\n")
        for path in ("/", "/graph", "/query"):
            system.page(path, self._page)

    # --- the API -----------------------------------------------------------------------------------------

    def _query(self, request: web.Request) -> Any:
        at = self._time(request, "time", self._world.now())
        query = request.query.get("query", "")
        value = _understood(lambda: evaluate(query, self._world.metrics, at))
        return _success(_answer(value, at))

    def _query_range(self, request: web.Request) -> Any:
        now = self._world.now()
        start, end = self._time(request, "start", now - 3600), self._time(request, "end", now)
        step = _step(request.query.get("step", "30"))
        if end < start:
            raise _bad('invalid parameter "end": end timestamp must not be before start time')
        query = request.query.get("query", "")
        found = _understood(lambda: evaluate_range(query, self._world.metrics, start, end, step))
        result = [{"metric": dict(line.labels), "values": _pairs(line)} for line in found]
        return _success({"resultType": "matrix", "result": result})

    def _labels(self) -> list[str]:
        return sorted({label for line in self._world.metrics.lines for label in line.labels})

    def _label_values(self, request: web.Request) -> Any:
        name = request.match_info["name"]
        return _success(sorted({line.labels.get(name, "") for line in self._world.metrics.lines} - {""}))

    def _rules(self, request: web.Request) -> Any:
        wanted = request.query.get("type", "alert") == "alert"
        rules = [self._rule(rule) for rule in RULES if wanted]
        group = {"name": "shop", "file": "shop.yaml", "interval": 15, "limit": 0, "rules": rules}
        return _success({"groups": [group]})

    def _rule(self, rule: Rule) -> dict[str, Any]:
        alerts = [alert for alert in self._alerts() if alert["labels"]["alertname"] == rule.name]
        return {
            "name": rule.name,
            "query": rule.query,
            "duration": rule.seconds,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
            "alerts": alerts,
            "health": "ok",
            "state": "firing" if alerts else "inactive",
            "type": "alerting",
            "lastEvaluation": stamp(self._world.now()),
        }

    def _alerts(self) -> list[dict[str, Any]]:
        """What each rule's query gives right now; how long it has done so is not looked at."""
        now = self._world.now()
        found = []
        for rule in RULES:
            value = evaluate(rule.query, self._world.metrics, now)
            found += [self._alert(rule, each) for each in value if isinstance(each, Sample)]  # type: ignore[union-attr]
        return found

    def _alert(self, rule: Rule, sample: Sample) -> dict[str, Any]:
        named = {"alertname": rule.name, "severity": rule.severity}
        summary = rule.summary
        for label, value in sample.labels.items():
            summary = summary.replace(f"{{{{ $labels.{label} }}}}", value)
        return {
            "labels": {**sample.without_name(), **named},
            "annotations": {"summary": summary},
            "state": "firing",
            "activeAt": stamp(self._world.paged_at),
            "value": written(sample.value),
        }

    def _time(self, request: web.Request, name: str, default: float) -> float:
        if not (text := request.query.get(name)):
            return default
        try:
            return round(moment(text), 3)
        except ValueError:
            problem = f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp'
            raise _bad(problem) from None

    # --- the page ----------------------------------------------------------------------------------------

    def _page(self, request: web.Request) -> str:
        query = request.query.get("g0.expr", "")
        if not query:
            rows = [(name, kind, text) for name, (kind, text) in HELP.items()]
            return page("Prometheus", sentence("Ask with ?g0.expr=…"), table(("metric", "kind", "is"), rows))
        try:
            end = _page_end(request) or self._world.now()
            length = _length(request.query.get("g0.range_input", "1h"))
            found = evaluate_range(query, self._world.metrics, end - length, end, max(length / 240, 15))
        except (BadQuery, ValueError) as error:
            return page("Prometheus", query_box(query), sentence(str(error)))
        window = f"{stamp(end - length)} to {stamp(end)}"
        return page("Prometheus", query_box(query), sentence(window), chart(found, end - length, end))


def _page_end(request: web.Request) -> float | None:
    text = request.query.get("g0.end_input") or request.query.get("g0.moment_input")
    if not text:
        return None
    given = datetime.fromisoformat(text)
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _understood(compute: Any) -> Any:
    """Runs an evaluation; what is wrong with the query is answered as Prometheus does."""
    try:
        return compute()
    except BadQuery as error:
        raise _bad(f'invalid parameter "query": {error.sentence}') from None


def _bad(problem: str) -> Declined:
    return Declined(400, {"status": "error", "errorType": "bad_data", "error": problem})


def _success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


def _step(text: str) -> float:
    try:
        step = _length(text)
    except ValueError:
        raise _bad(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from None
    if step <= 0:
        raise _bad(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return step


def _length(text: str) -> float:
    """Seconds of `30`, `30s` or `1h30m`."""
    return seconds(text) if Matcher("", "=~", DURATION).fits({"": text}) else float(text)


def _answer(value: float | str | list[Sample] | list[Stretch], at: float) -> dict[str, Any]:
    if isinstance(value, float):
        return {"resultType": "scalar", "result": [at, written(value)]}
    if isinstance(value, str):
        return {"resultType": "string", "result": [at, value]}
    if any(isinstance(each, Stretch) for each in value):
        lines = [each for each in value if isinstance(each, Stretch)]
        result = [{"metric": dict(line.labels), "values": _pairs(line)} for line in lines]
        return {"resultType": "matrix", "result": result}
    samples = [each for each in value if isinstance(each, Sample)]
    return {
        "resultType": "vector",
        "result": [{"metric": dict(each.labels), "value": [at, written(each.value)]} for each in samples],
    }


def _pairs(line: Stretch) -> list[list[float | str]]:
    return [[at, written(value)] for at, value in line.points]


def written(value: float) -> str:
    """A number as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def _metadata() -> Mapping[str, Any]:
    return {name: [{"type": kind, "help": text, "unit": ""}] for name, (kind, text) in HELP.items()}
