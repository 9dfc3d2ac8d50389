"""What all systems of the stack look at: one shop, one clock, one story."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from app.errors import AgentError
from app.playground.stack.logs import Logs
from app.playground.stack.metrics import Metrics
from app.playground.stack.noise import name_of, salt
from app.playground.stack.requests import Requests
from app.playground.stack.scenario import Scenario
from app.playground.stack.scenarios import SCENARIOS
from app.playground.stack.shop import Shop
from app.playground.stack.story import Story

LONGEST = 12 * 3600.0
"""After so long the window of the metrics moves on, so a stack left alone does not grow."""


class NoSuchScenario(AgentError):
    """There is no scenario of this name."""

    code = "unknown_scenario"
    status = 404


class World:
    """`story`, `metrics`, `requests` and `logs` are replaced together when another scenario begins."""

    def __init__(self, shop: Shop, clock: Callable[[], datetime], seed: int) -> None:
        self.shop = shop
        self._clock = clock
        self._seed = seed
        self.begin(None)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock().timestamp()

    def begin(self, name: str | None, age: float | None = None) -> None:
        """Start a scenario whose onset was `age` seconds ago (its own age by default); None is a quiet day.

        Raises:
            NoSuchScenario: names those there are.
        """
        if name is not None and name not in SCENARIOS:
            known = ", ".join(SCENARIOS)
            raise NoSuchScenario(f"There is no scenario {name!r}; there are {known}.")
        scenario = SCENARIOS[name] if name else None
        usual = scenario.age if scenario else 0.0
        self._tell(scenario, self.now() - (usual if age is None else age))

    def _tell(self, scenario: Scenario | None, onset: float) -> None:
        self.story = Story(self.shop, scenario, onset, self._seed)
        self.requests = Requests(self.story)
        self.logs = Logs(self.story, self.requests)
        self._metrics = Metrics(self.story, self.now)

    @property
    def metrics(self) -> Metrics:
        if self.now() - self._metrics.origin > LONGEST:
            self._metrics = Metrics(self.story, self.now, since=self.now())
        return self._metrics

    @property
    def incident_id(self) -> str:
        """PagerDuty's id of the incident that is going on."""
        name = self.story.scenario.name if self.story.scenario else "quiet"
        return "Q" + name_of(salt(name, round(self.story.onset)), 13).upper()

    @property
    def paged_at(self) -> float:
        scenario = self.story.scenario
        return self.story.onset + (scenario.paging.delay if scenario else 0)


def stamp(at: float) -> str:
    """RFC 3339 in UTC with whole seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Seconds since the epoch of what APIs take for a time: a number or RFC 3339.

    Raises:
        ValueError: for anything else.
    """
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
