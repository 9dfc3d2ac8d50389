"""What a start costs in time and memory: most of what it makes stays as long as the process."""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys

TAKEN_WHERE_INSTALLED = ("rich", "pygments")
TAKERS = ("structlog", "httpx")
"""One would colour tracebacks, the other brings a command line of its own: 3 MB that nobody here asks for."""


def make_what_stays() -> None:
    """No looking for garbage from here to `settle`: it would take a fifth of the time of a start."""
    gc.disable()
    left_out = [name for name in TAKEN_WHERE_INSTALLED if name not in sys.modules]
    for name in left_out:
        sys.modules[name] = None  # type: ignore[assignment]  # which means that it cannot be imported
    for name in TAKERS:
        importlib.import_module(name)
    for name in left_out:
        del sys.modules[name]


def settle() -> None:
    """Let the collector pass over what is here now, which stays, and look less often at the rest: a streamed
    answer makes many short-lived objects and next to no cycles.

    Takes a quarter of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc keeps what reading a library freed
        trim(0)
