"""How asking a monitored system can go wrong."""

from __future__ import annotations

from app.errors import AgentError

SHAPE_ERRORS = (TypeError, KeyError, IndexError, ValueError, AttributeError, OverflowError)
"""What reading an answer of another shape than expected may raise."""
UNFAMILIAR = "answered in a shape that is not known here; is this the address of its API?"
"""The reason to give then."""


class SourceFailed(AgentError):
    """A monitored system gave no usable answer; the sentence names it and says why, for a reader.

    `source` is its short name (`prometheus`). The sentence may quote the system's own words, which are
    data from outside: mask it before it is shown.
    """

    code = "source_failed"
    status = 502

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source} {reason}")
        self.source = source
        self.reason = reason


class QueryRejected(SourceFailed):
    """The system is well and refuses the question itself; another wording may do."""

    code = "query_rejected"


class NotThere(SourceFailed):
    """The system is well and has nothing of that name."""

    code = "not_there"


class ReadRefused(AgentError):
    """Somebody asked for a path that is not on the allow-list; nothing was sent. The caller audits it."""

    code = "read_refused"
    status = 403

    def __init__(self, source: str, path: str) -> None:
        super().__init__(f"{path[:200]!r} is not a path of {source} that may be read.")
        self.source = source
        self.path = path
