"""Alert rules as repos keep them: files of rules for Prometheus, and PrometheusRule manifests. Pure.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/ and
https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PrometheusRule
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from app.knowledge.bounded_yaml import load_documents
from app.sources.prometheus import AlertRule
from app.workflows.in_words import seconds, text_of

SUFFIXES = (".yaml", ".yml", ".rules")
HOLDS = "alert:"
"""What every file of alert rules has in it."""
RULE = re.compile(r"(?:^\s*(?:-\s+)?|[{,]\s*)alert:\s", re.MULTILINE)
MOST_RULES = 500


def is_one(text: str) -> bool:
    """Whether a file looks as if there were alert rules in it."""
    return RULE.search(text) is not None


def rules_in(text: str) -> tuple[AlertRule, ...]:
    """The alerting rules of a file; what is no such rule is left out.

    Raises:
        ValueError: it cannot be read as YAML, as a template of Helm's cannot.
    """
    try:
        documents = load_documents(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error
    found = (rule for document in documents for group in _groups(document) for rule in _rules(group))
    return tuple(rule for rule, _ in zip(found, range(MOST_RULES), strict=False))


def _groups(document: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        return
    if document.get("kind") == "List":
        for each in _listed(document.get("items")):
            yield from _groups(each)
        return
    holder = document.get("spec") if document.get("kind") == "PrometheusRule" else document
    if isinstance(holder, Mapping):
        yield from _listed(holder.get("groups"))


def _rules(group: Mapping[str, Any]) -> Iterator[AlertRule]:
    for rule in _listed(group.get("rules")):
        if rule.get("alert") and rule.get("expr") is not None:
            yield AlertRule(
                name=text_of(rule["alert"]),
                query=text_of(rule["expr"]).strip(),
                state="inactive",
                group=text_of(group.get("name") or ""),
                labels=_texts(group.get("labels")) | _texts(rule.get("labels")),
                annotations=_texts(rule.get("annotations")),
                seconds=seconds(rule.get("for") or 0),
            )


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> dict[str, str]:
    return {str(name): text_of(said) for name, said in value.items()} if isinstance(value, Mapping) else {}
