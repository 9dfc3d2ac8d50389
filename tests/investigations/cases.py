"""Small gathered incidents, made by hand, one for each kind of answer the ranking can give."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from app.investigations.alert import Alert, Link
from app.investigations.brief import Past
from app.investigations.evidence import Cause, Finding, Gap, Ranking, Reason
from app.investigations.gathered import Gathered, Runbook
from app.signals.models import Change

ALERTED = datetime(2026, 11, 20, 2, 15, tzinfo=UTC)
ONSET = ALERTED.timestamp() - 240

ALERT = Alert(
    source="pagerduty",
    incident_key="PD1",
    title="High error rate on checkout",
    name="HighErrorRate",
    service="checkout",
    severity="P1",
    started_at=ALERTED,
    labels={"severity": "critical", "env": "prod"},
    annotations={"summary": "5xx above 5 %"},
    links=(Link(title="Incident", url="https://acme.pagerduty.com/incidents/PD1"),),
)
DEPLOY = Change(
    "deploy", "4f2c1a9", ONSET - 60, "feat: pool per request, restart the pool", "checkout", "kim",
    "https://argocd.example.com/applications/checkout",
)  # fmt: skip
FINDINGS = (
    Finding("E1", "symptom", "prometheus", "12 % of requests to checkout fail, 0.1 % before.", "checkout",
            "sum(rate(x[5m]))", ONSET - 3600, ONSET + 600, ONSET, "https://prometheus.example.com/graph?g0.expr=x"),
    Finding("E2", "change", "argocd", "deploy 4f2c1a9 of checkout.", "checkout", at=ONSET - 60, link=DEPLOY.link),
    Finding("E3", "log", "loki", "“pool exhausted” is new, 412 times.", "checkout", '{service="checkout"}', at=ONSET),
    Finding("E4", "runbook", "knowledge", "HighErrorRate fits by name."),
    Finding("E5", "metric", "prometheus", "db_pool_in_use of payments-db rose to 50 of 50.", "payments-db", at=ONSET),
    Finding("E6", "past_incident", "history", "Twice before, on Mondays."),
    Finding("E7", "on_call", "pagerduty", "Kim is on call."),
)  # fmt: skip
BAD_DEPLOY = Cause(
    "change", "checkout", "The deploy 4f2c1a9 of checkout", 0.82, "4f2c1a9",
    (Reason("errors began 60 s after it", 0.5, "checkout", "change:4f2c1a9"),
     Reason("a new log template names what it touched", 0.4, "checkout", "log:checkout/pool exhausted")),
)  # fmt: skip
POOL = Cause(
    "saturation", "payments-db", "The connection pool of payments-db is exhausted", 0.41, None,
    (Reason("it is at its limit since the onset", 0.4, "payments-db", "series:payments-db/db_pool_in_use"),),
    (Reason("it filled up after checkout's errors began", 0.3, "payments-db"),),
)  # fmt: skip
DEPLOYED = Gathered(
    alert=ALERT,
    ranking=Ranking(ONSET, "cause", 0.82, (BAD_DEPLOY, POOL), ("checkout", "payments-db"), ("web", "mobile")),
    findings=FINDINGS,
    gaps=(Gap("tempo", "it did not answer within 10 s"),),
    service="checkout",
    severity="P1",
    facts={"tier": "1", "team": "payments"},
    changes=(DEPLOY,),
    past=Past(happened=True, dates=("2026-10-05", "2026-11-02"), pattern="Mondays, at night"),
    runbooks=(Runbook("HighErrorRate", "https://git.example.com/runbooks/HighErrorRate.md", "Is it real?"),),
)
TRAFFIC = replace(
    DEPLOYED,
    ranking=Ranking(
        ONSET,
        "none_of_the_changes",
        0.7,
        (Cause("traffic", "checkout", "Traffic to checkout tripled", 0.7, None,
               (Reason("requests rose before the errors", 0.6, "checkout", "series:checkout/requests"),)),
         BAD_DEPLOY),
    ),
    findings=(*FINDINGS, Finding("E8", "metric", "prometheus", "requests to checkout rose from 40/s to 130/s.", "checkout")),
    gaps=(),
)  # fmt: skip
UNKNOWN = replace(DEPLOYED, ranking=Ranking(None, "unknown", 0.1, (BAD_DEPLOY, POOL)), past=None)
NOTHING = Gathered(alert=ALERT, ranking=Ranking(None, "unknown", 0.0))
