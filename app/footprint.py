"""What a start costs in time and memory: most of what it makes stays as long as the process."""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys

LEFT_OUT = ("rich", "pygments", "email_validator")
TAKERS = ("structlog", "httpx", "fastapi")
"""These take the others where they are installed: to colour tracebacks, for a command line, for a kind of
string. Nobody here asks for any of it, which comes to 3 MB and a sixtieth of a start."""
NEVER = ("pydantic.v1",)
"""FastAPI imports pydantic's first version to find out whether a route has a model of it: 1.5 MB."""


def make_what_stays() -> None:
    """No looking for garbage from here to `settle`: it would take a fifth of the time of a start."""
    gc.disable()
    for name in NEVER:
        _leave_out(name)
    left_out = [name for name in LEFT_OUT if _leave_out(name)]
    for name in TAKERS:
        importlib.import_module(name)
    for name in left_out:
        del sys.modules[name]


def _leave_out(name: str) -> bool:
    """As if it were not installed; not where it is imported already."""
    if name in sys.modules:
        return False
    sys.modules[name] = None  # type: ignore[assignment]  # which means that it cannot be imported
    return True


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
