"""What a diagnosis works with: two models, tools, budgets, and whom to call when it is not sure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.agent.budget import Budget
from app.agent.models import Models
from app.agent.run import Means
from app.agent.tally import RunLimits
from app.knowledge.models import Knowledge


@dataclass(frozen=True)
class DiagnoseMeans:
    """`models` is None when none is configured; `knowledge` is that of a revision, of None the newest.
    `seconds` is the longest a diagnosis may take, over all its attempts; `ttl_seconds` the longest it may
    wait for its turn. `in_flight` is the budget of a diagnosis that has begun, where it is another than that
    of `means`."""

    models: Models | None
    means: Means
    limits: RunLimits
    knowledge: Callable[[str | None], Awaitable[Knowledge]]
    hosts: Callable[[], frozenset[str]] = frozenset
    seconds: float = 300
    ttl_seconds: float = 600
    tool_result_bytes: int = 4096
    in_flight: Budget | None = None
