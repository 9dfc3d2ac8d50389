"""What is counted and measured in this process: every instrument there is, by its name.

Whoever counts calls `add`, `record` or `set`; who exposes the figures (`/metrics`, `/ops/metrics`, OTLP)
reads them here or listens. Without anybody who does, an instrument costs an addition in a dictionary. What
each means for a person is told in docs/telemetry.md; a test compares the two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Values = tuple[str, ...]
"""The values of an instrument's attributes, in their order."""
Hear = Callable[[float, Mapping[str, str]], None]

MOST_SERIES = 200
"""Of one instrument; what comes beyond is counted together as `other`, whoever makes up new values."""
RECENT = 1000
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
TOKENS = (500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000)


@dataclass(eq=False)
class Instrument:
    """`unit` is of UCUM, as OpenTelemetry wants it; `everywhere` says that each replica tells the same, for
    it comes out of the database: such figures are not to be summed."""

    name: str
    description: str
    unit: str = "1"
    attributes: tuple[str, ...] = ()
    everywhere: bool = False
    listeners: list[Hear] = field(default_factory=list, init=False, repr=False)

    def _tell(self, value: float, attributes: Mapping[str, str]) -> None:
        for hear in self.listeners:
            hear(value, attributes)

    def _series(self, known: Mapping[Values, object], attributes: Mapping[str, str]) -> Values:
        unknown = attributes.keys() - set(self.attributes)
        assert not unknown, f"{self.name} has no attribute {unknown}"
        values = tuple(attributes.get(name, "") for name in self.attributes)
        full = len(known) >= MOST_SERIES and values not in known
        return ("other",) * len(values) if full and values else values


@dataclass(eq=False)
class Counter(Instrument):
    """Goes up, from 0 at the start of the process."""

    values: dict[Values, float] = field(default_factory=dict, init=False)

    def add(self, value: float = 1, **attributes: str) -> None:
        series = self._series(self.values, attributes)
        self.values[series] = self.values.get(series, 0) + value
        self._tell(value, dict(zip(self.attributes, series, strict=True)))

    @property
    def total(self) -> float:
        return sum(self.values.values())

    def by(self, attribute: str) -> dict[str, float]:
        """Sums by one of the attributes."""
        at, sums = self.attributes.index(attribute), dict[str, float]()
        for values, value in self.values.items():
            sums[values[at]] = sums.get(values[at], 0) + value
        return sums


@dataclass
class Distribution:
    """Of one series: how many values fell below each bound, and the last of them."""

    counts: list[int]
    sum: float = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(eq=False)
class Histogram(Instrument):
    bounds: tuple[float, ...] = SECONDS
    values: dict[Values, Distribution] = field(default_factory=dict, init=False)

    def record(self, value: float, **attributes: str) -> None:
        series = self._series(self.values, attributes)
        found = self.values.get(series)
        if found is None:
            found = self.values[series] = Distribution([0] * (len(self.bounds) + 1))
        found.counts[bisect_left(self.bounds, value)] += 1
        found.sum += value
        found.recent.append(value)
        self._tell(value, dict(zip(self.attributes, series, strict=True)))

    def percentiles(self, *wanted: float) -> tuple[float, ...] | None:
        """Of the last thousand values of each series; None while there is none."""
        values = sorted(value for each in self.values.values() for value in each.recent)
        return tuple(values[min(int(q * len(values)), len(values) - 1)] for q in wanted) if values else None


@dataclass(eq=False)
class Gauge(Instrument):
    """What is so now; `set` replaces one series, `replace` all of them."""

    values: dict[Values, float] = field(default_factory=dict, init=False)

    def set(self, value: float, **attributes: str) -> None:
        self.values[self._series(self.values, attributes)] = float(value)

    def replace(self, values: Mapping[Values, float]) -> None:
        self.values = {series: float(value) for series, value in values.items()}


# -- webhooks and alerts -------------------------------------------------------------------------------------

WEBHOOKS_RECEIVED = Counter(
    "sre_agent.webhooks.received",
    "Requests to a webhook's route, whoever sent them.",
    "{request}",
    ("source",),
)
WEBHOOKS_PROCESSED = Counter(
    "sre_agent.webhooks.processed",
    "Webhooks whose alerts are stored, and began or joined an investigation.",
    "{request}",
    ("source",),
)
WEBHOOKS_IGNORED = Counter(
    "sre_agent.webhooks.ignored", "Authentic webhooks that change nothing here.", "{request}", ("source",)
)
WEBHOOKS_FAILED = Counter(
    "sre_agent.webhooks.failed",
    "Webhooks that were refused; code is the reason they were answered.",
    "{request}",
    ("source", "code"),
)
INTAKE_QUEUED = Counter("sre_agent.intake.queued", "Alerts that began an investigation.", "{alert}")
INTAKE_DEDUPLICATED = Counter(
    "sre_agent.intake.deduplicated", "Alerts that joined an investigation that was there.", "{alert}"
)
INTAKE_EXPIRED = Counter(
    "sre_agent.intake.expired",
    "Investigations that waited for their diagnosis longer than ALERT_QUEUE_TTL_SECONDS.",
    "{investigation}",
)
INTAKE_DEPTH = Gauge(
    "sre_agent.intake.queue_depth",
    "Investigations that wait for their diagnosis.",
    "{investigation}",
    everywhere=True,
)
INCIDENTS_ACTIVE = Gauge(
    "sre_agent.incidents.active", "Incidents that are not resolved.", "{incident}", everywhere=True
)
ALERT_DURATION = Histogram(
    "sre_agent.alert.duration",
    "From a page to its evidence brief (stage look) and to its final brief (stage diagnose).",
    "s",
    ("stage",),
)

# -- models and tools ----------------------------------------------------------------------------------------

RUNS_COMPLETED = Counter(
    "sre_agent.agent.runs.completed",
    "Runs of the model that came to a conclusion; kind is conversation or investigation.",
    "{run}",
    ("kind",),
)
RUNS_FAILED = Counter(
    "sre_agent.agent.runs.failed",
    "Runs of the model that did not; the deterministic core answered instead.",
    "{run}",
    ("kind", "code"),
)
RUN_DURATION = Histogram(
    "sre_agent.agent.run.duration", "How long runs of the model took, failed ones too.", "s", ("kind",)
)
TOKENS_INPUT = Counter("sre_agent.tokens.input", "Tokens that models read.", "{token}", ("model",))
TOKENS_OUTPUT = Counter("sre_agent.tokens.output", "Tokens that models wrote.", "{token}", ("model",))
TOKENS_PER_RUN = Histogram(
    "sre_agent.tokens.per_run", "Tokens read and written in one run.", "{token}", ("kind",), bounds=TOKENS
)
MODEL_SPEND = Counter(
    "sre_agent.model.spend", "What models cost, as it counts against the caps.", "USD", ("model",)
)
MODEL_REQUESTS = Histogram(
    "gen_ai.client.operation.duration",
    "How long requests to models took (OpenTelemetry's GenAI conventions).",
    "s",
    ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"),
)
TOOL_CALLS = Histogram(
    "sre_agent.tool.duration",
    "How long calls of tools took; outcome is ok or failed.",
    "s",
    ("tool", "outcome"),
)
SOURCE_REQUESTS = Histogram(
    "sre_agent.source.duration",
    "How long requests to monitored systems took; outcome is ok or failed.",
    "s",
    ("source", "outcome"),
)

# -- conversations and workflows -----------------------------------------------------------------------------

TURNS_ACCEPTED = Counter(
    "sre_agent.conversation.accepted",
    "Messages stored as turns; kind as in the table turns.",
    "{turn}",
    ("kind",),
)
TURNS_ENDED = Counter(
    "sre_agent.conversation.turns", "Turns of conversations that ended, by status.", "{turn}", ("status",)
)
TURN_DURATION = Histogram(
    "sre_agent.conversation.turn.duration",
    "From a stored message to the end of its turn, waiting included.",
    "s",
    ("status",),
)
WORKFLOW_STEPS = Counter(
    "sre_agent.workflow.steps",
    "Replies of workflows; event is what came of the message.",
    "{step}",
    ("event",),
)

# -- the queue, spend and accuracy: out of the database ------------------------------------------------------

QUEUE_JOBS = Gauge(
    "sre_agent.queue.jobs",
    "Jobs by queue and status: todo or doing.",
    "{job}",
    ("queue", "status"),
    everywhere=True,
)
QUEUE_OLDEST = Gauge(
    "sre_agent.queue.oldest",
    "How long the oldest job that could run has been waiting.",
    "s",
    ("queue",),
    everywhere=True,
)
QUEUE_WORKERS = Gauge(
    "sre_agent.queue.workers", "Workers whose heart has beaten within 8 seconds.", "{worker}", everywhere=True
)
SPEND_WINDOW = Gauge(
    "sre_agent.spend.window",
    "Spent in this hour and this day (UTC), as it counts against the caps.",
    "USD",
    ("window",),
    everywhere=True,
)
SPEND_LIMIT = Gauge(
    "sre_agent.spend.limit",
    "The caps of an hour and a day; absent without one.",
    "USD",
    ("window",),
    everywhere=True,
)
TOKENS_WINDOW = Gauge(
    "sre_agent.tokens.window",
    "Tokens of the last sixty minutes; direction is input or output.",
    "{token}",
    ("direction",),
    everywhere=True,
)
TURNS_WINDOW = Gauge(
    "sre_agent.conversation.turns.window",
    "Turns of the last sixty minutes by status.",
    "{turn}",
    ("status",),
    everywhere=True,
)
BRIEFS = Gauge(
    "sre_agent.accuracy.briefs",
    "Briefs of the last 30 days, by the confidence they state and what people said: right, wrong, unknown.",
    "{brief}",
    ("confidence", "outcome"),
    everywhere=True,
)
DATABASE_UP = Gauge(
    "sre_agent.database.up",
    "Whether the database answered when its figures were last asked for; else they are absent, not old.",
)

# -- this process --------------------------------------------------------------------------------------------

JOBS_RUNNING = Gauge(
    "sre_agent.process.jobs", "Jobs that run in this process, by queue.", "{job}", ("queue",)
)
JOBS_ROOM = Gauge(
    "sre_agent.process.jobs.limit", "Jobs that may run in it at once, by queue.", "{job}", ("queue",)
)
DRAINING = Gauge("sre_agent.process.draining", "1 while this process takes no new work.")
STARTED = Gauge("sre_agent.process.started", "When this process was ready, in seconds since 1970.", "s")
DEPENDENCY_UP = Gauge(
    "sre_agent.dependency.up",
    "1 when the last answer of a dependency was good, 0 when not; absent before the first.",
    "1",
    ("dependency",),
)
DEPENDENCY_ANSWERED = Gauge(
    "sre_agent.dependency.answered",
    "When a dependency last gave a good answer to this process, in seconds since 1970.",
    "s",
    ("dependency",),
)
KNOWLEDGE = Gauge(
    "sre_agent.knowledge.revision", "1 for the revision of the knowledge repo in force.", "1", ("revision",)
)
KNOWLEDGE_REFUSED = Gauge(
    "sre_agent.knowledge.refused",
    "1 while the newest revision of the knowledge repo is refused for its faults.",
)
EXPORT_FAILURES = Counter(
    "sre_agent.telemetry.failures",
    "Exports to the OTLP collector that failed, by signal: traces, metrics or logs.",
    "{export}",
    ("signal",),
)

INSTRUMENTS: tuple[Instrument, ...] = tuple(
    sorted(
        (each for each in list(globals().values()) if isinstance(each, Instrument)),
        key=lambda each: each.name,
    )
)
"""All of them, by name."""
