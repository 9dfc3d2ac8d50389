"""From a question to its context: the sections that matter most, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.context.blueprints import Blueprints
from app.context.missing import missing
from app.context.models import Context, Readme, Resolution, Section, Service, Source
from app.context.papers import Paper, Papers, Passage
from app.context.ranking import scores, stems
from app.knowledge.models import Document, Knowledge

KINDS = ("catalog", "blueprint", "contract", "readme", "tier", "standard", "architecture", "convention")
"""The kinds in the order in which their sections are handed out."""
CLAIMS = ("catalog", "blueprint", "tier", "readme", "contract")
"""What is about the service itself, in the order in which it claims its part of the budget."""
OWN_WEIGHT = 1.25
SHARE_OF_CONTRACTS = 0.5
SHARE_OF_SUMMARIES = 0.25
"""Of the budget, for what is packed only because it exists."""
RELEVANT = 0.15
"""Of the best score: a general section below it shares a word with the question by chance."""
MOST_BESIDE = 3
"""Blueprints of other services that the question names too."""


@dataclass(frozen=True)
class Candidate:
    """A passage in the running; `is_own` when it is about the service itself."""

    passage: Passage
    score: float
    is_own: bool

    @property
    def id(self) -> str:
        return self.passage.section.id

    @property
    def kind(self) -> str:
        return self.passage.source.kind

    @property
    def tokens(self) -> int:
        return self.passage.section.tokens

    @property
    def document(self) -> tuple[str, str]:
        return self.kind, self.passage.source.path

    @property
    def place(self) -> tuple[int, str, int]:
        """By kind, path and line."""
        return KINDS.index(self.kind), self.passage.source.path, self.passage.section.line

    @property
    def merit(self) -> tuple[float, int, str, int]:
        """The best first, equals by their place."""
        return (-self.score, *self.place)

    def section(self) -> Section:
        return self.passage.section.model_copy(update={"score": round(self.score, 4)})


def assemble(
    question: str,
    resolution: Resolution,
    *,
    blueprints: Blueprints,
    knowledge: Knowledge,
    readme: Readme | None = None,
    papers: Papers,
    budget_tokens: int = 8000,
    given: Collection[str] = (),
) -> Context:
    """Pack what the documents say about a question, verbatim, in the order of kind, path and line.

    The catalog's entry and the best section of blueprint, tier, README and each contract are packed before
    anything else, then the rest by relevance; a section that does not fit is passed over. Sections without
    any word of the question are packed only when they are about the service and the conversation has
    nothing of it yet. `given` are ids of sections that it has; they are not packed again.
    """
    service = resolution.service
    own = list(about(service, blueprints, knowledge, readme, papers)) if service else []
    candidates = rank(question, service, own, list(beside(resolution, blueprints, knowledge, papers)))
    begun = {each.document for each in candidates if each.id in given}
    fresh = [each for each in candidates if each.id not in given]
    claimed = claims(fresh, begun, resolution, budget_tokens)
    is_new = not any(each.is_own and each.document in begun for each in candidates)
    chosen = pack([*claimed, *worth_reading(fresh, is_new=is_new)], budget_tokens)
    packed, held = (
        sorted(those, key=lambda each: each.place)
        for those in (chosen, [each for each in candidates if each.id in given])
    )
    return Context(
        resolution=resolution,
        sections=tuple(each.section() for each in packed),
        sources=tuple(dict.fromkeys(each.passage.source for each in packed)),
        held=tuple(each.section() for each in held),
        held_sources=tuple(dict.fromkeys(each.passage.source for each in held)),
        missing=tuple(missing(resolution, blueprints, knowledge, readme)),
        notices=tuple(notices(resolution, blueprints, readme)),
    )


def about(
    service: Service, blueprints: Blueprints, knowledge: Knowledge, readme: Readme | None, papers: Papers
) -> Iterator[Passage]:
    """All that is about the service itself."""
    if declared := blueprints.declaration(service):
        yield declared
    if path := blueprints.page(service):
        yield from blueprints.paper("blueprint", path, papers).passages
    for contract in blueprints.contracts(service):
        yield from blueprints.paper("contract", contract.path, papers).passages
    if readme and readme.text and readme.source:
        yield from papers.of(readme.source, readme.text).passages
    if tier := knowledge.tiers.get(service.tier or 0):
        yield from knowledge_paper("tier", tier, knowledge, papers).passages


def beside(
    resolution: Resolution, blueprints: Blueprints, knowledge: Knowledge, papers: Papers
) -> Iterator[Passage]:
    """What else may matter: other services in question, and what holds for all of them."""
    if (service := resolution.service) is None:
        yield from blueprints.summaries.values()
        for tier in knowledge.tiers.values():
            yield from knowledge_paper("tier", tier, knowledge, papers).passages
    else:
        others = (blueprints.catalog.get(name) for name in resolution.candidates if name != service.name)
        paths = [path for other in others if other and (path := blueprints.page(other))]
        for path in paths[:MOST_BESIDE]:
            yield from blueprints.paper("blueprint", path, papers).passages
        for path in blueprints.naming(service):
            yield from blueprints.paper("contract", path, papers).passages
    for kind, path in blueprints.general():
        yield from blueprints.paper(kind, path, papers).passages
    for standard in knowledge.standards:
        yield from knowledge_paper("standard", standard, knowledge, papers).passages


def knowledge_paper(kind: str, document: Document, knowledge: Knowledge, papers: Papers) -> Paper:
    source = Source(
        kind=kind,
        title=document.title,
        path=document.path,
        url=knowledge.url(document),
        revision=knowledge.revision,
    )
    return papers.of(source, document.text, first_line=document.first_line)


def rank(
    question: str, service: Service | None, own: Sequence[Passage], others: Sequence[Passage]
) -> list[Candidate]:
    """Every passage with its score."""
    passages = [*own, *others]
    own_names = frozenset(stems(" ".join((service.name, *service.aliases)))) if service else ()
    totals = scores(stems(question), [passage.terms for passage in passages], ignoring=own_names)
    return [
        Candidate(passage, total * (OWN_WEIGHT if at < len(own) else 1), at < len(own))
        for at, (passage, total) in enumerate(zip(passages, totals, strict=True))
    ]


def claims(
    fresh: Sequence[Candidate], begun: Collection[tuple[str, str]], resolution: Resolution, budget: int
) -> Iterator[Candidate]:
    """What must not be crowded out: the best section of each document on the service, unless the
    conversation has `begun` it; without a service, the lines on those that may be meant."""
    if resolution.service is None:
        yield from summaries(fresh, resolution, int(budget * SHARE_OF_SUMMARIES))
        return
    best: dict[tuple[str, str], Candidate] = {}
    for each in sorted(fresh, key=lambda each: each.merit):
        # A section larger than the whole budget cannot stand for its document.
        if each.is_own and each.document not in begun and each.tokens <= budget:
            best.setdefault(each.document, each)
    left_for_contracts = int(budget * SHARE_OF_CONTRACTS)
    for each in sorted(best.values(), key=lambda each: (CLAIMS.index(each.kind), each.merit)):
        if each.kind == "contract":
            if each.tokens > left_for_contracts:
                continue
            left_for_contracts -= each.tokens
        yield each


def summaries(fresh: Iterable[Candidate], resolution: Resolution, budget: int) -> Iterator[Candidate]:
    """The lines on services: those that may be meant first, then the best, as many as fit."""
    meant = {name: at for at, name in enumerate(resolution.candidates)}
    lines = [each for each in fresh if each.kind == "catalog"]
    lines.sort(key=lambda each: (meant.get(each.passage.section.heading, len(meant)), each.merit))
    yield from pack(lines, budget)


def worth_reading(fresh: Sequence[Candidate], *, is_new: bool) -> Iterator[Candidate]:
    """The rest by merit, without what has nothing to do with the question."""
    least = max((each.score for each in fresh), default=0.0) * RELEVANT
    worth = (
        each
        for each in fresh
        if (each.is_own and is_new) or (each.score > 0 and (each.is_own or each.score >= least))
    )
    yield from sorted(worth, key=lambda each: each.merit)


def pack(candidates: Iterable[Candidate], budget_tokens: int) -> Iterator[Candidate]:
    """Those that fit, in their order and each once; a smaller one may follow one that is too large."""
    left, packed = budget_tokens, set[str]()
    for each in candidates:
        if each.tokens <= left and each.id not in packed:
            left -= each.tokens
            packed.add(each.id)
            yield each


def notices(resolution: Resolution, blueprints: Blueprints, readme: Readme | None) -> Iterator[str]:
    """What was taken for granted, what is wrong with the catalog, and which copies are not the newest."""
    service, catalog = resolution.service, blueprints.catalog
    if service is not None:
        others = [name for name in resolution.candidates if name != service.name]
        if resolution.how == "typo":
            yield f"No service has exactly the name you wrote; this is about {service.name}."
        elif others and resolution.how in ("thread", "channel", "word"):
            yield f"This is about {service.name}; otherwise ask about “the {' or '.join(others)} service”."
        path, first, last = catalog.declarations.get(service.name, ("", 0, 0))
        for fault in catalog.faults:
            if fault.severity == "error" and fault.path == path and first <= fault.line <= last:
                yield f"{fault.path}:{fault.line}: {fault.message}."
    elif broken := [fault for fault in catalog.faults if fault.severity == "error"]:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        yield f"The catalog has a fault: {broken[0].path}:{broken[0].line}: {broken[0].message}{more}."
    for copy in (blueprints.tree, readme):
        if copy is not None and copy.notice:
            yield copy.notice
