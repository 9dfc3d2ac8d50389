"""The instruments as Prometheus reads them: `sre_agent.tokens.input` is `sre_agent_tokens_input_total`.

https://prometheus.io/docs/instrumenting/exposition_formats/ and, for the names,
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.instruments import INSTRUMENTS, Counter, Gauge, Histogram, Instrument

UNITS = {"s": "seconds", "USD": "usd"}
SAME = " Out of the database, the same on every replica: take max(), never sum()."
OWN = " Counted by this process."


class _Ours(Collector):
    def collect(self) -> Iterator[Metric]:
        return (family(each) for each in INSTRUMENTS)


def registry() -> CollectorRegistry:
    """Our instruments and what the operating system knows of the process."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Ours())
    ProcessCollector(registry=made)
    return made


def exposition(of: CollectorRegistry) -> bytes:
    return generate_latest(of)


def metric_name(instrument: Instrument) -> str:
    """Without the suffixes of counters and histograms."""
    name = instrument.name.replace(".", "_")
    unit = UNITS.get(instrument.unit)
    return f"{name}_{unit}" if unit and not name.endswith(unit) else name


def family(instrument: Instrument) -> Metric:
    name, labels = metric_name(instrument), [each.replace(".", "_") for each in instrument.attributes]
    help_text = instrument.description + (SAME if instrument.everywhere else OWN)
    match instrument:
        case Counter():
            counter = CounterMetricFamily(name, help_text, labels=labels)
            for values, value in instrument.values.items() or _zero(labels):
                counter.add_metric(values, value)
            return counter
        case Histogram():
            histogram = HistogramMetricFamily(name, help_text, labels=labels)
            for values, told in instrument.values.items():
                histogram.add_metric(values, list(_buckets(instrument.bounds, told.counts)), told.sum)
            return histogram
        case Gauge():
            gauge = GaugeMetricFamily(name, help_text, labels=labels)
            for values, value in instrument.values.items():
                gauge.add_metric(values, value)
            return gauge
        case _:
            raise TypeError(f"{instrument.name} is of no kind that Prometheus knows")


def _zero(labels: list[str]) -> Iterable[tuple[tuple[str, ...], float]]:
    """A counter without labels is there from the beginning: a rate needs a first value to go up from."""
    return () if labels else (((), 0),)


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> Iterator[tuple[str, float]]:
    below = 0
    for bound, count in zip((*map(str, map(float, bounds)), "+Inf"), counts, strict=True):
        below += count
        yield bound, below
