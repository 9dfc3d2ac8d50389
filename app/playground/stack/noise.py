"""Chance that repeats: numbers out of a seed, a name and a count, the same on every machine."""

from __future__ import annotations

import hashlib
from statistics import NormalDist

MASK = 0xFFFF_FFFF_FFFF_FFFF
NORMAL = NormalDist()


def salt(*parts: object) -> int:
    """64 bits out of anything that prints."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def uniform(salted: int, count: int) -> float:
    """In [0, 1). The finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    mixed = (salted + count * 0x9E37_79B9_7F4A_7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58_476D_1CE4_E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB) & MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / 9_007_199_254_740_992.0


def around_one(salted: int, count: int, width: float) -> float:
    """Between 1-width and 1+width, near 1 more often than far from it."""
    spread = uniform(salted, 3 * count) + uniform(salted, 3 * count + 1) + uniform(salted, 3 * count + 2)
    return 1 + width * (spread / 1.5 - 1)


def normal(salted: int, count: int) -> float:
    return NORMAL.inv_cdf(min(max(uniform(salted, count), 1e-9), 1 - 1e-9))


def name_of(salted: int, length: int) -> str:
    """Letters and digits as Kubernetes takes for the ends of its pods' names."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(letters[int(uniform(salted, place) * len(letters))] for place in range(length))
