"""From figures and answers to a verdict: a table of cases."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.models import (
    DependencyHealth,
    Figures,
    Health,
    Investigations,
    QueueFigures,
    RoomOf,
    Tokens,
    Turns,
    Windows,
)
from app.operations.status import signals, verdict
from tests.operations.conftest import LIMITS, NOW

NOTHING = Tokens(
    requests=0,
    input_tokens=0,
    output_tokens=0,
    cache_read_tokens=0,
    cache_write_tokens=0,
    usd=0,
    unpriced=0,
)


def figures(
    turns: dict[str, int] | None = None,
    *,
    oldest: float | None = None,
    failed: int = 0,
    expired: int = 0,
    hour_usd: float = 0,
    day_usd: float = 0,
) -> Figures:
    return Figures(
        at=NOW,
        queues={"turns": QueueFigures(waiting=1, running=2, oldest_seconds=oldest)},
        workers=1,
        turns=Turns(by_status=turns or {}, seconds=None),
        investigations=Investigations(
            begun=9,
            joined=0,
            done=0,
            failed=failed,
            expired=expired,
            seconds_to_evidence=None,
            seconds_to_brief=None,
        ),
        incidents_active=0,
        rolling_hour=NOTHING,
        windows=Windows(
            hour_usd=hour_usd, hour_tokens=0, day_usd=day_usd, day_tokens=0, total_usd=0, total_tokens=0
        ),
    )


def health(name: str = "slack", status: str = "ok", *, critical: bool = False) -> Health:
    one = DependencyHealth(
        name=name,
        kind="",
        critical=critical,
        status=status,  # type: ignore[arg-type]
        asked=True,
        latency_ms=None,
        last_ok_at=None,
        age_seconds=None,
        detail="is away" if status == "failing" else None,
    )
    return Health(verdict="healthy", at=NOW, dependencies=(one,))


CASES: dict[str, tuple[Health, Figures | None, dict[str, Any], str, str]] = {
    "nothing is wrong": (health(), figures({"done": 99}), {}, "healthy", ""),
    "one of a few turns failed": (health(), figures({"failed": 1, "done": 3}), {}, "healthy", ""),
    "one turn in ten failed": (
        health(),
        figures({"failed": 10, "done": 90}),
        {},
        "degraded",
        "10% of the last",
    ),
    "a page was never diagnosed": (health(), figures(expired=1), {}, "degraded", "ALERT_QUEUE_TTL_SECONDS"),
    "an investigation failed": (health(), figures(failed=2), {}, "degraded", "2 of the last hour's"),
    "a job waits": (health(), figures(oldest=61), {}, "degraded", "waiting for 61 s"),
    "a job waits a little": (health(), figures(oldest=59), {}, "healthy", ""),
    "the hour is nearly spent": (health(), figures(hour_usd=18), {}, "degraded", "COST_LIMIT_PER_HOUR_USD"),
    "the day is spent": (health(), figures(day_usd=100), {}, "degraded", "100% of this day's"),
    "a source is away": (health("loki", "failing"), figures(), {}, "degraded", "loki: is away"),
    "Slack is away": (health(status="failing", critical=True), figures(), {}, "unhealthy", "slack: is away"),
    "nobody was asked yet": (health("model", "unknown"), figures(), {}, "healthy", ""),
    "no figures": (health(), None, {}, "degraded", "does not give its figures"),
    "it drains": (health(), figures(), {"draining": True}, "degraded", "drains"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_and_why(case: str) -> None:
    answers, found, more, wanted, said = CASES[case]
    told = signals(found, {}, LIMITS) if found else None
    judged, because = verdict(answers, told, **{"draining": False, **more})
    assert judged == wanted
    assert said in " ".join(because)
    assert bool(because) == (wanted != "healthy")


def test_the_golden_signals_name_what_there_is_and_how_much_of_it_is_used() -> None:
    told = signals(
        figures({"failed": 5, "done": 95}, oldest=3.21, hour_usd=5),
        {"turns": RoomOf(running=2, room=10)},
        LIMITS,
    )
    assert (told.traffic.turns, told.traffic.investigations) == (100, 9)
    assert (told.errors.turns_failed, told.errors.turns_failed_share) == (5, 0.05)
    assert (told.saturation.waiting, told.saturation.oldest_seconds) == (1, 3.2)
    assert (told.saturation.hour_usd_share, told.saturation.day_usd_share) == (0.25, 0)
    assert told.saturation.here["turns"].room == 10
