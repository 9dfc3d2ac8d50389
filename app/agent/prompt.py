"""The user's message as the model reads it: the time, what is known, and the question, data fenced as data.

Everything from repos, alerts and other people stands between tags of ours and cannot close them: in data
the `<` of such a tag is written `&lt;`. The tags are the same in every message, so that the prompt's
prefix stays byte-identical.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from app.context.models import Context, Section, Service, Source
from app.tools.masking import mask

TAGS = ("context", "document", "thread", "missing", "notice", "question")
OURS = re.compile(rf"<(?=\s*+/?+\s*+(?:{'|'.join(TAGS)})\b)", re.IGNORECASE)


def user_message(
    question: str,
    context: Context,
    *,
    now: datetime,
    said_before: Sequence[str] = (),
    known: Collection[str] = (),
) -> str:
    """The message that opens a turn.

    `said_before` is what people wrote in the thread before the agent was called, a line each. `known`
    are ids of sections that earlier messages of the session already carry; they are not repeated.
    """
    fresh = [section for section in context.sections if section.id not in known]
    held = len(context.sections) - len(fresh) + len(context.held)
    lines = [
        "<context>",
        f"time: {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        _about(context.service),
        *_documents(fresh),
        *([f"({held} sections given earlier still hold.)"] * bool(known)),
        *_tagged("missing", context.missing),
        *_tagged("notice", context.notices),
        *(["<thread>", *(fenced(line) for line in said_before), "</thread>"] if said_before else []),
        "</context>",
        "<question>",
        fenced(question),
        "</question>",
    ]
    return "\n".join(lines)


def fenced(data: str) -> str:
    """Data as it may stand between our tags: secrets masked, none of our tags in it."""
    return OURS.sub("&lt;", mask(data))


@lru_cache(maxsize=2048)
def _fenced_section(text: str) -> str:
    """The same sections go into every thread about a service, and masking 8,000 tokens takes 25 ms."""
    return fenced(text)


def facts_of(service: Service) -> dict[str, str]:
    """What the catalog says of a service, by name, as text."""
    facts = {
        "tier": service.tier,
        "team": service.team,
        "channel": service.slack_channel,
        "repo": service.repo,
        "depends on": ", ".join(service.depends_on),
        "dashboards": ", ".join(service.dashboards),
        "runbooks": ", ".join(service.runbooks),
    }
    return {name: str(value) for name, value in facts.items() if value}


def _about(service: Service | None) -> str:
    if service is None:
        return "service: not named, or not in the catalog"
    told = "; ".join(f"{name}: {value}" for name, value in facts_of(service).items())
    return fenced(f"service: {service.name}" + (f" ({told})" if told else ""))


def _documents(sections: Sequence[Section]) -> Iterable[str]:
    """Sections by document, documents in the order of their best section."""
    by_source: dict[Source, list[Section]] = {}
    for section in sections:
        plain = section.source.model_copy(update={"url": None})
        by_source.setdefault(plain, []).append(section)
    for source, parts in by_source.items():
        link = parts[0].source.url
        yield f'<document kind="{_attribute(source.kind)}" path="{_attribute(source.path)}"' + (
            f' link="{_attribute(link)}">' if link else ">"
        )
        yield from (_fenced_section(part.text.strip()) for part in parts)
        yield "</document>"


def _attribute(value: str) -> str:
    return fenced(value).replace('"', "&quot;").replace("\n", " ")


def _tagged(tag: str, sentences: Sequence[str]) -> Iterable[str]:
    return (f"<{tag}>{fenced(sentence)}</{tag}>" for sentence in sentences)
