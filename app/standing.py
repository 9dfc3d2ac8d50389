"""How what we depend on last answered this process: noted by whoever asks it, told by `/ops/health`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class Standing:
    """`ok_at` is the last good answer, which took `milliseconds`; `trouble` why the newest one was none."""

    ok_at: datetime | None = None
    milliseconds: float | None = None
    failed_at: datetime | None = None
    trouble: str | None = None

    @property
    def is_up(self) -> bool | None:
        """None before the first answer."""
        if self.ok_at is None and self.failed_at is None:
            return None
        return self.trouble is None


@dataclass
class Standings:
    """By name of the dependency, in the words of `/ops/health`."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    of: dict[str, Standing] = field(default_factory=dict)

    def answered(self, name: str, seconds: float) -> None:
        standing = self.of.setdefault(name, Standing())
        standing.ok_at, standing.milliseconds = self.clock(), round(seconds * 1000, 1)
        standing.trouble = None

    def failed(self, name: str, trouble: str) -> None:
        standing = self.of.setdefault(name, Standing())
        standing.failed_at, standing.trouble = self.clock(), trouble


STANDINGS = Standings()
"""Those of this process."""
