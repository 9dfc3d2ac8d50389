"""Which paths of a monitored system may be read: normalised first, then held against an allow-list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

LONGEST_PATH = 1000
MOST_DECODINGS = 4
"""Rounds of percent-decoding; what is still encoded after that was wrapped to get past somebody."""

PLAIN = re.compile(r"/[A-Za-z0-9._~@:+,=()/-]*")
"""What a normalised path is made of: no control characters, `;` (parameters of a segment), `\\`, `?`, `#`."""

SEGMENT = r"[A-Za-z0-9._~@:+,=()-]+"


class Unacceptable(ValueError):
    """A text that is no path, or one that climbs above the top."""


def normalised(path: str) -> str:
    """The one plain form of a path: decoded, without empty and dot segments, starting with a slash.

    Encoded slashes and dots are decoded before segments are looked at, and the result is what is sent, so
    no server can read something else into it than what was checked.

    Raises:
        Unacceptable: the path leaves its top, or has characters that no path here needs.
    """
    if len(path) > LONGEST_PATH:
        raise Unacceptable("too long")
    segments: list[str] = []
    for segment in _decoded(path).split("/"):
        if segment == "..":
            if not segments:
                raise Unacceptable("leads above the top")
            segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    plain = "/" + "/".join(segments)
    if not PLAIN.fullmatch(plain):
        raise Unacceptable("has characters that are not allowed")
    return plain


def _decoded(path: str) -> str:
    for _ in range(MOST_DECODINGS):
        if (decoded := unquote(path)) == path:
            return path
        path = decoded
    raise Unacceptable("is encoded again and again")


class AllowList:
    """Path patterns: `*` stands for one segment, a last `**` for one or more; anything else is itself."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(_compiled(pattern) for pattern in patterns)

    def admit(self, path: str) -> str:
        """The normalised path.

        Raises:
            Unacceptable: it is no path, or none of the list.
        """
        plain = normalised(path)
        if not any(pattern.fullmatch(plain) for pattern in self._patterns):
            raise Unacceptable("is not on the list")
        return plain


def _compiled(pattern: str) -> re.Pattern[str]:
    *inner, last = pattern.removeprefix("/").split("/")
    middle = "".join("/" + (SEGMENT if part == "*" else re.escape(part)) for part in inner)
    tail = {"*": f"/{SEGMENT}", "**": f"(?:/{SEGMENT})+"}.get(last, "/" + re.escape(last))
    return re.compile(middle + tail)
