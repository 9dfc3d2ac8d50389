"""From a question to its context: the sections that matter most, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from app.context.absences import missing, notices
from app.context.blueprints import Blueprints
from app.context.models import Context, Readme, Resolution, Section, Service, Source
from app.context.papers import Paper, Papers
from app.context.ranking import scores, stems
from app.context.sections import tokens_of
from app.knowledge.models import Document, Knowledge

KINDS = ("catalog", "blueprint", "contract", "tier", "readme", "standard", "architecture", "convention")
"""The kinds in the order in which equals are listed."""
OWN = frozenset({"catalog", "blueprint", "contract", "tier", "readme"})
"""What is about the service itself: worth reading even when no word of the question is in it."""
OWN_WEIGHT = 1.25
FLOORED_CONTRACTS = 4
"""Contracts whose best section is packed before anything is compared; a hub may have dozens."""


@dataclass(frozen=True)
class Candidate:
    """A section in the running; `document` is its source without a line."""

    section: Section
    document: Source
    score: float

    @property
    def place(self) -> tuple[float, int, str, int]:
        """Best first; equals by kind, path and line."""
        kind = KINDS.index(self.document.kind)
        return (-self.score, kind, self.document.path, self.section.line)


def assemble(
    question: str,
    resolution: Resolution,
    *,
    blueprints: Blueprints,
    knowledge: Knowledge | None = None,
    readme: Readme | None = None,
    papers: Papers,
    budget_tokens: int = 8000,
    given: Collection[str] = (),
) -> Context:
    """Pack what the documents say about a question, verbatim, most relevant first.

    The catalog's entry and the best section of the blueprint, of each contract, of the tier and of the README
    are packed before anything else, then the rest by relevance; a section that does not fit is passed over.
    Sections without any word of the question are packed only when they are about the service itself. `given`
    are ids of sections that the conversation has already; they are left out.
    """
    service = resolution.service
    papers_found = shelf(service, blueprints, knowledge, readme, papers)
    ranked = [each for each in rank(question, service, list(papers_found)) if each.section.id not in given]
    packed = sorted(pack(in_order(ranked, service), budget_tokens), key=lambda each: each.place)
    return Context(
        resolution=resolution,
        sections=tuple(e.section.model_copy(update={"score": round(e.score, 4)}) for e in packed),
        sources=tuple(dict.fromkeys(each.document for each in packed)),
        missing=tuple(missing(resolution, blueprints, knowledge, readme)),
        notices=tuple(notices(resolution, blueprints, knowledge, readme)),
    )


def shelf(
    service: Service | None,
    blueprints: Blueprints,
    knowledge: Knowledge | None,
    readme: Readme | None,
    papers: Papers,
) -> Iterator[Paper]:
    """All documents that a question about `service` may be answered from; without one the general ones."""
    if service is not None:
        yield from about(service, blueprints, papers)
        if readme is not None and readme.text and readme.source:
            yield papers.of(readme.source, readme.text)
    for kind, path in blueprints.general():
        yield blueprints.paper(kind, path, papers)
    if knowledge is not None:
        for level, tier in knowledge.tiers.items():
            if service is None or service.tier == level:
                yield knowledge_paper("tier", tier, knowledge, papers)
        for standard in knowledge.standards:
            yield knowledge_paper("standard", standard, knowledge, papers)


def about(service: Service, blueprints: Blueprints, papers: Papers) -> Iterator[Paper]:
    """What the blueprints repo has about one service."""
    if declared := blueprints.declaration(service):
        source, text, line = declared
        yield papers.of(source, text, first_line=line)
    if page := blueprints.page(service):
        yield blueprints.paper("blueprint", page, papers)
    for contract in blueprints.contracts(service):
        yield blueprints.paper("contract", contract.path, papers)
    for path in blueprints.naming(service):
        yield blueprints.paper("contract", path, papers)


def knowledge_paper(kind: str, document: Document, knowledge: Knowledge, papers: Papers) -> Paper:
    source = Source(
        kind=kind,
        title=document.title,
        path=document.path,
        url=knowledge.url(document),
        revision=knowledge.revision,
    )
    return papers.of(source, document.text, first_line=document.first_line)


def rank(question: str, service: Service | None, found: Sequence[Paper]) -> Iterator[Candidate]:
    """The sections worth packing, with their scores."""
    passages = [(paper.source, passage) for paper in found for passage in paper.passages]
    own_names = frozenset(stems(" ".join((service.name, *service.aliases)))) if service else ()
    totals = scores(stems(question), [passage.terms for _, passage in passages], ignoring=own_names)
    for (document, passage), total in zip(passages, totals, strict=True):
        is_own = service is not None and document.kind in OWN
        if total > 0 or is_own:
            yield Candidate(passage.section, document, total * (OWN_WEIGHT if is_own else 1))


def in_order(ranked: Sequence[Candidate], service: Service | None) -> list[Candidate]:
    """The order of packing: what must not be crowded out, then the best."""
    best_first = sorted(ranked, key=lambda each: each.place)
    floors = floors_of(best_first) if service is not None else []
    kept = {each.section.id for each in floors}
    return floors + [each for each in best_first if each.section.id not in kept]


def floors_of(best_first: Sequence[Candidate]) -> list[Candidate]:
    """The best section of each document about the service itself, by kind; of contracts the best few."""
    best: dict[tuple[str, str], Candidate] = {}
    for each in best_first:
        if each.document.kind in OWN:
            best.setdefault((each.document.kind, each.document.path), each)
    floors = sorted(best.values(), key=lambda each: (KINDS.index(each.document.kind), each.place))
    surplus = [each for each in floors if each.document.kind == "contract"][FLOORED_CONTRACTS:]
    return [each for each in floors if each not in surplus]


def pack(candidates: Sequence[Candidate], budget_tokens: int) -> Iterator[Candidate]:
    """The candidates that fit, in their order; a smaller one may follow one that is too large."""
    left = budget_tokens
    for each in candidates:
        cost = each.section.tokens + tokens_of(each.section.heading)
        if cost <= left:
            left -= cost
            yield each
