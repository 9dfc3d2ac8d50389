"""The offline analyst: an answer from the documents alone, for when there is no model to ask.

Deterministic: it names the service, quotes the best sections as they are written, each with its link,
says what is missing, and asks back when it does not know which service is meant. Its own words are in the
language of the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.agent.answer import Answer
from app.agent.phrases import Phrases
from app.context.models import Context, Section, Service, Source
from app.tools.masking import mask

LONGEST_ANSWER = 3000
"""Characters: about one screen of a thread."""
ROOM_FOR_QUOTES = 1600

LONGEST_QUOTE = 420
MOST_QUOTES = 4
OWN_KINDS = ("blueprint", "contract", "readme", "tier")
"""What is about this one service: each of them is heard before any is heard twice."""
MOST_OTHERS = 6
TAG_BELOW = 0.4
MOST_MISSING = 6


def answer(question: str, context: Context, *, reason: str) -> Answer:
    """What the documents say to `question`; `reason` is the sentence why no model took part."""
    words = Phrases.like(question)
    context = _told_in(words, context)
    reason = words.tell(reason)
    if context.service is None:
        about = _about_documents(question, context)
        if about:
            return _in_general(question, context, about, reason, words)
        return _asking_back(context, reason, words)
    quoted = _best(context.sections)
    confidence = confidence_of(question, context, quoted)
    parts = [
        f"{_mark(reason, words)} {words.say('documents_say')}",
        _service_line(context.service, words),
        *_quotes(quoted, ROOM_FOR_QUOTES),
        _others(context.sources, quoted, words),
        _missing(context.missing, words),
    ]
    if not quoted:
        parts.insert(2, words.say("nothing_said"))
    sources = _documents(quoted)
    return Answer(
        text=_fit(parts),
        confidence=confidence,
        sources=sources,
        missing=context.missing,
        tag_sre=confidence < TAG_BELOW,
        offline_reason=reason,
        notices=context.notices,
    )


def confidence_of(question: str, context: Context, quoted: tuple[Section, ...]) -> float:
    """How well the quoted sections cover the question, 0 to 0.7: reading is not understanding.

    The share of the question's words (four letters and more) found in the quotes counts 0.5, a service
    named in so many words 0.1, nothing known to be missing 0.1. Without a quote it is 0.1.
    """
    if not quoted:
        return 0.1
    asked = _words(question) - _words(context.service.name if context.service else "")
    found = _words(" ".join(f"{section.heading} {section.text}" for section in quoted))
    covered = len({word for word in asked if word in found}) / len(asked) if asked else 0.5
    sure = context.resolution.how in ("name", "alias", "thread", "channel", "word")
    return round(0.5 * covered + 0.1 * sure + 0.1 * (not context.missing), 2)


def _words(text: str) -> set[str]:
    """Lower case words without a plural s, so `dashboards` finds `dashboard`."""
    return {word.removesuffix("s") for word in re.findall(r"[^\W\d_]{4,}", text.lower())}


def _told_in(words: Phrases, context: Context) -> Context:
    """The context with what is said about it in those words."""
    told = {name: tuple(map(words.tell, getattr(context, name))) for name in ("missing", "notices")}
    return context.model_copy(update=told)


def _mark(reason: str, words: Phrases) -> str:
    return words.say("mark", reason=mask(reason).rstrip(".。"))


def _service_line(service: Service, words: Phrases) -> str:
    facts = [
        words.say("tier", tier=service.tier) if service.tier else words.say("tier_unknown"),
        words.say("team", team=service.team) if service.team else "",
        words.say("repo", repo=service.repo) if service.repo else "",
    ]
    line = f"**{service.name}** ({', '.join(fact for fact in facts if fact)})"
    needed = ", ".join(service.depends_on)
    return f"{line}, {words.say('depends_on', names=needed)}" if needed else line


def _best(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """The sections that say most about the question, best first.

    Of the service's own documents the best section of each that says anything, or a long standard would
    crowd them out; then any without text or below a quarter of the best left out.
    """
    told = sorted((s for s in sections if s.text.strip()), key=lambda s: -s.score)
    own = [next((s for s in told if s.source.kind == kind and s.score > 0), None) for kind in OWN_KINDS]
    near = [s for s in told if s.score >= told[0].score / 4]
    chosen = list(dict.fromkeys([*filter(None, own), *near]))[:MOST_QUOTES]
    return tuple(sorted(chosen, key=lambda s: -s.score))


def _documents(sections: tuple[Section, ...]) -> tuple[Source, ...]:
    """The documents of the sections, each once, with the address of its best section."""
    found: dict[str, Source] = {}
    for section in sections:
        found.setdefault(section.source.path, section.source)
    return tuple(found.values())


def _quotes(sections: tuple[Section, ...], room: int) -> Iterable[str]:
    longest = min(LONGEST_QUOTE, room // max(len(sections), 1))
    return [_quote(section, longest) for section in sections]


def _others(sources: tuple[Source, ...], quoted: tuple[Section, ...], words: Phrases) -> str:
    """Which documents were read besides those that are quoted."""
    said = {section.source.path for section in quoted}
    others = [source for source in sources if source.path not in said and source.kind in OWN_KINDS]
    told = ", ".join(map(_link, others[:MOST_OTHERS]))
    return words.say("read_as_well", documents=told) if others else ""


def _quote(section: Section, longest: int) -> str:
    lines = [f"> {line}".rstrip() for line in _excerpt(section.text, longest).splitlines()]
    return "\n".join([f"{_link(section.source)} · {section.heading}", *lines])


def _link(source: Source) -> str:
    name = f"`{source.path}`"
    return f"[{source.path}]({source.url})" if source.url else name


def _excerpt(text: str, longest: int) -> str:
    """The beginning of a section on a line boundary, an open code fence closed."""
    without_heading = re.sub(r"\A#{1,6} [^\n]*\n+", "", text.strip())  # it stands above the quote already
    text = mask(re.sub(r"\n{2,}", "\n", without_heading))
    if len(text) > longest:
        cut = text.rfind("\n", 0, longest)
        text = text[: cut if cut > longest // 2 else longest].rstrip()
        # On a line of its own: behind the last row of a table it would be one more column.
        return _closed(text) + "\n\n…"
    return _closed(text)


def _closed(text: str) -> str:
    return text + "\n```" if text.count("```") % 2 else text


def _missing(missing: tuple[str, ...], words: Phrases) -> str:
    if not missing:
        return ""
    shown = [f"- {sentence}" for sentence in missing[:MOST_MISSING]]
    if len(missing) > MOST_MISSING:
        shown.append(f"- {words.say('more', number=len(missing) - MOST_MISSING)}")
    return "\n".join([words.say("not_found"), *shown])


def _about_documents(question: str, context: Context) -> tuple[Section, ...]:
    """The sections of the documents that a question without a service names by title: "what does tier 1
    ask?" is about the document of tier 1."""
    if context.resolution.how != "none":
        return ()
    asked = set(re.findall(r"\w+", question.lower()))

    def named(section: Section) -> bool:
        # "Tier 1: critical" is named by "tier 1", "On-call" by "on call".
        name = re.findall(r"\w+", section.source.title.lower().partition(":")[0])
        return bool(name) and asked.issuperset(name)

    return tuple(section for section in context.sections if named(section))


def _in_general(
    question: str, context: Context, about: tuple[Section, ...], reason: str, words: Phrases
) -> Answer:
    quoted = _best(about)
    return Answer(
        text=_fit(
            [
                f"{_mark(reason, words)} {words.say('documents_say')}",
                *_quotes(quoted, ROOM_FOR_QUOTES),
                words.say("about_standards"),
            ]
        ),
        confidence=confidence_of(question, context, quoted),
        sources=tuple(dict.fromkeys(section.source for section in quoted)),
        offline_reason=reason,
        notices=context.notices,
    )


def _asking_back(context: Context, reason: str, words: Phrases) -> Answer:
    names = context.resolution.candidates
    if context.resolution.how == "ambiguous" and names:
        asked = words.say("which_service", names=_either(names, words))
    else:
        near = words.say("nearest", names=_either(names, words)) if names else "".join(context.missing[:1])
        asked = (
            f"{words.say('service_not_known')} {near}".rstrip() + f"\n{words.say('add_yours')}\n"
            "```\nservices:\n  - name: my-service\n    aliases: [my]\n    tier: 3\n    team: my-team\n"
            "    repo: my-org/my-service\n```"
        )
    text = _fit([_mark(reason, words), asked])
    quoted = _best(context.sections)
    if quoted:
        quotes = _quotes(quoted[:2], ROOM_FOR_QUOTES)
        text = _fit([text, words.say("general_documents"), *quotes])
    return Answer(
        text=text,
        confidence=0.1,
        sources=_documents(quoted[:2]),
        missing=context.missing,
        # A person is asked to say more; that is not yet a matter for the SRE team.
        tag_sre=False,
        offline_reason=reason,
        notices=context.notices,
    )


def _either(names: tuple[str, ...], words: Phrases) -> str:
    *told, last = [f"**{name}**" for name in names]
    return words.say("either", names=", ".join(told), name=last) if told else last


def _fit(parts: Iterable[str]) -> str:
    """The parts as paragraphs, within the longest answer."""
    text = "\n\n".join(part for part in parts if part)
    return text if len(text) <= LONGEST_ANSWER else text[: LONGEST_ANSWER - 2].rstrip() + " …"
