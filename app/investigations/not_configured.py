"""What a look cannot see because nobody has told the agent where it is: one line, in every brief."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.investigations.evidence import Gap

if TYPE_CHECKING:
    from app.investigations.gather import Sources

NOT_CONFIGURED = "not configured, so not looked at"
KINDS = {
    "metrics": "metrics (PROMETHEUS_URL)",
    "logs": "logs (LOKI_URL)",
    "traces": "traces (TEMPO_URL or JAEGER_URL)",
    "changes": "deploys (ARGOCD_URL)",
    "cluster": "the cluster (KUBERNETES)",
    "on_call": "who is on call (PAGERDUTY_API_TOKEN)",
    "tickets": "open tickets (tickets: in MCP_SERVERS)",
}
"""What is looked at, by its field of `Sources`, and the variable that switches it on."""

STAND_INS = {"commits": "commits on GitHub", "replica_sets": "replica sets of the cluster"}
"""What tells of changes where deploys are not known."""


def not_configured(sources: Sources) -> tuple[Gap, ...]:
    """At most one gap, which names everything that is not looked at."""
    missing = [said for field, said in KINDS.items() if getattr(sources, field) is None]
    stand_ins = [said for field, said in STAND_INS.items() if getattr(sources, field) is not None]
    if stand_ins:
        seen = f"{KINDS['changes'][:-1]}; {' and '.join(stand_ins)} stand in)"
        missing = [seen if each == KINDS["changes"] else each for each in missing]
    return (Gap(NOT_CONFIGURED, ", ".join(missing)),) if missing else ()
