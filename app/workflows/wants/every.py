"""All that workflows may want, by name."""

from __future__ import annotations

from app.workflows.facts import Lookups
from app.workflows.wants.dependencies import Dependencies
from app.workflows.wants.objectives import Objectives
from app.workflows.wants.readiness import Readiness
from app.workflows.wants.reads import Reads


def lookups(reads: Reads) -> Lookups:
    objectives = Objectives.of(reads)
    dependencies = Dependencies(reads)
    readiness = Readiness(reads)
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
    }
