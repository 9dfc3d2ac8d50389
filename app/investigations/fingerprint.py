"""By what two alerts are known to tell of one thing, or to be one alert delivered twice. Pure functions."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from app.investigations.alert import Alert

SYMPTOMS = {
    "errors": r"errors?|5xx|50[0-9]|fail(?:s|ed|ing|ure|ures)?|exceptions?|success rate|burn ?rate",
    "latency": r"latency|slow(?:ness|er)?|response times?|p9[059]|durations?|time(?:d )?-?outs?|apdex",
    "down": r"down|unreachable|unavailable|not responding|no healthy|absent|offline",
    "memory": r"memory|oom(?:killed)?|out of memory|heap",
    "cpu": r"cpu|throttl(?:ed|ing)|load average",
    "disk": r"disks?|inodes?|volumes?|storage full|no space",
    "connections": r"connections?|pool(?:s)?|sockets?",
    "queue": r"queues?|backlog|lag(?:ging)?|consumer",
    "restarts": r"crash ?loop(?:ing)?|crashloopbackoff|restarts?|restarting|evicted",
    "certificate": r"certificates?|certs?|tls|ssl|expir(?:y|es|ed|ing)",
    "traffic": r"traffic|requests? rate|throughput|rps|qps|surge",
}
"""Symptoms by the words that name them, as alert rules of many teams do."""

PATTERNS = {name: re.compile(rf"\b(?:{words})\b") for name, words in SYMPTOMS.items()}
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def symptoms(alert: Alert) -> frozenset[str]:
    """What the alert complains of, by the names of `SYMPTOMS`; empty when its words say nothing known.

    Only the rule's name and the title count: a summary tells of much that is not the symptom. The name of
    the service says nothing about it (`connection-pool` may be slow).
    """
    return _named_in(f"{alert.name or ''} {alert.title}", alert.service)


@lru_cache(2048)
def _named_in(words: str, service: str | None) -> frozenset[str]:
    if service:
        words = re.sub(re.escape(service), " ", words, flags=re.IGNORECASE)
    words = re.sub(r"[_\-./:]+", " ", CAMEL.sub(" ", words)).lower()
    return frozenset(name for name, pattern in PATTERNS.items() if pattern.search(words))


def digest(written: str) -> str:
    """Of an alert as JSON: equal for one alert delivered twice, different for one that says anything new;
    16 hex digits."""
    return hashlib.sha256(written.encode()).hexdigest()[:16]
