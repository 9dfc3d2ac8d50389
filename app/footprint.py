"""What a start costs in time and memory: most of what it makes stays as long as the process."""

from __future__ import annotations

import ctypes
import gc


def make_what_stays() -> None:
    """No looking for garbage from here to `settle`: it would take a fifth of the time of a start."""
    gc.disable()


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
