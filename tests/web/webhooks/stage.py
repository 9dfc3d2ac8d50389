"""What the tests of the webhooks share: the samples, the time, a door that remembers, proofs."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from app.investigations.alert import Alert
from app.investigations.intake import Accepted
from app.settings import AlertSettings, Settings

SAMPLES = Path(__file__).parent / "samples"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

TOKEN = "an alert token"
PAGERDUTY = ("the old secret", "the new secret")
GRAFANA = "grafana's secret"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def sample(name: str, **changes: Any) -> Any:
    """A fresh copy of a sample; `changes` are by path, `event__data__title="…"`."""
    payload = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    for path, value in changes.items():
        at = payload
        *way, last = path.split("__")
        for step in way:
            at = at[step]
        at[last] = copy.deepcopy(value)
    return payload


def settings(**values: str) -> AlertSettings:
    return Settings.load(env_file=None, **values).alerts


def everything_on(**values: str) -> AlertSettings:
    return settings(
        PAGERDUTY_WEBHOOK_SECRET=", ".join(PAGERDUTY),
        GRAFANA_WEBHOOK_SECRET=GRAFANA,
        ALERT_WEBHOOK_TOKEN=TOKEN,
        **values,
    )


class MemoryDoor:
    """Remembers what it is given; answers as the intake does for a new incident and for one it knows."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.accepted: list[Alert] = []
        self.rejected: list[tuple[str, str, Any]] = []
        self._fault = fault

    async def accept(self, alert: Alert) -> Accepted:
        if self._fault:
            raise self._fault
        known = any(each.incident_key == alert.incident_key for each in self.accepted)
        self.accepted.append(alert)
        return Accepted("joined" if known else "queued", UUID(int=1))

    async def reject(self, source: str, reason: str, payload: Any) -> None:
        if self._fault:
            raise self._fault
        self.rejected.append((source, reason, payload))
