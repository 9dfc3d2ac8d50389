"""What a workflow need not ask: looked up by name, side by side, each within its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from app.context.models import Source
from app.errors import AgentError

log = structlog.get_logger(__name__)

SECONDS = 20.0
LARGEST_FACT = 60_000
"""Characters of JSON that one want may find: it is kept in the session."""


@dataclass(frozen=True)
class Asked:
    """For whom something is looked up: the service, if one is known, and the answers so far by slot
    (`target[pay]`); `facts` are what was found before, `revision` the one of the knowledge that the workflow
    finishes on, None for the newest."""

    service: str | None
    answers: Mapping[str, Any]
    facts: Mapping[str, Any]
    revision: str | None = None


@dataclass(frozen=True)
class Picture:
    """A file that shows what was found, such as a chart; it is attached to the thread."""

    file_name: str
    title: str
    content: bytes
    media_type: str = "image/png"


@dataclass(frozen=True)
class Found:
    """`value` is JSON, known below the want's name; `notice` is a sentence for the thread, such as why there
    is nothing."""

    value: Any = None
    sources: tuple[Source, ...] = ()
    notice: str | None = None
    pictures: tuple[Picture, ...] = ()


class Lookup(Protocol):
    """Finds what one want names. It may raise `AgentError`, whose sentence is then told."""

    async def __call__(self, asked: Asked) -> Found: ...


Lookups = Mapping[str, Lookup]
"""By the name that a workflow's `wants` has."""


@dataclass(frozen=True)
class Gathered:
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    notices: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


async def gather(
    wants: Sequence[str], asked: Asked, lookups: Lookups, *, seconds: float = SECONDS
) -> Gathered:
    """All wants at once; one that finds nothing, fails or is slow costs the others nothing."""
    found = await asyncio.gather(*(_one(want, asked, lookups.get(want), seconds) for want in wants))
    return Gathered(
        {want: each.value for want, each in zip(wants, found, strict=True) if each.value is not None},
        tuple(source for each in found for source in each.sources),
        tuple(each.notice for each in found if each.notice),
        tuple(picture for each in found for picture in each.pictures),
    )


async def _one(want: str, asked: Asked, lookup: Lookup | None, seconds: float) -> Found:
    if lookup is None:
        return Found(notice=f"I cannot look up “{want}” here; what depends on it I ask, or leave as a TODO.")
    try:
        async with asyncio.timeout(seconds):
            found = await lookup(asked)
    except AgentError as error:
        return Found(notice=f"I could not look up “{want}”: {error.sentence}")
    except TimeoutError:
        return Found(notice=f"I could not look up “{want}” within {seconds:g} seconds.")
    size = len(json.dumps(found.value, default=str))
    if size > LARGEST_FACT:
        log.warning("fact_too_large", want=want, characters=size)
        return Found(notice=f"What I found for “{want}” is too large to keep ({size:,} characters).")
    return found
