"""Switches that make the playground misbehave the way networks and Slack do.

Calls: `faults.calls.add("chat.postMessage", Fault.limited(2), times=3)` decides over the next three calls.
Deliveries: `faults.deliveries.twice = 1` sends the next event twice, and so on.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class CallFault:
    """What becomes of one call.

    `applied` says whether the call takes effect before its answer is lost or spoilt.
    """

    kind: Literal["status", "limited", "delay", "drop", "error"]
    status: int = 200
    retry_after: int = 1
    seconds: float = 0
    error: str = ""
    applied: bool = False

    @classmethod
    def limited(cls, retry_after: int = 1) -> CallFault:
        """429 with `Retry-After`."""
        return cls("limited", status=429, retry_after=retry_after)

    @classmethod
    def failing(cls, status: int = 503, *, applied: bool = False) -> CallFault:
        """A 5xx, before or after the call took effect."""
        return cls("status", status=status, applied=applied)

    @classmethod
    def slow(cls, seconds: float) -> CallFault:
        """The call is applied, and answered only after `seconds`."""
        return cls("delay", seconds=seconds)

    @classmethod
    def dropped(cls, *, applied: bool) -> CallFault:
        """The connection is cut without an answer, before or after the call took effect."""
        return cls("drop", applied=applied)

    @classmethod
    def refused(cls, error: str) -> CallFault:
        """`{"ok": false, "error": …}`."""
        return cls("error", error=error)


class CallFaults:
    """Faults waiting for the next calls of a method; `*` stands for any method.

    `always` decides over every call that none of them waits for, by the method's name, until it is None.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[CallFault]] = defaultdict(deque)
        self.always: Callable[[str], CallFault | None] | None = None

    def add(self, method: str, fault: CallFault, times: int = 1) -> None:
        self._waiting[method].extend([fault] * times)

    def take(self, method: str) -> CallFault | None:
        for name in (method, "*"):
            if self._waiting[name]:
                return self._waiting[name].popleft()
        return self.always(method) if self.always else None

    def clear(self) -> None:
        self._waiting.clear()
        self.always = None


@dataclass
class DeliveryFaults:
    """Each number counts down as events are delivered."""

    twice: int = 0
    """The next so many events are delivered twice, both times as a first attempt."""
    lose_acks: int = 0
    """The next so many acks are ignored, so the event is delivered again."""
    reorder: int = 0
    """Hold back so many events and deliver them last first."""
    lose_events: int = 0
    """The next so many first attempts never leave; the retry does."""


@dataclass
class Faults:
    calls: CallFaults = field(default_factory=CallFaults)
    deliveries: DeliveryFaults = field(default_factory=DeliveryFaults)
    files_never_shared: int = 0
    """The next so many completed uploads never show up in their channel."""

    def clear(self) -> None:
        self.calls.clear()
        self.deliveries = DeliveryFaults()
        self.files_never_shared = 0
