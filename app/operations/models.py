"""What the pages under `/ops` tell: their types are their documentation in `/openapi.json`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from app.frozen import Frozen
from app.tools.masking import mask

LONGEST = 1000
Verdict = Literal["healthy", "degraded", "unhealthy"]
DependencyStatus = Literal["ok", "failing", "unknown"]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def bounded(text: str) -> str:
    # Masked before it is cut: half a secret has another shape.
    shown = mask(text[: 4 * LONGEST])
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


Words = Annotated[str, AfterValidator(bounded)]


class Told(Frozen):
    model_config = ConfigDict(from_attributes=True)


class Percentiles(Told):
    """Seconds; `count` is how many values they are of."""

    p50: float
    p95: float
    p99: float
    count: int


# -- figures -------------------------------------------------------------------------------------------------


class QueueFigures(Told):
    """Jobs of one queue over all replicas. `oldest_seconds` is how long the oldest job that could run has
    been waiting; null when none does."""

    waiting: int
    running: int
    oldest_seconds: float | None


class Turns(Told):
    """Turns of conversations of the last sixty minutes; `seconds` from message to end, of those done."""

    by_status: dict[str, int]
    seconds: Percentiles | None

    @property
    def accepted(self) -> int:
        return sum(self.by_status.values())


class Investigations(Told):
    """Investigations begun in the last sixty minutes, and how long people waited for their briefs."""

    begun: int
    joined: int
    done: int
    failed: int
    expired: int
    seconds_to_evidence: Percentiles | None
    seconds_to_brief: Percentiles | None


class Tokens(Told):
    """The ledger of the last sixty minutes. `usd` leaves out the `unpriced`: nobody knows their price."""

    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: float
    unpriced: int


class Windows(Told):
    """What counts against the caps: of this hour and this day (UTC), and of all days since the first."""

    hour_usd: float
    hour_tokens: int
    day_usd: float
    day_tokens: int
    total_usd: float
    total_tokens: int


class Figures(Told):
    """Out of the database: the same on every replica."""

    at: datetime
    queues: dict[str, QueueFigures]
    workers: int
    turns: Turns
    investigations: Investigations
    incidents_active: int
    rolling_hour: Tokens
    windows: Windows

    @property
    def oldest_seconds(self) -> float:
        return max((each.oldest_seconds or 0 for each in self.queues.values()), default=0)

    @property
    def waiting(self) -> int:
        return sum(each.waiting for each in self.queues.values())


class ErrorsStored(Told):
    what: Literal["turn", "investigation"]
    code: str
    count: int
    first_at: datetime
    last_at: datetime
    trace_id: str | None


# -- /ops/status ---------------------------------------------------------------------------------------------


class Traffic(Told):
    """Of the last sixty minutes, over all replicas."""

    turns: int
    investigations: int
    model_requests: int


class Errors(Told):
    """Of the last sixty minutes, over all replicas; a share is null below five cases."""

    turns_failed: int
    turns_failed_share: float | None
    investigations_failed: int
    investigations_expired: int


class Latency(Told):
    turn_seconds: Percentiles | None
    page_to_evidence_seconds: Percentiles | None
    page_to_brief_seconds: Percentiles | None


class RoomOf(Told):
    """Jobs of one queue in this process; `room` is null where slots are shared over all replicas."""

    running: int
    room: int | None


class Saturation(Told):
    """`waiting` and `oldest_seconds` are over all replicas, `here` is this process. `hour_usd_share` is how
    much of the hour's budget is used, null without one."""

    waiting: int
    oldest_seconds: float
    workers: int
    here: dict[str, RoomOf]
    hour_usd_share: float | None
    day_usd_share: float | None


class Signals(Told):
    """The golden signals; null as a whole while the database does not answer."""

    traffic: Traffic
    errors: Errors
    latency: Latency
    saturation: Saturation


class Status(Told):
    """`because` says in sentences what keeps it from being healthy."""

    verdict: Verdict
    because: tuple[Words, ...]
    draining: bool
    roles: tuple[str, ...]
    version: str
    instance: str
    started_at: datetime
    uptime_seconds: float
    signals: Signals | None


# -- /ops/health and /ops/dependencies -----------------------------------------------------------------------


class DependencyHealth(Told):
    """How a dependency answered this process. `latency_ms` and `last_ok_at` are of its last good answer, and
    `age_seconds` its age; `asked` says whether it was asked for this page or is told from earlier work."""

    name: str
    kind: str
    critical: bool
    status: DependencyStatus
    asked: bool
    latency_ms: float | None
    last_ok_at: datetime | None
    age_seconds: float | None
    detail: Words | None


class Health(Told):
    verdict: Verdict
    at: datetime
    dependencies: tuple[DependencyHealth, ...]


class DependencyListed(Told):
    """What this process depends on: `address` has no credentials, `without_it` says what stops then."""

    name: str
    kind: str
    critical: bool
    address: Words | None
    without_it: str
    status: DependencyStatus
    last_ok_at: datetime | None


class DependencyList(Told):
    dependencies: tuple[DependencyListed, ...]


# -- /ops/metrics --------------------------------------------------------------------------------------------


class TokenTotals(Told):
    """All replicas, all days, as it counts against the caps."""

    tokens: int
    usd: float


class TokenWindow(Told):
    """This hour or this day in UTC; the limits are null without one."""

    tokens: int
    usd: float
    usd_limit: float | None
    tokens_limit: int | None


class TokensHere(Told):
    """This process since its start."""

    input_tokens: int
    output_tokens: int
    usd: float


class TokenUsage(Told):
    totals: TokenTotals
    rolling_hour: Tokens
    hour: TokenWindow
    day: TokenWindow
    this_process: TokensHere


class Rates(Told):
    """A minute, over the last sixty minutes and all replicas."""

    turns_per_minute: float
    investigations_per_minute: float
    model_requests_per_minute: float


class ProcessFigures(Told):
    """This process since its start, in its own counters; percentiles are of the last thousand."""

    webhooks_received: int
    webhooks_failed: int
    model_runs_completed: int
    model_runs_failed: int
    model_request_seconds: Percentiles | None
    tool_calls: dict[str, int]
    tool_seconds: Percentiles | None
    source_request_seconds: Percentiles | None


class KnowledgeFigures(Told):
    revision: str | None
    refused_revision: str | None
    notices: tuple[Words, ...]


class Metrics(Told):
    """`database` and what is derived from it are null while the database does not answer."""

    at: datetime
    rates: Rates | None
    latency: Latency | None
    saturation: Saturation | None
    queues: dict[str, QueueFigures] | None
    turns: Turns | None
    investigations: Investigations | None
    incidents_active: int | None
    token_usage: TokenUsage | None
    knowledge: KnowledgeFigures
    process: ProcessFigures


# -- /ops/config, /ops/errors, /ops/loglevel, /ops/drain -----------------------------------------------------


class Setting(Told):
    """`value` is null for a secret; `is_set` says whether there is one, `default` whether nobody set it."""

    value: str | int | float | bool | list[str] | None
    is_set: bool
    secret: bool
    default: bool


class Config(Told):
    """By group and variable. `log_level` is the one in force, which /ops/loglevel may have changed."""

    log_level: str
    groups: dict[str, dict[str, Setting]]


class ErrorHere(Told):
    """What this process logged as a warning or an error. `said` is of the newest."""

    code: str
    event: str
    level: str
    count: int
    first_at: datetime
    last_at: datetime
    said: Words
    trace_id: str | None


class RecentErrorsTold(Told):
    """`this_process` since its start, at most 200 groups; `stored` are the failed turns and investigations of
    all replicas in the last `hours`, null while the database does not answer."""

    hours: int
    this_process: tuple[ErrorHere, ...]
    stored: tuple[ErrorsStored, ...] | None


class NewLevel(Frozen):
    # A route asks at once how its body is checked.
    model_config = ConfigDict(extra="forbid", defer_build=False)
    level: Level = Field(description="From which level on this process logs, until it ends or is told again")


class LevelChanged(Told):
    """`audited` is false while the audit row waits for the database."""

    level: Level
    was: str
    instance: str
    audited: bool


class Drained(Told):
    """`running` jobs go on to their end in this process, which stays; ask again to see how many are left."""

    draining: Literal[True]
    running: int
    instance: str
    audited: bool
