"""The answer of a turn: its text, how sure it is, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from app.context.models import Source

CONCLUDE = "conclude"


class Conclusion(BaseModel):
    """How the answer just written should be taken. Call this once, last, in the same response as the
    end of the answer's text. The text itself is not repeated here."""

    confidence: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="How sure you are, from the material alone, that the answer is right and complete.",
        ),
    ]
    sources: list[str] = Field(
        default_factory=list, description="Paths or links of the documents the answer rests on."
    )
    missing: list[str] = Field(
        default_factory=list, description="What you looked for and did not find, a short phrase each."
    )
    tag_sre: bool = Field(
        default=False, description="True when a person of the SRE team should look at this."
    )


@dataclass(frozen=True)
class Offer:
    """Something to choose instead of writing it: what stands on it, and what choosing it says.

    `answers` names what it is an answer to; when that is over, choosing it answers nothing else. Empty for
    what can be said at any time.
    """

    label: str
    says: str
    answers: str = ""


@dataclass(frozen=True)
class Answer:
    """What a turn says in the end.

    `confidence` is 0 to 1, None when the model did not express it; `model` is None and
    `offline_reason` a sentence when no model took part; `notices` are sentences for the reader about
    the answer's making (a stale copy, a spent budget); `offers` are answers to what it asks.
    """

    text: str
    confidence: float | None = None
    sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    tag_sre: bool = False
    model: str | None = None
    offline_reason: str | None = None
    notices: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()


def named_sources(names: list[str], known: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources a conclusion names by link, path or title, in its order; names nobody knows are dropped."""
    found: dict[Source, None] = {}
    for name in names:
        wanted = name.strip().removeprefix("./")
        for source in known:
            if wanted and wanted in (source.url, source.path, source.title):
                found[source] = None
                break
    return tuple(found)
