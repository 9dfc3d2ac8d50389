"""Which service a message is about: named, of the thread, of the channel, misspelled, or nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.context.catalog import Catalog
from app.context.models import How, Resolution, Service
from app.context.names import slug
from app.context.ordinary import SAID
from app.context.speech import Speech, listen
from app.context.standing import stands_as_name
from app.context.typos import SERVICE_WORDS, misspelled, nearest

Standing = tuple[tuple[Service | None, How], ...]


@dataclass(frozen=True)
class Mention:
    """A service named from word `start` to `end` (exclusive); `by` is the spelling that was recognised."""

    service: str
    by: str
    start: int
    end: int

    def is_within(self, other: Mention) -> bool:
        longer = other.end - other.start > self.end - self.start
        return longer and other.start <= self.start and self.end <= other.end


def resolve(
    text: str, catalog: Catalog, *, thread_service: str | None = None, channel: str | None = None
) -> Resolution:
    """Which service `text` is about, decided by the first of these that answers:

    1. the one service named in it: a name or alias as whole words, however it is spelled. Of several the
       thread's, or else the channel's, or else the first when the others are its direct neighbours
       ("checkout calls payments"); otherwise `ambiguous`
    2. a name that is an everyday word, such as `search`, where a name stands: “is search ready?”
    3. the service the thread is about
    4. the service whose channel this is (`channel` is its id or its name)
    5. a name that is an everyday word, wherever it stands
    6. a misspelled name
    7. several services share the channel: `ambiguous`
    With 2, 3 and 4, `candidates` are what may have been meant instead: the service of the thread or of the
    channel, or those that an everyday or a misspelled word may have named.
    """
    speech = listen(text)
    mentions = list(outermost(find(speech, catalog)))
    clear = [mention for mention in mentions if is_clear(mention, speech)]
    owners = catalog.of_channel(channel) if channel else ()
    standing: Standing = (
        (catalog.get(thread_service), "thread"),
        (owners[0] if len(owners) == 1 else None, "channel"),
    )
    if clear:
        return decide(clear, catalog, standing)
    placed = [mention for mention in mentions if stands_as_name(speech, mention.start)]
    if len({mention.service for mention in placed}) == 1:
        return instead_of(standing, decide(placed, catalog, standing))
    typos = misspelled(speech, catalog)
    for service, how in standing:
        if service is not None:
            meant = dict.fromkeys([*(mention.service for mention in mentions), *typos])
            others = tuple(name for name in meant if name != service.name)
            return Resolution(service=service, how=how, candidates=others)
    if mentions:
        return decide(mentions, catalog, standing)
    if len(typos) == 1:
        return Resolution(service=catalog.get(typos[0]), how="typo", candidates=typos)
    return undecided(typos or tuple(owner.name for owner in owners), speech, catalog)


def undecided(meant: tuple[str, ...], speech: Speech, catalog: Catalog) -> Resolution:
    """No service, with those that some word or the channel may have meant, or else the nearest."""
    if meant:
        return Resolution(how="ambiguous", candidates=meant)
    return Resolution(how="none", candidates=nearest(speech, catalog))


def instead_of(standing: Standing, found: Resolution) -> Resolution:
    """A word that was taken for a name, with what the conversation was about when it was not meant as one."""
    about = [service.name for service, _ in standing if service is not None]
    if not about or about[0] in found.candidates:
        return found
    return found.model_copy(update={"how": "word", "candidates": (*found.candidates, about[0])})


def decide(mentions: list[Mention], catalog: Catalog, standing: Standing) -> Resolution:
    """The one service mentioned; of several the one the conversation is about already, or the first when
    the others are what it calls or what calls it."""
    names = tuple(dict.fromkeys(mention.service for mention in mentions))
    if len(names) > 1:
        for service, reason in standing:
            if service is not None and service.name in names:
                return Resolution(service=service, how=reason, candidates=names)
        neighbours = {*catalog.depends_on(names[0]), *catalog.dependents(names[0])}
        if not neighbours.issuperset(names[1:]):
            return Resolution(how="ambiguous", candidates=names)
    spellings = (mention.by for mention in mentions if mention.service == names[0])
    how: How = "name" if slug(names[0]) in spellings else "alias"
    return Resolution(service=catalog.get(names[0]), how=how, candidates=names)


def find(speech: Speech, catalog: Catalog) -> Iterator[Mention]:
    """All places where names or aliases stand, those inside longer ones included."""
    spellings = catalog.spellings
    squeezed = {spelling.replace("-", ""): spelling for spelling in reversed(list(spellings))}
    most = max((spelling.count("-") + 1 for spelling in spellings), default=0) + 1
    for start in range(len(speech.words)):
        for end in range(start + 1, min(start + most, len(speech.words)) + 1):
            part = speech.words[start:end]
            by: str | None = "-".join(part)
            if by not in spellings:
                by = squeezed.get("".join(part)) if speech.is_one(start, end) else None
            if by is not None:
                yield Mention(spellings[by], by, start, end)


def outermost(mentions: Iterator[Mention]) -> Iterator[Mention]:
    """The mentions that are not part of a longer one: in “payment gateway” nobody means `payment`."""
    found = list(mentions)
    for mention in found:
        if not any(mention.is_within(other) for other in found):
            yield mention


def is_clear(mention: Mention, speech: Speech) -> bool:
    """Whether a name was surely meant: not an everyday word, or marked as a name, or beside “service”."""
    if mention.end - mention.start > 1 or speech.words[mention.start] not in SAID:
        return True
    beside = speech.words[max(mention.start - 1, 0) : mention.end + 1]
    return speech.marked[mention.start] or any(word in SERVICE_WORDS for word in beside)
