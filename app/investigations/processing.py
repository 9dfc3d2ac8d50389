"""The trace of an investigation's job: its log lines and spans belong to what its webhook began."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

from app import tracing
from app.investigations.models import Investigation


def processing(
    investigation: Investigation, stage: Literal["look", "diagnose"]
) -> AbstractContextManager[tracing.Span]:
    return tracing.work(
        investigation.trace_id,
        "sre_agent.process_alert",
        {
            "sre_agent.stage": stage,
            "sre_agent.attempt": investigation.attempt,
            "sre_agent.severity": investigation.severity,
            "sre_agent.service": investigation.service_name,
            "sre_agent.alert.source": investigation.alert.source,
        },
        investigation_id=str(investigation.id),
    )
