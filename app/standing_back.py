"""The priority of processes beside the one that answers webhooks and people: they take what it leaves."""

from __future__ import annotations

import os

NICENESS = 15
"""Of 19: on a machine whose processors are all busy a thirtieth of the share that others have. Whoever waits
for what is computed waits longer there; what is not stored in time is lost."""


def stand_back() -> None:
    """Let others go first, from now on."""
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))
