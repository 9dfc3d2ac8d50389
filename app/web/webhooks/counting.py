"""Every request to a webhook is counted once as received, and once by what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app import instruments
from app.errors import AgentError


@dataclass
class Outcome:
    """Whoever takes the request leaves here when it changes nothing."""

    ignored: bool = False


@contextmanager
def counted(source: str) -> Iterator[Outcome]:
    instruments.WEBHOOKS_RECEIVED.add(source=source)
    outcome = Outcome()
    try:
        yield outcome
    except Exception as error:
        code = error.code if isinstance(error, AgentError) else "internal"
        instruments.WEBHOOKS_FAILED.add(source=source, code=code)
        raise
    became = instruments.WEBHOOKS_IGNORED if outcome.ignored else instruments.WEBHOOKS_PROCESSED
    became.add(source=source)
