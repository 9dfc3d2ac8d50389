"""Who fails to prove who they are, and how often: a token bucket for each address and route.

Only failures are counted. A storm of a thousand authentic alerts takes nothing, and neither does it from an
address that a flood comes from too, such as a proxy's.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import AgentError

BURST = 20
"""Failures in a row that are answered as what they are: somebody sets a webhook up with a wrong secret."""
PER_SECOND = 0.2
MOST_PEERS = 4_096
"""The one that was heard of longest ago is forgotten for another; about 1 MB."""


class TooManyFailures(AgentError):
    """One more request without proof, after many from the same address."""

    code = "too_many_failures"
    status = 429

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds))
        super().__init__(f"Too many requests without proof from this address; try again in {self.seconds} s.")


@dataclass
class _Bucket:
    left: float
    at: float
    told: bool = False


class FailedProofs:
    def __init__(
        self,
        *,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        most_peers: int = MOST_PEERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._per_second, self._most, self._clock = burst, per_second, most_peers, clock
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def count(self, address: str, route: str) -> int:
        """Take note of a failure: 0 while there are few, then the seconds until the next is one of few."""
        key, now = (peer(address), route), self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(self._burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left >= 1:
            bucket.left -= 1
            bucket.told = False
            return 0
        return max(1, math.ceil((1 - bucket.left) / self._per_second))

    def is_told(self, address: str, route: str) -> bool:
        """Whether the log has a line of this flood already; from now on it has."""
        bucket = self._buckets[(peer(address), route)]
        told, bucket.told = bucket.told, True
        return told


def peer(address: str) -> str:
    """Who an address stands for: with IPv6 one is given a whole network, and may be anybody in it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
