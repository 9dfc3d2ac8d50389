"""All that workflows may want, by name."""

from __future__ import annotations

from app.workflows.facts import Lookups
from app.workflows.wants.alerting import Alerting
from app.workflows.wants.dependencies import Dependencies
from app.workflows.wants.objectives import Objectives
from app.workflows.wants.readiness import Readiness
from app.workflows.wants.reads import Reads
from app.workflows.wants.repo import Repository
from app.workflows.wants.runbook import RunbookMaterial


def lookups(reads: Reads) -> Lookups:
    objectives = Objectives.of(reads)
    dependencies = Dependencies(reads)
    readiness = Readiness(reads)
    runbook, alerting = RunbookMaterial(reads), Alerting(reads)
    return {
        "baseline": objectives.baseline,
        "matches": objectives.matches,
        "history": objectives.history,
        "backtest": objectives.backtest,
        "slos": objectives.slos,
        "needs": dependencies.needs,
        "dependencies": dependencies.dependencies,
        "readiness": readiness.readiness,
        "score": readiness.score,
        "alerts": runbook.alerts,
        "classified": runbook.classified,
        "material": runbook.material,
        "review": alerting.review,
        "rules": alerting.rules,
        "repo": Repository(reads).repo,
    }
