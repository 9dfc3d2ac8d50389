"""Why a webhook is refused; the status is what its sender is answered."""

from __future__ import annotations

from app.errors import AgentError


class TooLarge(AgentError):
    """A body beyond what any sender of ours sends."""

    code = "too_large"
    status = 413


class NotProven(AgentError):
    """A webhook without the proof its sender can give."""

    code = "not_proven"
    status = 401


class NotUnderstood(AgentError):
    """An authentic webhook that says something else than it should."""

    code = "not_understood"
    status = 422


class CutShort(AgentError):
    """The sender hung up in the middle of its body; nobody is there to read the answer."""

    code = "cut_short"
    status = 400


class Draining(AgentError):
    """This process is shutting down."""

    code = "draining"
    status = 503
