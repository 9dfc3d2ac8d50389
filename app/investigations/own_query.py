"""The query an alert fires on: the very thing that is wrong, where Prometheus' address of the rule tells it.

It is text from outside. It is asked of our own Prometheus alone, which only reads, whatever host its address
names, and what that cannot parse is a gap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from app.investigations.alert import Alert
from app.signals.changes import shift
from app.signals.models import Series

NAME = "what_the_alert_measures"
LONGEST = 2_000
MOST_SERIES = 5
MOST_WEIGHED = 200
"""Series whose shifts are measured to find those that moved most (about 0.3 ms each)."""
COMPARED = re.compile(
    r"^(?P<measured>.*\S)\s*(?:>=|<=|==|!=|>|<)\s*(?:bool\s+)?-?[\d.]+(?:e[+-]?\d+)?\s*$", re.I | re.S
)


def own_query(alert: Alert) -> str | None:
    """What the alert compares, without the comparison at its end: what has not crossed the threshold shows
    what is usual. None when no link tells the query (`g0.expr`, as Prometheus and Thanos write it)."""
    for link in alert.links:
        query = urlsplit(link.url).query
        for told in parse_qs(query, max_num_fields=50).get("g0.expr", ()) if "g0.expr" in query else ():
            expression = " ".join(told.split())
            if 0 < len(expression) <= LONGEST and expression.isprintable():
                compared = COMPARED.fullmatch(expression)
                return compared["measured"] if compared else expression
    return None


def of_alert(found: Sequence[Series], labels: Mapping[str, str]) -> tuple[Series, ...]:
    """Those of a rule's series that the alert is about, those that moved most first: a rule watches all
    instances, an alert names some."""
    own = [
        each for each in found if all(labels.get(name, value) == value for name, value in each.labels.items())
    ]
    moved = [(change.size if (change := shift(each)) else 0.0, each) for each in own[:MOST_WEIGHED]]
    largest = sorted(moved, key=lambda pair: -pair[0])[:MOST_SERIES]
    return tuple(replace(each, name=_name(each, labels)) for _, each in largest)


def _name(series: Series, labels: Mapping[str, str]) -> str:
    """What tells several apart is in the name."""
    apart = [value for name, value in sorted(series.labels.items()) if name not in labels]
    return " ".join([NAME, *apart])[:200]
