"""A small evaluator of PromQL, after the behaviour of Prometheus 2.

It knows what people ask in an incident: selectors, rates and other functions over a range, aggregations,
`histogram_quantile`, arithmetic, comparison and sets. Whatever else the language has is refused by name.
"""

from app.playground.stack.promql.evaluate import Stretch, evaluate, evaluate_range
from app.playground.stack.promql.parser import parse
from app.playground.stack.promql.refused import BadQuery
from app.playground.stack.promql.store import Matcher, Store, Stored
from app.playground.stack.promql.vectors import Sample

__all__ = [
    "BadQuery",
    "Matcher",
    "Sample",
    "Store",
    "Stored",
    "Stretch",
    "evaluate",
    "evaluate_range",
    "parse",
]
