"""How a journey is measured: the counters of the knowledge repo's `templates/slis.yaml`, as queries. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

import yaml
from pydantic import ConfigDict, Field, ValidationError

from app.errors import AgentError
from app.frozen import Frozen
from app.knowledge.models import Knowledge
from app.knowledge.packaged import packaged_path

SLIS = "templates/slis.yaml"
ALL = "all"
"""The route of a journey that is all requests of the service."""
Label = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class SlisError(AgentError):
    """`templates/slis.yaml` cannot be used."""

    code = "slis"


class _Part(Frozen):
    model_config = ConfigDict(extra="forbid")


class Availability(_Part):
    bad: str
    valid: str


class Latency(_Part):
    buckets: str
    fast: str
    all: str


class Datadog(_Part):
    good: str
    valid: str
    fast: str
    all: str


class Slis(_Part):
    """Counters in PromQL, each a selector that `rate` can be taken of."""

    label: Label = "service"
    route: Label = "route"
    availability: Availability
    latency: Latency
    datadog: Datadog


def slis_of(knowledge: Knowledge) -> Slis:
    """Those of the knowledge repo, else the ones that come with the program.

    Raises:
        SlisError: the file is there and cannot be used.
    """
    own = next((each.text for each in knowledge.templates if each.path == SLIS), None)
    return _read(own if own is not None else (packaged_path() / SLIS).read_text("utf-8"))


@lru_cache(maxsize=8)
def _read(text: str) -> Slis:
    try:
        return Slis.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise SlisError(f"{SLIS} cannot be used: {str(error).splitlines()[0]}") from error


def requests_of(slis: Slis, service: str, route: str) -> str:
    """The matchers that select a journey's requests; no name can break out of its quotes."""
    of_service = f"{slis.label}={quoted(service)}"
    return of_service if route == ALL else f"{of_service},{slis.route}={quoted(route)}"


def filled(counter: str, requests: str, le: str = "") -> str:
    return counter.replace("$requests", requests).replace("$le", le)


def over(counter: str, window: str, by: str = "") -> str:
    """The rate of a counter over a window, of all its series or by a label."""
    grouped = f" by ({by}) " if by else ""
    return f"sum{grouped}(rate({counter}[{window}]))"


def bad_share(slis: Slis, requests: str, window: str, le: str | None = None) -> str:
    """The share of requests that were bad, or with `le` the share that took longer than that bucket."""
    if le is None:
        bad = over(filled(slis.availability.bad, requests), window)
        valid = over(filled(slis.availability.valid, requests), window)
        # Where nothing ever failed there is no series of failures.
        return f"({bad} or 0 * {valid})\n/ {valid}"
    fast = over(filled(slis.latency.fast, requests, le), window)
    return f"1 - {fast}\n/ {over(filled(slis.latency.all, requests), window)}"


def datadog_queries(slis: Slis, service: str, route: str, threshold: float | None = None) -> tuple[str, str]:
    """Good and valid events of a journey for Datadog; with a threshold (seconds) those of its latency."""
    tags = f"service:{_tag(service)}" + ("" if route == ALL else f",route:{_tag(route)}")
    good, valid = slis.datadog.good, slis.datadog.valid
    if threshold is not None:
        good, valid = slis.datadog.fast.replace("$seconds", f"{threshold:g}"), slis.datadog.all
    return good.replace("$tags", tags), valid.replace("$tags", tags)


def quoted(name: str) -> str:
    """A name as a string of PromQL."""
    plain = " ".join(name.split())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tag(name: str) -> str:
    # Datadog writes what a tag may not hold as an underscore.
    return re.sub(r"[^a-z0-9_:./-]", "_", name.lower())
